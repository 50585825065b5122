// A node that is gone for good is forgotten, and what waited for it goes elsewhere.
import { expect, test } from 'vitest';
import type { NodeId } from '../../../system/domain/identifiers.ts';
import type { OperatorReply } from '../../../system/domain/operator.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { TestWatcher } from '../../support/controller/watcher.ts';
import { ControllerWorld, deploymentOf, S } from '../../support/controller/world.ts';

const remove = (world: ControllerWorld, node: string): Promise<Outcome<OperatorReply>> =>
  world.execute({ kind: 'node-remove', node: node as NodeId });

async function namesOf(world: ControllerWorld): Promise<readonly string[]> {
  return (await world.query('nodes')).nodes.map(({ facts }) => facts.node);
}

test('a node is removed when it is unavailable, with the work that stays with it, and for good', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.startNode('n1');
    await world.startNode('n2', { zone: 'cloud/us' });
    await world.startNode('n3', { zone: 'cloud/us' });
    await world.pass(1 * S);
    await world.trust();
    await world.push('echo', 'echo 1');
    await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable: 'stay' }) });
    await world.pass(1 * S);
    expect((await world.query('instances')).instances).toMatchObject([{ node: 'n1', state: 'running', epoch: 1 }]);
    expect(await remove(world, 'n1')).toMatchObject({ ok: false, error: { code: 'WM_ARGUMENT' } });
    expect(await remove(world, 'nobody')).toMatchObject({ ok: false, error: { code: 'WM_NODE_UNKNOWN' } });
    const watcher = new TestWatcher(world, 'nodes');
    await watcher.start();
    world.crash('n1');
    await world.pass(5 * S);
    expect((await world.query('instances')).instances).toMatchObject([{ node: 'n1', epoch: 1 }]);
    expect(await remove(world, 'n1')).toMatchObject({ ok: true });
    await world.pass(5 * S);
    expect([...watcher.views('nodes').keys()].sort()).toEqual(['n2', 'n3']);
    await watcher.stop();
    expect(await namesOf(world)).toEqual(['n2', 'n3']);
    expect((await world.query('instances')).instances).toMatchObject([
      { node: expect.stringMatching(/^n[23]$/), state: 'running', epoch: 2 },
    ]);
    await world.restartController();
    await world.pass(5 * S);
    expect(await namesOf(world)).toEqual(['n2', 'n3']);
    expect((await world.query('instances')).instances).toMatchObject([{ state: 'running', epoch: 2 }]);
    await world.restartNode('n1');
    await world.pass(2 * S);
    expect((await world.query('nodes')).nodes).toMatchObject([
      { facts: { node: 'n1' }, status: 'healthy', incarnation: 1 },
      { facts: { node: 'n2' } },
      { facts: { node: 'n3' } },
    ]);
    expect(world.endings).toEqual([]);
  });
});

test('what waits for a node that is removed waits no more, and what was stopped there is', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.startNode('n1');
    await world.startNode('n2', { zone: 'cloud/us' });
    await world.pass(1 * S);
    await world.trust();
    await world.push('echo', 'echo 1');
    await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable: 'stay', replicas: 2 }) });
    await world.pass(1 * S);
    expect((await world.query('instances')).instances).toMatchObject([{ node: 'n1' }, { node: 'n1' }]);
    world.crash('n1');
    await world.pass(5 * S);
    // Stopped there, and its node cannot say so.
    await world.must({ kind: 'deployment-scale', deployment: 'echo' as never, replicas: 1 });
    await world.restartNode('n1', { facts: { memoryBytes: 500 } });
    await world.pass(2 * S);
    expect((await world.query('instances')).instances).toMatchObject([{ id: 'echo/0', state: 'pending', node: null }]);
    world.crash('n1');
    await world.pass(5 * S);
    expect(await remove(world, 'n1')).toMatchObject({ ok: true });
    await world.pass(3 * S);
    expect((await world.query('instances')).instances).toMatchObject([{ id: 'echo/0', state: 'running', node: 'n2' }]);
  });
});
