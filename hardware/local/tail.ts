// Reads what was added to a file since the last time, whole lines only. The file need not exist yet.
import { closeSync, openSync, readSync } from 'node:fs';

const PIECE_BYTES = 262_144;

export class LineTail {
  readonly #path: string;
  readonly #take: (line: string) => void;
  #file: number | null = null;
  #rest = '';
  readonly #piece = Buffer.alloc(PIECE_BYTES);

  /** `take` gets every line but empty ones. */
  constructor(path: string, take: (line: string) => void) {
    this.#path = path;
    this.#take = take;
  }

  read(): void {
    const file = (this.#file ??= openIfThere(this.#path));
    if (file === null) return;
    for (;;) {
      const length = readSync(file, this.#piece, 0, PIECE_BYTES, null);
      if (length === 0) return;
      // Latin-1 keeps every byte apart, so that a piece may end within a character.
      const lines = (this.#rest + this.#piece.toString('latin1', 0, length)).split('\n');
      this.#rest = lines.pop() ?? '';
      for (const line of lines) if (line !== '') this.#take(Buffer.from(line, 'latin1').toString('utf8'));
    }
  }

  close(): void {
    if (this.#file !== null) closeSync(this.#file);
    this.#file = null;
  }
}

function openIfThere(path: string): number | null {
  try {
    return openSync(path, 'r');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
    throw error;
  }
}
