// The controller with real agents in the simulated world: what an operator and a fleet may rely on.
import { describe, expect, test } from 'vitest';
import { EVENT_BYTES_MAX } from '../../../system/domain/event.ts';
import type { DeploymentName } from '../../../system/domain/identifiers.ts';
import { SPREAD_NODE } from '../../../system/domain/deployment.ts';
import type { NodeFacts } from '../../../system/domain/node.ts';
import { TestWatcher } from '../../support/controller/watcher.ts';
import { ControllerWorld, deploymentOf, MS, S, triggerOf } from '../../support/controller/world.ts';

async function serving(world: ControllerWorld): Promise<void> {
  await world.trust();
  expect((await world.push('echo', 'echo 1')).ok).toBe(true);
  await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
  await world.must({ kind: 'trigger-apply', spec: triggerOf() });
}

async function instanceOf(world: ControllerWorld): Promise<{ state: string; node: string | null; epoch: number; version: number }> {
  const { instances } = await world.query('instances');
  const [first] = instances;
  if (first === undefined) throw new Error('there is an instance');
  return first;
}

describe('a deployment', () => {
  test('is placed, served and answers events', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(1 * S);
      await serving(world);
      await world.pass(1 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node: 'n1', epoch: 1, version: 1 });
      expect((await world.publish('e1', 'ping.a', 'hello')).ok).toBe(true);
      await world.pass(1 * S);
      expect(world.of('invocation.finished').map((record) => record.fields.outcome)).toEqual(['completed']);
      expect(world.of('event.accepted').map((record) => record.fields.subject)).toEqual(['ping.a', 'pong']);
    });
  });

  test('moves when its node dies, under a new epoch that was fenced first', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await serving(world);
      await world.pass(1 * S);
      const { node } = await instanceOf(world);
      world.crash(node ?? '');
      await world.pass(5 * S);
      const moved = await instanceOf(world);
      expect(moved).toMatchObject({ state: 'running', epoch: 2 });
      expect(moved.node).not.toBe(node);
      const fenced = world.records.findIndex((record) => record.kind === 'fence.raised' && record.fields.epoch === 2);
      const served = world.records.findIndex((record) => record.kind === 'instance.serving' && record.fields.epoch === 2);
      expect(fenced).toBeGreaterThan(0);
      expect(served).toBeGreaterThan(fenced);
      const marked = world.of('node.status').find((record) => record.fields.to === 'unavailable');
      const assigned = world.of('instance.state').find((record) => record.fields.to === 'assigned' && record.fields.epoch === 2);
      expect((assigned?.micros ?? 0) - (marked?.micros ?? 0)).toBeLessThan(100 * MS);
    });
  });

  test('stays with a node that is out of reach when it says so, and comes back to it', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable: 'stay' }) });
      await world.pass(1 * S);
      const { node } = await instanceOf(world);
      world.crash(node ?? '');
      await world.pass(5 * S);
      expect(await instanceOf(world)).toMatchObject({ node, epoch: 1 });
      await world.restartNode(node ?? '');
      await world.pass(2 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node, epoch: 2 });
    });
  });

  test('comes back to its node before one of another deployment, which waited longer and may go anywhere, takes its room', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1', { facts: { cores: 1 } });
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      const requirements = { ...deploymentOf().requirements, cpuMillis: 800 };
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable: 'stay', requirements }) });
      await world.pass(1 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node: 'n1' });
      const other = deploymentOf({ name: 'other' as DeploymentName, whenUnreachable: 'move', requirements });
      await world.must({ kind: 'deployment-apply', spec: other });
      world.crash('n1');
      await world.pass(5 * S);
      await world.restartNode('n1', { facts: { cores: 1 } });
      await world.pass(2 * S);
      const { instances } = await world.query('instances');
      expect(instances.map(({ id, state }) => `${id} ${state}`)).toEqual(['echo/0 running', 'other/0 pending']);
    });
  });

  test('waits for the node that it stays with when the controller starts again meanwhile', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable: 'stay' }) });
      await world.pass(1 * S);
      const { node } = await instanceOf(world);
      world.crash(node ?? '');
      await world.pass(5 * S);
      await world.restartNode(node ?? '', { facts: { memoryBytes: 500 } });
      await world.pass(2 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'pending', node: null });
      await world.restartController();
      await world.pass(5 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'pending', node: null });
      world.crash(node ?? '');
      await world.pass(1 * S);
      await world.restartNode(node ?? '', { facts: { memoryBytes: 1_000_000 } });
      await world.pass(2 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node, epoch: 2 });
    });
  });

  test('comes back to its node before an instance that never had one may take that place', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable: 'stay', replicas: 3, spread: SPREAD_NODE }) });
      await world.pass(1 * S);
      const { node } = await instanceOf(world);
      world.crash(node ?? '');
      await world.pass(5 * S);
      await world.restartNode(node ?? '');
      await world.pass(2 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node, epoch: 2 });
      const waiting = (await world.query('instances')).instances.filter(({ state }) => state === 'pending');
      expect(waiting).toMatchObject([{ id: 'echo/2' }]);
    });
  });

  test.each(['move', 'stay'] as const)(
    'that says %s gives its room to one that can go nowhere else, or keeps it',
    async (whenUnreachable) => {
      const world = new ControllerWorld();
      await world.play(async () => {
        await world.startNode('n1', { facts: { cores: 1, hardware: ['gps'] } });
        await world.pass(1 * S);
        await world.trust();
        await world.push('echo', 'echo 1');
        const requirements = { ...deploymentOf().requirements, cpuMillis: 800 };
        await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenUnreachable, requirements }) });
        await world.pass(1 * S);
        expect(await instanceOf(world)).toMatchObject({ state: 'running', node: 'n1' });
        const picky = deploymentOf({ name: 'picky' as DeploymentName, requirements: { ...requirements, hardware: ['gps'] } });
        await world.must({ kind: 'deployment-apply', spec: picky });
        await world.pass(1 * S);
        const stands = async (): Promise<readonly string[]> =>
          (await world.query('instances')).instances.map(({ id, state, node }) => `${id} ${state} ${node ?? ''}`);
        expect(await stands()).toEqual(['echo/0 running n1', 'picky/0 pending ']);
        await world.startNode('n2', { facts: { cores: 1 } });
        await world.pass(2 * S);
        expect(await stands()).toEqual(
          whenUnreachable === 'move' ? ['echo/0 running n2', 'picky/0 running n1'] : ['echo/0 running n1', 'picky/0 pending '],
        );
      });
    },
  );

  test('serves an earlier version again within the budget, without a fetch', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(1 * S);
      await serving(world);
      expect((await world.push('echo', 'echo 2')).ok).toBe(true);
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.pass(1 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', version: 2 });
      const fetched = world.of('artefact.fetched').length;
      await world.must({ kind: 'rollback', deployment: deploymentOf().name, version: 1 });
      await world.pass(1 * S);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', version: 1, epoch: 1 });
      expect(world.of('artefact.fetched')).toHaveLength(fetched);
      const [issued] = world.of('rollback.issued');
      expect(issued?.fields).toMatchObject({ version: 1, nodes: 1 });
      expect(issued?.fields.micros).toBeLessThan(10 * MS);
      expect((await world.query('modules')).modules.map((module) => module.version)).toEqual([1, 2]);
    });
  });
});

