// The scenarios that a command line means, by names, paths or a filter, and the list of them. A composition root.
import { catalogueFiles, findScenario, readScenarios } from '../sim/campaign/library.main.ts';
import { print, say } from '../sim/campaign/teller.main.ts';
import { ok, rejected, type WmError } from '../system/domain/outcome.ts';
import type { Scenario } from './scenario.ts';

/** Without names, the whole catalogue. Either all are right, or every mistake of every file comes back. */
export function selectScenarios(
  names: readonly string[],
  filter: string | undefined,
): { readonly scenarios: readonly Scenario[] } | { readonly errors: readonly WmError[] } {
  const found = names.length === 0 ? catalogueFiles().map((file) => ok(file)) : names.map(findScenario);
  const missing = found.flatMap((outcome) => (outcome.ok ? [] : [outcome.error]));
  const { scenarios, errors } = readScenarios([...new Set(found.flatMap((outcome) => (outcome.ok ? [outcome.value] : [])))]);
  if (missing.length + errors.length > 0) return { errors: [...missing, ...errors] };
  const wanted = scenarios.filter(
    (scenario) => filter === undefined || [scenario.name, ...scenario.tags, ...scenario.requirements].some((text) => text.includes(filter)),
  );
  if (wanted.length > 0) return { scenarios: wanted };
  const none = rejected('WM_SCENARIO_NOT_FOUND', {
    message: `No scenario has '${filter ?? ''}' in its name, tags or requirements.`,
    next: 'Run `wasmmatrix scenario list` for what there is.',
  });
  return { errors: [none.error] };
}

/** Tag of scenarios that take a minute or more: they are played when they are asked for. */
export const LARGE = 'large';

/** Those that are played: large ones only where they are named, where the filter is their tag, or where there are no others. */
export function withoutLarge(scenarios: readonly Scenario[], names: readonly string[], filter: string | undefined): readonly Scenario[] {
  const isAskedFor = names.length > 0 || filter === LARGE;
  const played = isAskedFor ? scenarios : scenarios.filter(({ tags }) => !tags.includes(LARGE));
  return played.length === 0 ? scenarios : played;
}

export function listScenarios(scenarios: readonly Scenario[], json: boolean): number {
  if (json) {
    print(
      JSON.stringify(
        scenarios.map(({ name, question, tags, requirements, file }) => ({ name, question, tags, requirements, file })),
        null,
        2,
      ),
    );
    return 0;
  }
  const width = Math.max(...scenarios.map((scenario) => scenario.name.length));
  for (const scenario of scenarios) {
    say(`${scenario.name.padEnd(width)}  ${scenario.question}`);
    say(`${' '.repeat(width)}  ${[...scenario.tags, ...scenario.requirements].join(' ')}`);
  }
  return 0;
}
