// Scenario files on the disk: the catalogue, fleets, and files that a user names. Reading only; what they mean is loaded by
// scenarios/load.ts.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rejected, type Outcome, type WmError, ok } from '../../system/domain/outcome.ts';
import { loadScenario, nameOf, SCENARIO_SUFFIX, type FleetLibrary, type LoadOptions } from '../../scenarios/load.ts';
import { nearest } from '../../scenarios/mistakes.ts';
import type { Scenario } from '../../scenarios/scenario.ts';

const SCENARIOS = fileURLToPath(new URL('../../scenarios/', import.meta.url));
const CATALOGUE = join(SCENARIOS, 'catalogue');
/** Found by name like those of the catalogue, and too large to be played with all of them. */
const LARGE = join(SCENARIOS, 'large');
/** Bound: bytes of a scenario file; what is larger is none. */
const FILE_BYTES_MAX = 4 * 1_048_576;

export const fleetLibrary: FleetLibrary = (name) => {
  const file = join(SCENARIOS, 'fleets', `${name}.yaml`);
  return existsSync(file) ? { file: describePath(file), text: readFileSync(file, 'utf8') } : null;
};

/** Files of the catalogue, by name. */
export function catalogueFiles(): readonly string[] {
  return filesOf(CATALOGUE);
}

/** Names of all scenarios that are found by theirs, also of those that are too large for the catalogue. */
export function allNames(): readonly string[] {
  return [...catalogueFiles(), ...filesOf(LARGE)].map(nameOf);
}

function filesOf(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(SCENARIO_SUFFIX))
    .sort()
    .map((file) => join(folder, file));
}

/** The file of a scenario that is named, or given by its path. */
export function findScenario(wanted: string): Outcome<string> {
  const known = [...catalogueFiles(), ...filesOf(LARGE)];
  const named = known.find((file) => nameOf(file) === wanted);
  if (named !== undefined) return ok(named);
  const isPath = /\.ya?ml$/.test(wanted);
  if (isPath && existsSync(wanted)) return ok(resolve(wanted));
  const close = isPath ? null : nearest(wanted, known.map(nameOf));
  return rejected('WM_SCENARIO_NOT_FOUND', {
    message: `There is no scenario '${wanted}'${isPath ? ': no such file.' : close === null ? '.' : `: did you mean '${close}'?`}`,
    next: 'Run `wasmmatrix scenario list` for the names, or give the path of a .scenario.yaml file.',
  });
}

/** Loads all files; either all are right, or every mistake of every file comes back. */
export function readScenarios(files: readonly string[]): { readonly scenarios: readonly Scenario[]; readonly errors: readonly WmError[] } {
  const scenarios: Scenario[] = [];
  const errors: WmError[] = [];
  for (const file of files) {
    const loaded = readScenario(file);
    const twin = loaded.ok ? scenarios.find((other) => other.name === loaded.value.name) : undefined;
    if (!loaded.ok) errors.push(loaded.error);
    else if (twin === undefined) scenarios.push(loaded.value);
    else errors.push(sameName(twin, loaded.value));
  }
  return { scenarios, errors };
}

/** Names of the example guests that a scenario may push. */
export function exampleNames(): readonly string[] {
  const examples = join(SCENARIOS, 'examples');
  return readdirSync(examples)
    .filter((name) => existsSync(join(examples, name, 'module.yaml')))
    .sort();
}

export function readScenario(file: string, options: LoadOptions = {}): Outcome<Scenario> {
  try {
    if (statSync(file).size > FILE_BYTES_MAX)
      return rejected('WM_SCENARIO_INVALID', {
        message: `${describePath(file)} is larger than ${FILE_BYTES_MAX / 1_048_576} MiB, which no scenario is.`,
        next: 'Name a .scenario.yaml file.',
      });
    const text = textOf(readFileSync(file));
    if (text === null)
      return rejected('WM_SCENARIO_INVALID', {
        message: `${describePath(file)} is not a text file (UTF-8), as scenarios are.`,
        next: 'Name a .scenario.yaml file; one in another encoding is to be saved as UTF-8.',
      });
    const written = { file: describePath(file), text };
    return loadScenario(written, fleetLibrary, { examples: exampleNames(), ...options });
  } catch (error) {
    if (!(error instanceof Error && 'code' in error)) throw error;
    return rejected('WM_SCENARIO_NOT_FOUND', {
      message: `The file ${describePath(file)} cannot be read (${String(error.code)}).`,
      next: 'Name a .scenario.yaml file that you may read.',
    });
  }
}

/** Null when the bytes are no text. A byte order mark is none of it. */
function textOf(bytes: Uint8Array): string | null {
  if (bytes.includes(0)) return null;
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    return null;
  }
}

/** Reports tell scenarios apart by their names. */
function sameName(first: Scenario, second: Scenario): WmError {
  return rejected('WM_SCENARIO_INVALID', {
    message: `${first.file} and ${second.file} are both the scenario '${first.name}'.`,
    next: 'Rename one of the files, or play them one after the other.',
  }).error;
}

/** Whether a scenario's name is enough to find it. */
export function isInCatalogue(file: string): boolean {
  return [CATALOGUE, LARGE].includes(dirname(resolve(file)));
}

/** Paths as the user would type them. */
export function describePath(file: string): string {
  const path = relative('.', file);
  return path === '' ? '.' : path.startsWith('..') ? file : path;
}

/** A path for a shell. */
export function quotePath(path: string): string {
  return /^[\w./@%+=:,-]+$/.test(path) ? path : `'${path.replaceAll("'", `'\\''`)}'`;
}
