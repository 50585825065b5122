// What was placed on a node and withdrawn before its agent could hear of it: the controller learns that nothing of it is there.
import { expect, test } from 'vitest';
import { DISK_COSTS } from '../../../sim/costs/costs.ts';
import { SimStorage } from '../../../sim/storage/storage.ts';
import { recover } from '../../../system/controller/recovery.ts';
import { WITHDRAWN_MAX } from '../../../system/controller/desired.ts';
import type { DeploymentName, Digest, NodeId } from '../../../system/domain/identifiers.ts';
import { SESSION_METHOD } from '../../../system/domain/session.ts';
import { decodeControllerMessage, encodeAgentMessage } from '../../../system/wire/codec/session.ts';
import { FACTS } from '../../support/agent/world.ts';
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

test('a node hears of all that was withdrawn, also where that is more than one message names', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await world.trust();
    await world.push('echo', 'echo 1');
    world.addMachine('n1', 'node/n1');
    const told: number[] = [];
    let names = 0;
    void world.stream('n1', SESSION_METHOD, async (opened) => {
      if (!opened.ok) throw new Error(opened.error.message);
      const { value: stream } = opened;
      const facts = { ...FACTS, node: 'n1' as NodeId };
      const hello = { kind: 'hello', facts, joinToken: world.config.joinToken, bootId: 'b', incarnation: null } as const;
      await stream.send(encodeAgentMessage({ ...hello, instances: [], artefacts: [] }));
      // It runs nothing, and says so of what it is asked.
      for (;;) {
        const received = await stream.receive();
        const message = received.ok && received.value !== null ? decodeControllerMessage(received.value) : null;
        if (message === null) break;
        const load = { cpuPermille: 0, memoryBytesFree: 1, invocationsActive: 0 };
        if (message.ok && message.value.kind === 'welcome')
          await stream.send(encodeAgentMessage({ kind: 'heartbeat', sequence: 0, load, latencies: [] }));
        if (!message.ok || message.value.kind !== 'desired') continue;
        const { withdrawn } = message.value;
        if (withdrawn.length > 0) told.push(withdrawn.length);
        names += withdrawn.length;
        for (const gone of withdrawn)
          await stream.send(encodeAgentMessage({ kind: 'instance', report: { ...gone, state: 'stopped', cause: 'not here', code: null } }));
      }
    });
    await world.pass(1 * S);
    const requirements = { ...deploymentOf().requirements, memoryBytes: 0, cpuMillis: 0 };
    const spec = deploymentOf({ replicas: WITHDRAWN_MAX + 10, requirements });
    await world.must({ kind: 'deployment-apply', spec });
    await world.pass(1 * S);
    await world.must({ kind: 'deployment-delete', deployment: spec.name });
    await world.pass(2 * S);
    expect([told, names]).toEqual([[WITHDRAWN_MAX, 10], WITHDRAWN_MAX + 10]);
    expect((await standOf(world)).filter((line) => !line.includes(' stopped nowhere '))).toEqual([]);
  });
});
