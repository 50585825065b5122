// The broker's journal as it uses it: append now, be told when it is durable, several at a time (group commit), and compact
// when the records that nobody needs outnumber those that are needed.
import { ok, type Outcome, type WmError } from '../domain/outcome.ts';
import type { EventId } from '../domain/identifiers.ts';
import type { JournalStore } from '../ports/storage.ts';
import type { Ports } from '../ports/ports.ts';
import { decodeRecord, encodeRecord, type JournalRecord } from './entries.ts';
import { BrokerState } from './state.ts';

/** Bound: records written since the last snapshot before the next one is made. */
const COMPACT_AFTER_RECORDS = 8_192;
/** Bound: identifiers in one snapshot record, which must stay below the journal's bound. */
const KNOWN_PER_RECORD = 2_048;

export class BrokerLog {
  readonly #journal: JournalStore;
  readonly #onLost: (error: WmError) => void;
  #waiting: ((durable: boolean) => void)[] = [];
  #syncing = false;
  #lost = false;
  #sinceSnapshot: number;

  private constructor(journal: JournalStore, records: number, onLost: (error: WmError) => void) {
    this.#journal = journal;
    this.#sinceSnapshot = records;
    this.#onLost = onLost;
  }

  /** Opens the journal and makes the state again. `onLost`: the journal failed, and the broker must end. */
  static async open(ports: Pick<Ports, 'storage'>, onLost: (error: WmError) => void): Promise<Outcome<{ readonly log: BrokerLog; readonly state: BrokerState }>> {
    const opened = await ports.storage.journal('broker');
    if (!opened.ok) return opened;
    let state = new BrokerState();
    let building: BrokerState | null = null;
    let nextSequence = 1;
    let records = 0;
    for await (const { sequence, record } of opened.value.read(1)) {
      const decoded = decodeRecord(record, sequence);
      if (!decoded.ok) return decoded;
      records += 1;
      const entry = decoded.value;
      switch (entry.kind) {
        case 'snapshot-begin':
          building = new BrokerState();
          nextSequence = entry.nextSequence;
          for (const [id, at] of entry.known) building.remember(id as EventId, at);
          break;
        case 'known':
          for (const [id, at] of entry.known) building?.remember(id as EventId, at);
          break;
        case 'snapshot-end':
          if (building !== null) {
            state = building;
            state.nextSequence = Math.max(state.nextSequence, nextSequence);
          }
          building = null;
          break;
        default:
          (building ?? state).apply(entry);
      }
    }
    return ok({ log: new BrokerLog(opened.value, records, onLost), state });
  }

  /** Buffers a record. Refused only when the journal is lost. */
  append(record: JournalRecord): Outcome<void> {
    const appended = this.#journal.append(encodeRecord(record), { expectedSequence: this.#journal.lastSequence });
    if (!appended.ok) {
      this.#lose(appended.error);
      return appended;
    }
    this.#sinceSnapshot += 1;
    return ok();
  }

  /** True when everything appended so far is durable; false when the journal was lost. */
  durable(): Promise<boolean> {
    return new Promise((resolve) => {
      if (this.#lost) return resolve(false);
      this.#waiting.push(resolve);
      if (!this.#syncing) void this.#sync();
      return undefined;
    });
  }

  async #sync(): Promise<void> {
    this.#syncing = true;
    while (this.#waiting.length > 0 && !this.#lost) {
      const group = this.#waiting;
      this.#waiting = [];
      const synced = await this.#journal.sync();
      if (!synced.ok) this.#lose(synced.error);
      for (const resolve of group) resolve(synced.ok);
    }
    this.#syncing = false;
  }

  get wantsCompaction(): boolean {
    return this.#sinceSnapshot >= COMPACT_AFTER_RECORDS;
  }

  /** Writes the state as a snapshot and drops what came before it, once that is durable. */
  async compact(state: BrokerState): Promise<void> {
    const before = this.#journal.lastSequence;
    const known = [...state.known];
    const records: JournalRecord[] = [{ kind: 'snapshot-begin', nextSequence: state.nextSequence, known: known.slice(0, KNOWN_PER_RECORD) }];
    for (let i = KNOWN_PER_RECORD; i < known.length; i += KNOWN_PER_RECORD) records.push({ kind: 'known', known: known.slice(i, i + KNOWN_PER_RECORD) });
    records.push(...state.entries(), { kind: 'snapshot-end' });
    for (const record of records) if (!this.append(record).ok) return;
    this.#sinceSnapshot = 0;
    if (!(await this.durable())) return;
    const truncated = this.#journal.truncate(before);
    if (!truncated.ok) this.#lose(truncated.error);
  }

  #lose(error: WmError): void {
    if (this.#lost) return;
    this.#lost = true;
    for (const resolve of this.#waiting) resolve(false);
    this.#waiting = [];
    this.#onLost(error);
  }
}

