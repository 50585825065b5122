// Epochs after an older copy of the store was put back: above whatever may have been given since it was taken (R1.3).
import { expect, test } from 'vitest';
import { nextEpoch, planAboveFloor, planEpochFloor } from '../../../system/controller/epochs.ts';
import { applyEntry, createState, type ControllerState, type Entry } from '../../../system/controller/state.ts';
import type { DeploymentName, Epoch, Incarnation, InstanceId, NodeId, Term } from '../../../system/domain/identifiers.ts';
import { factsOfInstanceEntry, planApply, type InstanceEntry } from '../../../system/deployments/deployments.ts';
import { decodeValue, encodeValue } from '../../../system/journal/journal.ts';
import type { NodeStatus } from '../../../system/domain/node.ts';
import type { NodeRecord } from '../../../system/nodes/nodes.ts';
import { ControllerWorld, deploymentOf, MS, S, triggerOf } from '../../support/controller/world.ts';

const NODE = 'n1' as NodeId;
const [FIRST, SECOND, THIRD] = ['echo/0', 'echo/1', 'echo/2'] as readonly string[] as readonly [InstanceId, InstanceId, InstanceId];

function apply(state: ControllerState, entries: readonly Entry[]): void {
  for (const entry of entries) applyEntry(state, entry, 1);
}

const assigned = (instance: InstanceId, epoch: number): Entry => ({
  kind: 'instance-assigned',
  instance,
  node: NODE,
  nodeIncarnation: 1 as Incarnation,
  epoch: epoch as Epoch,
  version: 1,
  memoryBytes: 1,
  cpuMillis: 1,
  decision: { instance, chosen: null, runnersUp: [], refused: [], feasible: 0 },
  atMs: 1,
  cause: 'placed',
});
const running = (instance: InstanceId): Entry => ({ kind: 'instance-running', instance, atMs: 1, cause: 'its node serves it' });
const led = (term: number, epochFloor?: number): Entry => ({
  kind: 'leader-term',
  term: term as Term,
  ...(epochFloor === undefined ? {} : { epochFloor: epochFloor as Epoch }),
});

/** echo/0 runs in epoch 5, echo/1 is on its way in epoch 1, echo/2 waits for a node. */
function stateOf(status: NodeStatus): ControllerState {
  const state = createState();
  state.nodes.nodes.set(NODE, { status } as NodeRecord);
  apply(state, planApply(state.deployments, deploymentOf({ replicas: 3 }), 1, 1));
  apply(state, [led(1), assigned(FIRST, 5), running(FIRST), assigned(SECOND, 1)]);
  return state;
}

test('the floor is the time, or the highest epoch that the copy knows where the clock is behind that', () => {
  const state = stateOf('healthy');
  expect(planEpochFloor(state, 1_700.9)).toBe(1_700);
  expect(planEpochFloor(state, 4)).toBe(5);
  state.deployments.epochFloor = 7 as Epoch;
  expect(planEpochFloor(state, 4)).toBe(7);
  apply(state, [led(2, 9)]);
  expect(planEpochFloor(state, 4)).toBe(9);
});

test('the next epoch is above the floor, and above the last', () => {
  const state = createState();
  expect(nextEpoch(state, { epoch: 3 as Epoch })).toBe(4);
  apply(state, [led(1, 100)]);
  expect(nextEpoch(state, { epoch: 3 as Epoch })).toBe(101);
  expect(nextEpoch(state, { epoch: 101 as Epoch })).toBe(102);
  apply(state, [led(2)]);
  expect(nextEpoch(state, { epoch: 3 as Epoch })).toBe(101);
  expect(() => apply(state, [led(3, 99)])).toThrow('never goes down');
});

test('what has a node goes on in its place above the floor, and that once', () => {
  const state = stateOf('draining');
  expect(planAboveFloor(state, 2)).toEqual([]);
  apply(state, [led(2, 100)]);
  const planned = planAboveFloor(state, 2);
  expect(planned).toMatchObject([
    { kind: 'instance-told', instance: FIRST, version: 1, epoch: 101 },
    { kind: 'instance-told', instance: SECOND, version: 1, epoch: 101 },
  ]);
  expect(planned.flatMap((entry) => factsOfInstanceEntry(state.deployments, entry as InstanceEntry))).toMatchObject([
    { fields: { instance: FIRST, from: 'running', to: 'assigned', node: NODE, epoch: 101 } },
    { fields: { instance: SECOND, from: 'assigned', to: 'assigned', node: NODE, epoch: 101 } },
  ]);
  apply(state, planned);
  const { instances } = state.deployments;
  for (const instance of [FIRST, SECOND])
    expect(instances.get(instance)).toMatchObject({ state: 'assigned', node: NODE, nodeIncarnation: 1, epoch: 101, sinceMs: 2 });
  expect(instances.get(THIRD)).toMatchObject({ state: 'pending', epoch: 0 });
  apply(state, [led(3)]);
  expect(planAboveFloor(state, 3)).toEqual([]);
  // Another copy is put back, or the same again: all of it once more.
  apply(state, [led(4, 200)]);
  expect(planAboveFloor(state, 4)).toMatchObject([
    { instance: FIRST, epoch: 201 },
    { instance: SECOND, epoch: 201 },
  ]);
});

