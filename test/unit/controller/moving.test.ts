// Nodes that move, and work that moves after demand: what the registry knows of a place, and when an instance leaves a healthy node.
import { describe, expect, test } from 'vitest';
import type { DeploymentSpec } from '../../../system/domain/deployment.ts';
import type { GeoPoint } from '../../../system/domain/node.ts';
import { MEASURED_FOR_MS } from '../../../system/domain/node.ts';
import { ControllerWorld, deploymentOf, MS, S } from '../../support/controller/world.ts';

describe('a node that moves', () => {
  test('is in the registry where it is, within 100 ms of its word, and keeps its incarnation and its work (R1.5)', async () => {
    const world = new ControllerWorld();
    let place: GeoPoint = { latitude: 50, longitude: 8 };
    await world.play(async () => {
      await world.startNode('truck', { zone: 'fleet/a', locate: () => place });
      await world.pass(1 * S);
      expect((await world.query('nodes')).nodes[0]?.facts.location).toEqual({ latitude: 50, longitude: 8 });
      const changedMicros = world.kernel.now();
      place = { latitude: 50.01, longitude: 8.02 };
      await world.pass(2 * S);
      const [moved] = world.of('node.moved');
      expect(moved?.fields).toEqual({ node: 'truck', incarnation: 1, latitude: 50.01, longitude: 8.02 });
      // The agent looks once a second; the way takes 5 ms, and the rest is the registry's.
      expect((moved?.micros ?? Infinity) - changedMicros).toBeLessThan(1 * S + 100 * MS);
      expect((await world.query('nodes')).nodes).toMatchObject([
        { status: 'healthy', incarnation: 1, facts: { location: { latitude: 50.01, longitude: 8.02 } } },
      ]);
      expect(world.of('node.enrolled')).toHaveLength(1);
    });
  });

  test('says where it is when it comes back, and after its controller does', async () => {
    const world = new ControllerWorld();
    let place: GeoPoint = { latitude: 50, longitude: 8 };
    await world.play(async () => {
      await world.startNode('truck', { zone: 'fleet/a', locate: () => place });
      await world.pass(1 * S);
      place = { latitude: 51, longitude: 9 };
      await world.pass(2 * S);
      await world.restartController();
      await world.pass(3 * S);
      expect((await world.query('nodes')).nodes[0]?.facts.location).toEqual(place);
    });
  });
});

test('a distance that a node measured is believed as long as it goes on measuring it, and a little longer', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.startNode('truck', { zone: 'fleet/a', facts: { memoryBytes: 0 } });
    await world.startNode('eu', { zone: 'cloud/eu' });
    await world.pass(1 * S);
    await world.trust();
    await world.push('echo', 'echo 1');
    const spec = deploymentOf({ origin: 'fleet/a' as never, replicas: 0 });
    const reasonNow = async (replicas: number): Promise<string | undefined> => {
      await world.must({ kind: 'deployment-scale', deployment: spec.name, replicas });
      await world.pass(1 * S);
      const [deployment] = (await world.query('deployments')).deployments;
      const decision = deployment?.decisions.find(({ instance }) => instance === `echo/${replicas - 1}`);
      return decision?.chosen?.factors.map(({ why }) => why).find((why) => why.includes('to fleet/a'));
    };
    await world.must({ kind: 'deployment-apply', spec });
    await world.pass(5 * S);
    expect(await reasonNow(1)).toMatch(/us measured/);
    world.network.begin('cut', { kind: 'partition', a: ['truck'], b: ['eu'] });
    await world.pass((MEASURED_FOR_MS / 2) * MS);
    expect(await reasonNow(2)).toMatch(/us measured/);
    await world.pass(MEASURED_FOR_MS * MS);
    expect(await reasonNow(3)).toMatch(/us estimated/);
    world.network.end('cut');
    await world.pass(10 * S);
    expect(await reasonNow(4)).toMatch(/us measured/);
  }, 200 * S);
});

