// P6, P7 and P8 over records written by hand: each way to break them is seen to be noticed, with its sentence.
import { describe, expect, it } from 'vitest';
import { lifecycle, proximity, resources } from '../../../scenarios/goals/placement.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { SPREAD_NODE } from '../../../system/domain/deployment.ts';
import type { Architecture } from '../../../system/domain/node.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { deployed, scenarioOf, specOf } from '../../support/scenarios/scenario.ts';

type Transition = { readonly from?: string; readonly to?: string; readonly node?: string | null; readonly epoch?: number };

const turns = (micros: number, ordinal: number, { from = 'pending', to = 'assigned', node = 'a-1', epoch = 1 }: Transition): RunRecord =>
  said(micros, 'instance.state', { instance: `echo/${ordinal}`, deployment: 'echo', from, to, node, epoch, version: 1, cause: 'placed' });

describe('P6', () => {
  const decided = (score: number, runnersUp: string, proximityMicros: number | null = 0, otherPoints = 0): RunRecord =>
    said(1 * S, 'placement.decided', {
      instance: 'echo/0',
      node: 'a-1',
      score,
      proximityMicros,
      otherPoints,
      feasible: 3,
      why: 'near',
      runnersUp,
    });

  it('holds when nobody had more points than the chosen node', () => {
    const result = judge(proximity(scenarioOf()), [decided(900.5, 'a-2=900.5 b-1=12'), decided(5, '', null)]);
    expect(result).toMatchObject({ held: true, checks: 6 });
  });

  it('is broken when the points of the chosen node do not count how near it is', () => {
    const near = (score: number, otherPoints: number): RunRecord => decided(score, '', 20_000, otherPoints);
    expect(judge(proximity(scenarioOf()), [near(400, 0), near(590, 190)]).held).toBe(true);
    expect(judge(proximity(scenarioOf()), [near(589, 190)]).because).toBe(
      'Instance echo/0 was placed on a-1 with 589 points, 190 of them for other things, and 400 are due to its proximity alone (near): the policy does not look at how far a node is.',
    );
    // A node that is promised more than it has is what P7 is about.
    expect(judge(proximity(scenarioOf()), [near(360, -40)]).held).toBe(true);
  });

  it('is broken when a runner-up had more', () => {
    const result = judge(proximity(scenarioOf()), [decided(900, 'a-2=899 b-1=901')]);
    expect(result).toMatchObject({
      held: false,
      unconverged: false,
      because: 'Instance echo/0 was placed on a-1 (900 points: near) although b-1 had 901.',
    });
  });

  it('holds spread over nodes, zones and nothing, as the deployment asks', () => {
    const together = [turns(1 * S, 0, {}), turns(1 * S, 1, { node: 'a-2' })];
    const samePlace = [turns(1 * S, 0, {}), turns(1 * S, 1, { node: 'a-1' })];
    expect(judge(proximity(deployed({ spread: 0 })), samePlace).held).toBe(true);
    expect(judge(proximity(deployed({ spread: SPREAD_NODE })), together).held).toBe(true);
    expect(judge(proximity(deployed({ spread: SPREAD_NODE })), samePlace).because).toBe(
      'Instances echo/1 and echo/0 share the fault domain a-1, which the deployment forbids (placed).',
    );
    expect(judge(proximity(deployed({ spread: 2 })), together).because).toContain(
      'share the fault domain cloud/a, which the deployment forbids',
    );
    expect(judge(proximity(deployed({ spread: 2 })), [turns(1 * S, 0, {}), turns(1 * S, 1, { node: 'b-1' })]).held).toBe(true);
  });

  it('lets a place be taken that was given up', () => {
    const given = [turns(1 * S, 0, {}), turns(2 * S, 0, { from: 'assigned', to: 'pending', node: null }), turns(2 * S, 1, {})];
    expect(judge(proximity(deployed({ spread: SPREAD_NODE })), given).held).toBe(true);
  });
});

describe('P7', () => {
  const cpu = (replicas: number): readonly RunRecord[] => Array.from({ length: replicas }, (_, i) => turns(i * S, i, {}));

  it('holds while a node has what it is promised', () => {
    const result = judge(resources(scenarioOf()), cpu(2));
    expect(result.held).toBe(true);
    expect(result.checks).toBe(8);
  });

  it('is broken by CPU that is promised twice', () => {
    expect(judge(resources(scenarioOf()), cpu(3))).toMatchObject({
      held: false,
      machine: 'a-1',
      because: 'Node a-1 is promised 1200 thousandths of a core and has 1000.',
    });
  });

  it('is broken by memory that is promised twice', () => {
    const large = deployed({ requirements: { ...specOf().requirements, cpuMillis: 0, memoryBytes: 40 * 1_048_576 } });
    expect(judge(resources(large), cpu(2)).because).toBe('Node a-1 is promised 83886080 bytes of memory and has 67108864.');
  });

  it('counts an instance where it is now, and not where it was', () => {
    const moved = [turns(1 * S, 0, {}), turns(2 * S, 0, { node: 'a-2' }), turns(3 * S, 1, {}), turns(3 * S, 2, {})];
    expect(judge(resources(scenarioOf()), moved).held).toBe(true);
    const stopped = [...cpu(2), turns(3 * S, 0, { from: 'assigned', to: 'stopped', node: 'a-1' }), turns(4 * S, 2, {})];
    expect(judge(resources(scenarioOf()), stopped).held).toBe(true);
  });

  it('is broken by what is placed on a node while it is drained, and by nothing that is there already', () => {
    const becomes = (micros: number, to: string): RunRecord =>
      said(micros, 'node.status', { node: 'a-1', incarnation: 1, from: 'healthy', to, cause: 'operator' });
    const drained = becomes(1 * S, 'draining');
    expect(judge(resources(scenarioOf()), [drained, turns(2 * S, 0, {})])).toMatchObject({
      held: false,
      machine: 'a-1',
      because: 'Instance echo/0 was placed on a-1, which is drained.',
    });
    const other = turns(3 * S, 0, { from: 'running' });
    expect(judge(resources(scenarioOf()), [turns(500_000, 0, {}), drained, other, turns(4 * S, 1, { node: 'a-2' })]).held).toBe(true);
    expect(judge(resources(scenarioOf()), [drained, becomes(2 * S, 'healthy'), turns(3 * S, 0, {})]).held).toBe(true);
  });

  it('is broken by an architecture that the deployment excludes', () => {
    const only: readonly Architecture[] = ['aarch64', 'riscv64'];
    const picky = deployed({ requirements: { ...specOf().requirements, architectures: only } });
    expect(judge(resources(picky), [turns(1 * S, 0, { node: 'b-1' })]).held).toBe(true);
    expect(judge(resources(picky), [turns(1 * S, 0, {})]).because).toBe(
      'Instance echo/0 needs aarch64 or riscv64 and was placed on a-1, which is x86_64.',
    );
  });
});

