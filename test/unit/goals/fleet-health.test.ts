// P1 and P2 over records written by hand: each way to break them is seen to be noticed, with its sentence.
import { describe, expect, it } from 'vitest';
import { failureAndRecovery, registration } from '../../../scenarios/goals/fleet-health.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import type { LinkSpec, Scenario } from '../../../scenarios/scenario.ts';
import type { ZonePath } from '../../../system/domain/identifiers.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { deployed, nodeOf, scenarioOf } from '../../support/scenarios/scenario.ts';

const ONE_NODE = scenarioOf({ fleet: { ...scenarioOf().fleet, nodes: [nodeOf('a-1', 'cloud/a')] } });
const FACTS = { node: 'a-1', architecture: 'x86_64', zone: 'cloud/a', cores: 1, memoryBytes: 64 * 1_048_576 };

const controllerStarts = (micros: number): RunRecord =>
  said(micros, 'machine.started', { machine: 'controller', role: 'controller', zone: 'cloud/a', incarnation: 1 });
const nodeStarts = (micros: number, machine = 'a-1', incarnation = 1): RunRecord =>
  said(micros, 'machine.started', { machine, role: 'node', zone: 'cloud/a', incarnation });
const dies = (micros: number, machine: string, role: 'controller' | 'node' = 'node'): RunRecord =>
  said(micros, 'machine.stopped', { machine, role, cause: 'power loss' });
const enrols = (micros: number, other: Partial<typeof FACTS & { incarnation: number }> = {}): RunRecord =>
  said(micros, 'node.enrolled', { ...FACTS, incarnation: 1, profile: 'p', ...other });
const isSeen = (status = 'healthy', other: Partial<typeof FACTS> = {}): RunRecord =>
  said(50 * S, 'inventory.observed', { ...FACTS, status, incarnation: 1, ...other });
const becomes = (micros: number, from: string, to: string, incarnation = 1): RunRecord =>
  said(micros, 'node.status', { node: 'a-1', incarnation, from, to, cause: 'it was silent' });

describe('P1', () => {
  const judged = (...records: readonly RunRecord[]) => judge(registration(ONE_NODE), [controllerStarts(0), ...records]);

  it('holds when a started agent is enrolled in time and in the inventory at the end', () => {
    const result = judged(nodeStarts(0), enrols(1 * S), isSeen());
    expect(result).toMatchObject({ held: true, because: '' });
    expect(result.checks).toBeGreaterThan(3);
  });

  it('is broken by facts that differ from the machine', () => {
    const result = judged(nodeStarts(0), enrols(1 * S, { cores: 2 }), isSeen());
    expect(result).toMatchObject({ held: false, unconverged: false, machine: 'a-1', micros: 1 * S });
    expect(result.because).toBe("Node a-1 was enrolled with facts that differ from the machine's.");
  });

  it('is broken by an enrolment that takes too long, unless something was wrong meanwhile', () => {
    expect(judged(nodeStarts(0), enrols(10_001 * MS), isSeen()).because).toContain(
      'was enrolled 10.001 s after its agent started; the limit is 10.000 s',
    );
    const faultBegun = said(0, 'fault.begun', { fault: 'f', kind: 'partition', target: 'a', detail: '' });
    expect(judged(faultBegun, nodeStarts(0), enrols(11 * S), isSeen()).held).toBe(true);
    const faultEnded = said(8 * S, 'fault.ended', { fault: 'f', kind: 'partition', target: 'a' });
    expect(judged(faultBegun, nodeStarts(0), faultEnded, enrols(17 * S), isSeen()).held).toBe(true);
    expect(judged(faultBegun, nodeStarts(0), faultEnded, enrols(19 * S), isSeen()).held).toBe(false);
  });

  it('excuses what is in a vehicle out of reach, and nobody else', () => {
    const away = (vehicle: string) => said(0, 'vehicle.attached', { vehicle, from: 'mast', to: null, zone: null });
    expect(judged(away('cloud/a'), nodeStarts(0), enrols(11 * S), isSeen()).held).toBe(true);
    expect(judged(away('fleet/truck'), nodeStarts(0), enrols(11 * S), isSeen()).held).toBe(false);
    const back = (vehicle: string) => said(8 * S, 'vehicle.attached', { vehicle, from: null, to: 'mast', zone: 'cloud/b' });
    expect(judged(away('cloud/a'), nodeStarts(0), back('cloud/a'), enrols(17 * S), isSeen()).held).toBe(true);
    expect(judged(away('fleet/truck'), nodeStarts(0), back('fleet/truck'), enrols(17 * S), isSeen()).held).toBe(false);
  });

  it('is broken by a change of status that does not exist', () => {
    const result = judged(nodeStarts(0), enrols(1 * S), becomes(2 * S, 'unavailable', 'suspect'), isSeen());
    expect(result.because).toBe('Node a-1 went from unavailable to suspect, which is no change of status that exists.');
  });

  it('has not converged while the inventory says something else than the machines do', () => {
    expect(judged(nodeStarts(0), enrols(1 * S))).toMatchObject({
      unconverged: true,
      because: 'Node a-1 runs but is not in the inventory at the end.',
    });
    expect(judged(nodeStarts(0), enrols(1 * S), isSeen('unavailable')).because).toBe(
      'Node a-1 runs, but the inventory calls it unavailable at the end.',
    );
    expect(judged(nodeStarts(0), enrols(1 * S), isSeen('healthy', { cores: 8 })).because).toContain("facts that differ from the machine's");
    expect(judged(nodeStarts(0), enrols(1 * S), dies(2 * S, 'a-1'), isSeen()).because).toBe(
      'Node a-1 is off, but the inventory calls it healthy at the end.',
    );
    expect(judged(nodeStarts(0), enrols(1 * S), dies(2 * S, 'a-1'), isSeen('unavailable')).held).toBe(true);
  });
});

