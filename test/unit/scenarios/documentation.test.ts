// docs/reference/scenarios.md says what the schema and the goals say, no more and no less, and its example is one.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import schema from '../../../scenarios/schema.json' with { type: 'json' };
import { CLAIMS, CONDITIONS, createInvariants, DURATIONS, STATES } from '../../../scenarios/goals/goals.ts';
import { FAULT_KINDS } from '../../../scenarios/scenario.ts';
import { fleetsOnDisk, mustLoad } from '../../support/scenarios/files.ts';
import { goalDefinitions, goalProperties } from '../../support/scenarios/goal-schema.ts';
import { scenarioOf } from '../../support/scenarios/scenario.ts';

const TEXT = readFileSync(fileURLToPath(new URL('../../../docs/reference/scenarios.md', import.meta.url)), 'utf8');

type Definition = {
  readonly properties?: Readonly<Record<string, { readonly description?: string }>>;
  readonly required?: readonly string[];
};
const definitions: Readonly<Record<string, Definition>> = schema.$defs as unknown as Readonly<Record<string, Definition>>;

/** From a heading to the next one of any level. */
function section(heading: string): string {
  const start = TEXT.indexOf(`\n${heading}\n`);
  expect(start, `there is no "${heading}"`).toBeGreaterThan(0);
  return TEXT.slice(start + heading.length + 2).split(/\n#+ /)[0] ?? '';
}

/** First cells of the rows of a table whose head begins like this. */
function rows(text: string, head: string): readonly (readonly string[])[] {
  const lines = text.split('\n');
  const start = lines.findIndex((line) => line.startsWith(`| ${head} |`));
  expect(start, `there is no table of ${head}`).toBeGreaterThanOrEqual(0);
  const end = lines.findIndex((line, i) => i > start && !line.startsWith('|'));
  return lines.slice(start + 2, end < 0 ? undefined : end).map((line) =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
}

const bare = (cell: string | undefined): string => (cell ?? '').replaceAll('`', '');

/** `field`, `field, required` or `field = default`, as the reference has them. What names a step is required without a word. */
function written(text: string, head: string, naming: string | null = null): readonly string[] {
  return rows(text, head).map(([field, value]) =>
    told(bare(field), value?.includes('Required') === true || bare(field) === naming, bare(value)),
  );
}

/** The same as the schema has them. */
function defined({ properties, required }: Definition, except: readonly string[] = []): readonly string[] {
  return Object.entries(properties ?? {})
    .filter(([field]) => !except.includes(field))
    .map(([field, { description }]) => told(field, required?.includes(field) === true, description ?? ''));
}

function told(field: string, required: boolean, description: string): string {
  const value = /[Dd]efault:? (\d[\d.]*\w*)/.exec(description)?.[1]?.replace(/\.$/, '');
  return `${field}${required ? ', required' : ''}${value === undefined ? '' : ` = ${value}`}`;
}

describe('fields', () => {
  it('of a scenario', () => expect(written(section('## Fields of a scenario'), 'field')).toEqual(defined(schema as unknown as Definition)));
  it('of a fleet', () => expect(written(section('## Fleets'), 'field')).toEqual(defined(definitions['fleet'] ?? {})));
  it('of a zone', () => expect(written(section('### Fields of a zone'), 'field')).toEqual(defined(definitions['zoneSpec'] ?? {})));
  it('of a link', () => expect(written(section('### Fields of a link'), 'field')).toEqual(defined(definitions['linkSpec'] ?? {})));
  it('of a cell', () => expect(written(section('### Fields of a cell'), 'field')).toEqual(defined(definitions['cellSpec'] ?? {})));
  it('of a vehicle', () => expect(written(section('### Fields of a vehicle'), 'field')).toEqual(defined(definitions['vehicleSpec'] ?? {})));
  it('of a node', () => expect(written(section('### Fields of a node'), 'field')).toEqual(defined(definitions['nodeSpec'] ?? {})));
  it('of the platform', () => expect(written(section('## Platform'), 'field')).toEqual(defined(definitions['platform'] ?? {})));
  it('of a workload', () => expect(written(section('## Workloads'), 'field')).toEqual(defined(definitions['workload'] ?? {})));
});

describe('steps', () => {
  const kinds = Object.keys(definitions).flatMap((name) => (name.startsWith('step-') ? [name.slice('step-'.length)] : []));

  it('are all described, in the order of the schema', () => {
    expect([...TEXT.matchAll(/^#### `(.+)`$/gm)].map((match) => match[1])).toEqual(kinds);
    expect(kinds).toEqual(expect.arrayContaining([...FAULT_KINDS]));
  });

  it.each(kinds)('%s has its fields', (kind) => {
    const definition = definitions[`step-${kind}`] ?? {};
    expect(written(section(`#### \`${kind}\``), 'field', kind)).toEqual(defined(definition, ['at', 'between']));
  });

  it('deploy has its needs', () => {
    const needs = (definitions['step-deploy']?.properties?.['needs'] ?? {}) as Definition;
    expect(written(section('#### `deploy`'), 'need')).toEqual(defined(needs));
  });
});

it('units are those that the schema accepts', () => {
  const units = (name: 'duration' | 'size'): readonly string[] =>
    /\(([A-Za-z|]+)\)\$$/.exec(schema.$defs[name].pattern)?.[1]?.split('|') ?? [];
  const table = section('## Units');
  for (const unit of [...units('duration'), ...units('size')]) expect(table).toContain(`\`${unit}\``);
  expect([...units('duration'), ...units('size')]).toHaveLength(8);
});

describe('goals', () => {
  const table = rows(section('## Goals'), 'goal');

  it('are those there are', () => {
    expect(table.map(([goal]) => bare(goal))).toEqual(Object.keys(CLAIMS));
  });

  it.each(Object.entries(CLAIMS))('%s has its parameters and its meaning', (name, { required, optional, meaning }) => {
    const row = table.find(([goal]) => bare(goal) === name) ?? [];
    const written = (parameters: Readonly<Record<string, string>>): string =>
      Object.entries(parameters)
        .map(([parameter, kind]) => `${parameter} (${kind})`)
        .join(', ');
    expect(bare(row[1])).toBe(written(required));
    expect(bare(row[2])).toBe(written(optional));
    expect(row[3]).toContain(meaning.replace(/\.$/, ''));
  });

  it('are what the schema completes (test/support/scenarios/goal-schema.ts makes its part)', () => {
    expect(schema.properties.goals.items.properties).toEqual(goalProperties());
    const mine = Object.entries(definitions).filter(([name]) => name === 'recordKind' || name === 'state' || name.startsWith('goal-'));
    expect(Object.fromEntries(mine)).toEqual(goalDefinitions());
  });

  it('name the states, conditions and durations that there are', () => {
    const listed = (heading: string, head: string): readonly (readonly string[])[] =>
      rows(section(heading), head).map((cells) => cells.map(bare));
    expect(listed('### States', 'state')).toEqual(Object.entries(STATES));
    expect(listed('### Conditions', 'condition')).toEqual(Object.entries(CONDITIONS).map(([name, { meaning }]) => [name, meaning]));
    expect(listed('### Durations', 'duration')).toEqual(
      Object.entries(DURATIONS).map(([name, { meaning, ends }]) => [name, meaning, ends]),
    );
  });

  it('include the invariants', () => {
    expect(rows(section('## Invariants'), 'name').map(([name]) => bare(name))).toEqual(
      createInvariants(scenarioOf()).map((goal) => goal.name),
    );
  });
});

it('the example is one', () => {
  const example = /```yaml\n(# mine\.scenario\.yaml\n[^]*?)```/.exec(TEXT)?.[1];
  expect(mustLoad(example ?? '', fleetsOnDisk).goals).toHaveLength(2);
});
