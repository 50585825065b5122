// Things that are made beside their place and moved there when they are complete: half-made ones are never seen, and what an end
// in between left is found by the process in its name, and removed.
import { randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import process from 'node:process';
import { ExecaError } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { inTurn, type TurnOptions } from './turn.ts';

const PART = /(?:^|\.)part-(?:(\d+)-)?[\w-]+$/;
/** A part that was begun so recently is somebody's, who may be in another container with numbers of its own. */
const PART_MS_LEAST = 3_600_000;
/** Bound: age of a part, whoever its process seems to be by now. */
const PART_MS_MAX = 86_400_000;

/** Name of something half-made; empty `place`: of nothing in particular. */
export function partOf(place: string): string {
  const unique = `part-${process.pid}-${randomUUID()}`;
  return place === '' || place.endsWith('/') ? `${place}${unique}` : `${place}.${unique}`;
}

/** Fills a folder beside its place and moves it there when it is complete, one process at a time. WM_PACKAGES: an error of a program. */
export async function makeFolder(folder: string, options: TurnOptions, fill: (part: string) => Promise<void>): Promise<Outcome<void>> {
  const part = partOf(folder);
  try {
    return await inTurn(dirname(folder), basename(folder), options, async () => {
      // Whoever had the turn before made it.
      if (existsSync(folder)) return ok();
      sweepParts(dirname(folder));
      mkdirSync(part, { recursive: true });
      await fill(part);
      renameSync(part, folder);
      return ok();
    });
  } catch (error) {
    if (options.signal?.aborted === true) return cancelled();
    return failed('WM_PACKAGES', { message: `${folder} could not be made: ${wordsOf(error)}.`, next: 'Make room on the disk, or repeat.' });
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** A small file that is there whole, or as it was. Throws as Node.js does. */
export function replaceFile(path: string, content: string | Uint8Array, mode = 0o644): void {
  const part = partOf(path);
  try {
    writeFileSync(part, content, { mode });
    renameSync(part, path);
  } finally {
    rmSync(part, { force: true });
  }
}

/** Removes what processes that ended left half-made in a folder. `nowMs`: civil milliseconds. */
export function sweepParts(folder: string, nowMs = Date.now()): void {
  if (!existsSync(folder)) return;
  for (const name of readdirSync(folder)) {
    const pid = PART.exec(name)?.[1];
    if (!PART.test(name)) continue;
    const path = join(folder, name);
    // When anything was last changed in it: the time of its modification is that of the package which was unpacked there.
    const ageMs = nowMs - (statSync(path, { throwIfNoEntry: false })?.ctimeMs ?? nowMs);
    if (ageMs > PART_MS_MAX || (ageMs > PART_MS_LEAST && pid !== undefined && !existsSync(`/proc/${pid}`)))
      rmSync(path, { recursive: true, force: true });
  }
}

/** What a program that failed said, in one line. */
export function wordsOf(error: unknown): string {
  if (!(error instanceof ExecaError)) return error instanceof Error ? error.message : String(error);
  const stderr: unknown = error.stderr;
  const said = typeof stderr === 'string' ? stderr.trim().split('\n') : [];
  const errors = said.filter((line) => line.startsWith('E: '));
  return (errors.length > 0 ? errors : [error.shortMessage, ...said.slice(-2)])
    .join(' ')
    .replaceAll(/https?:\/\/\S+/g, 'the mirror')
    .slice(0, 400);
}

/** For execa: the program ends with the signal. */
export function cancelling(signal: AbortSignal | undefined): { readonly cancelSignal?: AbortSignal } {
  return signal === undefined ? {} : { cancelSignal: signal };
}

export function cancelled(): Outcome<never> {
  return rejected('WM_CANCELLED', { message: 'Packages were not fetched to the end.', next: 'Start it again; what was fetched is kept.' });
}