it('P1 lets a node be suspect at the end only where what it sends to its controller may be lost in peace', () => {
  const link = (a: string, b: string, loss: readonly [number, number], impairments: LinkSpec['impairments'] = []): LinkSpec => ({
    a: a as ZonePath,
    b: b as ZonePath,
    latency: { law: 'constant', micros: 1 },
    loss,
    impairments,
  });
  const mayBe = (status: string, zone: string, ...links: readonly LinkSpec[]): boolean => {
    const scenario = { ...ONE_NODE, fleet: { ...ONE_NODE.fleet, nodes: [nodeOf('a-1', zone)], links } };
    return judge(registration(scenario), [controllerStarts(0), nodeStarts(0), enrols(1 * S, { zone }), isSeen(status, { zone })]).held;
  };
  expect(mayBe('suspect', 'cloud/b', link('cloud/a', 'cloud/b', [1, 20]))).toBe(true);
  expect(mayBe('suspect', 'cloud/a', link('cloud/a', 'cloud/a', [1, 20]))).toBe(true);
  expect(mayBe('unavailable', 'cloud/b', link('cloud/a', 'cloud/b', [1, 20]))).toBe(false);
  expect(mayBe('suspect', 'cloud/b', link('cloud/a', 'cloud/b', [0, 1]))).toBe(false);
  // What is lost elsewhere, or only repeated, is no excuse.
  expect(mayBe('suspect', 'cloud/b', link('cloud/b', 'cloud/b', [1, 20]), link('cloud/a', 'cloud/a', [1, 20]))).toBe(false);
  const repeats = { kind: 'duplication', ratio: [1, 2] } as const;
  expect(mayBe('suspect', 'cloud/b', link('cloud/a', 'cloud/b', [0, 1], [repeats]))).toBe(false);
});

