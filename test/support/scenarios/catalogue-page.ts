// docs/reference/catalogue.md, made of the scenario files: by suite, each with its question, what it holds and what breaks in it.
import { parse } from 'yaml';
import { FAULT_KINDS, type Scenario } from '../../../scenarios/scenario.ts';

/** A scenario belongs to exactly one suite, by a tag of this name. */
export const SUITES: Readonly<Record<string, string>> = {
  lifecycle: 'Work comes, changes and goes: deployments, versions, drains.',
  failure: 'Machines, links and disks break, and come back or do not.',
  latency: 'Everything arrives, later than it should.',
  storm: 'More comes in than can be processed.',
  security: 'Somebody tries what must not succeed.',
  architecture: 'Machines differ in what they can run.',
  scale: 'From nothing to many, and back.',
};

export type CatalogueEntry = { readonly scenario: Scenario; readonly text: string };

export function suitesOf({ tags }: Pick<Scenario, 'tags'>): readonly string[] {
  return tags.filter((tag) => tag in SUITES);
}

export function cataloguePage(entries: readonly CatalogueEntry[]): string {
  const lines = [
    '# The catalogue',
    '',
    '`npx wasmmatrix run` plays all of them but those with the tag `large`, which take a minute or more and are played when they are named',
    'or with `--filter large`; `npx wasmmatrix run --filter storm` plays a suite, `npx wasmmatrix run node-failure` one.',
    '[Scenarios](scenarios.md) has the language they are written in.',
    '',
    'This page is made of the files in `scenarios/catalogue`, and a test holds it to them. After a change to one:',
    '`npx vitest run --project unit catalogue -u`.',
  ];
  for (const [suite, about] of Object.entries(SUITES)) {
    const own = entries.filter(({ scenario }) => suitesOf(scenario)[0] === suite);
    lines.push('', `## ${suite.charAt(0).toUpperCase()}${suite.slice(1)}`, '', about, '');
    if (own.length === 0) {
      lines.push('No scenario yet.');
      continue;
    }
    lines.push('| scenario | question | holds | what breaks |', '|---|---|---|---|');
    for (const { scenario, text } of own) {
      const { name, question, requirements } = scenario;
      const cells = [`[${name}](../../scenarios/catalogue/${name}.scenario.yaml)`, question, requirements.join(', '), breaksOf(text)];
      lines.push(`| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** Kinds of fault with what they befall, in the order of the file; the same one several times is counted. */
function breaksOf(text: string): string {
  const steps = (parse(text) as { readonly steps: readonly Readonly<Record<string, unknown>>[] }).steps;
  const counts = new Map<string, number>();
  for (const step of steps) {
    const kind = FAULT_KINDS.find((fault) => fault in step && !('deploy' in step));
    if (kind === undefined) continue;
    const from = 'from' in step ? ` from ${together(step['from'])}` : '';
    const fault = `${kind} of ${together(step[kind])}${from}`;
    counts.set(fault, (counts.get(fault) ?? 0) + 1);
  }
  const faults = [...counts].map(([fault, count]) => `${fault}${count === 1 ? '' : `, ${count} times`}`);
  return faults.length === 0 ? 'nothing' : faults.join('; ');
}

function together(machines: unknown): string {
  return [machines].flat().map(String).join(' and ');
}
