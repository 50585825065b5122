// Each kind of fault has a scenario in which it is felt, and about half of them one in which it matters: where faults of that kind do
// nothing, a goal about the platform is broken, or something that the run must reach is not. What the simulator itself says of a
// fault (`fault.felt`) does not count there: for the kinds of ONLY_FELT the scenario asks for nothing else that would miss them.
import { beforeAll, expect, it } from 'vitest';
import { FAULT_KINDS } from '../../scenarios/scenario.ts';
import type { FaultKind, GoalSpec, Scenario } from '../../scenarios/scenario.ts';
import { findScenario, readScenario } from '../../sim/campaign/library.main.ts';
import { SIM_FAULT_KINDS } from '../../sim/faults/faults.ts';
import type { SimInjected } from '../../sim/testbed.ts';
import { playWithout, prepareWorld } from '../support/scenarios/without-fault.ts';

const SEED = '0x1';
const SCENARIO_OF: { readonly [kind in FaultKind]: string } = {
  crash: 'node-failure',
  pause: 'node-return',
  reboot: 'maintenance',
  upgrade: 'nodes-upgraded',
  wipe: 'disks-fail',
  throttle: 'node-throttled',
  'memory-pressure': 'memory-exhausted',
  'clock-step': 'clocks-wrong',
  'clock-drift': 'clocks-wrong',
  'clock-freeze': 'clocks-wrong',
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

/** Kinds that the platform copes with so well in their scenario that nothing but their record tells that they were there. */
const ONLY_FELT: ReadonlySet<FaultKind> = new Set<FaultKind>([
  'clock-step',
  'clock-drift',
  'clock-freeze',
  'loss',
  'bandwidth',
  'burst-loss',
  'duplication',
  'reordering',
  'corruption',
  'clog',
  'swizzle',
  'half-open',
  'disk-slow',
  'disk-lies',
  'broker-outage',
  'broker-slow',
  'broker-loses-answers',
  'broker-repeats',
  'garbage',
]);

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
async function missedWithout(kind: FaultKind): Promise<readonly string[]> {
  const whole = scenarioOf(kind);
  expect(whole.steps.some((step) => step.do === 'fault' && step.fault.kind === kind)).toBe(true);
  const scenario = { ...whole, goals: whole.goals.filter((goal) => !isFelt(goal)) };
  const { goals, trouble } = await playWithout(injected, scenario, kind, SEED);
  expect(trouble).toBe(null);
  return goals.filter(({ held, reached }) => !held || reached === 0).map(({ name }) => name);
}

it.each(FAULT_KINDS.filter((kind) => !ONLY_FELT.has(kind)))('without %s a goal of its scenario is broken', async (kind) => {
  expect(await missedWithout(kind)).not.toEqual([]);
});

it.each([...ONLY_FELT])('%s has to be felt in its scenario, which misses nothing else without it', async (kind) => {
  const asked = scenarioOf(kind).goals.filter(isFelt);
  expect(asked.map(({ parameters }) => parameters['value'])).toContain(kind);
  expect(await missedWithout(kind), `${SCENARIO_OF[kind]} misses it: take it out of ONLY_FELT`).toEqual([]);
});
