// One open journal. What was appended is held in memory until it is durable, and is read from there meanwhile.
import { assert, describeError, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../system/ports/storage.ts';
import type { JournalStore } from '../../system/ports/storage.ts';
import type { JournalPosition, JournalRow } from './operations.ts';
import type { StorageThread } from './thread.ts';
import type { Health } from './trouble.ts';

export type JournalParts = {
  readonly name: string;
  readonly position: JournalPosition;
  readonly thread: StorageThread;
  readonly health: Health;
};

export class DatabaseJournal implements JournalStore {
  readonly #parts: JournalParts;
  /** Records that are not durable yet, oldest first, the first `#sent` of them with the thread. Bound: `BYTES_PENDING_MAX`. */
  readonly #held: Uint8Array[] = [];
  #sent = 0;
  #last: number;
  #dropped: number;

  constructor(parts: JournalParts) {
    this.#parts = parts;
    this.#last = parts.position.last;
    this.#dropped = parts.position.dropped;
  }

  get lastSequence(): number {
    return this.#last;
  }

  append(record: Uint8Array, { expectedSequence }: { readonly expectedSequence: number }): Outcome<number> {
    const { name, thread, health } = this.#parts;
    if (health.end !== null) return health.end;
    if (record.length > JOURNAL_RECORD_BYTES_MAX) {
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `A record of ${record.length} bytes does not fit journal ${name}.`,
        next: `Write records of at most ${JOURNAL_RECORD_BYTES_MAX} bytes.`,
        detail: { bytes: record.length },
      });
    }
    if (expectedSequence !== this.#last) {
      return rejected('WM_JOURNAL_CONFLICT', {
        message: `Journal ${name} is at sequence ${this.#last}, not ${expectedSequence}.`,
        next: 'End this process: another leader wrote.',
        detail: { sequence: this.#last, expectedSequence },
      });
    }
    const refused = thread.reserve(record.length);
    if (refused !== null) return refused;
    this.#held.push(new Uint8Array(record));
    return ok(++this.#last);
  }

  /** Also without anything new it waits for what an earlier sync has under way, since answers come in order. */
  async sync(): Promise<Outcome<void>> {
    const { thread, position } = this.#parts;
    const records = this.#held.slice(this.#sent);
    const first = this.#last - records.length + 1;
    const submitted = thread.submit({ kind: 'append', journal: position.journal, first, records, dropped: this.#dropped });
    if (!submitted.ok) return submitted;
    this.#sent += records.length;
    const synced = await submitted.value;
    if (!synced.ok) return synced;
    this.#held.splice(0, records.length);
    this.#sent -= records.length;
    thread.release(records.reduce((bytes, record) => bytes + record.length, 0));
    return ok();
  }

  /** Throws when the store ends meanwhile or a record is damaged: an iteration has no other way to say so. */
  async *read(fromSequence: number): AsyncGenerator<JournalRow> {
    const last = this.#last;
    let next = fromSequence;
    for (;;) {
      next = Math.max(next, this.#dropped + 1);
      if (next > last) return;
      const held = this.#held[next - (this.#last - this.#held.length + 1)];
      if (held !== undefined) {
        yield { sequence: next++, record: new Uint8Array(held) };
        continue;
      }
      for (const row of await this.#page(next, last)) {
        if (row.sequence <= this.#dropped) continue;
        assert(row.sequence === Math.max(next, this.#dropped + 1), 'a journal has no gaps');
        yield row;
        next = row.sequence + 1;
      }
    }
  }

  truncate(sequence: number): Outcome<void> {
    const { name, health } = this.#parts;
    if (health.end !== null) return health.end;
    if (sequence > this.#last) {
      return rejected('WM_NOT_FOUND', {
        message: `Journal ${name} ends at sequence ${this.#last}; it cannot be dropped up to ${sequence}.`,
        next: 'Drop only what was written.',
        detail: { sequence },
      });
    }
    if (sequence > this.#dropped) this.#dropped = sequence;
    return ok();
  }

  async #page(from: number, to: number): Promise<readonly JournalRow[]> {
    const { thread, position } = this.#parts;
    const page = await thread.ask({ kind: 'page', journal: position.journal, from, to });
    if (!page.ok) throw new Error(describeError(page.error));
    assert(page.value.length > 0 || this.#dropped >= from, 'what was synced and not dropped is there');
    return page.value;
  }
}
