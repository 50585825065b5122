// What was placed on a node and withdrawn before its agent could hear of it: the controller learns that nothing of it is there.
import { expect, test } from 'vitest';
import { DISK_COSTS } from '../../../sim/costs/costs.ts';
import { SimStorage } from '../../../sim/storage/storage.ts';
import { recover } from '../../../system/controller/recovery.ts';
import type { DeploymentName, Digest } from '../../../system/domain/identifiers.ts';
import { ControllerWorld, deploymentOf, S } from '../../support/controller/world.ts';

const CONTROLLER = 'controller';

/** As a controller that starts now would read them. */
async function standOf(world: ControllerWorld): Promise<readonly string[]> {
  const { kernel } = world;
  const after = (delay: number, label: string, run: () => void): void => void kernel.after(delay, null, label, run);
  const storage = new SimStorage(world.diskOf(CONTROLLER), { nowMicros: () => kernel.now(), after }, DISK_COSTS);
  const digest = (bytes: Uint8Array): Digest => world.keys(CONTROLLER).digest(bytes);
  const recovered = await world.on(CONTROLLER, async () => {
    const store = await storage.journal(CONTROLLER);
    return store.ok ? recover(store.value, storage.blobs, { assertRecovery: false, digest }) : store;
  });
  if (!recovered.ok) throw new Error(recovered.error.message);
  const { instances } = recovered.value.state.deployments;
  return [...instances.values()].map(({ id, state, node, epoch }) => `${id} ${state} ${node ?? 'nowhere'} ${epoch}`);
}

test('a node lets go of what was placed on it and stopped in one record', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.startNode('n1');
    await world.pass(1 * S);
    await world.trust();
    await world.push('echo', 'echo 1');
    await world.pass(1 * S);
    const before = world.of('agent.desired').length;
    // While the first one's record is written the others come in, and share the next.
    const answers = await Promise.all([
      world.execute({ kind: 'deployment-apply', spec: deploymentOf({ name: 'other' as DeploymentName }) }),
      world.execute({ kind: 'deployment-apply', spec: deploymentOf() }),
      world.execute({ kind: 'deployment-delete', deployment: deploymentOf().name }),
    ]);
    expect(answers.map((answer) => answer.ok)).toEqual([true, true, true]);
    await world.pass(2 * S);
    const told = world.of('agent.desired').slice(before);
    expect(told.map(({ fields }) => fields.assignments)).toEqual([1, 1]);
    expect(await standOf(world)).toEqual(['other/0 running n1 1', 'echo/0 stopped nowhere 1']);
  });
});
