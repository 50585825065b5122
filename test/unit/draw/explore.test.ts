// Which run comes next follows from the seed of a campaign and from what its earlier runs came to, and from nothing else.
import { describe, expect, test } from 'vitest';
import type { Plan } from '../../../sim/campaign/draw/draw.ts';
import { batchSize, CORPUS_MAX, Explorer } from '../../../sim/campaign/explore.ts';
import { SIM_FAULT_KINDS } from '../../../sim/faults/faults.ts';

const seedOf = (index: number): string => `0x${(0x100 + index).toString(16)}`;
/** Runs of a campaign whose every third run meets something new. */
function campaign(runs: number, isGuided = true): readonly Plan[] {
  const explorer = new Explorer({ seed: '0x100', kinds: SIM_FAULT_KINDS, isGuided });
  const plans: Plan[] = [];
  for (let batch = 0; plans.length < runs; batch++) {
    const length = Math.min(batchSize(batch), runs - plans.length);
    const planned = Array.from({ length }, (_, i) => explorer.planOf(plans.length + i, seedOf(plans.length + i)));
    planned.forEach((plan, i) => {
      const index = plans.length + i;
      explorer.learn(plan, [`pair ${index % 3 === 0 ? index : 0}`]);
    });
    plans.push(...planned);
  }
  return plans;
}

describe('a campaign', () => {
  test('draws the same list again, and a longer one begins with it', () => {
    expect(campaign(100)).toEqual(campaign(100));
    for (const shorter of [5, 30, 57]) expect(campaign(100).slice(0, shorter)).toEqual(campaign(shorter));
  });

  test('draws half of its runs near earlier ones that met something new, and the first ones afresh', () => {
    const plans = campaign(400);
    const near = plans.flatMap((plan, i) => (plan.near === null ? [] : [{ i, parent: Number(plan.near) - 0x100 }]));
    expect(near.length).toBeGreaterThan(150);
    expect(near.length).toBeLessThan(250);
    expect(near.every(({ i }) => i >= batchSize(0))).toBe(true);
    for (const { i, parent } of near) {
      expect(parent).toBeLessThan(i);
      expect(parent % 3).toBe(0);
    }
    expect(new Set(near.map(({ parent }) => parent)).size).toBeGreaterThan(50);
  });

  test('draws none near another when it is not to be guided', () => {
    expect(campaign(100, false).every(({ near }) => near === null)).toBe(true);
  });

  const planOf = (i: number): Plan => ({ seed: seedOf(i), ground: '0x1', faults: {}, near: null });

  test('prefers what few runs met', () => {
    const explorer = new Explorer({ seed: '0x1', kinds: SIM_FAULT_KINDS, isGuided: true });
    for (let i = 0; i < 8; i++) explorer.learn(planOf(i), [`pair ${i}`]);
    for (let i = 0; i < 50; i++)
      explorer.learn(
        planOf(100),
        Array.from({ length: 8 }, (_, pair) => `pair ${pair}`).filter((_, pair) => pair !== 3),
      );
    const parents = Array.from({ length: 400 }, (_, i) => explorer.planOf(i, '0x9').near).filter((near) => near !== null);
    // One of eight, and four are looked at: half of the choices, and an eighth if it did not matter.
    expect(parents.filter((near) => near === seedOf(3)).length).toBeGreaterThan(parents.length / 3);
  });

  test('says what a run was the first to meet', () => {
    const explorer = new Explorer({ seed: '0x1', kinds: SIM_FAULT_KINDS, isGuided: true });
    expect(explorer.learn(planOf(0), ['a', 'b'])).toEqual(['a', 'b']);
    expect(explorer.learn(planOf(1), ['a', 'c'])).toEqual(['c']);
    expect(explorer.learn(planOf(2), ['a', 'c'])).toEqual([]);
  });

  test('forgets the oldest of what it remembers', () => {
    const explorer = new Explorer({ seed: '0x1', kinds: SIM_FAULT_KINDS, isGuided: true });
    for (let i = 0; i < CORPUS_MAX + 10; i++) explorer.learn(planOf(i), [`pair ${i}`]);
    const parents = Array.from({ length: 2_000 }, (_, i) => Number(explorer.planOf(i, '0x9').near ?? seedOf(10)) - 0x100);
    expect(Math.min(...parents)).toBe(10);
  });
});
