// Debian packages without installing them: an apt with folders of its own resolves and fetches, `dpkg-deb` unpacks. Nothing of the
// machine's own package system is changed, and no right of root is needed. What was fetched is kept outside the clone; a lock file
// says which bytes it should be. Where the archive has moved on since then, what it has now is taken, and that is said.
// Surprising: the index of one suite can be stale on a mirror for hours, so each set of packages has several suites to come from.
import { createHash, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { execa, ExecaError } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import lock from './packages.lock.json' with { type: 'json' };

/** As Debian calls them. */
export type DebianArchitecture = 'amd64' | 'arm64' | 'riscv64';
export const DEBIAN_ARCHITECTURES = { x86_64: 'amd64', aarch64: 'arm64', riscv64: 'riscv64' } as const;

export type PackageSet = {
  /** Its name in the lock file. */
  readonly name: string;
  /** Of packages that name none. */
  readonly architecture: DebianArchitecture;
  /** What is wanted of a suite, with `:architecture` where it is another one; suites are tried in this order. */
  readonly suites: readonly { readonly suite: string; readonly packages: readonly string[] }[];
  /** Also everything that the packages depend on. */
  readonly closure: boolean;
  /** Of those, only the ones that begin so; all when absent. */
  readonly only?: readonly string[];
};

export type FetchedSet = {
  readonly suite: string;
  /** The .deb files. */
  readonly files: readonly string[];
  /** Names all of their bytes: what is made of them is kept under it. */
  readonly key: string;
};

export type LockedPackage = { readonly file: string; readonly sha256: string };
export type LockedSet = { readonly suite: string; readonly packages: readonly LockedPackage[] };
export type Lock = Readonly<Record<string, LockedSet>>;

export type PackageOptions = {
  /** Where packages and indexes are kept. */
  readonly cache: string;
  readonly say: (line: string) => void;
  readonly signal?: AbortSignal | undefined;
  /** The lock file of the repository unless given. */
  readonly lock?: Lock;
};

const LOCKED: Lock = lock;
const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const TOOLS = [
  ['apt-get', 'apt'],
  ['dpkg-deb', 'dpkg'],
] as const;
/** Bound: time of one call of apt. */
const APT_MS_MAX = 600_000;
/** Bound: names that a sentence lists. */
const NAMES_TOLD_MAX = 4;

/** The set as files, from the cache where it is whole there, from Debian otherwise. WM_TARGET_TOOLS, WM_PACKAGES. */
export async function fetchPackages(set: PackageSet, options: PackageOptions): Promise<Outcome<FetchedSet>> {
  const locked = (options.lock ?? LOCKED)[set.name];
  const folder = join(options.cache, 'packages');
  if (locked !== undefined) {
    const files = locked.packages.map(({ file }) => join(folder, file));
    if (locked.packages.every(({ sha256 }, i) => hashOfFile(files[i] ?? '') === sha256)) return ok(fetchedOf(locked, folder));
  }
  const missing = await missingTool();
  if (missing !== null) return missing;
  const mirror = await findMirror();
  if (!mirror.ok) return mirror;
  mkdirSync(folder, { recursive: true });
  const troubles: string[] = [];
  // The suite of the lock first: its packages are the ones that were tried.
  const suites = set.suites.toSorted((a, b) => Number(b.suite === locked?.suite) - Number(a.suite === locked?.suite));
  for (const { suite, packages } of suites) {
    options.say(`Reading Debian's ${suite} for ${set.name}`);
    const resolved = await resolve(set, suite, packages, mirror.value, options);
    if (!resolved.ok) {
      if (options.signal?.aborted === true) return resolved;
      troubles.push(`${suite}: ${resolved.error.message}`);
      continue;
    }
    const { wanted, settings } = resolved.value;
    sayDifference(set, suite, wanted, locked, options.say);
    const downloaded = await download(wanted, folder, settings, options);
    if (!downloaded.ok) {
      if (options.signal?.aborted === true) return downloaded;
      troubles.push(`${suite}: ${downloaded.error.message}`);
      continue;
    }
    return ok(fetchedOf({ suite, packages: wanted }, folder));
  }
  return failed('WM_PACKAGES', {
    message: `The packages of ${set.name} cannot be had from Debian: ${troubles.join('; ')}.`,
    next: 'Try again later, or look at the mirror that apt is configured with.',
  });
}

/** The set as the lock names it, whether its files are here or not; null where no lock does. */
export function lockedSet(set: PackageSet, options: PackageOptions): FetchedSet | null {
  const locked = (options.lock ?? LOCKED)[set.name];
  return locked === undefined ? null : fetchedOf(locked, join(options.cache, 'packages'));
}

/** What the lock file should say of a set now. */
export function lockOf({ suite, files }: FetchedSet): LockedSet {
  const packages = files.map((path) => ({ file: path.slice(path.lastIndexOf('/') + 1), sha256: hashOfFile(path) ?? '' }));
  return { suite, packages };
}

/** Fills a folder beside its place and moves it there when it is complete; an error of a program becomes WM_PACKAGES. */
export async function makeFolder(folder: string, fill: (part: string) => Promise<void>): Promise<Outcome<void>> {
  const part = `${folder}.part-${randomUUID()}`;
  mkdirSync(part, { recursive: true });
  try {
    await fill(part);
    try {
      renameSync(part, folder);
    } catch (error) {
      // Another process was as quick.
      if (!existsSync(folder)) throw error;
    }
    return ok();
  } catch (error) {
    return failed('WM_PACKAGES', { message: `${folder} could not be made: ${wordsOf(error)}.`, next: 'Make room on the disk, or repeat.' });
  } finally {
    rmSync(part, { recursive: true, force: true });
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

type Resolved = {
  readonly wanted: readonly (LockedPackage & { readonly name: string })[];
  readonly settings: Readonly<Record<string, string>>;
};

async function resolve(
  set: PackageSet,
  suite: string,
  packages: readonly string[],
  mirror: string,
  { cache, signal }: PackageOptions,
): Promise<Outcome<Resolved>> {
  const settings = prepareApt(set, suite, packages, mirror, cache);
  const apt = async (...args: readonly string[]): Promise<string> => {
    const answer = await execa('apt-get', args, { env: settings, timeout: APT_MS_MAX, stdin: 'ignore', ...cancelling(signal) });
    return answer.stdout;
  };
  try {
    await apt('update');
    const wanted = set.closure
      ? urisOf(await apt('install', '--yes', '--no-install-recommends', '--print-uris', ...packages))
          .map(({ file }) => nameOf(file))
          .filter((name) => set.only === undefined || set.only.some((beginning) => name.startsWith(beginning)))
      : packages;
    const found = urisOf(await apt('download', '--print-uris', ...wanted));
    const unnamed = found.find(({ sha256 }) => sha256 === '');
    if (unnamed !== undefined || found.length < wanted.length)
      return failed('WM_PACKAGES', {
        message: `the index gives no hash for ${unnamed?.file ?? 'every package'}`,
        next: 'Try another suite.',
      });
    return ok({ wanted: found.map(({ file, sha256 }) => ({ name: nameOf(file), file, sha256 })), settings });
  } catch (error) {
    return failed('WM_PACKAGES', { message: wordsOf(error), next: 'Try another suite.' });
  }
}

async function download(
  wanted: Resolved['wanted'],
  folder: string,
  settings: Resolved['settings'],
  { say, signal }: PackageOptions,
): Promise<Outcome<void>> {
  const missing = wanted.filter(({ file, sha256 }) => hashOfFile(join(folder, file)) !== sha256);
  if (missing.length === 0) return ok();
  say(`Fetching ${missing.length} packages`);
  const part = join(folder, `part-${randomUUID()}`);
  mkdirSync(part);
  try {
    const names = missing.map(({ name }) => name);
    await execa('apt-get', ['download', ...names], {
      cwd: part,
      env: settings,
      timeout: APT_MS_MAX,
      stdin: 'ignore',
      ...cancelling(signal),
    });
    for (const { file, sha256 } of missing) {
      const came = join(part, file);
      if (hashOfFile(came) !== sha256)
        return failed('WM_PACKAGES', {
          message: `${file} is not what the index promised`,
          next: 'Repeat; if it stays so, look at the mirror.',
        });
      renameSync(came, join(folder, file));
    }
    return ok();
  } catch (error) {
    return failed('WM_PACKAGES', { message: wordsOf(error), next: 'Repeat.' });
  } finally {
    rmSync(part, { recursive: true, force: true });
  }
}

/** An apt of its own: folders, index and configuration; nothing of the machine's is read but its keyring. */
function prepareApt(
  { name, architecture }: PackageSet,
  suite: string,
  packages: readonly string[],
  mirror: string,
  cache: string,
): Readonly<Record<string, string>> {
  const home = join(cache, 'apt', `${name}-${suite}`);
  for (const folder of ['lists/partial', 'archives/partial', 'parts']) mkdirSync(join(home, folder), { recursive: true });
  const foreign = packages.flatMap((wanted) => (wanted.includes(':') ? [wanted.slice(wanted.indexOf(':') + 1)] : []));
  const architectures = [...new Set([architecture, ...foreign])];
  writeFileSync(join(home, 'status'), '');
  writeFileSync(join(home, 'sources.list'), `deb [arch=${architectures.join(',')} signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  const file = join(home, 'apt.conf');
  const quoted = (text: string): string => JSON.stringify(text);
  writeFileSync(
    file,
    [
      `Dir::State ${quoted(home)};`,
      `Dir::State::status ${quoted(join(home, 'status'))};`,
      `Dir::Cache ${quoted(home)};`,
      `Dir::Etc::sourcelist ${quoted(join(home, 'sources.list'))};`,
      `Dir::Etc::sourceparts ${quoted(join(home, 'parts'))};`,
      `Dir::Etc::preferencesparts ${quoted(join(home, 'parts'))};`,
      `APT::Architecture ${quoted(architecture)};`,
      `APT::Architectures { ${architectures.map((one) => `${quoted(one)};`).join(' ')} };`,
      // An index that is a week old is as good as any: every package is held to its hash.
      'Acquire::Check-Valid-Until "false";',
      'Acquire::Languages "none";',
      'APT::Sandbox::User "";',
      '',
    ].join('\n'),
  );
  return { APT_CONFIG: file, LC_ALL: 'C' };
}

async function missingTool(): Promise<Outcome<never> | null> {
  for (const [program, name] of TOOLS) {
    try {
      await execa(program, ['--version'], { stdin: 'ignore' });
    } catch {
      return rejected('WM_TARGET_TOOLS', {
        message: `Code for other architectures is built from Debian packages, and ${program} is not here.`,
        next: `Install ${name}, or use a Debian or a descendant of it.`,
      });
    }
  }
  if (existsSync(KEYRING)) return null;
  return rejected('WM_TARGET_TOOLS', {
    message: `Code for other architectures is built from Debian packages, and ${KEYRING} is not here to check them.`,
    next: 'Install debian-archive-keyring.',
  });
}

/** Where this machine's apt gets Debian from. */
async function findMirror(): Promise<Outcome<string>> {
  try {
    const { stdout } = await execa('apt-get', ['indextargets', '--format', '$(ORIGIN) $(REPO_URI)'], { stdin: 'ignore' });
    const found = stdout.split('\n').find((line) => /^Debian .*\/debian\/?$/.test(line));
    if (found !== undefined) return ok(found.slice(found.indexOf(' ') + 1));
  } catch {
    // The same as none.
  }
  return rejected('WM_TARGET_TOOLS', {
    message: 'This machine has no source of Debian packages with an index.',
    next: 'Run `apt-get update` on a Debian, or add a source of Debian main.',
  });
}

/** Lines of `--print-uris`: 'address' file bytes hash. */
export function urisOf(text: string): readonly { readonly file: string; readonly sha256: string }[] {
  return text.split('\n').flatMap((line) => {
    const parts = /^'[^']+' (\S+) \d+(?: (\S+))?/.exec(line);
    if (parts === null) return [];
    const [, file = '', hash = ''] = parts;
    return [{ file, sha256: hash.startsWith('SHA256:') ? hash.slice('SHA256:'.length) : '' }];
  });
}

/** `name:architecture` of `name_version_architecture.deb`. */
export function nameOf(file: string): string {
  const [name = '', , end = ''] = file.split('_');
  const architecture = end.replace(/\.deb$/, '');
  return architecture === 'all' ? name : `${name}:${architecture}`;
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

function fetchedOf({ suite, packages }: LockedSet, folder: string): FetchedSet {
  const hash = createHash('sha256');
  for (const { file, sha256 } of packages) hash.update(`${file} ${sha256}\n`);
  return { suite, files: packages.map(({ file }) => join(folder, file)), key: hash.digest('hex').slice(0, 32) };
}

function hashOfFile(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return null;
  }
}
