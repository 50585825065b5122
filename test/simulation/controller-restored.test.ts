// A controller from an older copy takes a term that nobody can have seen, and does so although its first starts from that copy fail.
import { beforeAll, expect, it } from 'vitest';
import type { RunRecord } from '../../scenarios/record.ts';
import type { FaultSpec, Scenario } from '../../scenarios/scenario.ts';
import { findScenario, readScenario } from '../../sim/campaign/library.main.ts';
import type { SimInjected } from '../../sim/testbed.ts';
import { playWithout, prepareWorld } from '../support/scenarios/without-fault.ts';

const S = 1_000_000;
/** More than any number of starts comes to. */
const FAR_TERM = 1_000_000;

let injected: SimInjected;
beforeAll(async () => {
  injected = await prepareWorld();
});

/** A copy of 6 s is put back at 19 s and started from at 20 s; each crash ends a start. */
function scenarioOf(...crashes: readonly number[]): Scenario {
  const file = findScenario('controller-restored');
  if (!file.ok) throw new Error(file.error.message);
  const scenario = readScenario(file.value);
  if (!scenario.ok) throw new Error(scenario.error.message);
  const crash = (micros: number): Scenario['steps'][number] => ({
    at: { kind: 'at', micros },
    do: 'fault',
    fault: { kind: 'crash', machine: 'controller', forMicros: 100_000 } as FaultSpec,
  });
  return { ...scenario.value, steps: [...scenario.value.steps, ...crashes.map(crash)] };
}

it('a start that fails does not forget that its disk is an older copy', async () => {
  const records: RunRecord[] = [];
  const result = await playWithout(
    injected,
    scenarioOf(20 * S + 200, 20 * S + 100_400),
    null,
    '0x1',
    (record) => void records.push(record),
  );
  const after = records.filter(({ micros }) => micros >= 20 * S);
  const starts = after.filter(({ kind, source }) => kind === 'machine.started' && source === 'testbed');
  const terms = after.flatMap((record) => (record.kind === 'controller.started' ? [record.fields.term] : []));
  // Two that were ended before they led, and the one that leads.
  expect(starts.length).toBe(3);
  expect(terms.length).toBe(1);
  expect(terms[0]).toBeGreaterThan(FAR_TERM);
  expect(result.goals.filter(({ held }) => !held)).toEqual([]);
});

it('one that starts again on what it has since then takes the next term', async () => {
  const terms: number[] = [];
  await playWithout(injected, scenarioOf(25 * S), null, '0x1', (record) => {
    if (record.kind === 'controller.started' && record.micros >= 20 * S) terms.push(record.fields.term);
  });
  expect(terms.length).toBe(2);
  expect(terms[1]).toBe((terms[0] ?? 0) + 1);
});
