// What an operator made of a node stays so while it is out of reach.
import { expect, test } from 'vitest';
import { ControllerWorld, S } from '../../support/controller/world.ts';

test('a node that is drained and out of reach for a while is drained when it is back, and in service when it starts anew', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.startNode('n1', { zone: 'fleet/a' });
    await world.pass(1 * S);
    await world.must({ kind: 'node-drain', node: 'n1' as never });
    world.network.begin('cut', { kind: 'partition', a: ['n1'], b: ['cloud/eu'] });
    await world.pass(5 * S);
    expect((await world.query('nodes')).nodes).toMatchObject([{ status: 'unavailable' }]);
    world.network.end('cut');
    await world.pass(5 * S);
    expect((await world.query('nodes')).nodes).toMatchObject([{ status: 'draining', incarnation: 2 }]);
    await world.restartController();
    await world.pass(3 * S);
    expect((await world.query('nodes')).nodes).toMatchObject([{ status: 'draining', incarnation: 2 }]);
    world.crash('n1');
    await world.pass(1 * S);
    await world.restartNode('n1');
    await world.pass(3 * S);
    expect((await world.query('nodes')).nodes).toMatchObject([{ status: 'healthy', incarnation: 3 }]);
  });
});