describe('P8', () => {
  const serves = (epoch: number): RunRecord => said(2 * S, 'instance.serving', { node: 'a-1', instance: 'echo/0', epoch, version: 1 });

  it('holds for a life from its placement to its end', () => {
    const life = [
      turns(1 * S, 0, {}),
      serves(1),
      turns(3 * S, 0, { from: 'assigned', to: 'running' }),
      turns(4 * S, 0, { from: 'running', to: 'pending', node: null }),
      turns(4 * S, 0, { epoch: 2 }),
      turns(5 * S, 0, { from: 'assigned', to: 'stopped', epoch: 2 }),
      turns(6 * S, 0, { from: 'stopped', to: 'pending', node: null, epoch: 2 }),
    ];
    const result = judge(lifecycle(), life);
    expect(result).toMatchObject({ held: true, because: '' });
    expect(result.checks).toBe(19);
  });

  it('is broken by a transition that does not exist', () => {
    expect(judge(lifecycle(), [turns(1 * S, 0, { to: 'running' })]).because).toBe(
      'Instance echo/0 went from pending to running, which is no transition of the life cycle.',
    );
    expect(judge(lifecycle(), [turns(1 * S, 0, { to: 'asleep' })]).because).toContain('which is no transition of the life cycle');
  });

  it('is broken when a state was never reached', () => {
    const result = judge(lifecycle(), [turns(1 * S, 0, { from: 'running', to: 'failed' })]);
    expect(result.because).toBe('Instance echo/0 was said to leave running, but it was pending.');
  });

  it('is broken by an agent that runs another version than it says', () => {
    const runs = (version: number): RunRecord =>
      said(3 * S, 'invocation.started', { node: 'a-1', instance: 'echo/0', epoch: 1, version, trigger: 'echo', event: 'e1', attempt: 1 });
    expect(judge(lifecycle(), [turns(1 * S, 0, {}), serves(1), runs(1)]).held).toBe(true);
    expect(judge(lifecycle(), [turns(1 * S, 0, {}), serves(1), runs(2)]).because).toBe(
      'Node a-1 ran event e1 with version 2 of echo/0, but said that it serves version 1.',
    );
  });

  it('is broken by an epoch that goes back', () => {
    const back = [turns(1 * S, 0, { epoch: 3 }), turns(2 * S, 0, { from: 'assigned', to: 'running', epoch: 2 })];
    expect(judge(lifecycle(), back).because).toBe('The epoch of instance echo/0 went back from 3 to 2.');
  });

  it('is broken by one that is assigned once more, but for a later epoch in its place after an older copy was put back', () => {
    const fault = { fault: 'fault-1', kind: 'restore', target: 'controller' };
    const putBack = [said(2 * S, 'fault.begun', { ...fault, detail: '' }), said(3 * S, 'fault.felt', fault)];
    const again = (epoch: number, node = 'a-1') => turns(4 * S, 0, { from: 'assigned', epoch, node });
    const first = turns(1 * S, 0, { epoch: 1 });
    expect(judge(lifecycle(), [first, ...putBack, again(2)])).toMatchObject({ held: true, because: '' });
    expect(judge(lifecycle(), [first, ...putBack, again(1)]).because).toBe(
      'Instance echo/0 was assigned once more in epoch 1, which it had.',
    );
    expect(judge(lifecycle(), [first, ...putBack, again(2, 'a-2')]).because).toBe(
      'Instance echo/0 was assigned once more on a-2, and was on a-1.',
    );
    expect(judge(lifecycle(), [first, again(2)]).because).toBe(
      'Instance echo/0 was assigned once more, and no older copy of the controller was put back.',
    );
  });

  it('is broken by an agent that serves what it was never assigned', () => {
    const result = judge(lifecycle(), [turns(1 * S, 0, {}), serves(2)]);
    expect(result).toMatchObject({ because: 'Node a-1 serves echo/0 in epoch 2, which was never assigned.', machine: 'a-1' });
  });
});
