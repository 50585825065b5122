// A rollback is told as issued when its commands have left, whatever becomes of the nodes meanwhile (R2.2).
import { expect, test } from 'vitest';
import { ControllerWorld, deploymentOf, MS, S } from '../../support/controller/world.ts';

test('a rollback is issued although the session of its node ends before it is durable', async () => {
  const issued: number[] = [];
  for (let micros = 0; micros < 4 * MS; micros += 400) {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(1 * S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.push('echo', 'echo 2');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.pass(1 * S);
      const rolling = world.must({ kind: 'rollback', deployment: deploymentOf().name, version: 1 });
      await world.pass(micros);
      await world.on('n1', () => world.agents.get('n1')?.stop() ?? Promise.resolve());
      await rolling;
      await world.pass(1 * S);
      issued.push(world.of('rollback.issued').length);
    });
  }
  expect(issued).toEqual(issued.map(() => 1));
});
