// The record of a run of several processes: each writes its own file of lines, stamped with the clock that all processes of a
// machine share; here they become one row in the order of time. A record is handed over `DELAY_MS` after it was stamped, which
// is the time that a process may take from the stamp to the file. One that comes later still is handed over at once, at the
// time of the last one before it, and counted. Bounds: what is stamped within the delay; one piece of a file read at a time.
import { watch, type FSWatcher } from 'node:fs';
import type { RunRecord } from '../../scenarios/record.ts';
import type { RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';
import { LineTail } from './tail.ts';

/** Time between the stamp of a record and its line in the file, at most. */
export const DELAY_MS = 250;
const LOOK_EVERY_MS = 50;
const MICROS_PER_MS = 1_000;

/** Microseconds of CLOCK_MONOTONIC, as the processes stamp their records. */
export function machineMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}

/** Turns the stamps of a machine with a clock of its own into this machine's. */
export type ForeignClock = {
  /** `micros` by its clock, in a line that was found at `nowMicros` of ours. */
  hostMicros(micros: number, nowMicros: number): number;
};

/** The records of one source, in its order, not yet handed over. */
type Row = { readonly records: RunRecord[]; next: number };

export type CollectorOptions = {
  /** In the order of time; `micros` is still the machine's. */
  readonly onRecord: (record: RunRecord) => void;
  readonly delayMs?: number;
};

export class Collector {
  readonly #options: CollectorOptions;
  #delayMicros: number;
  readonly #files: LineTail[] = [];
  readonly #watchers: FSWatcher[] = [];
  readonly #rows: Row[] = [];
  readonly #own: Row = { records: [], next: 0 };
  readonly #timer: NodeJS.Timeout;
  #sequence = 0;
  #lastMicros = 0;
  /** Records that came later than the delay allows. */
  late = 0;

  constructor(options: CollectorOptions) {
    this.#options = options;
    this.#delayMicros = (options.delayMs ?? DELAY_MS) * MICROS_PER_MS;
    this.#rows.push(this.#own);
    this.#timer = setInterval(() => this.#look(), LOOK_EVERY_MS);
  }

  /** On a machine that is so many times slower, processes take so many times longer from the stamp to the line. */
  stretch(factor: number): void {
    this.#delayMicros *= factor;
  }

  /** A file that a process will write; it need not exist yet. A machine with a clock of its own needs a file that is there. */
  follow(path: string, clock: ForeignClock | null = null): void {
    const row: Row = { records: [], next: 0 };
    this.#rows.push(row);
    if (clock === null) {
      this.#files.push(new LineTail(path, (line) => takeRecord(line, (record) => row.records.push(record))));
      return;
    }
    const take = (record: RunRecord): void => {
      row.records.push({ ...record, micros: clock.hostMicros(record.micros, machineMicros()) });
    };
    const tail = new LineTail(path, (line) => takeRecord(line, take));
    this.#files.push(tail);
    // Read as soon as it is written: the time of finding a line is what its machine's clock is told from.
    this.#watchers.push(watch(path, () => tail.read()));
  }

  /** A record of the testbed itself, stamped now unless it is about an earlier moment. */
  record<K extends RecordKind>(kind: K, fields: Readonly<RecordKinds[K]>, micros: number = machineMicros()): void {
    const record = {
      source: 'testbed',
      incarnation: 1,
      sequence: ++this.#sequence,
      micros,
      kind,
      correlation: null,
      fields,
    } as RunRecord;
    const { records } = this.#own;
    const last = records.findLastIndex((one) => one.micros <= micros);
    records.splice(Math.max(last + 1, this.#own.next), 0, record);
  }

  /** Resolves when everything that was stamped before the call was handed over. */
  async settle(): Promise<void> {
    const until = machineMicros();
    await new Promise((resolve) => setTimeout(resolve, this.#delayMicros / MICROS_PER_MS));
    this.#read();
    this.#release(until);
  }

  /** Hands over all there is: the processes have ended. */
  close(): void {
    clearInterval(this.#timer);
    this.#read();
    this.#release(Number.POSITIVE_INFINITY);
    for (const watcher of this.#watchers) watcher.close();
    for (const file of this.#files) file.close();
  }

  #look(): void {
    const until = machineMicros() - this.#delayMicros;
    this.#read();
    this.#release(until);
  }

  #read(): void {
    for (const file of this.#files) file.read();
  }

  #release(untilMicros: number): void {
    for (;;) {
      let first: Row | null = null;
      for (const row of this.#rows) {
        const head = row.records[row.next];
        if (head !== undefined && head.micros <= untilMicros && (first === null || head.micros < first.records[first.next]!.micros))
          first = row;
      }
      if (first === null) break;
      this.#hand(first.records[first.next++]!);
    }
    for (const row of this.#rows) row.records.splice(0, row.next);
    for (const row of this.#rows) row.next = 0;
  }

  #hand(record: RunRecord): void {
    if (record.micros < this.#lastMicros) {
      this.late += 1;
      this.#options.onRecord({ ...record, micros: this.#lastMicros });
      return;
    }
    this.#lastMicros = record.micros;
    this.#options.onRecord(record);
  }
}

function takeRecord(line: string, take: (record: RunRecord) => void): void {
  try {
    take(JSON.parse(line) as RunRecord);
  } catch {
    // A process that was killed in the middle of a line; the next one begins on a line of its own.
  }
}
