// The broker's journal as it uses it: append now, be told when it is durable, several at a time (group commit), and compact
// when the records that nobody needs outnumber those that are needed. A journal that failed once is lost for good.
import { failed, ok, type Outcome, type WmError } from '../domain/outcome.ts';
import type { JournalStore } from '../ports/storage.ts';
import { encodeRecord, type JournalEntry } from './entries.ts';
import type { BrokerState } from './state.ts';

/** Bound: records written since the last snapshot before the next one, and bytes of them. */
const COMPACT_AFTER_RECORDS = 8_192;
const COMPACT_AFTER_BYTES = 16 * 1_024 * 1_024;

type Waiter = { readonly sequence: number; readonly resolve: (durable: boolean) => void };

export class BrokerLog {
  readonly #journal: JournalStore;
  readonly #onLost: (error: WmError) => void;
  readonly #compactAfterRecords: number;
  #waiting: Waiter[] = [];
  #isSyncing = false;
  #isLost = false;
  #isCompacting = false;
  #recordsSince: number;
  #bytesSince: number;
  /** Records of the last snapshot. */
  #recordsKept = 0;
  /** What was read at the start may not have been synced by the process before. */
  #durable = 0;
  /** What had been synced before the last sync: its waiters have run. */
  #told = 0;

  /** `onLost`: the journal failed, and the broker must end. */
  constructor(
    journal: JournalStore,
    options: {
      readonly records: number;
      readonly bytes: number;
      readonly compactAfterRecords: number | null;
      readonly onLost: (error: WmError) => void;
    },
  ) {
    this.#journal = journal;
    this.#recordsSince = options.records;
    this.#bytesSince = options.bytes;
    this.#compactAfterRecords = options.compactAfterRecords ?? COMPACT_AFTER_RECORDS;
    this.#onLost = options.onLost;
  }

  /** Buffers a record. Refused only when the journal is lost. */
  append(entry: JournalEntry): Outcome<void> {
    if (this.#isLost)
      return failed('WM_CANCELLED', { message: 'The broker ended when its journal failed.', next: 'Try again when it has recovered.' });
    const bytes = encodeRecord({ entry, told: this.#told });
    const appended = this.#journal.append(bytes, { expectedSequence: this.#journal.lastSequence });
    if (!appended.ok) {
      this.#lose(appended.error);
      return appended;
    }
    this.#recordsSince += 1;
    this.#bytesSince += bytes.length;
    return ok();
  }

  /** True when everything appended so far is durable; false when the journal was lost. In the order of the calls. */
  durable(): Promise<boolean> {
    const sequence = this.#journal.lastSequence;
    if (this.#isLost || sequence <= this.#durable) return Promise.resolve(!this.#isLost);
    return new Promise((resolve) => {
      this.#waiting.push({ sequence, resolve });
      if (!this.#isSyncing) void this.#sync();
    });
  }

  async #sync(): Promise<void> {
    this.#isSyncing = true;
    while (this.#waiting.length > 0 && !this.#isLost) {
      const sequence = this.#journal.lastSequence;
      const synced = await this.#journal.sync();
      if (!synced.ok) return this.#lose(synced.error);
      this.#told = this.#durable;
      this.#durable = sequence;
      const done = this.#waiting;
      this.#waiting = done.filter((waiter) => waiter.sequence > sequence);
      for (const waiter of done) if (waiter.sequence <= sequence) waiter.resolve(true);
    }
    this.#isSyncing = false;
  }

  get #wantsCompaction(): boolean {
    if (this.#isLost || this.#isCompacting) return false;
    const records = Math.max(this.#compactAfterRecords, 2 * this.#recordsKept);
    return this.#recordsSince >= records || (this.#bytesSince >= COMPACT_AFTER_BYTES && this.#recordsSince >= 2 * this.#recordsKept);
  }

  /** Writes the state as a snapshot, and drops what came before it once that is durable. */
  async compactWhenDue(state: BrokerState): Promise<void> {
    if (!this.#wantsCompaction) return;
    this.#isCompacting = true;
    const before = this.#journal.lastSequence;
    for (const entry of state.snapshot()) if (!this.append(entry).ok) return;
    if (!this.append({ kind: 'snapshot-end' }).ok) return;
    this.#recordsKept = this.#journal.lastSequence - before;
    this.#recordsSince = 0;
    this.#bytesSince = 0;
    const durable = await this.durable();
    this.#isCompacting = false;
    if (!durable) return;
    const truncated = this.#journal.truncate(before);
    if (!truncated.ok) this.#lose(truncated.error);
  }

  #lose(error: WmError): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.resolve(false);
    this.#onLost(error);
  }
}
