// Scenario files on the disk: the catalogue, fleets, and files that a user names. Reading only; what they mean is loaded by
// scenarios/load.ts.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rejected, type Outcome, type WmError, ok } from '../../system/domain/outcome.ts';
import { loadScenario, nameOf, SCENARIO_SUFFIX, type FleetLibrary } from '../../scenarios/load.ts';
import { suggest } from '../../scenarios/mistakes.ts';
import type { Scenario } from '../../scenarios/scenario.ts';

const SCENARIOS = fileURLToPath(new URL('../../scenarios/', import.meta.url));
const CATALOGUE = join(SCENARIOS, 'catalogue');

export const fleetLibrary: FleetLibrary = (name) => {
  const file = join(SCENARIOS, 'fleets', `${name}.yaml`);
  return existsSync(file) ? { file: shown(file), text: readFileSync(file, 'utf8') } : null;
};

/** Files of the catalogue, by name. */
export function catalogueFiles(): readonly string[] {
  return readdirSync(CATALOGUE)
    .filter((file) => file.endsWith(SCENARIO_SUFFIX))
    .sort()
    .map((file) => join(CATALOGUE, file));
}

/** The file of a scenario that is named, or given by its path. */
export function findScenario(wanted: string): Outcome<string> {
  const known = catalogueFiles();
  const named = known.find((file) => nameOf(file) === wanted);
  if (named !== undefined) return ok(named);
  if (/\.ya?ml$/.test(wanted) && existsSync(wanted)) return ok(wanted);
  return rejected('WM_SCENARIO_NOT_FOUND', {
    message: `There is no scenario '${wanted}': ${/\.ya?ml$/.test(wanted) ? 'no such file' : suggest(wanted, known.map(nameOf))}.`,
    next: 'Run `wasmmatrix run --list` for the names, or give the path of a .scenario.yaml file.',
  });
}

/** Loads all files; either all are right, or every mistake of every file comes back. */
export function readScenarios(files: readonly string[]): { readonly scenarios: readonly Scenario[]; readonly errors: readonly WmError[] } {
  const scenarios: Scenario[] = [];
  const errors: WmError[] = [];
  for (const file of files) {
    const loaded = loadScenario({ file: shown(file), text: readFileSync(file, 'utf8') }, fleetLibrary);
    if (loaded.ok) scenarios.push(loaded.value);
    else errors.push(loaded.error);
  }
  return { scenarios, errors };
}

/** Paths as the user would type them. */
function shown(file: string): string {
  const path = relative('.', file);
  return path.startsWith('..') ? file : path;
}
