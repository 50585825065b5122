// Keys that expire, and artefacts that nothing wants: what an agent ends and deletes by itself (R2.4, R13.5).
import { describe, expect, test } from 'vitest';
import type { AgentBounds } from '../../../agents/agent.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { assignmentOf, bindingOf } from '../../support/agent/assignments.ts';
import { LEG } from '../../support/agent/scripted-wasm.ts';
import type { Script } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, MS, S } from '../../support/agent/world.ts';

const CUT = { kind: 'partition', a: [CLOUD], b: [FLEET] } as const;
const done: Script = function* () {
  yield LEG;
  return 0;
};

function worldOf(script: Script, bounds: Partial<AgentBounds> = {}): AgentWorld {
  const world = new AgentWorld({ bounds });
  world.scripts.set('echo', script);
  return world;
}

describe('a key whose time is over', () => {
  const staying = async (world: AgentWorld, forMs: number): Promise<void> => {
    const modules = [await world.controller.grant('echo', 1)];
    const notAfterMs = createClock(world.sim.kernel, world.machine).civilMs() + forMs;
    const trust = [{ ...(await world.controller.author('author')), notAfterMs }];
    const stays = assignmentOf('stay/0', { movable: false, triggers: [bindingOf('s')] });
    world.controller.desired = { ...world.controller.desired, modules, trust, assignments: [stays] };
    await world.start();
    await world.pass(2 * S);
  };

  test("is the controller's to say while it is in touch, whatever the clock of the node shows", async () => {
    const world = worldOf(done);
    await world.play(async () => {
      await staying(world, 3_000);
      await world.pass(20 * S);
      expect(world.of('instance.ended')).toEqual([]);
    });
  });

  test('ends what it signed while the controller is out of reach', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      await staying(world, 20_000);
      world.sim.network.begin('cut', CUT);
      await world.pass(15 * S);
      expect(world.of('instance.ended')).toEqual([]);
      await world.pass(15 * S);
      expect(world.of('instance.ended').map(({ fields }) => fields.instance)).toEqual(['stay/0']);
      expect(world.of('artefact.refused').map(({ fields }) => fields.code)).toEqual(['WM_SIGNER_UNTRUSTED']);
    });
  });

  test('starts nothing after a restart without the controller', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      await staying(world, 5_000);
      world.sim.network.begin('cut', CUT);
      await world.pass(10 * S);
      await world.restart();
      await world.pass(2 * S);
      const after = world.records.filter((record) => record.incarnation === 2);
      expect(after.filter((record) => record.kind === 'instance.serving')).toEqual([]);
      expect(after.filter((record) => record.kind === 'artefact.loaded')).toEqual([]);
    });
  });
});

describe('an artefact', () => {
  test('that the engine refused, or that nothing wanted any more when it was there, gives way on the disk like any other', async () => {
    const world = worldOf(done, { artefactsSpareMax: 1 });
    await world.play(async () => {
      const grants = [];
      for (const version of [1, 2, 3]) grants.push(await world.controller.grant('strange', version));
      world.controller.desired = { ...world.controller.desired, modules: grants };
      await world.start();
      await world.pass(2 * S);
      expect(world.of('artefact.refused').map(({ fields }) => fields.code)).toEqual(Array(3).fill('WM_PROFILE_MISMATCH'));
      expect(world.stored).toBe(1);
      for (const version of [1, 2, 3]) {
        await world.controller.want({ modules: [await world.controller.grant('echo', version)] });
        await world.pass(2 * MS);
        await world.controller.want({ modules: [] });
        await world.pass(1 * S);
      }
      expect(world.stored).toBeLessThanOrEqual(1);
    });
  });
});
