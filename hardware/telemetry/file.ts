// Every record as a line of a file, for whoever judges what several processes of a machine did. A line is with the kernel when
// `take` returns: what was said before a process was killed is there, and what was done is never there without having been said.
// The price is a system call for each record; the file is for testbeds and for looking into trouble, not for every day.
import { closeSync, fstatSync, openSync, renameSync, writeSync } from 'node:fs';
import { failed, ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Sink, TelemetryRecord } from './record.ts';

/** Bound: size of the file; then it is renamed to `….1`, whose predecessor goes, and a new one is begun. */
export const RECORD_FILE_BYTES_MAX = 1024 ** 3;

export type RecordFileOptions = {
  readonly path: string;
  readonly bytesMax?: number;
  /** A sentence for the log: the first record of a row that could not be written, and the first that could again. */
  readonly onTrouble: (sentence: string) => void;
  readonly onLost: () => void;
};

export class RecordFile implements Sink {
  readonly name = 'records';
  readonly #options: RecordFileOptions;
  readonly #bytesMax: number;
  #file: number;
  #bytes: number;
  /** Records in a row that were lost. */
  #lost = 0;
  /** The last write ended within a line. */
  #isTorn: boolean;

  private constructor(options: RecordFileOptions, file: number, bytes: number) {
    this.#options = options;
    this.#bytesMax = options.bytesMax ?? RECORD_FILE_BYTES_MAX;
    this.#file = file;
    this.#bytes = bytes;
    // A process that was killed, or a disk that was full, may have left half a line; an empty line is ignored by readers.
    this.#isTorn = bytes > 0;
  }

  static open(options: RecordFileOptions): Outcome<RecordFile> {
    try {
      const file = openSync(options.path, 'a', 0o600);
      return ok(new RecordFile(options, file, fstatSync(file).size));
    } catch (error) {
      return failed('WM_STORAGE_FAILED', {
        message: `The record file ${options.path} cannot be opened: ${describe(error)}.`,
        next: 'Name a file in a folder that exists and that this process may write to.',
        detail: { path: options.path },
      });
    }
  }

  take(record: TelemetryRecord): void {
    const line = Buffer.from(`${this.#isTorn ? '\n' : ''}${JSON.stringify(record)}\n`);
    try {
      if (this.#bytes > 0 && this.#bytes + line.length > this.#bytesMax) this.#turnOver();
      this.#write(line);
    } catch (error) {
      this.#lost += 1;
      this.#options.onLost();
      if (this.#lost === 1) this.#options.onTrouble(`Records are lost: ${this.#options.path} cannot be written: ${describe(error)}.`);
      return;
    }
    if (this.#lost > 0) {
      const lost = this.#lost;
      this.#lost = 0;
      this.#options.onTrouble(`${this.#options.path} can be written again; ${lost} records are missing in it.`);
    }
  }

  close(): void {
    closeSync(this.#file);
  }

  #write(line: Buffer): void {
    for (let written = 0; written < line.length;) {
      const count = writeSync(this.#file, line, written);
      this.#bytes += count;
      written += count;
      this.#isTorn = written < line.length;
    }
  }

  #turnOver(): void {
    const { path } = this.#options;
    renameSync(path, `${path}.1`);
    const next = openSync(path, 'a', 0o600);
    closeSync(this.#file);
    this.#file = next;
    this.#bytes = 0;
  }
}

function describe(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}
