// What `shrink` left of the scenarios that caught planted bugs, `test/mutants/small/<name>.scenario.yaml`: each still fails with its
// bug, and holds without it. Their first line says how large they were before, and the page is made of these files.
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SCENARIO_SUFFIX } from '../../../scenarios/load.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { describeSize, readDocument, sizeOf, type Size } from '../../../sim/campaign/shrink/document.ts';
import { isFault } from '../../../sim/campaign/shrink/passes.ts';
import { MUTANTS } from './mutants.ts';

export const SMALL = join(MUTANTS, 'small');
/** What a small case may have at most. */
export const SMALL_NODES_MAX = 5;
export const SMALL_FAULTS_MAX = 3;

export type Small = {
  readonly mutant: string;
  readonly file: string;
  readonly seed: string;
  /** The scenario it was made of. */
  readonly scenario: string;
  /** How large that was, in words. */
  readonly before: string;
  readonly after: Size;
};

export function smallFile(mutant: string): string {
  return join(SMALL, `${mutant}${SCENARIO_SUFFIX}`);
}

/** The first line of a small case; what `shrink` says of it follows. */
export function smallTitle(mutant: string, scenario: string, before: Size): string {
  return `# Of ${scenario} (${describeSize(before)}), with ${mutant} planted.\n`;
}

export function readSmall(): readonly Small[] {
  if (!existsSync(SMALL)) return [];
  return readdirSync(SMALL)
    .filter((name) => name.endsWith(SCENARIO_SUFFIX))
    .sort()
    .map((name) => {
      const file = join(SMALL, name);
      const text = readFileSync(file, 'utf8');
      const [, scenario, before] = /^# Of (\S+) \(([^)]+)\), with/.exec(text) ?? [];
      const seed = /^#.*\bSeed (0x[0-9a-f]+)/m.exec(text)?.[1];
      if (scenario === undefined || before === undefined || seed === undefined)
        throw new Error(`${file} does not say what it was made of, or with which seed.`);
      const after = sizeOf(readDocument(text, fleetLibrary), isFault);
      return { mutant: name.slice(0, -SCENARIO_SUFFIX.length), file, seed, scenario, before, after };
    });
}

export function isSmall({ after }: Small): boolean {
  return after.nodes <= SMALL_NODES_MAX && after.faults <= SMALL_FAULTS_MAX;
}

export const SMALL_HEADING = '\n## What is left when they are made small\n';

/** The end of the page: a row for each case that was made small. */
export function smallSection(all: readonly Small[]): string {
  const rows = all.map(
    ({ mutant, scenario, before, after }) =>
      `| [${mutant}](../../test/mutants/small/${mutant}${SCENARIO_SUFFIX}) | ${scenario} | ${before} | ${describeSize(after)} |\n`,
  );
  return `${SMALL_HEADING}
\`wasmmatrix shrink --against <the unchanged tree>\` on each failure: every smaller case still fails with the same goal for the same reason
while the bug is planted, and holds while it is not. ${all.filter(isSmall).length} of these ${all.length} have at most ${SMALL_NODES_MAX} nodes and ${SMALL_FAULTS_MAX} faults.
\`npx node test/mutants/run.main.ts --all --shrink --write\` makes them anew, \`--all --small\` plants the bugs under the small cases alone.

| mutant | of | before | after |
|---|---|---|---|
${rows.join('')}`;
}
