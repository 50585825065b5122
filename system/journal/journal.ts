// The controller's memory: batches of entries, appended in order, said to be durable one batch at a time (group commit).
// Owns batching, the bound of a record and the order of effects: what waits on a batch is released, in the order in which it
// was asked for, when the batch is durable. Refuses to go on after an append or sync that failed or is unknown.
// Surprising: one batch is in flight at a time, and the next is appended only after the effects of the last were released.
// So at recovery only the facts of the very last record may not have been told yet.
import type { Term } from '../domain/identifiers.ts';
import { assert, describeError, ok, type Outcome } from '../domain/outcome.ts';
import type { Clock } from '../ports/clock.ts';
import { JOURNAL_RECORD_BYTES_MAX, type JournalStore } from '../ports/storage.ts';
import { decodeRecord, encodeRecord, encodeValue, type JournalRecord } from './record.ts';

export { decodeValue, encodeValue, type JournalRecord } from './record.ts';

/** Room for the fields of a record around its entries. */
const RECORD_OVERHEAD_BYTES = 512;
/** Bound: bytes of entries in one record, commas included. */
const BATCH_BYTES_MAX = JOURNAL_RECORD_BYTES_MAX - RECORD_OVERHEAD_BYTES;
/** Bound: entry of one batch; larger ones are a bug, since every input has its own bound. */
const ENTRY_BYTES_MAX = BATCH_BYTES_MAX;

export type Release = () => void;

type Batch = { readonly entries: string[]; readonly releases: Release[]; bytes: number };

export type JournalOptions = {
  readonly clock: Pick<Clock, 'civilMs'>;
  readonly store: JournalStore;
  /**
   * Called synchronously before a batch is closed, while the head state is exactly the fold through record `sequence`: the one that
   * the batch becomes, or the last that there is when it has no entries.
   */
  readonly onClose: (sequence: number) => void;
  /** An append or sync failed: the process must end. */
  readonly onBroken: (cause: string) => void;
};

export class Journal<Entry> {
  readonly #options: JournalOptions;
  readonly #queue: Batch[] = [];
  readonly #term: Term;
  /** Sequence of the last record that was appended. */
  #appended: number;
  #inFlight = false;
  #broken = false;
  #scheduled = false;

  constructor(options: JournalOptions, term: Term) {
    this.#options = options;
    this.#term = term;
    this.#appended = options.store.lastSequence;
  }

  get durableSequence(): number {
    return this.#inFlight ? this.#appended - 1 : this.#appended;
  }

  /** Sequence of the record that the next entry goes into. */
  get nextSequence(): number {
    return this.#appended + Math.max(1, this.#queue.length);
  }

  /** Queues an entry and returns the sequence of the record that will hold it. */
  append(entry: Entry): number {
    const text = encodeValue(entry);
    const bytes = new TextEncoder().encode(text).length + 1;
    assert(bytes <= ENTRY_BYTES_MAX, `a journal entry is at most ${ENTRY_BYTES_MAX} bytes`);
    let batch = this.#queue.at(-1);
    if (batch === undefined || batch.bytes + bytes > BATCH_BYTES_MAX) {
      batch = { entries: [], releases: [], bytes: 0 };
      this.#queue.push(batch);
    }
    batch.entries.push(text);
    batch.bytes += bytes;
    this.#schedule();
    return this.#appended + this.#queue.length;
  }

  /** Runs `release` when all that was appended so far is durable; at once, after this call, when it is already. */
  whenDurable(release: Release): void {
    let batch = this.#queue.at(-1);
    if (batch === undefined) {
      batch = { entries: [], releases: [], bytes: 0 };
      this.#queue.push(batch);
    }
    batch.releases.push(release);
    this.#schedule();
  }

  /** Drops records up to `sequence`; the next sync makes it durable. */
  truncate(sequence: number): Outcome<void> {
    return this.#options.store.truncate(sequence);
  }

  /** Nothing is appended or released any more. */
  stop(): void {
    this.#broken = true;
    this.#queue.length = 0;
  }

  #schedule(): void {
    if (this.#inFlight || this.#scheduled || this.#broken) return;
    this.#scheduled = true;
    queueMicrotask(() => {
      this.#scheduled = false;
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    while (!this.#broken && !this.#inFlight && this.#queue.length > 0) {
      // Only the last batch of the queue ends where the head state is.
      const [closing] = this.#queue;
      if (this.#queue.length === 1) this.#options.onClose(this.#appended + (closing?.entries.length === 0 ? 0 : 1));
      const batch = this.#queue.shift();
      if (batch === undefined) return;
      if (batch.entries.length > 0) {
        this.#inFlight = true;
        const written = await this.#write(batch);
        this.#inFlight = false;
        if (this.#broken) return;
        if (!written.ok) {
          this.stop();
          this.#options.onBroken(`journal: ${describeError(written.error)}`);
          return;
        }
      }
      for (const release of batch.releases) release();
    }
  }

  async #write(batch: Batch): Promise<Outcome<void>> {
    const sequence = this.#appended + 1;
    const record = encodeRecord({ sequence, term: this.#term, timeMs: this.#options.clock.civilMs() }, batch.entries);
    const appended = this.#options.store.append(record, { expectedSequence: this.#appended });
    if (!appended.ok) return appended;
    assert(appended.value === sequence, 'a journal counts its records from 1 without gaps');
    this.#appended = appended.value;
    return this.#options.store.sync();
  }
}

/** Every record that the store still holds, in order. */
export async function readJournal<Entry>(store: JournalStore): Promise<Outcome<readonly JournalRecord<Entry>[]>> {
  const records: JournalRecord<Entry>[] = [];
  for await (const { sequence, record } of store.read(1)) {
    const decoded = decodeRecord<Entry>(sequence, record);
    if (!decoded.ok) return decoded;
    const before = records.at(-1);
    assert(before === undefined || before.sequence + 1 === sequence, 'a journal has no gaps');
    records.push(decoded.value);
  }
  return ok(records);
}
