// Work near a vehicle, over records written by hand.
import { expect, test } from 'vitest';
import { near } from '../../../scenarios/goals/driving.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { nodeOf, scenarioOf } from '../../support/scenarios/scenario.ts';

const FLEET = { ...scenarioOf().fleet, nodes: [nodeOf('a-1', 'edge/a'), nodeOf('b-1', 'edge/b')] };
const attaches = (micros: number, zone: string | null): RunRecord =>
  said(micros, 'vehicle.attached', { vehicle: 'fleet/truck', from: null, to: zone === null ? null : 'mast', zone });
const serves = (micros: number, node: string): RunRecord =>
  said(micros, 'instance.serving', { node, instance: 'echo/0', epoch: 1, version: 1 });
const ends = (micros: number, node: string): RunRecord => said(micros, 'instance.ended', { node, instance: 'echo/0', epoch: 1, cause: '' });
const passes = (micros: number): RunRecord => said(micros, 'run.phase', { phase: 'work' });
const judged = (...records: readonly RunRecord[]) =>
  judge(near({ deployment: 'echo', vehicle: 'fleet/truck', within: 10 * S }, scenarioOf({ fleet: FLEET }), 0), records);

const BEFORE = [attaches(0, 'edge/a'), serves(1 * S, 'a-1'), attaches(20 * S, 'edge/b')];

test('holds when work follows in time, however long it was apart before it was first served', () => {
  expect(
    judged(attaches(0, 'edge/a'), serves(15 * S, 'a-1'), attaches(20 * S, 'edge/b'), ends(25 * S, 'a-1'), serves(26 * S, 'b-1')),
  ).toMatchObject({
    held: true,
    figures: { handovers: 2, worstMicros: 6 * S },
  });
});

test('is broken when it stays behind', () => {
  expect(judged(...BEFORE, passes(29 * S)).held).toBe(true);
  expect(judged(...BEFORE, passes(31 * S)).because).toBe(
    '11.000 s after fleet/truck changed to the cell of edge/b, echo/0 is still served on a-1 in edge/a.',
  );
});

test('is broken when it is served nowhere for too long, and an end and a start do not set the clock back', () => {
  expect(judged(...BEFORE, ends(21 * S, 'a-1'), passes(31 * S), serves(40 * S, 'b-1')).because).toContain('echo is served nowhere');
  expect(judged(...BEFORE, ends(29 * S, 'a-1'), serves(29 * S, 'a-1'), passes(31 * S)).held).toBe(false);
});

test('lets work that has come along come back when it was lost', () => {
  const came = [...BEFORE, ends(21 * S, 'a-1'), serves(22 * S, 'b-1'), ends(40 * S, 'b-1')];
  expect(judged(...came, serves(45 * S, 'b-1')).held).toBe(true);
  expect(judged(...came, serves(51 * S, 'b-1')).held).toBe(false);
});

test('asks for nothing out of reach', () => {
  expect(
    judged(...BEFORE, ends(21 * S, 'a-1'), serves(22 * S, 'b-1'), attaches(30 * S, null), ends(31 * S, 'b-1'), serves(50 * S, 'a-1')).held,
  ).toBe(true);
});