describe('P2', () => {
  const runs = (micros: number, node = 'a-1', epoch = 1): RunRecord =>
    said(micros, 'instance.state', {
      instance: 'echo/0',
      deployment: 'echo',
      from: 'assigned',
      to: 'running',
      node,
      epoch,
      version: 1,
      cause: 'serving',
    });
  const isPlaced = (micros: number, node = 'a-2'): RunRecord =>
    said(micros, 'instance.state', {
      instance: 'echo/0',
      deployment: 'echo',
      from: 'pending',
      to: 'assigned',
      node,
      epoch: 2,
      version: 1,
      cause: 'placed again',
    });
  const isPending = (micros: number): RunRecord =>
    said(micros, 'instance.state', {
      instance: 'echo/0',
      deployment: 'echo',
      from: 'running',
      to: 'pending',
      node: null,
      epoch: 1,
      version: 1,
      cause: 'node a-1 is unavailable',
    });
  const later = (micros: number): RunRecord => said(micros, 'queue.depth', { queue: 'broker', depth: 0, bound: 1 });
  const calm = [controllerStarts(0), nodeStarts(0), enrols(1 * S), runs(2 * S)];
  const judged = (...records: readonly RunRecord[]) => judge(failureAndRecovery(deployed({})), [...calm, ...records]);

  it('gives a controller whose disk is slow so much longer to write the mark down, while it is', () => {
    const scenario = deployed({});
    const spec = { kind: 'disk-slow', machine: 'controller', factor: 5, forMicros: 9 * S } as const;
    const slow = { ...scenario, steps: [...scenario.steps, { at: { atMicros: 4 * S }, do: 'fault', fault: spec }] } as Scenario;
    const fault = { fault: 'f', kind: 'disk-slow', target: 'controller' } as const;
    const begins = said(4 * S, 'fault.begun', { ...fault, detail: '' });
    const ends = said(6 * S, 'fault.ended', fault);
    const limitMicros = 5 * S + scenario.platform.unavailableAfterMs * MS + 600 * MS;
    const isHeld = (of: Scenario, records: readonly RunRecord[], micros: number): boolean =>
      judge(failureAndRecovery(of), [...calm, ...records, dies(5 * S, 'a-1'), later(micros)]).held;
    expect(isHeld(slow, [begins], limitMicros + 200 * MS)).toBe(true);
    expect(isHeld(slow, [begins], limitMicros + 201 * MS)).toBe(false);
    expect(isHeld(scenario, [], limitMicros + 1)).toBe(false);
    expect(judge(failureAndRecovery(slow), [...calm, begins, dies(5 * S, 'a-1'), ends, later(limitMicros + 1)]).held).toBe(false);
  });

  it('holds when a node that dies is marked, its work placed again and its return a new incarnation', () => {
    const result = judged(
      dies(5 * S, 'a-1'),
      becomes(8_100 * MS, 'suspect', 'unavailable'),
      isPending(8_100 * MS),
      isPlaced(8_150 * MS),
      nodeStarts(15 * S, 'a-1', 2),
      enrols(15_100 * MS, { incarnation: 2 }),
      later(30 * S),
    );
    expect(result).toMatchObject({ held: true });
    expect(result.checks).toBeGreaterThan(0);
  });

  it('is broken when a dead or frozen node is not marked in time', () => {
    const sentence = 'Node a-1 stopped at 5.000 s and was not marked unavailable within 3.600 s: the failure detector is late.';
    expect(judged(dies(5 * S, 'a-1'), later(8_700 * MS))).toMatchObject({
      held: false,
      unconverged: false,
      because: sentence,
      machine: 'a-1',
    });
    expect(judged(said(5 * S, 'machine.paused', { machine: 'a-1' }), later(8_700 * MS)).because).toBe(sentence);
    expect(judged(dies(5 * S, 'a-1'), later(8_500 * MS)).held).toBe(true);
  });

  it('counts from what arrived last, where the network held back what a node had sent before it died', () => {
    const heldBack = [becomes(5_500 * MS, 'healthy', 'suspect'), becomes(6 * S, 'suspect', 'healthy')];
    expect(judged(dies(5 * S, 'a-1'), ...heldBack, later(9_500 * MS)).held).toBe(true);
    expect(judged(dies(5 * S, 'a-1'), ...heldBack, later(9_700 * MS)).held).toBe(false);
    const cut = said(4 * S, 'fault.begun', { fault: 'fault-1', kind: 'partition', target: 'a-1 | controller', detail: '' });
    const healed = said(4_500 * MS, 'fault.ended', { fault: 'fault-1', kind: 'partition', target: 'a-1 | controller' });
    expect(judged(cut, dies(5 * S, 'a-1'), later(10 * S)).held).toBe(true);
    expect(judged(cut, dies(5 * S, 'a-1'), later(10_200 * MS)).held).toBe(false);
    expect(judged(cut, healed, dies(5 * S, 'a-1'), later(8_700 * MS)).held).toBe(false);
  });

  it('asks nothing of a node that was frozen for less than it takes to be marked', () => {
    expect(
      judged(said(5 * S, 'machine.paused', { machine: 'a-1' }), said(7 * S, 'machine.resumed', { machine: 'a-1' }), later(12 * S)).held,
    ).toBe(true);
  });

  it('asks nothing while the controller is off or frozen, and grants the full time after it', () => {
    expect(judged(dies(4 * S, 'controller', 'controller'), dies(5 * S, 'a-1'), later(20 * S)).held).toBe(true);
    expect(judged(dies(4 * S, 'controller', 'controller'), dies(5 * S, 'a-1'), controllerStarts(20 * S), later(23 * S)).held).toBe(true);
    expect(judged(dies(4 * S, 'controller', 'controller'), dies(5 * S, 'a-1'), controllerStarts(20 * S), later(24 * S)).held).toBe(false);
    expect(judged(said(4 * S, 'machine.paused', { machine: 'controller' }), dies(5 * S, 'a-1'), later(20 * S)).held).toBe(true);
  });

  it('is broken when a controller that stood still gives up a node before it could have missed it', () => {
    const still = (forMicros: number): readonly RunRecord[] => [
      said(5 * S, 'machine.paused', { machine: 'controller' }),
      said(5 * S + forMicros, 'machine.resumed', { machine: 'controller' }),
    ];
    const marked = (micros: number): RunRecord => becomes(micros, 'suspect', 'unavailable');
    expect(judged(...still(4 * S), marked(9_100 * MS))).toMatchObject({
      held: false,
      because: 'Node a-1 was given up 2.870 s before the controller, which had stood still, could have missed it.',
      machine: 'a-1',
    });
    expect(judged(...still(4 * S), marked(12 * S)).held).toBe(true);
    // Too short to be noticed, and a node that was silent before.
    expect(judged(...still(1 * S), marked(6_100 * MS)).held).toBe(true);
    expect(judged(dies(4 * S, 'a-1'), ...still(4 * S), marked(9_100 * MS)).held).toBe(true);
  });

  it('is broken when work is not placed again within 100 ms of the mark', () => {
    const marked = becomes(8 * S, 'suspect', 'unavailable');
    const result = judged(dies(5 * S, 'a-1'), marked, isPending(8 * S), later(8_101 * MS));
    expect(result.because).toBe('Instance echo/0 was not placed again within 100.0 ms of its node a-1 being marked unavailable.');
    expect(result.machine).toBe('a-1');
    const refused = said(8 * S, 'placement.refused', { instance: 'echo/0', why: 'no room' });
    expect(judged(dies(5 * S, 'a-1'), marked, refused, later(9 * S)).held).toBe(true);
  });

  it('leaves work alone that is to stay where it is', () => {
    const marked = becomes(8 * S, 'suspect', 'unavailable');
    expect(judge(failureAndRecovery(deployed({ whenUnreachable: 'stay' })), [...calm, marked, later(20 * S)]).held).toBe(true);
  });

  it('is broken when a node returns under its old incarnation', () => {
    const result = judged(becomes(8 * S, 'suspect', 'unavailable'), isPlaced(8 * S), enrols(15 * S, { incarnation: 1 }));
    expect(result.because).toBe('Node a-1 returned after it was unavailable, but kept incarnation 1.');
    const unnoticed = judged(becomes(8 * S, 'suspect', 'unavailable'), isPlaced(8 * S), becomes(15 * S, 'unavailable', 'healthy'));
    expect(unnoticed.because).toBe('Node a-1 returned after it was unavailable, but kept incarnation 1.');
  });
});