test('an unavailable node is left what it may go on with', () => {
  const cutOff = stateOf('unavailable');
  apply(cutOff, [led(2, 100)]);
  expect(planAboveFloor(cutOff, 2)).toEqual([]);
});

test('no instance is told an epoch that it had', () => {
  const state = stateOf('healthy');
  const again: Entry = { kind: 'instance-told', instance: FIRST, version: 1, epoch: 5 as Epoch, atMs: 1, cause: 'again' };
  expect(() => apply(state, [again])).toThrow('grows when it is told another');
});

test('no instance that has a node is given another', () => {
  const state = stateOf('healthy');
  expect(() => apply(state, [assigned(SECOND, 2)])).toThrow('echo/1 is assigned when it has no node');
});

test('a snapshot keeps the floor, and without one is what it was', () => {
  const state = createState();
  expect(Object.keys(state)).not.toContain('epochFloor');
  apply(state, [led(1, 100)]);
  expect(decodeValue(encodeValue(state))).toEqual(state);
  expect(nextEpoch(decodeValue(encodeValue(state)) as ControllerState, { epoch: 3 as Epoch })).toBe(101);
});

test('a controller from an older copy has its instances go on where they run, fenced from what they were', async () => {
  const world = new ControllerWorld({ config: { restored: true } });
  await world.play(async () => {
    for (const node of ['n1', 'n2']) await world.startNode(node);
    await world.trust();
    await world.push('echo', 'echo');
    await world.must({ kind: 'deployment-apply', spec: deploymentOf({ name: 'echo' as DeploymentName }) });
    await world.must({ kind: 'trigger-apply', spec: triggerOf() });
    await world.pass(2 * S);
    const [before] = (await world.query('instances')).instances;
    expect(before).toMatchObject({ state: 'running' });

    await world.restartController();
    await world.pass(10 * S);
    const [after] = (await world.query('instances')).instances;
    expect(after).toMatchObject({ state: 'running', node: before?.node });
    expect(after?.epoch).toBeGreaterThan((before?.epoch ?? 0) + 1);
    const { term } = world.of('controller.started').at(-1)!.fields;
    expect(term).toBeGreaterThan(1);
    expect(world.of('fence.raised').map(({ fields }) => fields.epoch)).toContain(after?.epoch);
    expect(world.of('instance.ended').map(({ fields }) => fields.epoch)).toEqual([before?.epoch]);
    expect((await world.publish('e1', 'ping.a', 'one')).ok).toBe(true);
    await world.pass(2 * S);
    expect(world.of('event.acknowledged').map(({ fields }) => fields.epoch)).toEqual([after?.epoch]);
  });
});

test('a copy that is put back twice in a row leaves on a draining node what it has', async () => {
  const world = new ControllerWorld({ config: { restored: true } });
  await world.play(async () => {
    await world.startNode('n1');
    await world.trust();
    await world.push('echo', 'echo');
    await world.must({ kind: 'deployment-apply', spec: deploymentOf({ name: 'echo' as DeploymentName, whenUnreachable: 'stay' }) });
    await world.pass(2 * S);
    await world.must({ kind: 'node-drain', node: NODE });
    const [before] = (await world.query('instances')).instances;
    expect(before).toMatchObject({ state: 'running', node: NODE });

    // The second start comes before a node could say that it runs anything.
    await world.restartController();
    await world.pass(3 * MS);
    await world.restartController();
    await world.pass(10 * S);
    const [after] = (await world.query('instances')).instances;
    expect(after).toMatchObject({ state: 'running', node: NODE });
    expect(world.of('instance.state').map(({ fields }) => `${fields.from} ${fields.to}`)).toContain('assigned assigned');
  });
});
