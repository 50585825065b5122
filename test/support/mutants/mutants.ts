// Planted bugs as files, `test/mutants/<name>.patch` beside `<name>.yaml`, and the page that says what caught each of them.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import type { SuiteSummary } from '../../../scenarios/record.ts';
import { causeOf } from '../../../reports/summarise.ts';
import type { ByFuzzing, CaughtFile } from './caught.ts';

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
  /** What the draw of `fuzz` lacks to find it; only for one that it does not find. */
  readonly gap?: string;
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

const head = ({ seed, runsMax }: CaughtFile['fuzzing']): string => `# Planted bugs

A harness that lets a bug pass proves nothing. Each patch in \`test/mutants\` makes one known-bad variant of the platform; a scenario has to
catch it, with the goal or invariant that its file names and a sentence that points at it, while the same scenario with the same seeds
holds without the patch. An *assertion* is one of the product's own, which ends the run as a bug; *operator* is a command that was answered
otherwise than its step expects.

The table is made of \`test/mutants/caught.json\`. \`npx node test/mutants/run.main.ts --all --write\` plays the catalogue: *seeds* is how many
were needed, from \`0x1\` on. \`npx node test/mutants/run.main.ts --all --fuzz --write\` plays \`wasmmatrix fuzz --seed ${seed}\`, which knows
nothing of the bugs: *fuzzing* is which run was the first to fail, and with which goal (*trouble*: an assertion, or an operator's command), while
the same run holds without the patch; a dash is a bug that ${runsMax} runs did not find. The gate plants those marked with a dot, and the canary (\`${CANARY}\`) first in every run: if that one is not caught,
nothing else counts.

| mutant | what is broken | caught by | as | seeds | fuzzing | gate |
|---|---|---|---|---|---|---|
`;

/** Rows in the order of names; a mutant that nothing was played for yet has gaps, which a tidy test finds. */
export function mutantsPage(mutants: readonly Mutant[], { catalogue, fuzzing }: CaughtFile): string {
  const lines = mutants.map(({ name, bug, goal, gate }) => {
    const byCatalogue = catalogue[name];
    const byFuzzing = fuzzing.caught[name];
    const isPlanted = gate === true || name === CANARY;
    return `| [${name}](../../test/mutants/${name}.patch) | ${bug} | ${byCatalogue?.scenario ?? ''} | ${goal} | ${byCatalogue?.seeds ?? ''} | ${describeFuzzing(byFuzzing)} | ${isPlanted ? '•' : ''} |\n`;
  });
  const gaps = mutants.filter(({ name }) => fuzzing.caught[name] === null).map(({ name, gap }) => `- ${name}: ${gap ?? ''}\n`);
  return `${head(fuzzing)}${lines.join('')}${gaps.length === 0 ? '' : `\nWhat fuzzing lacks to find the rest:\n\n${gaps.join('')}`}`;
}

function describeFuzzing(caught: ByFuzzing | null | undefined): string {
  if (caught === undefined) return '';
  return caught === null ? '-' : `${caught.runs}, ${caught.goal ?? 'trouble'}`;
}
