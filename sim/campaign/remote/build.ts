// Which build this is: a digest of everything that decides what a run comes to, so that two machines with the same one give the same
// digest of a run, and others are refused. Scenario files are no part of it, for a scenario travels with its run; the code that loads
// and judges them is. The commit is told to people and decides nothing: two commits may differ in a document alone.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { ENGINE_PROFILE, type ScenarioSettings } from '../scenario.main.ts';

const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
/** What runs in a simulated run, and what stands between it and the engine. */
const SOURCES = ['agents', 'hardware/keys', 'hardware/wasm', 'scenarios', 'sim', 'system'];
const ENGINE_SOURCES = ['hardware/wasm/native'];
const LOCK = 'package-lock.json';
/** Code, and nothing that an editor or a compiler left beside it. */
const CODE = /\.(?:ts|js|mjs|rs|toml|lock|json|proto)$/;
/** Folders of other things; of the examples the modules themselves are compared. */
const PASSED = /(?:^|\/)(?:node_modules|target|examples|catalogue|large|fleets|regressions)(?:\/|$)/;
const SHORT = 16;

export type Build = {
  /** Of all that follows but the commit. */
  readonly id: string;
  readonly version: string;
  /** With a plus when the tree differs from it; null outside a checkout. */
  readonly commit: string | null;
  /** Major version of Node.js. */
  readonly node: string;
  readonly sources: string;
  readonly engine: string;
  readonly guests: string;
};

type Parts = Omit<Build, 'id' | 'commit'>;

export function buildOf(settings: ScenarioSettings): Build {
  return toBuild(
    {
      version: settings.version,
      node: process.versions.node.split('.')[0] ?? '',
      sources: digestOfFiles([...SOURCES.flatMap(filesUnder), LOCK]),
      engine: engineOf(settings),
      guests: guestsOf(settings),
    },
    commitOf(),
  );
}

export function toBuild({ version, node, sources, engine, guests }: Parts, commit: string | null): Build {
  return { id: digestOf([version, node, sources, engine, guests]), version, commit, node, sources, engine, guests };
}

/** Why a worker of build `mine` plays nothing of a campaign of build `theirs`; null: it may. */
export function whyRefused(mine: Build, theirs: Build): string | null {
  const { id } = toBuild(theirs, theirs.commit);
  if (id === mine.id) return null;
  const names = (build: Build): string => `wasmmatrix ${build.version}${build.commit === null ? '' : `, commit ${build.commit}`}`;
  const differs = [
    ...(mine.version === theirs.version ? [] : ['version']),
    ...(mine.sources === theirs.sources ? [] : ['sources']),
    ...(mine.engine === theirs.engine ? [] : ['engine']),
    ...(mine.guests === theirs.guests ? [] : ['example modules']),
    ...(mine.node === theirs.node ? [] : [`Node.js (${mine.node} here, ${theirs.node} there)`]),
  ];
  return `it is another build, and might come to other digests: here ${names(mine)}, there ${names(theirs)}; they differ in ${differs.join(', ')}`;
}

/** The commit that is run, with a plus when the tree differs from it; null outside a checkout. */
export function commitOf(): string | null {
  try {
    const git = (...args: readonly string[]): string =>
      execFileSync('git', args, { cwd: ROOT, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
    const head = git('rev-parse', '--short=12', 'HEAD');
    return git('status', '--porcelain', '--untracked-files=no') === '' ? head : `${head}+`;
  } catch {
    return null;
  }
}

/** An engine of one's own (`WASMMATRIX_ENGINE`) is compared by its bytes, one that was built here by what it is built of. */
function engineOf({ engine }: ScenarioSettings): string {
  const given = process.env['WASMMATRIX_ENGINE'] ?? '';
  const what = given === '' ? digestOfFiles(ENGINE_SOURCES.flatMap(filesUnder)) : digestOf([readFileSync(engine)]);
  return digestOf([what, JSON.stringify(ENGINE_PROFILE)]);
}

function guestsOf({ examples }: ScenarioSettings): string {
  const sorted = [...examples].sort((a, b) => (a.name < b.name ? -1 : 1));
  return digestOf(
    sorted.flatMap(({ name, file, capabilities, limits }) => [JSON.stringify([name, capabilities, limits]), readFileSync(file)]),
  );
}

function filesUnder(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true })
    .flatMap((entry) => {
      const path = `${folder}/${entry.name}`;
      if (entry.isDirectory()) return PASSED.test(path) ? [] : filesUnder(path);
      return CODE.test(entry.name) ? [path] : [];
    })
    .sort();
}

function digestOfFiles(paths: readonly string[]): string {
  return digestOf(paths.flatMap((path) => [path, readFileSync(join(ROOT, path))]));
}

function digestOf(parts: readonly (string | Uint8Array)[]): string {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(`${part.length}\0`).update(part);
  return hash.digest('hex').slice(0, SHORT);
}
