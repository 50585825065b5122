// Two machines with one identity, and one machine that starts again: the first must not churn, the second must not wait.
import { describe, expect, test } from 'vitest';
import type { Endpoint, NodeId } from '../../../system/domain/identifiers.ts';
import { ControllerWorld, deploymentOf, MS, S } from '../../support/controller/world.ts';

const CLONE = { identity: 'node/n1', facts: { node: 'n1' as NodeId, endpoint: 'agent/clone' as Endpoint } };

async function deployed(world: ControllerWorld): Promise<void> {
  await world.startNode('n1');
  await world.pass(S);
  await world.trust();
  await world.push('echo', 'echo 1');
  await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
  await world.pass(S);
}

const incarnations = (world: ControllerWorld): readonly number[] => world.of('node.enrolled').map(({ fields }) => fields.incarnation);

describe('a copy of a machine', () => {
  test('is refused in words while the machine is alive, which keeps its session and its work', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await deployed(world);
      await world.startNode('clone', CLONE);
      await world.pass(60 * S);
      expect(incarnations(world)).toEqual([1]);
      expect((await world.query('instances')).instances).toMatchObject([{ state: 'running', epoch: 1 }]);
      const refused = world.of('security.refused');
      expect(refused.length).toBeGreaterThan(2);
      expect(refused.length).toBeLessThan(20);
      expect(refused[0]?.fields).toMatchObject({ node: 'node/n1', subject: 'session', code: 'WM_NODE_REFUSED' });
      expect(refused[0]?.fields.message).toContain('Two machines show the identity node/n1');
    });
  });

  test('takes the place of the machine once that is gone', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await deployed(world);
      await world.startNode('clone', CLONE);
      await world.pass(10 * S);
      world.crash('n1');
      await world.pass(15 * S);
      expect(incarnations(world)).toEqual([1, 2]);
      expect((await world.query('instances')).instances).toMatchObject([{ state: 'running', epoch: 2 }]);
    });
  });
});

describe('a machine that starts again', () => {
  test('has its session as soon as its old one is closed, or has been silent for two heartbeats', async () => {
    for (const [stop, mostMicros] of [
      ['in order', 100 * MS],
      ['power', 1_200 * MS],
    ] as const) {
      const world = new ControllerWorld();
      await world.play(async () => {
        await deployed(world);
        if (stop === 'in order') await world.on('n1', () => world.agents.get('n1')?.stop() ?? Promise.resolve());
        world.crash('n1');
        await world.pass(10 * MS);
        const startedMicros = world.kernel.now();
        await world.restartNode('n1');
        await world.pass(5 * S);
        expect(incarnations(world)).toEqual([1, 2]);
        const again = world.of('node.enrolled').at(-1)?.micros ?? Infinity;
        expect(again - startedMicros).toBeLessThan(mostMicros);
        expect((await world.query('instances')).instances).toMatchObject([{ state: 'running' }]);
      });
    }
  });
});