describe('an upload', () => {
  test('that is unsigned, signed by a stranger, or asks for too much is refused and recorded', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust(['clock']);
      const outcomes = [
        await world.push('echo', 'echo 1', { key: null }),
        await world.push('echo', 'echo 1', { key: 'stranger' }),
        await world.push('echo', 'echo 1', { capabilities: ['random'] }),
        await world.push('echo', 'echo 1', { capabilities: ['fly'] }),
        await world.push('echo', 'bad 1'),
      ];
      const codes = [
        'WM_SIGNATURE_MISSING',
        'WM_SIGNER_UNTRUSTED',
        'WM_CAPABILITY_NOT_GRANTABLE',
        'WM_CAPABILITY_INVALID',
        'WM_MODULE_INVALID',
      ];
      expect(outcomes.map((outcome) => (outcome.ok ? 'stored' : outcome.error.code))).toEqual(codes);
      expect(world.of('module.refused').map((record) => record.fields.code)).toEqual(codes);
      expect(world.of('module.stored')).toHaveLength(0);
    });
  });
});

test('an upload whose output no event could carry is refused', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.trust();
    expect(await world.push('echo', 'echo 1', { outputBytesMax: EVENT_BYTES_MAX + 1 })).toMatchObject({
      ok: false,
      error: { code: 'WM_MODULE_INVALID', message: expect.stringContaining(`from 0 to ${EVENT_BYTES_MAX}`) },
    });
    expect((await world.push('echo', 'echo 1', { outputBytesMax: EVENT_BYTES_MAX })).ok).toBe(true);
  });
});

