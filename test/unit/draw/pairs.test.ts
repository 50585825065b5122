// Faults that are drawn one upon the other.
import { describe, expect, test } from 'vitest';
import { loadScenario } from '../../../scenarios/load.ts';
import type { FaultKind, Scenario } from '../../../scenarios/scenario.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { drawPlan } from '../../../sim/campaign/draw/draw.ts';
import { PAIR_DRAWS } from '../../../sim/campaign/draw/pairs.ts';

type Begun = { readonly kind: FaultKind; readonly machine: string; readonly from: number; readonly to: number; readonly factor: number };

function load(text: string): Scenario {
  const loaded = loadScenario({ file: 'drawn.scenario.yaml', text }, fleetLibrary);
  if (!loaded.ok) throw new Error(`${loaded.error.message}\n${text}`);
  return loaded.value;
}

function begun({ steps }: Scenario): readonly Begun[] {
  return steps.flatMap((step) => {
    if (step.do !== 'fault' || step.at.kind !== 'at') return [];
    const { fault } = step;
    const machine = 'machine' in fault ? fault.machine : '';
    const from = step.at.micros;
    return [
      { kind: fault.kind, machine, from, to: from + (fault.forMicros ?? Infinity), factor: fault.kind === 'disk-slow' ? fault.factor : 1 },
    ];
  });
}

/** Runs that know one kind alone. */
function only(kind: FaultKind): readonly Scenario[] {
  return Array.from({ length: 80 }, (_, i) => {
    const seed = `0x${(i + 1).toString(16)}`;
    return load(drawPlan({ seed, ground: seed, faults: { [kind]: seed }, near: null }, null).text);
  });
}

describe('a pair of faults', () => {
  test.each(PAIR_DRAWS.filter(({ first, second }) => first !== second).map(({ first, second }) => [first, second]))(
    '%s, then %s: in some runs that know the first, while it lasts',
    (first, second) => {
      const runs = only(first).map(begun);
      const paired = runs.filter((faults) => faults.some(({ kind }) => kind === second));
      expect(paired.length).toBeGreaterThan(20);
      expect(paired.length).toBeLessThan(60);
      for (const faults of paired) {
        expect(faults.every(({ kind }) => kind === first || kind === second)).toBe(true);
        const isFelt = ({ from }: Begun): boolean => faults.some((one) => one.kind === first && one.from < from && from < one.to);
        expect(faults.filter(({ kind }) => kind === second).every(isFelt)).toBe(true);
      }
    },
  );

  test('has the power of the controller fail while its disk is so slow that a sync takes longer than an event needs to come', () => {
    const met = only('disk-slow').filter((run) => {
      const faults = begun(run).filter(({ machine }) => machine === 'controller');
      const slow = faults.filter(({ kind, factor }) => kind === 'disk-slow' && factor >= 50);
      return faults.some(({ kind, from }) => kind === 'crash' && slow.some((one) => one.from < from && from < one.to));
    });
    expect(met.length).toBeGreaterThan(10);
  });

  test('has power fail again while a machine starts', () => {
    const met = only('crash').filter((run) => {
      const crashes = begun(run);
      return crashes.some(({ machine, to }) =>
        crashes.some((again) => again.machine === machine && again.from > to && again.from - to <= 150_000),
      );
    });
    expect(met.length).toBeGreaterThan(20);
  });

  test('is in no run that knows no fault', () => {
    for (let i = 1; i <= 40; i++) {
      const seed = `0x${i.toString(16)}`;
      expect(begun(load(drawPlan({ seed, ground: seed, faults: {}, near: null }, null).text))).toEqual([]);
    }
  });
});
