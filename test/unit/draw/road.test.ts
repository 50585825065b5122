// Demand that moves in drawn runs.
import { describe, expect, test } from 'vitest';
import { loadScenario } from '../../../scenarios/load.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { drawPlan, freshPlan, type Drawn, type Plan } from '../../../sim/campaign/draw/draw.ts';
import { SIM_FAULT_KINDS } from '../../../sim/faults/faults.ts';

const SEEDS = Array.from({ length: 200 }, (_, i) => `0x${(i + 1).toString(16)}`);
const VAN = 'fleet/van';

function load({ file, text }: Drawn): Scenario {
  const loaded = loadScenario({ file, text }, fleetLibrary);
  if (!loaded.ok) throw new Error(`${loaded.error.message}\n${text}`);
  return loaded.value;
}

function calm(seed: string): Plan {
  return { seed, ground: seed, faults: {}, near: null };
}

describe('demand that moves', () => {
  const drawn = SEEDS.map((seed) => drawPlan(calm(seed), null));
  const scenarios = drawn.map(load);
  const roads = scenarios.filter(({ goals }) => goals.some(({ goal }) => goal === 'near'));

  test('is in some runs in which nothing breaks, with work that follows it', () => {
    expect(roads.length).toBeGreaterThan(30);
    expect(roads.length).toBeLessThan(100);
    for (const { fleet, steps, workload } of roads) {
      expect(fleet.vehicles.map(({ vehicle }) => vehicle)).toEqual([VAN]);
      expect(workload.some(({ from }) => from === VAN)).toBe(true);
      const specs = steps.flatMap((step) => (step.do === 'deploy' && step.spec.origin === VAN ? [step.spec] : []));
      expect(specs).toMatchObject([{ name: 'follower', whenNearer: 'move' }]);
    }
  });

  test('passes from cell to cell, each with a node that will do, and is never out of reach of all', () => {
    expect(new Set(roads.map(({ fleet }) => fleet.cells.length))).toEqual(new Set([2, 3, 4]));
    for (const { fleet } of roads) {
      const hosts = fleet.nodes.filter(({ hardware }) => hardware.includes('lens')).map(({ zone }) => zone);
      expect(hosts).toEqual(fleet.cells.map(({ zone }) => zone));
      fleet.cells.slice(1).forEach((cell, i) => {
        const apartMetres = Math.abs(cell.location.latitude - (fleet.cells[i]?.location.latitude ?? NaN)) * 111_200;
        expect(cell.reachMetres + (fleet.cells[i]?.reachMetres ?? NaN)).toBeGreaterThan(apartMetres * 1.25);
      });
    }
  });

  test('is followed within what the drawn platform needs to notice', () => {
    for (const { goals, platform } of roads) {
      const within = goals.find(({ goal }) => goal === 'near')?.parameters['within'];
      expect(within).toBe(
        platform.heartbeatIntervalMs === 1_000 ? 20_000_000 : 8_000_000 + 3_000_000 + platform.heartbeatIntervalMs * 1_000,
      );
    }
    expect(new Set(roads.map(({ platform }) => platform.heartbeatIntervalMs)).size).toBe(3);
  });

  test('is promised nowhere where something breaks', () => {
    for (const seed of SEEDS) {
      const plan = { ...calm(seed), faults: { crash: seed } };
      expect(load(drawPlan(plan, null)).goals.some(({ goal }) => goal === 'near')).toBe(false);
      const lost = drawPlan(freshPlan(seed, SIM_FAULT_KINDS), null, true);
      expect(lost.text).not.toContain(VAN);
    }
  });

  test('counts its nodes among those of the run', () => {
    expect(drawn.map(({ nodes }) => nodes)).toEqual(scenarios.map(({ fleet }) => fleet.nodes.length));
  });
});