test('a key that expired by a clock that was ahead is trusted again when the clock is put right, and one that was revoked is not', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.startNode('n1');
    await world.pass(1 * S);
    await world.trust([], 3_600_000);
    await world.push('echo', 'echo 1');
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.pass(1 * S);
    expect(await instanceOf(world)).toMatchObject({ state: 'running' });
    const key = (await world.query('trust')).keys[0]!;
    const watcher = new TestWatcher(world, 'trust');
    await watcher.start();
    world.stepClock('controller', 7_200 * S);
    await world.pass(1 * S);
    expect((await world.query('trust')).keys).toMatchObject([{ revoked: true }]);
    expect([...watcher.views('trust').values()]).toMatchObject([{ revoked: true }]);
    await watcher.stop();
    expect(await world.push('echo', 'echo 2')).toMatchObject({ ok: false, error: { code: 'WM_SIGNER_UNTRUSTED' } });
    expect(world.of('instance.ended')).toHaveLength(1);
    world.stepClock('controller', -7_200 * S);
    await world.pass(5 * S);
    expect((await world.query('trust')).keys).toMatchObject([{ revoked: false }]);
    expect(await instanceOf(world)).toMatchObject({ state: 'running' });
    await world.must({ kind: 'trust-revoke', key: key.key });
    world.stepClock('controller', 7_200 * S);
    await world.pass(1 * S);
    world.stepClock('controller', -7_200 * S);
    await world.pass(1 * S);
    expect((await world.query('trust')).keys).toMatchObject([{ revoked: true }]);
  });
});

describe('a controller that loses power', () => {
  test('knows everything it acknowledged, in a new term, and nobody is moved', async () => {
    const world = new ControllerWorld({ config: { snapshotEveryEntries: 5 } });
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await serving(world);
      await world.pass(1 * S);
      const before = await instanceOf(world);
      const acknowledged = Math.max(...world.of('command.acknowledged').map((record) => record.fields.sequence));
      for (let i = 0; i < 3; i++) {
        await world.restartController();
        await world.pass(5 * S);
      }
      const started = world.of('controller.started').map((record) => record.fields);
      expect(started.map((fields) => fields.term)).toEqual([1, 2, 3, 4]);
      expect(started[1]?.sequence).toBeGreaterThanOrEqual(acknowledged);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node: before.node, epoch: before.epoch });
      expect((await world.publish('e1', 'ping.a', 'hello')).ok).toBe(true);
      // A fetch that hung when the power went is given up by its agent only then.
      await world.pass(10 * S);
      expect(world.of('invocation.finished').map((record) => record.fields.outcome)).toEqual(['completed']);
    });
  });

  test('bounds what it reads at its start, even when it never lives as long as from one snapshot to the next', async () => {
    const world = new ControllerWorld({ config: { snapshotEveryEntries: 20 } });
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(1 * S);
      for (let i = 0; i < 60; i++) {
        await world.restartController();
        await world.pass(2 * S);
      }
      const read = world.of('controller.started').map((record) => record.fields.entries);
      expect(Math.max(...read)).toBeLessThan(30);
    });
  });

  test('answers a repeated command with the first reply and applies it once', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      const first = await world.execute({ kind: 'deployment-apply', spec: deploymentOf() }, 'once');
      await world.restartController();
      const again = await world.execute({ kind: 'deployment-apply', spec: deploymentOf() }, 'once');
      expect(first.ok && again.ok && again.value).toEqual(first.ok && first.value);
      expect((await world.query('deployments')).deployments.map((deployment) => deployment.revision)).toEqual([1]);
    });
  });
});

