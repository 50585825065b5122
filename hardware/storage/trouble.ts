// What errors of SQLite and of the file system mean to the product, and whether a store may go on after them.
import { failed, rejected, unknown } from '../../system/domain/outcome.ts';
import type { Err } from '../../system/domain/outcome.ts';
import { whyOf } from '../../system/domain/why.ts';

/** Primary result codes, https://sqlite.org/rescode.html; the low byte of the extended ones. */
const SQLITE_PRIMARY_MASK = 0xff;
const SQLITE_BUSY = 5;
const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;
/** No space, no quota, and the largest file that a process may write. */
const FULL_CODES = ['ENOSPC', 'EDQUOT', 'EFBIG'];

export function corrupt(message: string, detail: Readonly<Record<string, string | number>>): Err {
  return rejected('WM_JOURNAL_CORRUPT', {
    message,
    next: 'Keep the folder as it is for whoever looks into it, and restore a copy into another one (docs/howto/backup.md).',
    detail,
  });
}

export function full(message: string, detail: Readonly<Record<string, string | number>>): Err {
  return failed('WM_STORAGE_FULL', { message, next: 'Free space, then start again; what was acknowledged is kept.', detail });
}

export function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

/** `path` is what was being used, `act` what was being done: "written", "opened". */
export function describeTrouble(error: unknown, path: string, act: string): Err {
  const code = codeOf(error);
  const result = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  const because = result === 0 ? whyOf(error) : `${error instanceof Error ? error.message : code} (SQLite ${result})`;
  const primary = result & SQLITE_PRIMARY_MASK;
  if (primary === SQLITE_FULL || FULL_CODES.includes(code)) {
    return full(`There is no room on the disk of ${path}: it was not ${act}.`, { path });
  }
  if (primary === SQLITE_CORRUPT || primary === SQLITE_NOTADB) {
    return corrupt(`${path} is damaged and cannot be ${act}: ${because}.`, { path });
  }
  if (primary === SQLITE_BUSY) {
    return rejected('WM_STORAGE_IN_USE', {
      message: `Another process has ${path} open.`,
      next: 'Stop that process, or give this one a folder of its own.',
      detail: { path },
    });
  }
  return unknown('WM_STORAGE_FAILED', {
    message: `${path} could not be ${act}: ${because}.`,
    next: 'Check the folder, its permissions and its disk; then start again: the store recovers from what is on disk.',
    detail: { path, result },
  });
}

/** Whether the store may be used. Once it is not it stays so, because nobody knows what the disk holds. */
export class Health {
  #end: Err | null = null;

  /** Why the store is not used any more; null while it is. */
  get end(): Err | null {
    return this.#end;
  }

  /** The first reason is kept: the later ones follow from it. */
  endWith(reason: Err): Err {
    this.#end ??= reason;
    return reason;
  }
}
