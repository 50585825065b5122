// The folder that reports go to. They are written beside their final place and moved there whole, so that a report folder
// that exists is complete; what an interrupted process leaves is removed when it ends. It refuses what cannot be written, in
// words, and a folder that holds anything but reports, because reports replace what is there.
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import process from 'node:process';
import type { RunSummary } from '../../scenarios/record.ts';
import { failed, ok, rejected, type Outcome, type WmError } from '../../system/domain/outcome.ts';

/** What a run writes. */
export const REPORT_FILES: readonly string[] = ['summary.json', 'junit.xml', 'report.html', 'run.jsonl'];

export type Output = {
  readonly folder: string;
  /** Exists from the beginning, and until `close`. */
  readonly work: string;
  /** Moves these files of `work` to `folder`, in the place of all that is there. */
  readonly commit: (files: readonly string[]) => void;
  readonly close: () => void;
};

export function openOutput(wanted: string): Outcome<Output> {
  const folder = resolve(wanted);
  const refused = (why: string): Outcome<Output> =>
    rejected('WM_ARGUMENT', { message: `Reports cannot be written to ${folder}: ${why}.`, next: 'Name another folder with --out.' });
  const exists = existsSync(folder);
  // A folder that is there may be where another disk is mounted: then it is written inside, and file by file.
  const work = exists ? join(folder, `.${process.pid}.part`) : `${folder}.${process.pid}.part`;
  const close = (): void => {
    process.off('exit', close);
    rmSync(work, { recursive: true, force: true, maxRetries: 3 });
  };
  try {
    if (exists && !statSync(folder).isDirectory()) return refused('it is a file');
    const foreign = exists ? readdirSync(folder).find((file) => !REPORT_FILES.includes(file) && !/^\.\d+\.part$/.test(file)) : undefined;
    if (foreign !== undefined) return refused(`it holds ${foreign}, which is no report, and reports replace what is there`);
    mkdirSync(dirname(folder), { recursive: true });
    mkdirSync(work);
  } catch (error) {
    return refused(wordsOf(error));
  }
  process.on('exit', close);
  return ok({
    folder,
    work,
    close,
    commit(files) {
      for (const file of readdirSync(work)) if (!files.includes(file)) rmSync(join(work, file), { force: true });
      // Another process may have been here meanwhile.
      if (!existsSync(folder)) return renameSync(work, folder);
      for (const file of REPORT_FILES) rmSync(join(folder, file), { force: true });
      for (const file of files) renameSync(join(work, file), join(folder, file));
    },
  });
}

export function codeOf(error: unknown): string | null {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : null;
}

/** What the operating system refused, in words where they are better known than the code. */
export function wordsOf(error: unknown): string {
  const words: Readonly<Record<string, string>> = {
    EACCES: 'permission denied',
    EPERM: 'permission denied',
    EROFS: 'that disk is read-only',
    ENOSPC: 'that disk is full',
    EDQUOT: 'that disk is full',
    ENOTDIR: 'a part of that path is a file',
    EEXIST: 'a part of that path is a file',
  };
  return words[codeOf(error) ?? ''] ?? (error instanceof Error ? error.message : String(error));
}

const DISK_FULL = /\b(ENOSPC|EDQUOT)\b/;

/** What a full disk did to a run says nothing about the platform. */
export function isDiskFull({ verdict, trouble }: RunSummary): boolean {
  return verdict === 'bug' && DISK_FULL.test(trouble ?? '');
}

export function diskFull(folder: string): WmError {
  return failed('WM_STORAGE_FULL', {
    message: `The disk of ${folder} is full, and what the runs record went no further.`,
    next: 'Free space there, or name a folder on another disk with --out.',
  }).error;
}
