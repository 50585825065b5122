// A disk of a machine that can be full: a small file system in memory, mounted below the folder of the run, so that the machine
// fills nothing but its own. Only root may mount; whoever may not cannot produce the fault, and is told so.
import { spawnSync } from 'node:child_process';
import { closeSync, ftruncateSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';

/** Room for the store of a machine: SQLite's own log alone takes 4 MB. */
const VOLUME_MIB = 96;
const FILLER = '.filler';
const PIECE_BYTES = 65_536;
/** The last bytes of a disk are given out in pieces of a page. */
const PAGE_BYTES = 4_096;

/** Can this process mount? */
export function mayMount(): boolean {
  return process.platform === 'linux' && process.geteuid?.() === 0 && spawnSync('mount', ['--version'], { stdio: 'ignore' }).status === 0;
}

export class Volume {
  readonly #path: string;

  constructor(path: string) {
    this.#path = path;
  }

  mount(): Outcome<void> {
    const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${VOLUME_MIB}m,mode=0700`, 'wasmmatrix', this.#path], {
      encoding: 'utf8',
    });
    if (mounted.status === 0) return ok();
    return failed('WM_STORAGE_FAILED', {
      message: `No file system could be mounted at ${this.#path}: ${mounted.stderr.trim()}.`,
      next: 'Run as root with the right to mount, or choose a scenario without disk-full.',
    });
  }

  /** From here on no byte more fits. */
  fill(): void {
    const file = openSync(join(this.#path, FILLER), 'w', 0o600);
    for (const bytes of [PIECE_BYTES, PAGE_BYTES]) {
      const piece = Buffer.alloc(bytes);
      let end = 0;
      try {
        for (;;) end += writeSync(file, piece);
      } catch (error) {
        if (!(error instanceof Error && 'code' in error && error.code === 'ENOSPC')) {
          ftruncateSync(file, end);
          closeSync(file);
          throw error;
        }
      }
    }
    closeSync(file);
  }

  free(): void {
    rmSync(join(this.#path, FILLER), { force: true });
  }
}