describe('work that may follow', () => {
  /** Placed in the EU, which is nearer to the demand of `fleet/a` than the US; then it is the other way round. */
  async function demandMoves(
    other: Partial<DeploymentSpec>,
    factor = 20,
    sites: readonly string[] = ['us'],
  ): Promise<readonly (string | null)[]> {
    const world = new ControllerWorld();
    const nodes: (string | null)[] = [];
    const note = async (): Promise<void> => {
      const [first] = (await world.query('instances')).instances;
      nodes.push(first?.node ?? null);
    };
    await world.play(async () => {
      world.network.begin('far', { kind: 'latency', a: 'cloud/us', b: 'fleet/a', factor: [factor, 1] });
      await world.startNode('truck', { zone: 'fleet/a', facts: { memoryBytes: 0 } });
      await world.startNode('eu', { zone: 'cloud/eu' });
      for (const site of sites) await world.startNode(site, { zone: 'cloud/us' });
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ origin: 'fleet/a' as never, replicas: 0, ...other }) });
      // Distances are measured first: demand is known before anything runs.
      await world.pass(5 * S);
      await world.must({ kind: 'deployment-scale', deployment: 'echo' as never, replicas: 1 });
      await world.pass(5 * S);
      await note();
      world.network.end('far');
      world.network.begin('far', { kind: 'latency', a: 'cloud/eu', b: 'fleet/a', factor: [factor, 1] });
      await world.pass(15 * S);
      await note();
      expect(world.of('placement.decided').length).toBe(new Set(nodes).size);
    });
    return nodes;
  }

  test('leaves a healthy node for one that has become much nearer', async () => {
    expect(await demandMoves({ whenNearer: 'move' })).toEqual(['eu', 'us']);
  });

  test('does so where more nodes are much nearer than a decision lists', async () => {
    const [before, after] = await demandMoves({ whenNearer: 'move' }, 20, ['us-1', 'us-2', 'us-3', 'us-4', 'us-5', 'us-6']);
    expect([before, after]).toEqual(['eu', expect.stringMatching(/^us-/)]);
  });

  test('stays where it is unless its deployment says so', async () => {
    expect(await demandMoves({})).toEqual(['eu', 'eu']);
    expect(await demandMoves({ whenNearer: 'stay' })).toEqual(['eu', 'eu']);
  });

  test('stays where another node is only a little nearer', async () => {
    expect(await demandMoves({ whenNearer: 'move' }, 1)).toEqual(['eu', 'eu']);
  });

  test('stays where another node is as near, however much more room it has', async () => {
    const world = new ControllerWorld();
    const equipped = { hardware: ['camera'] };
    await world.play(async () => {
      await world.startNode('eu-1', { zone: 'cloud/eu', facts: equipped });
      await world.startNode('eu-2', { zone: 'cloud/eu' });
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ whenNearer: 'move' }) });
      await world.pass(5 * S);
      const { requirements } = deploymentOf();
      const large = { name: 'large' as never, requirements: { ...requirements, ...equipped, memoryBytes: 900_000 } };
      await world.must({ kind: 'deployment-apply', spec: deploymentOf(large) });
      await world.pass(15 * S);
      const { instances } = await world.query('instances');
      expect(instances.map(({ id, node, epoch }) => [id, node, epoch])).toEqual([
        ['echo/0', 'eu-1', 1],
        ['large/0', 'eu-1', 1],
      ]);
    });
  });

  test('is refused where it is bound to its node as well', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      const refused = await world.execute({
        kind: 'deployment-apply',
        spec: deploymentOf({ whenUnreachable: 'stay', whenNearer: 'move' }),
      });
      expect(refused.ok ? '' : refused.error.message).toContain('whenNearer: move');
    });
  });
});

describe('more that waits than one turn may decide', () => {
  const WAITING = 300;

  test('leaves nobody behind for ever, and a plan comes to its end', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('eu', { zone: 'cloud/eu' });
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      const { requirements } = deploymentOf({});
      for (let n = 0; n < WAITING; n++)
        await world.must({
          kind: 'deployment-apply',
          spec: deploymentOf({ name: `w-${n}` as never, replicas: 1, requirements: { ...requirements, within: 'cloud/us' as never } }),
        });
      const last = deploymentOf({ name: 'z' as never, replicas: 1 });
      const planned = await world.ask({ kind: 'plan', deployments: [last], triggers: [] });
      expect(planned).toMatchObject({ ok: true, value: { deployments: [{ instances: [{ decision: { chosen: { node: 'eu' } } }] }] } });
      await world.must({ kind: 'deployment-apply', spec: last });
      await world.pass(2 * S);
      expect((await world.query('instances')).instances.find(({ deployment }) => deployment === 'z')?.node).toBe('eu');
      // Nothing is asked again while nothing changes.
      const before = world.kernel.steps;
      await world.pass(1 * S);
      expect(world.kernel.steps - before).toBeLessThan(1_000);
    });
  });
});
