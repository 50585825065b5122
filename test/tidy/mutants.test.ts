// Planted bugs stay plantable: each patch applies to the tree as it is, names what has to catch it, and has its row.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { RunSummary } from '../../scenarios/record.ts';
import { CANARY, judgeMutant, MUTANTS, MUTANTS_PAGE, mutantsPage, readMutants } from '../support/mutants/mutants.ts';
import { isSmall, readSmall, smallSection } from '../support/mutants/small.ts';
import { readScenario } from '../../sim/campaign/library.main.ts';
import { rowsOf } from './checks/tables.ts';
import { ROOT } from './checks/source.ts';

const mutants = readMutants();
/** First cell without its link, and the others as they are. */
const rows = rowsOf(readFileSync(MUTANTS_PAGE, 'utf8')).map(({ cells }) => [
  /^\[([^\]]+)\]/.exec(cells[0] ?? '')?.[1] ?? '',
  ...cells.slice(1),
]);

describe('planted bugs', () => {
  test('are 25 or more, and the canary is one of them', () => {
    expect(mutants.length).toBeGreaterThanOrEqual(25);
    expect(mutants.map(({ name }) => name)).toContain(CANARY);
  });

  test.each(mutants.map((mutant) => [mutant.name, mutant] as const))('%s applies, and its row says what its file says', (name, mutant) => {
    expect(() => execFileSync('git', ['apply', '--check', join(MUTANTS, `${name}.patch`)], { cwd: ROOT, stdio: 'pipe' })).not.toThrow();
    const row = rows.find(([first]) => first === name);
    expect(row, 'write the page: npx node test/mutants/run.main.ts --all --write').toBeDefined();
    const [, bug, scenario, goal, seeds, gate] = row ?? [];
    expect([bug, goal, gate]).toEqual([mutant.bug, mutant.goal, mutant.gate === true || name === CANARY ? '•' : '']);
    expect(mutant.scenarios).toContain(scenario);
    expect(Number(seeds)).toBeLessThanOrEqual(mutant.seeds);
  });

  test('have no other rows', () => {
    expect(
      rows.map(([name]) => name).filter((name) => !['', 'mutant', ...mutants.map((mutant) => mutant.name)].includes(name ?? '')),
    ).toEqual([]);
  });
});

describe('planted bugs made small', () => {
  const small = readSmall();

  test('are scenarios of known bugs, and ten or more have at most 5 nodes and 3 faults', () => {
    expect(small.map(({ mutant }) => mutant).filter((name) => !mutants.some((mutant) => mutant.name === name))).toEqual([]);
    for (const { file } of small) expect(readScenario(file)).toMatchObject({ ok: true });
    expect(small.filter(isSmall).length).toBeGreaterThanOrEqual(10);
  });

  test('have the rows that their files make', () => {
    expect(readFileSync(MUTANTS_PAGE, 'utf8').endsWith(smallSection(small))).toBe(true);
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

  test('has a row that names its scenario, its goal and the seeds it took', () => {
    const page = mutantsPage([{ mutant, caught: { scenario: 'calm', seed: 2, because: '' } }]);
    expect(page.trimEnd().split('\n').at(-1)).toBe('| [some](../../test/mutants/some.patch) | It is broken. | calm | P1 | 2 |  |');
  });
});
