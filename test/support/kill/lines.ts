// The log of the process that loads a controller: a line for each thing that it asked for and for each answer that it got. What
// was answered is on the disk (fsync) before the next thing is asked for, so that the log says no less than the process knew.
import { closeSync, fsyncSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { OperatorCommand, OperatorReply } from '../../../system/domain/operator.ts';

export type Line =
  | { readonly at: 'sent'; readonly id: string; readonly worker: number; readonly command: OperatorCommand }
  | { readonly at: 'acknowledged'; readonly id: string; readonly reply: OperatorReply }
  | { readonly at: 'refused'; readonly id: string; readonly code: string }
  /** Whether it happened is not known, and it is not sent again. */
  | { readonly at: 'unknown'; readonly id: string }
  | { readonly at: 'publishing'; readonly id: string; readonly worker: number }
  | { readonly at: 'published'; readonly id: string; readonly worker: number; readonly sequence: number }
  | { readonly at: 'received'; readonly id: string }
  | { readonly at: 'settled'; readonly id: string }
  | { readonly at: 'putting'; readonly key: string; readonly version: number }
  | { readonly at: 'put'; readonly key: string; readonly version: number };

type Bytes = { readonly base64: string };

const isBytes = (value: unknown): value is Bytes => typeof value === 'object' && value !== null && 'base64' in value;

export class LineWriter {
  readonly #file: number;

  constructor(path: string) {
    this.#file = openSync(path, 'a');
  }

  /** What is asked for reaches the disk with the answer at the latest; only an answer is waited for. */
  write(line: Line): void {
    const text = JSON.stringify(line, (_, value: unknown) =>
      value instanceof Uint8Array ? { base64: Buffer.from(value).toString('base64') } : value,
    );
    writeSync(this.#file, `${text}\n`);
    if (['acknowledged', 'published', 'settled', 'put'].includes(line.at)) fsyncSync(this.#file);
  }

  close(): void {
    closeSync(this.#file);
  }
}

/** Whole lines; one that is being written does not count. */
export function readLines(path: string): readonly Line[] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .slice(0, -1)
    .map(
      (text) =>
        JSON.parse(text, (_, value: unknown) => (isBytes(value) ? new Uint8Array(Buffer.from(value.base64, 'base64')) : value)) as Line,
    );
}
