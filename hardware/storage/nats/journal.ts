// One open journal: one stream, one message for each record, at the same sequence. Each write names the sequence that must come
// before it, so the stream takes nothing from two writers: whoever is second is told, and has lost the lead. What waits when a
// write is acknowledged is the next one, as a whole (batch.ts); what is not acknowledged yet is held here and read from here.
import type { JetStreamManager, StoredMsg } from '@nats-io/jetstream';
import { headers } from '@nats-io/transport-node';
import { describeError, ok, rejected } from '../../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../../system/domain/outcome.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../../system/ports/storage.ts';
import type { JournalStore } from '../../../system/ports/storage.ts';
import { PAGE_BYTES_MAX } from '../operations.ts';
import type { JournalRow } from '../operations.ts';
import type { Health } from '../trouble.ts';
import { CHECKSUM_HEADER, checksumOf, damaged, describeAnswer, isNothing, isWrongSequence, sequenceIn } from './answers.ts';
import { write, WRITE_BYTES_MAX, WRITE_MESSAGES_MAX } from './batch.ts';
import type { Message, Requests } from './batch.ts';
import type { Room } from './room.ts';

/** Bound: records in one answer to a read; bytes are `PAGE_BYTES_MAX`. */
const PAGE_RECORDS_MAX = 512;

export type StreamJournalParts = {
  readonly name: string;
  readonly stream: string;
  readonly subject: string;
  readonly requests: Requests;
  readonly manager: JetStreamManager;
  readonly health: Health;
  readonly room: Room;
};

type Syncing = { readonly sequence: number; readonly dropped: number; readonly resolve: (outcome: Outcome<void>) => void };

export class StreamJournal implements JournalStore {
  readonly #parts: StreamJournalParts;
  /** Records that are not acknowledged, oldest first. Bound: `room`. */
  readonly #held: Uint8Array[] = [];
  #isWriting = false;
  #last: number;
  /** Records up to here may be sent. */
  #wanted: number;
  #dropped: number;
  /** What the stream has dropped. */
  #purged: number;
  #isPurging = false;
  #syncing: Syncing[] = [];
  #failed: Err | null = null;

  constructor(parts: StreamJournalParts, position: { readonly last: number; readonly dropped: number }) {
    this.#parts = parts;
    this.#last = this.#wanted = position.last;
    this.#dropped = this.#purged = position.dropped;
  }

  get lastSequence(): number {
    return this.#last;
  }

