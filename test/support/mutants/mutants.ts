// Planted bugs as files, `test/mutants/<name>.patch` beside `<name>.yaml`, and the page that says what caught each of them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { SuiteSummary } from '../../../scenarios/record.ts';
import { causeOf } from '../../../reports/summarise.ts';

export const MUTANTS = fileURLToPath(new URL('../../mutants/', import.meta.url));
export const MUTANTS_PAGE = fileURLToPath(new URL('../../../docs/reference/mutants.md', import.meta.url));
/** Played first in every run: a harness that lets this one pass says nothing of any other. */
export const CANARY = 'heartbeat-timeout-tenfold';
/** In place of a goal: an assertion of the product itself stops the run. */
const ASSERTION = 'assertion';
/** In place of a goal: a command was not answered as its step expects. */
const OPERATOR = 'operator';

export type Mutant = {
  readonly name: string;
  /** What was broken, in words. */
  readonly bug: string;
  /** Names of the catalogue, or of `scenarios/regressions`. */
  readonly scenarios: readonly string[];
  /** Seeds that the catching may need. */
  readonly seeds: number;
  /** Goal or invariant that must be the one that does not hold, or ASSERTION, or OPERATOR. */
  readonly goal: string;
  /** Regular expression that the sentence must match. */
  readonly says: string;
  /** Whether the gate plants it, beside the canary. */
  readonly gate?: boolean;
};

/** What caught a mutant. `seed` counts from 1: so many seeds were needed. */
export type Caught = { readonly scenario: string; readonly seed: number; readonly because: string };

export function readMutants(): readonly Mutant[] {
  return readdirSync(MUTANTS)
    .filter((file) => file.endsWith('.patch'))
    .map((file) => file.slice(0, -'.patch'.length))
    .sort()
    .map((name) => ({ name, ...(parse(readFileSync(join(MUTANTS, `${name}.yaml`), 'utf8')) as Omit<Mutant, 'name'>) }));
}

/** What caught the mutant as its file says; otherwise why it was not, in words. */
export function judgeMutant(mutant: Mutant, { runs }: Pick<SuiteSummary, 'runs'>): Caught | string {
  const says = new RegExp(mutant.says);
  const catches = runs.flatMap((run): readonly Caught[] => {
    const isBug = run.verdict === 'bug';
    const sentences =
      mutant.goal === ASSERTION || mutant.goal === OPERATOR
        ? [isBug === (mutant.goal === ASSERTION) ? (run.trouble ?? '') : '']
        : run.goals.filter((goal) => !goal.held && goal.name === mutant.goal).map((goal) => goal.because);
    const because = sentences.find((sentence) => sentence !== '' && says.test(sentence));
    return because === undefined ? [] : [{ scenario: run.scenario, seed: Number(run.seed), because: firstLine(because) }];
  });
  const first = catches.sort((a, b) => a.seed - b.seed)[0];
  if (first !== undefined) return first;
  const bad = runs.filter((run) => run.verdict !== 'held');
  if (bad.length === 0) return `not caught: ${runs.map((run) => `${run.scenario} ${run.seed} ${run.verdict}`).join(', ')}`;
  return `caught, but by other words: ${[...new Set(bad.map((run) => `${run.scenario}: ${firstLine(causeOf(run) ?? run.trouble ?? run.verdict)}`))].join(' | ')}`;
}

export function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}

const HEAD = `# Planted bugs

A harness that lets a bug pass proves nothing. Each patch in \`test/mutants\` makes one known-bad variant of the platform; a scenario has to
catch it, with the goal or invariant that its file names and a sentence that points at it, while the same scenario with the same seeds
holds without the patch. An *assertion* is one of the product's own, which ends the run as a bug; *operator* is a command that was answered
otherwise than its step expects.

This table is written by \`npx node test/mutants/run.main.ts --all --write\`. *Seeds* is how many were needed, from \`0x1\` on. The gate plants
those marked with a dot, and the canary (\`${CANARY}\`) first in every run: if that one is not caught, nothing else counts.

| mutant | what is broken | caught by | as | seeds | gate |
|---|---|---|---|---|---|
`;

export function mutantsPage(rows: readonly { readonly mutant: Mutant; readonly caught: Caught }[]): string {
  const lines = rows.map(({ mutant, caught }) => {
    const { name, bug, goal } = mutant;
    const isPlanted = mutant.gate === true || name === CANARY;
    return `| [${name}](../../test/mutants/${name}.patch) | ${bug} | ${caught.scenario} | ${goal} | ${caught.seed} | ${isPlanted ? '•' : ''} |\n`;
  });
  return `${HEAD}${lines.join('')}`;
}
