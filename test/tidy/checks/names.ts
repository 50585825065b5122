// The listing is the map: fixed folders, doors, names that say what a file is.
import { posix } from 'node:path';
import { matches, type Check, type Violation } from './source.ts';

/** The first level is fixed by the project's owner. */
const TOP_FOLDERS = ['system', 'agents', 'sim', 'hardware', 'scenarios', 'reports', 'test', 'docs', '.ci'];

/** They say nothing about what is inside; name the thing instead. */
const EMPTY_NAMES = ['index', 'utils', 'util', 'common', 'helpers', 'helper', 'lib', 'src', 'misc', 'shared'];

/** Cargo wants `src/lib.rs`, protoc-gen-es writes `_pb` names. */
const FOREIGN = ['hardware/wasm/native/src/**', 'system/wire/generated/**', 'system/wire/proto/**'];

const SUFFIXES = ['', '.test', '.property.test', '.contract', '.contract.test', '.bench', '.main', '.d', '.config', '.scenario'];
/** What a test starts as a process or thread of its own. */
const TEST_SUFFIXES = ['.fixture', '.worker'];
const KEBAB = /^[a-z0-9]+(-[a-z0-9]+)*$/;
const CHECKED = /\.(ts|tsx|yaml|yml|md|html|css)$/;
/** `0001-title.md`, README.md and their like. */
const DOCUMENT = /^[A-Z]+(_[A-Z]+)*$/;

/** Folders whose files are all doors, or that are no component. */
const WITHOUT_DOOR: readonly { readonly folder: string; readonly why: string }[] = [
  { folder: 'system/domain', why: 'One file for each thing of the domain, all of them doors.' },
  { folder: 'system/ports', why: 'One file for each port, all of them doors.' },
  { folder: 'system/wire', why: 'Its doors stand in codec.' },
  { folder: 'system/wire/codec', why: 'One file for each family of messages, all of them doors.' },
];
const COMPONENTS = ['system', 'agents', 'sim', 'hardware'];

function judge(path: string): string | null {
  const parts = path.split('/');
  const [top = ''] = parts;
  if (parts.length > 1 && !TOP_FOLDERS.includes(top))
    return `stands in a new top-level folder '${top}': the first level is fixed (docs/architecture.md).`;
  if (FOREIGN.some((pattern) => matches(path, pattern))) return null;
  const empty = [...parts.slice(0, -1), posix.basename(path).split('.')[0] ?? ''].find((name) => EMPTY_NAMES.includes(name));
  if (empty !== undefined) return `is called '${empty}', which says nothing: name it for the thing it holds.`;
  if (!CHECKED.test(path)) return null;
  const [, stem = '', suffix = ''] = /^(\.?[^.]+)((?:\.[^.]+)*)\.[^.]+$/.exec(posix.basename(path)) ?? [];
  if (path.endsWith('.md') && DOCUMENT.test(stem)) return null;
  if (!KEBAB.test(stem)) return 'is not named in kebab-case.';
  if (path.endsWith('.ts') && !SUFFIXES.includes(suffix) && !(top === 'test' && TEST_SUFFIXES.includes(suffix)))
    return `ends in '${suffix}', which is none of ${SUFFIXES.filter((known) => known !== '').join(' ')}.`;
  if (path.startsWith('scenarios/catalogue/') && /\.ya?ml$/.test(path) && !path.endsWith('.scenario.yaml'))
    return 'stands in the catalogue and does not end in .scenario.yaml.';
  return null;
}

export const checkNames: Check = (files) => {
  const paths = files.map(({ path }) => path);
  const named = paths.flatMap((path): readonly Violation[] => {
    const message = judge(path);
    return message === null ? [] : [{ path, line: 0, message }];
  });
  const folders = [...new Set(paths.filter((path) => path.endsWith('.ts') && !path.endsWith('.d.ts')).map((path) => posix.dirname(path)))];
  const doorless = folders
    .filter((folder) => COMPONENTS.includes(folder.split('/')[0] ?? '') && folder.includes('/'))
    .filter(
      (folder) => !FOREIGN.some((pattern) => matches(`${folder}/x`, pattern)) && !WITHOUT_DOOR.some((entry) => entry.folder === folder),
    )
    .filter((folder) => !paths.includes(`${folder}/${posix.basename(folder)}.ts`) && !paths.includes(`${folder}.ts`))
    .map((folder) => ({
      path: paths.find((path) => posix.dirname(path) === folder && path.endsWith('.ts')) ?? folder,
      line: 0,
      message: `stands in a folder without a door: ${folder}/${posix.basename(folder)}.ts is missing.`,
    }));
  return [...named, ...doorless];
};
