// Planted bugs stay plantable: each patch applies to the tree as it is, names what has to catch it, and has its row.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunSummary } from '../../scenarios/record.ts';
import { readCaught, type ByFuzzing } from '../support/mutants/caught.ts';
import { CANARY, judgeMutant, MUTANTS, MUTANTS_PAGE, mutantsPage, readMutants } from '../support/mutants/mutants.ts';
import { isSmall, readSmall, smallSection } from '../support/mutants/small.ts';
import { readScenario } from '../../sim/campaign/library.main.ts';
import { ROOT } from './checks/source.ts';

const mutants = readMutants();
const caught = readCaught();

describe('planted bugs', () => {
  test('are 25 or more, and the canary is one of them', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(25);
    expect(mutants.map(({ name }) => name)).toContain(CANARY);
  });

  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s applies, and was played as its file says', (name, mutant) => {
    expect(() => execFileSync('git', ['apply', '--check', join(MUTANTS, `${name}.patch`)], { cwd: ROOT, stdio: 'pipe' })).not.toThrow();
    const byCatalogue = caught.catalogue[name];
    expect(byCatalogue, 'play it: npx node test/mutants/run.main.ts --all --write').toBeDefined();
    expect(mutant.scenarios).toContain(byCatalogue?.scenario);
    expect(byCatalogue?.seeds).toBeLessThanOrEqual(mutant.seeds);
    expect(caught.fuzzing.caught, 'fuzz it: npx node test/mutants/run.main.ts --all --fuzz --write').toHaveProperty(name);
    const byFuzzing = caught.fuzzing.caught[name];
    expect(byFuzzing?.runs ?? 1).toBeLessThanOrEqual(caught.fuzzing.runsMax);
    expect(mutant.gap === undefined, 'its file says what the draw lacks, and only where fuzzing does not find it').toBe(byFuzzing !== null);
  });

  test('are all that anything is kept of', () => {
    const names = mutants.map(({ name }) => name);
    for (const table of [caught.catalogue, caught.fuzzing.caught]) expect(Object.keys(table)).toEqual(names);
  });

  test('have the rows that their files make', () => {
    expect(readFileSync(MUTANTS_PAGE, 'utf8')).toBe(mutantsPage(mutants, caught) + smallSection(readSmall()));
  });
});

describe('planted bugs made small', () => {
  const small = readSmall();

  test('are scenarios of known bugs, and ten or more have at most 5 nodes and 3 faults', () => {
    expect(small.map(({ mutant }) => mutant).filter((name) => !mutants.some((mutant) => mutant.name === name))).toEqual([]);
    for (const { file } of small) expect(readScenario(file)).toMatchObject({ ok: true });
    expect(small.filter(isSmall).length).toBeGreaterThanOrEqual(10);
  });
});

describe('a planted bug', () => {
  const mutant = { name: 'some', bug: 'It is broken.', scenarios: ['calm'], seeds: 3, goal: 'P1', says: 'in words' };
  const run = (seed: string, verdict: RunSummary['verdict'], goal: string, because: string): RunSummary =>
    ({
      scenario: 'calm',
      seed,
      verdict,
      goals: [{ name: goal, held: verdict === 'held', because }],
      trouble: verdict === 'bug' ? because : null,
    }) as unknown as RunSummary;

  test('is caught by its goal with its words, by the first seed that does', () => {
    const runs = [
      run('0x1', 'held', 'P1', ''),
      run('0x3', 'violated', 'P1', 'said in words\nand more'),
      run('0x2', 'violated', 'P1', 'in words'),
    ];
    expect(judgeMutant(mutant, { runs })).toEqual({ scenario: 'calm', seed: 2, because: 'in words' });
    expect(judgeMutant({ ...mutant, goal: 'assertion' }, { runs: [run('0x1', 'bug', 'P1', 'in words')] })).toMatchObject({ seed: 1 });
  });

  test('is not caught by silence, by another goal, or by other words', () => {
    expect(judgeMutant(mutant, { runs: [run('0x1', 'held', 'P1', '')] })).toBe('not caught: calm 0x1 held');
    for (const other of [
      run('0x1', 'violated', 'P2', 'in words'),
      run('0x1', 'violated', 'P1', 'otherwise'),
      run('0x1', 'bug', 'P1', 'otherwise'),
    ])
      expect(judgeMutant(mutant, { runs: [other] })).toMatch(/^caught, but by other words: calm: /);
  });

  test('has a row that names its scenario, its goal, the seeds it took, and the run of a campaign that failed', () => {
    const pageOf = (byFuzzing: ByFuzzing | null): string =>
      mutantsPage([{ ...mutant, gap: 'too little.' }], {
        catalogue: { some: { scenario: 'calm', seeds: 2 } },
        fuzzing: { seed: '0x1', runsMax: 9, caught: { some: byFuzzing } },
      });
    const rowOf = (byFuzzing: ByFuzzing | null) =>
      pageOf(byFuzzing)
        .split('\n')
        .find((line) => line.startsWith('| [some]'));
    const row = (last: string): string => `| [some](../../test/mutants/some.patch) | It is broken. | calm | P1 | 2 | ${last} |  |`;
    expect(rowOf({ runs: 7, verdict: 'violated', goal: 'P2', because: 'so' })).toBe(row('7, P2'));
    expect(rowOf({ runs: 7, verdict: 'bug', goal: null, because: 'so' })).toBe(row('7, trouble'));
    expect(rowOf(null)).toBe(row('-'));
    expect(pageOf(null)).toMatch(/\n- some: too little\.\n$/);
  });
});
