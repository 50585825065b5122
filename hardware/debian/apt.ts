// An apt with folders of its own, which resolves and fetches: nothing of the machine's package system is changed, and no right of root is
// needed. Of the machine it takes the keyring, and where its own apt gets Debian from. Whoever calls has the turn of the set, so that
// no two change one folder.
import { existsSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { cancelling, partOf, replaceFile, wordsOf } from './make.ts';
import { hashOfFile, packagesFolder, type LockedPackage, type PackageOptions, type PackageSet } from './set.ts';

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';
const TOOLS = [
  ['apt-get', 'apt'],
  ['dpkg-deb', 'dpkg'],
  ['flock', 'util-linux'],
] as const;
/** Bound: time of one call of apt. */
const APT_MS_MAX = 600_000;
/**
 * What is said of a suite that has not what its index promises, or no index that can be believed. All else (no network, no room, a folder
 * that somebody else has) is no fault of the suite, and another one would only hide it.
 */
const BROKEN_SUITE =
  /hash sum mismatch|unexpected size|unable to locate|unmet dependencies|held broken|release file|no installation candidate|not found|\b404\b|not signed|NO_PUBKEY|gives no hash|not what the index/i;
/** Bound: origins that a sentence lists. */
const ORIGINS_TOLD_MAX = 4;

export type Resolved = {
  readonly wanted: readonly (LockedPackage & { readonly name: string })[];
  readonly settings: Readonly<Record<string, string>>;
};

/** Whether another suite may have what this one could not give, for this reason. */
export function isBrokenSuite(message: string): boolean {
  return BROKEN_SUITE.test(message);
}

/** Null: everything is here. WM_TARGET_TOOLS. */
export async function missingTool(): Promise<Outcome<never> | null> {
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

/** Where this machine's apt gets Debian from, as it writes that: an address, or a list of mirrors. WM_TARGET_TOOLS. */
export async function findMirror(): Promise<Outcome<string>> {
  const format = '$(ORIGIN)\t$(LABEL)\t$(COMPONENT)\t$(REPO_URI)';
  let targets: readonly string[] = [];
  try {
    const { stdout } = await execa('apt-get', ['indextargets', '--format', format, 'Created-By: Packages'], { stdin: 'ignore' });
    targets = stdout.split('\n').filter((line) => line.includes('\t'));
  } catch {
    // The same as none.
  }
  const mirror = mirrorOf(targets);
  if (mirror !== null) return ok(mirror);
  const origins = [...new Set(targets.map((line) => line.split('\t')[0] ?? '').filter((origin) => origin !== ''))];
  return rejected(
    'WM_TARGET_TOOLS',
    origins.length === 0
      ? { message: 'The apt of this machine has no index of any source of packages.', next: 'Run `apt-get update` on a Debian.' }
      : {
          message: `The apt of this machine has no source of Debian main; it has ${origins.slice(0, ORIGINS_TOLD_MAX).join(', ')}.`,
          next: 'Add a source of Debian main to it, and run `apt-get update`.',
        },
  );
}

/** Of lines `origin label component address`; whatever its address, Debian main calls itself so, and its updates of security otherwise. */
export function mirrorOf(targets: readonly string[]): string | null {
  for (const line of targets) {
    const [origin, label, component, address = ''] = line.split('\t');
    if (origin === 'Debian' && label === 'Debian' && component === 'main' && address !== '') return address;
  }
  return null;
}

/** What a suite has of a set now. WM_PACKAGES. */
export async function resolve(
  set: PackageSet,
  { suite, packages }: PackageSet['suites'][number],
  mirror: string,
  { cache, signal }: PackageOptions,
): Promise<Outcome<Resolved>> {
  try {
    const settings = prepareApt(set, suite, packages, mirror, cache);
    const apt = async (...args: readonly string[]): Promise<string> => {
      const answer = await execa('apt-get', args, { env: settings, timeout: APT_MS_MAX, stdin: 'ignore', ...cancelling(signal) });
      return answer.stdout;
    };
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

/** Those that are not there with their bytes. WM_PACKAGES. */
export async function download({ wanted, settings }: Resolved, { cache, say, signal }: PackageOptions): Promise<Outcome<void>> {
  const folder = packagesFolder(cache);
  const missing = wanted.filter(({ file, sha256 }) => hashOfFile(join(folder, file)) !== sha256);
  if (missing.length === 0) return ok();
  say(`Fetching ${missing.length} packages`);
  const part = partOf(`${folder}/`);
  try {
    mkdirSync(part);
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

/** An apt of its own: folders, index and configuration. Without a whole configuration it would be the machine's. */
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
  replaceFile(join(home, 'status'), '');
  replaceFile(join(home, 'sources.list'), `deb [arch=${architectures.join(',')} signed-by=${KEYRING}] ${mirror} ${suite} main\n`);
  const file = join(home, 'apt.conf');
  const quoted = (text: string): string => JSON.stringify(text);
  replaceFile(
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
      // An index that could not be read is an error, and no old one is taken for it.
      'APT::Update::Error-Mode "any";',
      'APT::Sandbox::User "";',
      '',
    ].join('\n'),
  );
  return { APT_CONFIG: file, LC_ALL: 'C' };
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
