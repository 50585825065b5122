// A store on NATS JetStream, for more than one controller: journals are streams, blobs an object store, keys a key-value bucket
// each. It belongs to whoever wrote last: a process that was deposed is refused by the streams themselves, and its store ends.
// Refuses servers whose acknowledgements a power cut would make untrue, unless the operator accepts it.
import { jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { JetStreamClient, JetStreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { failed, ok, rejected } from '../../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../../system/domain/outcome.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../../system/ports/storage.ts';
import type { JournalStore, KeyValueStore } from '../../../system/ports/storage.ts';
import type { OpenStorage } from '../storage.ts';
import { Health } from '../trouble.ts';
import { ANSWERED_WITHIN_MS, describeAnswer, unsuitable } from './answers.ts';
import { Requests } from './batch.ts';
import { StreamBucket } from './bucket.ts';
import { checkDurability } from './durability.ts';
import type { Durability } from './durability.ts';
import { readPage, shortened, StreamJournal } from './journal.ts';
import { blobsOf, bucketOf, checkName, checkStoreName, journalStreamOf, journalSubjectOf } from './names.ts';
import { ObjectBlobs } from './objects.ts';
import { Room } from './room.ts';
import { journalStream, openStream } from './streams.ts';

export type { Durability } from './durability.ts';

/** Headers and subject of a message around its bytes; the server counts them. */
const ENVELOPE_BYTES = 4 * 1024;
/** What a server must take as one message. */
const PAYLOAD_BYTES_MIN = JOURNAL_RECORD_BYTES_MAX + ENVELOPE_BYTES;
const DEFAULT_NAME = 'wasmmatrix';

export type NatsStorageOptions = {
  /** Made, and closed after the store, by the caller. */
  readonly connection: NatsConnection;
  /** Begins the names of all streams: two platforms on one account differ in it. */
  readonly name?: string;
  /** Servers that keep each stream. */
  readonly replicas?: number;
  readonly durability: Durability;
  /** Asked before each write to a journal or bucket: false ends the store. Without it only the streams fence. */
  readonly isLeading?: () => boolean;
  /** Tells how old the parts of a blob are that nobody described. */
  readonly civilMs?: () => number;
};

type Parts = {
  readonly requests: Requests;
  readonly store: string;
  readonly replicas: number;
  readonly client: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly health: Health;
  readonly room: Room;
};

class NatsStorage implements OpenStorage {
  readonly #parts: Parts;
  readonly blobs: ObjectBlobs;
  /** Bound: the few journals and buckets of the product. */
  readonly #journals = new Map<string, StreamJournal | null>();
  readonly #buckets = new Map<string, StreamBucket>();
  #closed: Promise<void> | null = null;

  constructor(parts: Parts, blobs: ObjectBlobs) {
    this.#parts = parts;
    this.blobs = blobs;
  }

  async journal(name: string): Promise<Outcome<JournalStore>> {
    const refused = this.#parts.health.end ?? checkName('journal', name);
    if (refused !== null) return refused;
    if (this.#journals.has(name)) {
      return rejected('WM_CONFLICT', { message: `Journal ${name} is open already.`, next: 'Use the journal that this process opened.' });
    }
    this.#journals.set(name, null);
    const opened = await openJournal(this.#parts, name);
    if (opened.ok) this.#journals.set(name, opened.value);
    else this.#journals.delete(name);
    return opened;
  }

  keyValue(bucket: string): KeyValueStore {
    const refused = this.#parts.health.end ?? checkName('bucket', bucket);
    if (refused !== null) return refusing(refused);
    let open = this.#buckets.get(bucket);
    if (open === undefined) {
      open = new StreamBucket({ ...this.#parts, bucket: bucketOf(this.#parts.store, bucket) });
      this.#buckets.set(bucket, open);
    }
    return open;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#parts.health.endWith(failed('WM_CANCELLED', { message: 'The store was closed.', next: 'Open it again.' }));
    await Promise.all([
      this.blobs.settled(),
      ...[...this.#buckets.values()].map((bucket) => bucket.settled()),
      ...[...this.#journals.values()].map((journal) => journal?.settled()),
    ]);
  }
}

function refusing(refused: Err): KeyValueStore {
  return { get: () => Promise.resolve(refused), put: () => Promise.resolve(refused) };
}

/** Reads all of it once, so that damage is told before anything is built on it. */
async function openJournal(parts: Parts, name: string): Promise<Outcome<StreamJournal>> {
  const { store, replicas, requests, manager, health, room } = parts;
  const [stream, subject] = [journalStreamOf(store, name), journalSubjectOf(store, name)];
  const opened = await openStream(manager, journalStream(stream, subject, replicas));
  if (!opened.ok) return opened;
  const { last_seq: last, first_seq: first, messages } = opened.value.state;
  const dropped = messages === 0 ? last : first - 1;
  for (let next = dropped + 1; next <= last;) {
    const page = await readPage({ name, stream, manager }, next, last);
    if (!page.ok) return page;
    const end = page.value.at(-1)?.sequence;
    if (end === undefined) return shortened({ name, stream });
    next = end + 1;
  }
  return ok(new StreamJournal({ name, stream, subject, requests, manager, health, room }, { last, dropped }));
}

export async function openNatsStorage(options: NatsStorageOptions): Promise<Outcome<OpenStorage>> {
  const { connection, name: store = DEFAULT_NAME, replicas = 1, durability, isLeading = () => true, civilMs = () => Date.now() } = options;
  const unnamed = checkStoreName(store);
  if (unnamed !== null) return unnamed;
  const payload = connection.info?.max_payload ?? 0;
  if (payload < PAYLOAD_BYTES_MIN) {
    return unsuitable(
      `The NATS server takes messages of ${payload} bytes; a journal record with its headers may have ${PAYLOAD_BYTES_MIN}.`,
      'Set `max_payload: 2MB` in the configuration of every server.',
      { payload },
    );
  }
  const durable = await checkDurability(durability, connection);
  if (!durable.ok) return durable;
  try {
    const client = jetstream(connection, { timeout: ANSWERED_WITHIN_MS });
    const manager = await jetstreamManager(connection, { timeout: ANSWERED_WITHIN_MS });
    const parts: Parts = {
      requests: new Requests(connection, isLeading),
      store,
      replicas,
      client,
      manager,
      health: new Health(),
      room: new Room(),
    };
    const blobs = await ObjectBlobs.open({ ...parts, bucket: blobsOf(store), civilMs });
    return blobs.ok ? ok(new NatsStorage(parts, blobs.value)) : blobs;
  } catch (error) {
    if (error instanceof Error && error.name === 'JetStreamNotEnabled') {
      return unsuitable('The NATS server has no JetStream.', 'Add a `jetstream` block to its configuration (docs/howto/production.md).');
    }
    return describeAnswer(error, `store ${store}`, 'opened');
  }
}
