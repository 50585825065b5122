// Files of images: read-only file systems that come out the same for the same inputs, and are never seen half made.
import { createHash } from 'node:crypto';
import { mkdirSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { execa } from 'execa';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';
import { cancelling, partOf, sweepParts, wordsOf } from '../debian/debian.ts';

/** Raised when what is made of the same inputs changes. */
const VERSION = 1;

/** A read-only file system of a folder; `more` are further arguments of mksquashfs. Rejects with execa's error. */
export async function squash(folder: string, file: string, more: readonly string[], signal: AbortSignal | undefined): Promise<void> {
  const args = [
    folder,
    file,
    '-quiet',
    '-no-progress',
    '-noappend',
    '-all-root',
    '-no-xattrs',
    '-comp',
    'gzip',
    '-mkfs-time',
    '0',
    '-all-time',
    '0',
    ...more,
  ];
  await execa('mksquashfs', args, { ...cancelling(signal), stdin: 'ignore', env: { SOURCE_DATE_EPOCH: undefined } });
}

/** A file that is there whole or not at all. WM_MACHINE. */
export async function makeFile(file: string, fill: (part: string) => Promise<void>): Promise<Outcome<string>> {
  const part = partOf(file);
  try {
    mkdirSync(dirname(file), { recursive: true });
    sweepParts(dirname(file));
    await fill(part);
    renameSync(part, file);
    return ok(file);
  } catch (error) {
    return notMade(file, wordsOf(error));
  } finally {
    rmSync(part, { force: true });
  }
}

export function notMade(what: string, why: string): Outcome<never> {
  return failed('WM_MACHINE', { message: `An image could not be made, ${what}: ${why}.`, next: 'Make room on the disk, or repeat.' });
}

/** Names all of the bytes that an image is made of. */
export function keyOf(...parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256').update(`${VERSION}\0`);
  for (const part of parts) hash.update(String(part.length)).update('\0').update(part);
  return hash.digest('hex').slice(0, 32);
}
