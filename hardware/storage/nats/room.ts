// Room for bytes that were accepted and are not durable yet, shared by all of a store.
import { assert } from '../../../system/domain/outcome.ts';
import type { Err } from '../../../system/domain/outcome.ts';
import { BYTES_PENDING_MAX } from '../operations.ts';
import { full } from '../trouble.ts';

export class Room {
  #bytes = 0;

  reserve(bytes: number): Err | null {
    if (this.#bytes + bytes > BYTES_PENDING_MAX) {
      return full(`The store on NATS has ${this.#bytes} bytes to write; ${bytes} more do not fit.`, { bytesPending: this.#bytes });
    }
    this.#bytes += bytes;
    return null;
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
    assert(this.#bytes >= 0, 'only what was reserved is released');
  }
}
