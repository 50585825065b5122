// One operator's stream in messages instead of bytes: what it asked first, and what it is told.
import { ok, type Outcome, type WmError } from '../domain/outcome.ts';
import type { EndedMessage } from '../domain/watch.ts';
import type { ByteStream } from '../ports/network.ts';

export type OperatorCodec<Asked, Told> = {
  readonly decode: (bytes: Uint8Array) => Outcome<Asked>;
  readonly encode: (message: Told | EndedMessage) => Uint8Array;
};

export class OperatorStream<Asked, Told> {
  readonly #stream: ByteStream;
  readonly #codec: OperatorCodec<Asked, Told>;

  constructor(stream: ByteStream, codec: OperatorCodec<Asked, Told>) {
    this.#stream = stream;
    this.#codec = codec;
  }

  send(message: Told | EndedMessage): Promise<Outcome<void>> {
    return this.#stream.send(this.#codec.encode(message));
  }

  /** Null when the operator closed in order. */
  async receive(): Promise<Outcome<Asked | null>> {
    const bytes = await this.#stream.receive();
    if (!bytes.ok) return bytes;
    return bytes.value === null ? ok<Asked | null>(null) : this.#codec.decode(bytes.value);
  }

  /** Says why, then closes. Waits for room no longer than the stream lives. */
  async refuse({ code, message, next }: Pick<WmError, 'code' | 'message' | 'next'>): Promise<void> {
    await this.send({ kind: 'ended', code, message, next });
    this.#stream.close();
  }

  close(): void {
    this.#stream.close();
  }
}
