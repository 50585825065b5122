// Record lines on their way to a file. While an event runs nothing may touch the disk, so lines are kept until the kernel
// gives its thread back; that bounds them by what one slice can write.
import { closeSync, openSync, writeSync } from 'node:fs';
import type { RunHeader, RunRecord } from '../../scenarios/record.ts';
import type { RecordSink } from './player.ts';

/** Bound: records kept to explain a run that came to no result. */
export const LAST_RECORDS_MAX = 40;

export class FileSink implements RecordSink {
  #lines: string[] = [];
  #file: number | null;
  readonly #last: RunRecord[] = [];
  #count = 0;

  /** Null: lines go nowhere. */
  constructor(path: string | null) {
    this.#file = path === null ? null : openSync(path, 'w');
  }

  get records(): number {
    return this.#count;
  }

  get last(): readonly RunRecord[] {
    return [...this.#last];
  }

  header(header: RunHeader): void {
    if (this.#file !== null) this.#lines.push(JSON.stringify(header));
  }

  record(record: RunRecord): void {
    this.#count++;
    if (this.#last.length === LAST_RECORDS_MAX) this.#last.shift();
    this.#last.push(record);
    if (this.#file !== null) this.#lines.push(JSON.stringify(record));
  }

  flush(): void {
    if (this.#file === null || this.#lines.length === 0) return;
    writeSync(this.#file, `${this.#lines.join('\n')}\n`);
    this.#lines = [];
  }

  close(): void {
    this.flush();
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}