describe('a node', () => {
  test('that brings more names of features than a fleet may have is refused, and its controller goes on', async () => {
    const world = new ControllerWorld();
    const names = (node: string): readonly string[] => Array.from({ length: 256 }, (_, at) => `${node}-${at}`);
    const features = (node: string): Partial<NodeFacts> => ({ isaFeatures: names(node), hardware: names(node) });
    await world.play(async () => {
      await world.startNode('n1', { facts: features('n1') });
      await world.startNode('n2', { facts: features('n2') });
      await world.startNode('n3', { facts: { hardware: ['one-too-many'] } });
      await world.startNode('n4', { facts: features('n1') });
      await world.pass(2 * S);
      expect((await world.query('nodes')).nodes.map(({ facts }) => facts.node)).toEqual(['n1', 'n2', 'n4']);
      const [refused] = world.of('security.refused');
      expect(refused?.fields).toMatchObject({ node: 'node/n3', code: 'WM_NODE_REFUSED' });
      expect(refused?.fields.message).toContain('more than 1024');
      expect(world.endings).toEqual([]);
    });
  });

  test('that is silent is suspect, then unavailable, and returns under a new incarnation', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(1 * S);
      world.crash('n1');
      await world.pass(5 * S);
      await world.restartNode('n1');
      await world.pass(2 * S);
      expect(world.of('node.status').map(({ fields }) => `${fields.from} ${fields.to} ${fields.incarnation}`)).toEqual([
        'healthy suspect 1',
        'suspect unavailable 1',
        'unavailable healthy 2',
      ]);
      expect((await world.query('nodes')).nodes).toMatchObject([{ status: 'healthy', incarnation: 2 }]);
    });
  });

  test('that is cut off for a moment keeps its incarnation and its work', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1', { zone: 'fleet/a' });
      await world.startNode('n2');
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ origin: 'fleet/a' as never }) });
      await world.pass(1 * S);
      expect(await instanceOf(world)).toMatchObject({ node: 'n1' });
      world.network.begin('cut', { kind: 'partition', a: ['n1'], b: ['cloud/eu'] });
      await world.pass(2 * S);
      world.network.end('cut');
      await world.pass(3 * S);
      expect((await world.query('nodes')).nodes).toMatchObject([{ status: 'healthy', incarnation: 1 }, { incarnation: 1 }]);
      expect(await instanceOf(world)).toMatchObject({ state: 'running', node: 'n1', epoch: 1 });
    });
  });

  test('that is drained gives its work away and takes none', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await serving(world);
      await world.pass(1 * S);
      const { node } = await instanceOf(world);
      await world.must({ kind: 'node-drain', node: node as never });
      await world.pass(1 * S);
      const moved = await instanceOf(world);
      expect(moved).toMatchObject({ state: 'running', epoch: 2 });
      expect(moved.node).not.toBe(node);
    });
  });
});

describe('the census', () => {
  test('is right at once after a restart, and there is none without a leader', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.startNode('n2');
      await world.pass(1 * S);
      await serving(world);
      await world.pass(1 * S);
      const before = world.controller?.census();
      expect(before).toMatchObject({
        term: 1,
        nodes: { healthy: 2, suspect: 0, unavailable: 0, draining: 0 },
        sessions: 2,
        deployments: [{ replicas: 1, instances: { pending: 0, assigned: 0, running: 1, failed: 0, stopped: 0 } }],
        queues: [{ queue: 'broker', depth: 0 }],
      });
      const ended = world.controller;
      await world.restartController();
      await ended?.stop();
      expect(ended?.census()).toBeNull();
      const { sessions: _, journalSequence, ...after } = world.controller?.census() ?? {};
      expect(after).toMatchObject({ term: 2, nodes: before?.nodes, deployments: before?.deployments });
      expect(journalSequence).toBeGreaterThan(before?.journalSequence ?? 0);
    });
  });
});
