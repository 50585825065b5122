// Each kind of fault has a scenario in which it matters: where faults of that kind do nothing, a goal about the platform is broken, or
// something that the run must reach is not. What the simulator itself says of a fault (`fault.felt`) does not count.
import { beforeAll, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../scenarios/scenario.ts';
import type { FaultKind, GoalSpec, Scenario } from '../../scenarios/scenario.ts';
import { findScenario, readScenario } from '../../sim/campaign/library.main.ts';
import { SIM_FAULT_KINDS } from '../../sim/faults/faults.ts';
import type { SimInjected } from '../../sim/testbed.ts';
import { playWithout, prepareWorld } from '../support/scenarios/without-fault.ts';

const SEEDS = ['0x1', '0x2'] as const;
const SCENARIO_OF: { readonly [kind in FaultKind]: string } = {
  crash: 'node-failure',
  pause: 'node-return',
  reboot: 'maintenance',
  upgrade: 'nodes-upgraded',
  wipe: 'disks-fail',
  restore: 'node-restored',
  throttle: 'node-throttled',
  'memory-pressure': 'memory-exhausted',
  'clock-step': 'key-expires',
  'clock-drift': 'clocks-wrong',
  'clock-freeze': 'key-expires',
  partition: 'partition-heals',
  'partition-one-way': 'heard-not-hearing',
  latency: 'region-latency',
  loss: 'loss-in-bursts',
  bandwidth: 'thin-uplink',
  'burst-loss': 'loss-in-bursts',
  duplication: 'twice-and-overtaken',
  reordering: 'twice-and-overtaken',
  corruption: 'corrupt-messages',
  clog: 'network-swizzled',
  swizzle: 'network-swizzled',
  'half-open': 'forgotten-connections',
  'disk-full': 'disk-full',
  'disk-slow': 'disks-fail',
  'disk-lies': 'disks-fail',
  'disk-rot': 'disks-fail',
  'forge-artefact': 'signatures-refused',
  'broker-outage': 'broker-unwell',
  'broker-slow': 'broker-unwell',
  'broker-loses-answers': 'broker-unwell',
  'broker-repeats': 'broker-unwell',
  'reset-connections': 'broker-unwell',
  'spoil-artefact': 'artefacts-spoilt',
  garbage: 'agent-garbage',
};

let injected: SimInjected;
beforeAll(async () => {
  injected = await prepareWorld();
});

function scenarioOf(kind: FaultKind): Scenario {
  const file = findScenario(SCENARIO_OF[kind]);
  if (!file.ok) throw new Error(file.error.message);
  const scenario = readScenario(file.value);
  if (!scenario.ok) throw new Error(scenario.error.message);
  return scenario.value;
}

it('every kind of fault can be produced', () => {
  expect([...SIM_FAULT_KINDS].sort()).toEqual([...FAULT_KINDS].sort());
});

const isFelt = ({ parameters }: GoalSpec): boolean => parameters['record'] === 'fault.felt';

/** Goals about the platform that the scenario of this kind misses when faults of it do nothing. */
async function missedWithout(kind: FaultKind, seed: string): Promise<readonly string[]> {
  const whole = scenarioOf(kind);
  expect(whole.steps.some((step) => step.do === 'fault' && step.fault.kind === kind)).toBe(true);
  const scenario = { ...whole, goals: whole.goals.filter((goal) => !isFelt(goal)) };
  const { goals, trouble } = await playWithout(injected, scenario, kind, seed);
  expect(trouble).toBe(null);
  return goals.filter(({ held, reached }) => !held || reached === 0).map(({ name }) => name);
}

const PLAYED = FAULT_KINDS.flatMap((kind) => SEEDS.map((seed) => [kind, seed] as const));

it.each(PLAYED)('without %s a goal of its scenario is broken with seed %s', async (kind, seed) => {
  expect(await missedWithout(kind, seed)).not.toEqual([]);
});
