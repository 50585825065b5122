// One bucket of keys: a key-value bucket of NATS, one message for each key, its version in a header, since the revisions of NATS
// count the whole bucket. A bucket has one writer, like a journal: opening it moves its sequence on, and every write is published
// with the sequence that must come before it. So a leader that was deposed without noticing writes nothing more.
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import type { StateEntry } from '../../../system/domain/broker.ts';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../../system/domain/outcome.ts';
import type { KeyValueStore } from '../../../system/ports/storage.ts';
import { OPERATIONS_MAX } from '../operations.ts';
import { full } from '../trouble.ts';
import type { Health } from '../trouble.ts';
import { CHECKSUM_HEADER, checksumOf, damaged, describeAnswer, isWrongSequence } from './answers.ts';
import { write } from './batch.ts';
import type { Requests } from './batch.ts';
import { checkName, encodeKey } from './names.ts';
import type { Room } from './room.ts';
import { bucketStream, openStream } from './streams.ts';

/** Bound: bytes of one value: like a record of a journal it is one message. */
export const NATS_VALUE_BYTES_MAX = 1024 * 1024;
/** Bound: how often the opening of a bucket is tried while another process writes to it. */
const OPENINGS_MAX = 16;
const VERSION_HEADER = 'Wasmmatrix-Version';
/** The message that moves the sequence on; no key is encoded so. */
const OPENED_KEY = '_opened';

export type BucketParts = {
  readonly bucket: string;
  readonly replicas: number;
  readonly requests: Requests;
  readonly manager: JetStreamManager;
  readonly health: Health;
  readonly room: Room;
};

type Put = { readonly key: string; readonly value: Uint8Array; readonly expectedVersion: number | null };

export class StreamBucket implements KeyValueStore {
  readonly #parts: BucketParts;
  /** The sequence of the bucket, once it is open. */
  readonly #opened: Promise<Outcome<void>>;
  #sequence = 0;
  /** The write that was asked for last; it never rejects. Bound: `OPERATIONS_MAX` wait. */
  #tail: Promise<unknown>;
  #waiting = 0;
  /** Why nothing is written any more. */
  #failed: Err | null = null;

  constructor(parts: BucketParts) {
    this.#parts = parts;
    this.#opened = this.#open();
    this.#tail = this.#opened;
  }

  async get(key: string): Promise<Outcome<StateEntry | null>> {
    const { health } = this.#parts;
    const refused = health.end ?? checkName('key', key);
    if (refused !== null) return refused;
    const opened = await this.#opened;
    return opened.ok ? this.#read(key) : opened;
  }

  async put(key: string, value: Uint8Array, { expectedVersion }: { readonly expectedVersion: number | null }): Promise<Outcome<number>> {
    const { health, room } = this.#parts;
    const refused = health.end ?? checkName('key', key) ?? checkValue(key, value) ?? this.#full() ?? room.reserve(value.length);
    if (refused !== null) return refused;
    const put: Put = { key, value: new Uint8Array(value), expectedVersion };
    this.#waiting += 1;
    const written = this.#tail.then(() => this.#write(put));
    this.#tail = written;
    const outcome = await written;
    this.#waiting -= 1;
    room.release(put.value.length);
    return outcome;
  }

  /** Resolves when every write that was accepted is done. */
  async settled(): Promise<void> {
    await this.#tail;
  }

  #full(): Err | null {
    return this.#waiting < OPERATIONS_MAX ? null : full(`Bucket ${this.#parts.bucket} has ${OPERATIONS_MAX} writes to do.`, {});
  }

  async #open(): Promise<Outcome<void>> {
    const { bucket, replicas, manager, health } = this.#parts;
    for (let opening = 1; opening <= OPENINGS_MAX; opening++) {
      const stream = await openStream(manager, bucketStream(bucket, replicas));
      if (!stream.ok) return health.endWith(stream);
      this.#sequence = stream.value.state.last_seq;
      try {
        await this.#publish(OPENED_KEY, new Uint8Array(), opening);
        return ok();
      } catch (error) {
        if (!isWrongSequence(error)) return health.endWith(describeAnswer(error, `bucket ${bucket}`, 'opened'));
      }
    }
    return health.endWith(this.#deposed());
  }

  async #write({ key, value, expectedVersion }: Put): Promise<Outcome<number>> {
    const { bucket, health } = this.#parts;
    const opened = await this.#opened;
    if (!opened.ok) return opened;
    if (this.#failed !== null) return this.#failed;
    const before = await this.#read(key);
    if (!before.ok) return before;
    const current = before.value?.version ?? 0;
    if (expectedVersion !== null && expectedVersion !== current) {
      return rejected('WM_CONFLICT', {
        message: `Key ${key} is at version ${current}, not ${expectedVersion}.`,
        next: 'Read the key again and decide on its new value.',
        detail: { key, version: current, expectedVersion },
      });
    }
    try {
      await this.#publish(encodeKey(key), value, current + 1);
      return ok(current + 1);
    } catch (error) {
      this.#failed = isWrongSequence(error) ? this.#deposed() : describeAnswer(error, `key ${key} of bucket ${bucket}`, 'written');
      return health.endWith(this.#failed);
    }
  }

  async #publish(token: string, value: Uint8Array, version: number): Promise<void> {
    const { requests, bucket } = this.#parts;
    const marked = headers();
    marked.set(VERSION_HEADER, String(version));
    marked.set(CHECKSUM_HEADER, checksumOf(value, version));
    const message = { subject: `$KV.${bucket}.${token}`, bytes: value, headers: marked };
    this.#sequence = await write(requests, [message], this.#sequence);
  }

  async #read(key: string): Promise<Outcome<StateEntry | null>> {
    const { manager, bucket } = this.#parts;
    let message: StoredMsg | null;
    try {
      message = await manager.streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.${encodeKey(key)}` });
    } catch (error) {
      return describeAnswer(error, `key ${key} of bucket ${bucket}`, 'read');
    }
    if (message === null) return ok<StateEntry | null>(null);
    const version = Number(message.header.get(VERSION_HEADER));
    if (message.header.get(CHECKSUM_HEADER) === checksumOf(message.data, version)) {
      return ok<StateEntry | null>({ version, value: message.data });
    }
    return damaged(`Key ${key} of bucket ${bucket} is not what was written.`, { bucket, key });
  }

  #deposed(): Err {
    return rejected('WM_JOURNAL_CONFLICT', {
      message: `Bucket ${this.#parts.bucket} is beyond sequence ${this.#sequence}: another process wrote to it.`,
      next: 'This process ends; the newer leader goes on.',
      detail: { expectedSequence: this.#sequence },
    });
  }
}

function checkValue(key: string, value: Uint8Array): Err | null {
  if (value.length <= NATS_VALUE_BYTES_MAX) return null;
  return rejected('WM_MESSAGE_TOO_LARGE', {
    message: `A value of ${value.length} bytes does not fit key ${key}.`,
    next: `Write values of at most ${NATS_VALUE_BYTES_MAX} bytes.`,
    detail: { bytes: value.length },
  });
}
