import { describe, expect, test } from 'vitest';
import { loadScenario } from '../../../scenarios/load.ts';
import type { FaultKind, Scenario } from '../../../scenarios/scenario.ts';
import { fleetLibrary } from '../../../sim/campaign/library.main.ts';
import { drawRun, FAULT_DRAWS, type Drawn } from '../../../sim/campaign/draw/draw.ts';
import { SIM_FAULT_KINDS } from '../../../sim/faults/faults.ts';

const SEEDS = Array.from({ length: 300 }, (_, i) => `0x${(i + 1).toString(16)}`);

function load({ file, text }: Drawn): Scenario {
  const loaded = loadScenario({ file, text }, fleetLibrary);
  if (!loaded.ok) throw new Error(`${loaded.error.message}\n${text}`);
  return loaded.value;
}

function faultsOf(scenario: Scenario): readonly FaultKind[] {
  return scenario.steps.flatMap((step) => (step.do === 'fault' ? [step.fault.kind] : []));
}

describe('a drawn run', () => {
  const drawn = SEEDS.map((seed) => drawRun(seed, SIM_FAULT_KINDS, null));
  const scenarios = drawn.map(load);

  test('is a valid scenario whatever the seed, held to goals of its own', () => {
    expect(scenarios.every(({ goals, workload, fleet }) => goals.length > 0 && workload.length > 0 && fleet.nodes.length > 1)).toBe(true);
  });

  test('is the same for the same seed, and another for every other', () => {
    expect(SEEDS.slice(0, 20).map((seed) => drawRun(seed, SIM_FAULT_KINDS, null).text)).toEqual(drawn.slice(0, 20).map(({ text }) => text));
    expect(new Set(drawn.map(({ text }) => text.replace(/^.*\n.*\n/, ''))).size).toBe(SEEDS.length);
  });

  test.each(SIM_FAULT_KINDS)('knows the fault %s, which some runs have and some leave out', (kind) => {
    const having = scenarios.filter((scenario) => faultsOf(scenario).includes(kind));
    expect(having.length).toBeGreaterThan(SEEDS.length / 5);
    expect(having.length).toBeLessThan((SEEDS.length * 4) / 5);
  });

  test('says how often it begins each fault', () => {
    drawn.forEach(({ faults }, i) => {
      const kinds = faultsOf(scenarios[i] as Scenario);
      for (const kind of SIM_FAULT_KINDS) expect(faults[kind] ?? 0).toBe(kinds.filter((other) => other === kind).length);
    });
  });

  test('has a fresh version of everything after the last fault that spoils what is stored', () => {
    let spoilt = 0;
    for (const { steps } of scenarios) {
      const at = (step: (typeof steps)[number]): number => (step.at.kind === 'at' ? step.at.micros : step.at.microsMin);
      for (const step of steps) {
        if (step.do !== 'fault' || FAULT_DRAWS[step.fault.kind].spoilsModules !== true) continue;
        spoilt += 1;
        const endMicros = at(step) + (step.fault.forMicros ?? Infinity);
        for (const deploy of steps.filter((other) => other.do === 'deploy')) {
          expect(steps.some((other) => other.do === 'push' && other.module === deploy.spec.module && at(other) > endMicros)).toBe(true);
        }
      }
    }
    expect(spoilt).toBeGreaterThan(50);
  });

  test('does not change in what it knew when a kind of fault is added', () => {
    const fewer = SIM_FAULT_KINDS.filter((kind) => kind !== 'loss');
    const stepsOf = (kinds: readonly FaultKind[], seed: string): readonly string[] =>
      load(drawRun(seed, kinds, null))
        .steps.filter((step) => step.do !== 'fault' || step.fault.kind !== 'loss')
        .map((step) => JSON.stringify(step));
    for (const seed of SEEDS.slice(0, 40)) expect(stepsOf(fewer, seed)).toEqual(stepsOf(SIM_FAULT_KINDS, seed));
  });
});

describe('a run drawn for a scenario', () => {
  const text = [
    'question: Does it hold?',
    'requirements: [R1.2]',
    'duration: 20s',
    'fleet: three-zones',
    'steps:',
    '  - { at: 2s, push: echo }',
    '  - { at: 3s, deploy: echo, origin: cloud/eu/a, replicas: 2 }',
    '  - { at: 4s, trigger: echo, on: questions.plain }',
    '  - { at: 9s, crash: a-1, for: 1234567us }',
    'workload: [{ name: questions, subject: questions.plain, from: cloud/eu/a, start: 5s, every: 100ms }]',
    'goals: [{ running: { deployment: echo, atLeast: 2 } }, { answered: { subject: questions.plain, within: 1ms } }]',
  ].join('\n');
  const scenario = load({ file: 'mine.scenario.yaml', text, faults: {}, nodes: 6 });

  test('keeps its fleet, its work and the goals about the end, and has faults of its own', () => {
    const runs = SEEDS.slice(0, 50).map((seed) => load(drawRun(seed, SIM_FAULT_KINDS, { scenario, text })));
    for (const run of runs) {
      expect(run.fleet).toEqual(scenario.fleet);
      expect(run.workload).toEqual(scenario.workload);
      expect(run.goals.map(({ goal }) => goal)).toEqual(['running']);
      expect(run.steps.filter((step) => step.do !== 'fault')).toEqual(scenario.steps.filter((step) => step.do !== 'fault'));
      expect(run.steps.some((step) => step.do === 'fault' && step.fault.forMicros === 1_234_567)).toBe(false);
    }
    expect(new Set(runs.flatMap(faultsOf)).size).toBeGreaterThan(4);
  });
});
