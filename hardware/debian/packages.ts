// Debian packages without installing them, kept outside the clone. A lock file says which bytes they should be. Where the archive has moved
// on since then, what it has now is taken, that is said, and it is remembered: until somebody asks for what is new, or something is
// missing, the archive is not asked again, and what was made of the packages stays in use.
// Surprising: the index of one suite can be stale on a mirror for hours, so each set of packages has several suites to come from.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';
import { download, findMirror, isBrokenSuite, missingTool, resolve } from './apt.ts';
import { cancelled, replaceFile, sweepParts, wordsOf } from './make.ts';
import lock from './packages.lock.json' with { type: 'json' };
import {
  fetchedOf,
  hashOfFile,
  isWhole,
  packagesFolder,
  type FetchedSet,
  type Lock,
  type LockedPackage,
  type LockedSet,
  type PackageOptions,
  type PackageSet,
} from './set.ts';
import { inTurn } from './turn.ts';

const LOCKED: Lock = lock;
/** Bound: names that a sentence lists. */
const NAMES_TOLD_MAX = 4;

/** The set as files, from the cache where it is whole there, from Debian otherwise. WM_TARGET_TOOLS, WM_PACKAGES, WM_CANCELLED. */
export async function fetchPackages(set: PackageSet, options: PackageOptions): Promise<Outcome<FetchedSet>> {
  const here = wholeSet(set, options);
  if (here !== null) return ok(here);
  const missing = await missingTool();
  if (missing !== null) return missing;
  const mirror = await findMirror();
  if (!mirror.ok) return mirror;
  const { cache, signal, say } = options;
  try {
    mkdirSync(packagesFolder(cache), { recursive: true });
    const onWait = (): void => say(`Waiting for another that fetches ${set.name}`);
    return await inTurn(packagesFolder(cache), set.name, { signal, onWait }, async () => {
      // Whoever had the turn before may have fetched it.
      const fetched = wholeSet(set, options);
      if (fetched !== null) return ok(fetched);
      sweepParts(packagesFolder(cache));
      return fetchFromSuites(set, mirror.value, options);
    });
  } catch (error) {
    if (signal?.aborted === true) return cancelled();
    const said = {
      message: `The packages of ${set.name} could not be kept: ${wordsOf(error)}.`,
      next: 'Make room on the disk, or repeat.',
    };
    return failed('WM_PACKAGES', said);
  }
}

/** What the set may be, whether its files are here or not: as the lock names it, and as it was resolved last. */
export function knownSets(set: PackageSet, options: PackageOptions): readonly FetchedSet[] {
  return knownOf(set, options).map((known) => fetchedOf(known, options.cache));
}

/** What the lock file should say of a set now. */
export function lockOf({ suite, files }: FetchedSet): LockedSet {
  const packages = files.map((path) => ({ file: path.slice(path.lastIndexOf('/') + 1), sha256: hashOfFile(path) ?? '' }));
  return { suite, packages };
}

async function fetchFromSuites(set: PackageSet, mirror: string, options: PackageOptions): Promise<Outcome<FetchedSet>> {
  const locked = (options.lock ?? LOCKED)[set.name];
  const troubles: string[] = [];
  // The suite of the lock first: its packages are the ones that were tried.
  const suites = set.suites.toSorted((a, b) => Number(b.suite === locked?.suite) - Number(a.suite === locked?.suite));
  for (const wish of suites) {
    options.say(`Reading Debian's ${wish.suite} for ${set.name}`);
    const resolved = await resolve(set, wish, mirror, options);
    if (resolved.ok) sayDifference(set, wish.suite, resolved.value.wanted, locked, options.say);
    const done = resolved.ok ? await download(resolved.value, options) : resolved;
    if (options.signal?.aborted === true) return cancelled();
    if (done.ok && resolved.ok) {
      const packages = resolved.value.wanted.map(({ file, sha256 }) => ({ file, sha256 }));
      remember(set, { suite: wish.suite, packages }, options);
      return ok(fetchedOf({ suite: wish.suite, packages }, options.cache));
    }
    if (done.ok) continue;
    troubles.push(`${wish.suite}: ${done.error.message}`);
    if (!isBrokenSuite(done.error.message)) break;
  }
  return failed('WM_PACKAGES', {
    message: `The packages of ${set.name} cannot be had from Debian: ${troubles.join('; ')}.`,
    next: 'Try again later, or look at the mirror that apt is configured with.',
  });
}

/** Null: it is to be fetched. */
function wholeSet(set: PackageSet, options: PackageOptions): FetchedSet | null {
  const whole = knownOf(set, options).find((known) => isWhole(known, options.cache));
  return whole === undefined ? null : fetchedOf(whole, options.cache);
}

function knownOf(set: PackageSet, options: PackageOptions): readonly LockedSet[] {
  if (options.renew === true) return [];
  const locked = (options.lock ?? LOCKED)[set.name];
  const remembered = recall(set, options);
  return [...(locked === undefined ? [] : [locked]), ...(remembered === null ? [] : [remembered])];
}

/** Under all that it depends on: another wish or another lock asks the archive anew. */
function memoryOf(set: PackageSet, { cache, lock: given = LOCKED }: PackageOptions): string {
  const key = createHash('sha256')
    .update(JSON.stringify([set, given[set.name] ?? null]))
    .digest('hex');
  return join(cache, 'resolved', `${set.name}-${key.slice(0, 16)}.json`);
}

function remember(set: PackageSet, resolved: LockedSet, options: PackageOptions): void {
  mkdirSync(join(options.cache, 'resolved'), { recursive: true });
  replaceFile(memoryOf(set, options), JSON.stringify(resolved));
}

function recall(set: PackageSet, options: PackageOptions): LockedSet | null {
  try {
    const known = JSON.parse(readFileSync(memoryOf(set, options), 'utf8')) as LockedSet;
    return Array.isArray(known.packages) ? known : null;
  } catch {
    return null;
  }
}

function sayDifference(
  { name }: PackageSet,
  suite: string,
  wanted: readonly LockedPackage[],
  locked: LockedSet | undefined,
  say: (line: string) => void,
): void {
  if (locked === undefined || locked.suite !== suite) {
    say(`Taking ${name} from ${suite}, ${locked === undefined ? 'which no lock names' : `not from ${locked.suite} as the lock says`}`);
    return;
  }
  const known = new Map(locked.packages.map(({ file, sha256 }) => [file, sha256]));
  const other = wanted.filter(({ file, sha256 }) => known.get(file) !== sha256).map(({ file }) => file);
  if (other.length === 0) return;
  const told = `${other.slice(0, NAMES_TOLD_MAX).join(', ')}${other.length > NAMES_TOLD_MAX ? ', …' : ''}`;
  say(`Debian has moved on since the lock: ${other.length} of ${wanted.length} packages of ${name} are others (${told})`);
}
