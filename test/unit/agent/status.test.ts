// What an agent says of itself to those who look at its node (R12.1).
import { describe, expect, test } from 'vitest';
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { TriggerName } from '../../../system/domain/identifiers.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { assignmentOf, bindingOf, epoch } from '../../support/agent/assignments.ts';
import type { Script } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, MS, NODE, S } from '../../support/agent/world.ts';

const CONSUMER = consumerOf('t' as TriggerName);
const slow: Script = function* () {
  for (let n = 0; n < 50; n++) yield { kind: 'leg', micros: 100 * MS };
  return 0;
};

describe('the status of an agent', () => {
  test('names session, lease, instances and guests, and how long it has run', async () => {
    const world = new AgentWorld({ slots: 7 });
    world.scripts.set('echo', slow);
    await world.play(async () => {
      expect(world.agent.status()).toMatchObject({ node: NODE, isConnected: false, isLeaseHeld: false, instances: [], guestsOpen: 0 });
      const assignment = assignmentOf('echo/0', { epoch: epoch(3), triggers: [bindingOf('t', { ackWaitMs: 60_000 })] });
      world.controller.desired = {
        ...world.controller.desired,
        modules: [await world.controller.grant('echo', 1)],
        assignments: [assignment],
      };
      await world.start();
      await world.pass(1 * S);
      world.offer(CONSUMER, 'e1');
      await world.pass(1 * S);
      expect(world.agent.status()).toEqual({
        node: NODE,
        agentVersion: '0.1.0',
        isConnected: true,
        isLeaseHeld: true,
        instances: [{ instance: 'echo/0', epoch: 3, module: 'echo', version: 1, isDraining: false }],
        guestsOpen: 1,
        guestsMax: 7,
        uptimeMs: expect.closeTo(2_000, -2) as number,
      });
    });
  });

  test('says that an instance drains, that the line is cut, and that the lease has lapsed', async () => {
    const world = new AgentWorld();
    world.scripts.set('echo', slow);
    await world.play(async () => {
      const assignment = assignmentOf('echo/0', { movable: false, triggers: [bindingOf('t', { ackWaitMs: 60_000 })] });
      world.controller.desired = {
        ...world.controller.desired,
        modules: [await world.controller.grant('echo', 1)],
        assignments: [assignment],
      };
      await world.start();
      await world.pass(1 * S);
      world.offer(CONSUMER, 'e1');
      await world.pass(500 * MS);
      await world.controller.want({ assignments: [] });
      await world.pass(500 * MS);
      expect(world.agent.status().instances).toMatchObject([{ instance: 'echo/0', isDraining: true }]);
      world.sim.network.begin('cut', { kind: 'partition', a: [CLOUD], b: [FLEET] });
      await world.pass(30 * S);
      expect(world.agent.status()).toMatchObject({ isConnected: false, isLeaseHeld: false });
    });
  });
});