  get #acknowledged(): number {
    return this.#last - this.#held.length;
  }

  append(record: Uint8Array, { expectedSequence }: { readonly expectedSequence: number }): Outcome<number> {
    const { name, room, health } = this.#parts;
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
    const refused = room.reserve(record.length);
    if (refused !== null) return refused;
    this.#held.push(new Uint8Array(record));
    return ok(++this.#last);
  }

  /** Also without anything new it waits for what an earlier sync has under way, since answers come in order. */
  sync(): Promise<Outcome<void>> {
    const { health } = this.#parts;
    if (health.end !== null) return Promise.resolve(health.end);
    this.#wanted = this.#last;
    return new Promise((resolve) => {
      this.#syncing.push({ sequence: this.#last, dropped: this.#dropped, resolve });
      void this.#send();
      this.#settle();
    });
  }

  /** Throws when the store ends meanwhile or a record is damaged: an iteration has no other way to say so. */
  async *read(fromSequence: number): AsyncGenerator<JournalRow> {
    const last = this.#last;
    let next = fromSequence;
    for (;;) {
      next = Math.max(next, this.#dropped + 1);
      if (next > last) return;
      const held = this.#held[next - this.#acknowledged - 1];
      if (held !== undefined) {
        yield { sequence: next++, record: new Uint8Array(held) };
        continue;
      }
      const page = await readPage(this.#parts, next, last);
      if (!page.ok) throw new Error(describeError(page.error));
      if (page.value.length === 0 && this.#dropped < next) throw new Error(describeError(shortened(this.#parts).error));
      for (const row of page.value) {
        if (row.sequence <= this.#dropped) continue;
        if (row.sequence !== Math.max(next, this.#dropped + 1)) throw new Error(describeError(shortened(this.#parts).error));
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

  /** Resolves when nothing that was asked for is under way any more. */
  async settled(): Promise<void> {
    const waiting = this.#syncing.at(-1);
    if (waiting === undefined) return;
    await new Promise<void>((resolve) =>
      this.#syncing.push({ sequence: waiting.sequence, dropped: waiting.dropped, resolve: () => resolve() }),
    );
  }

  async #send(): Promise<void> {
    const { requests, name, stream, room } = this.#parts;
    while (!this.#isWriting && this.#failed === null && this.#acknowledged < this.#wanted) {
      const after = this.#acknowledged;
      const messages = this.#nextMessages();
      this.#isWriting = true;
      try {
        const last = await write(requests, messages, after);
        if (last !== after + messages.length) {
          this.#fail(damaged(`Record ${after + messages.length} of journal ${name} is at sequence ${last} of stream ${stream}.`, { last }));
          return;
        }
      } catch (error) {
        this.#fail(this.#reasonOf(error, after));
        return;
      }
      this.#isWriting = false;
      for (const record of this.#held.splice(0, messages.length)) room.release(record.length);
      this.#settle();
    }
  }

  #nextMessages(): readonly Message[] {
    const messages: Message[] = [];
    let bytes = 0;
    for (const record of this.#held.slice(0, Math.min(this.#wanted - this.#acknowledged, WRITE_MESSAGES_MAX))) {
      const marked = headers();
      marked.set(CHECKSUM_HEADER, checksumOf(record, this.#acknowledged + messages.length + 1));
      messages.push({ subject: this.#parts.subject, bytes: record, headers: marked });
      bytes += record.length;
      if (bytes >= WRITE_BYTES_MAX) break;
    }
    return messages;
  }

  #reasonOf(error: unknown, acknowledged: number): Err {
    const { name, stream } = this.#parts;
    if (!isWrongSequence(error)) return describeAnswer(error, `journal ${name}`, 'written');
    const found = sequenceIn(error);
    if (found !== null && found < acknowledged) {
      return damaged(`Stream ${stream} ends at record ${found} and had acknowledged ${acknowledged}: it lost what was promised.`, {
        found,
        acknowledged,
      });
    }
    return rejected('WM_JOURNAL_CONFLICT', {
      message: `Journal ${name} is beyond sequence ${acknowledged}: another process wrote to stream ${stream}.`,
      next: 'This process ends; the newer leader goes on.',
      detail: { expectedSequence: acknowledged, sequence: found ?? -1 },
    });
  }

  #settle(): void {
    for (let next = this.#syncing[0]; next !== undefined && this.#failed === null; next = this.#syncing[0]) {
      if (next.sequence > this.#acknowledged) return;
      if (next.dropped > this.#purged) {
        if (!this.#isPurging) void this.#purge(next.dropped);
        return;
      }
      this.#syncing.shift();
      next.resolve(ok());
    }
  }

  async #purge(dropped: number): Promise<void> {
    const { manager, stream, name } = this.#parts;
    this.#isPurging = true;
    try {
      await manager.streams.purge(stream, { seq: dropped + 1 });
      this.#purged = dropped;
    } catch (error) {
      this.#fail(describeAnswer(error, `journal ${name}`, 'shortened'));
    }
    this.#isPurging = false;
    this.#settle();
  }

  /** Whoever waits gets the reason: none of it is known to be durable, and nothing is sent any more. */
  #fail(reason: Err): void {
    this.#failed ??= reason;
    this.#parts.health.endWith(reason);
    const waiting = this.#syncing;
    this.#syncing = [];
    for (const { resolve } of waiting) resolve(reason);
  }
}

/** Records that this process has not dropped are gone: whoever leads now has replaced them by a snapshot. */
export function shortened({ name, stream }: Pick<StreamJournalParts, 'name' | 'stream'>): Err {
  return rejected('WM_JOURNAL_CONFLICT', {
    message: `Another process shortened journal ${name} while it was read.`,
    next: 'This process ends; start it again when the other one has noticed who leads.',
    detail: { stream },
  });
}

async function fetchPage(manager: JetStreamManager, stream: string, from: number): Promise<readonly StoredMsg[]> {
  const found: StoredMsg[] = [];
  try {
    const batch = await manager.direct.getBatch(stream, { seq: from, batch: PAGE_RECORDS_MAX, max_bytes: PAGE_BYTES_MAX });
    for await (const message of batch) found.push(message);
  } catch (error) {
    if (!isNothing(error)) throw error;
  }
  return found;
}

type Reading = Pick<StreamJournalParts, 'name' | 'stream' | 'manager'>;

/** Rows from `from` on, at most up to `to`, without gaps; empty only when all of the range was dropped meanwhile. */
export async function readPage({ name, stream, manager }: Reading, from: number, to: number): Promise<Outcome<readonly JournalRow[]>> {
  const rows: JournalRow[] = [];
  try {
    for (const { seq: sequence, data: record, header } of await fetchPage(manager, stream, from)) {
      const before = rows.at(-1)?.sequence ?? sequence - 1;
      if (sequence > to || sequence !== before + 1) break;
      if (checksumOf(record, sequence) !== header.get(CHECKSUM_HEADER)) {
        return damaged(`Record ${sequence} in stream ${stream} is not what was written.`, { stream, sequence });
      }
      rows.push({ sequence, record });
    }
    // A replica that lags behind answers with less than there is; the leader of the stream knows.
    const first = rows[0]?.sequence ?? Number.POSITIVE_INFINITY;
    if (first === from) return ok<readonly JournalRow[]>(rows);
    const { state } = await manager.streams.info(stream);
    if (state.first_seq > from && (rows.length === 0 || first === state.first_seq)) return ok<readonly JournalRow[]>(rows);
    const message = await manager.streams.getMessage(stream, { seq: from });
    if (message === null) return damaged(`Journal ${name} in stream ${stream} lacks record ${from}.`, { stream, sequence: from });
    if (checksumOf(message.data, from) !== message.header.get(CHECKSUM_HEADER)) {
      return damaged(`Record ${from} in stream ${stream} is not what was written.`, { stream, sequence: from });
    }
    return ok<readonly JournalRow[]>([{ sequence: from, record: message.data }]);
  } catch (error) {
    return describeAnswer(error, `journal ${name}`, 'read');
  }
}
