// Desired state in, a node that is so: artefacts, versions, leases, restarts (R1.3, R2, R3, P3).
import { describe, expect, test } from 'vitest';
import type { AgentBounds } from '../../../agents/agent.ts';
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { Digest, ProfileId, SubjectFilter, TriggerName } from '../../../system/domain/identifiers.ts';
import type { Assignment, ModuleGrant } from '../../../system/domain/session.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { assignmentOf, bindingOf, epoch } from '../../support/agent/assignments.ts';
import { LEG, request } from '../../support/agent/scripted-wasm.ts';
import type { Script } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, MS, NODE, S } from '../../support/agent/world.ts';

const CONSUMER = consumerOf('t' as TriggerName);
const CUT = { kind: 'partition', a: [CLOUD], b: [FLEET] } as const;
const done: Script = function* () {
  yield LEG;
  return 0;
};
const slow: Script = function* (_options, write) {
  for (let n = 0; n < 50; n++) yield { kind: 'leg', micros: 100 * MS };
  write('done');
  return 0;
};

const triggered = (fields: Partial<Assignment> = {}): Assignment =>
  assignmentOf('echo/0', { triggers: [bindingOf('t', { ackWaitMs: 60_000 })], ...fields });

function worldOf(script: Script, bounds: Partial<AgentBounds> = {}): AgentWorld {
  const world = new AgentWorld({ bounds });
  world.scripts.set('echo', script);
  return world;
}

describe('an artefact', () => {
  test('is fetched once, kept over a restart, and never fetched again', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      world.controller.desired = {
        ...world.controller.desired,
        modules: [await world.controller.grant('echo', 1)],
        assignments: [triggered()],
      };
      await world.start();
      await world.pass(1 * S);
      expect(world.of('artefact.fetched').length).toBe(1);
      expect(world.of('instance.serving')).toMatchObject([{ fields: { instance: 'echo/0', epoch: 1, version: 1 } }]);
      expect(world.controller.last('instance')?.report).toMatchObject({ state: 'running', version: 1 });
      await world.restart();
      await world.pass(1 * S);
      expect(world.controller.fetches.length).toBe(1);
      expect(world.of('instance.serving').length).toBe(2);
    });
  });

  test('that other bytes come for is refused, and nothing of it is loaded', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      const grant = await world.controller.grant('echo', 1);
      world.controller.artefacts.set(grant.artefact.statement.artefact, new TextEncoder().encode('echo 9'));
      world.controller.desired = { ...world.controller.desired, modules: [grant], assignments: [triggered()] };
      await world.start();
      await world.pass(5 * S);
      expect(world.of('artefact.refused')).toMatchObject([
        { fields: { node: NODE, module: 'echo', version: 1, code: 'WM_DIGEST_MISMATCH' } },
      ]);
      expect(world.wasm.loaded).toEqual([]);
      expect(world.controller.last('instance')?.report).toMatchObject({ state: 'failed', code: 'WM_DIGEST_MISMATCH' });
      // The same grant, once the controller has the right bytes and says so.
      world.controller.artefacts.set(grant.artefact.statement.artefact, new TextEncoder().encode('echo 1'));
      await world.controller.want({});
      await world.pass(1 * S);
      expect(world.of('instance.serving').length).toBe(1);
    });
  });

  test('is fetched when the controller has it at last', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      const grant = await world.controller.grant('echo', 1);
      const { artefact } = grant.artefact.statement;
      const bytes = world.controller.artefacts.get(artefact) ?? new Uint8Array();
      world.controller.artefacts.delete(artefact);
      world.controller.desired = { ...world.controller.desired, modules: [grant], assignments: [triggered()] };
      await world.start();
      await world.pass(1 * S);
      expect(world.of('instance.serving')).toEqual([]);
      world.controller.artefacts.set(artefact, bytes);
      await world.pass(6 * S);
      expect(world.of('instance.serving').length).toBe(1);
    });
  });

  type Forge = (world: AgentWorld) => Promise<ModuleGrant>;
  const forgeries: readonly (readonly [string, string, Forge])[] = [
    ['of an author nobody trusts', 'WM_SIGNER_UNTRUSTED', (world) => world.controller.grant('echo', 1, { author: 'stranger' })],
    ['signed by another controller', 'WM_SIGNER_UNTRUSTED', (world) => world.controller.grant('echo', 1, { signer: 'forger' })],
    [
      'whose manifest was changed after signing',
      'WM_SIGNATURE_INVALID',
      (world) => world.controller.grant('echo', 1, { manifest: { capabilities: ['log'] } }),
    ],
    [
      'whose statement was changed after signing',
      'WM_SIGNATURE_INVALID',
      async (world) => {
        const grant = await world.controller.grant('echo', 1);
        return {
          ...grant,
          artefact: { ...grant.artefact, statement: { ...grant.artefact.statement, artefact: `sha256:${'0'.repeat(64)}` as Digest } },
        };
      },
    ],
    [
      'that asks for more than its signer may grant',
      'WM_CAPABILITY_NOT_GRANTABLE',
      (world) => world.controller.grant('echo', 1, { capabilities: ['state-read:z'] }),
    ],
    [
      'that asks for what is no capability',
      'WM_CAPABILITY_INVALID',
      (world) => world.controller.grant('echo', 1, { capabilities: ['root'] }),
    ],
    [
      'made from another module',
      'WM_DIGEST_MISMATCH',
      (world) => world.controller.grant('echo', 1, { statement: { module: `sha256:${'1'.repeat(64)}` as Digest } }),
    ],
    [
      'for another profile',
      'WM_PROFILE_MISMATCH',
      (world) => world.controller.grant('echo', 1, { statement: { profile: 'profile-2' as ProfileId } }),
    ],
    ['too large', 'WM_MESSAGE_TOO_LARGE', (world) => world.controller.grant('echo', 1, { statement: { sizeBytes: 2 ** 40 } })],
  ];
  test.each(forgeries)('%s is refused with %s before it is fetched', async (_what, code, forge) => {
    const world = worldOf(done);
    await world.play(async () => {
      world.controller.desired = { ...world.controller.desired, modules: [await forge(world)], assignments: [triggered()] };
      await world.start();
      await world.pass(1 * S);
      await world.controller.want({});
      await world.pass(1 * S);
      expect(world.of('artefact.refused').map((record) => record.fields.code)).toEqual([code]);
      expect(world.controller.last('refusal')).toMatchObject({ code, subject: 'echo@1' });
      expect(world.controller.last('instance')?.report).toMatchObject({ state: 'failed', code });
      expect(world.controller.fetches).toEqual([]);
      expect(world.of('instance.serving')).toEqual([]);
      // The same name, signed as it must be, is believed afterwards.
      await world.controller.want({ modules: [await world.controller.grant('echo', 1)] });
      await world.pass(1 * S);
      expect(world.of('instance.serving').length).toBe(1);
    });
  });

  test('is unloaded, and what runs of it is stopped, when its signer loses its trust', async () => {
    const world = worldOf(slow);
    await world.play(async () => {
      world.controller.desired = {
        ...world.controller.desired,
        modules: [await world.controller.grant('echo', 1)],
        assignments: [triggered()],
      };
      await world.start();
      await world.pass(1 * S);
      world.bus.offer(CONSUMER, {
        id: 'e1' as never,
        subject: 's' as never,
        timeMs: 0,
        correlation: 'c' as never,
        headers: {},
        data: new Uint8Array(),
      });
      await world.pass(300 * MS);
      expect(world.wasm.open).toBe(1);
      await world.controller.want({ trust: world.controller.desired.trust.map((key) => ({ ...key, revoked: true })) });
      await world.pass(1 * S);
      expect(world.wasm.open).toBe(0);
      expect(world.bus.published).toEqual([]);
      expect(world.bus.settled).toEqual([]);
      expect(world.of('instance.ended')).toMatchObject([{ fields: { instance: 'echo/0' } }]);
      expect(world.controller.last('instance')?.report).toMatchObject({ state: 'failed', code: 'WM_SIGNER_UNTRUSTED' });
    });
  });
});

describe('a version switch', () => {
  test('to a warm version is done when its message is handled, without a fetch, and lets running invocations finish', async () => {
    const world = worldOf(slow);
    await world.play(async () => {
      const modules = [await world.controller.grant('echo', 1), await world.controller.grant('echo', 2)];
      world.controller.desired = { ...world.controller.desired, modules, assignments: [triggered({ version: 2, concurrency: 2 })] };
      await world.start();
      await world.pass(1 * S);
      expect(world.of('artefact.loaded').length).toBe(2);
      world.offer(CONSUMER, 'e1');
      await world.pass(500 * MS);
      await world.controller.want({ assignments: [triggered({ version: 1, concurrency: 2 })] });
      await world.pass(500 * MS);
      const desired = world.of('agent.desired').at(-1);
      const serving = world.of('instance.serving').at(-1);
      expect(serving?.fields.version).toBe(1);
      expect((serving?.micros ?? 0) - (desired?.micros ?? 0)).toBeLessThanOrEqual(1 * MS);
      world.offer(CONSUMER, 'e2');
      await world.pass(10 * S);
      expect(world.of('invocation.finished').map((record) => [record.fields.event, record.fields.version, record.fields.outcome])).toEqual([
        ['e1', 2, 'completed'],
        ['e2', 1, 'completed'],
      ]);
      expect(world.of('instance.ended')).toEqual([]);
      expect(world.controller.fetches.length).toBe(2);
    });
  });
});

test('a desired state that changes nothing is answered with what is running: the one before it may have been overtaken', async () => {
  const world = worldOf(done);
  await world.play(async () => {
    world.controller.desired = {
      ...world.controller.desired,
      modules: [await world.controller.grant('echo', 1)],
      assignments: [triggered()],
    };
    await world.start();
    await world.pass(1 * S);
    const before = world.controller.heard.length;
    await world.controller.want({});
    await world.pass(100 * MS);
    expect(world.controller.heard.slice(before).filter((message) => message.kind === 'instance')).toMatchObject([
      { report: { instance: 'echo/0', state: 'running', version: 1 } },
    ]);
    expect(world.of('instance.serving').length).toBe(1);
  });
});

describe('an instance that is not desired any more', () => {
  test('finishes what it runs, gives back what it did not begin, and then says that it stopped', async () => {
    const world = worldOf(slow);
    await world.play(async () => {
      world.controller.desired = {
        ...world.controller.desired,
        modules: [await world.controller.grant('echo', 1)],
        assignments: [triggered()],
      };
      await world.start();
      await world.pass(1 * S);
      world.offer(CONSUMER, 'e1');
      await world.pass(3 * S);
      await world.controller.want({ assignments: [] });
      await world.pass(1 * S);
      expect(world.of('instance.ended')).toEqual([]);
      await world.pass(3 * S);
      expect(world.bus.settled).toMatchObject([{ event: 'e1', settlement: { kind: 'ack' } }]);
      expect(world.of('instance.ended')).toMatchObject([{ fields: { cause: 'no longer desired' } }]);
      expect(world.controller.last('instance')?.report).toMatchObject({ state: 'stopped' });
    });
  });

  test('is confirmed as stopped even if it never came to run', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      world.controller.desired = {
        ...world.controller.desired,
        modules: [await world.controller.grant('echo', 1, { author: 'stranger' })],
        assignments: [triggered()],
      };
      await world.start();
      await world.pass(1 * S);
      const { instance, version } = triggered();
      await world.controller.want({ assignments: [], withdrawn: [{ instance, epoch: epoch(1), version }] });
      await world.pass(1 * S);
      expect(world.controller.last('instance')?.report).toMatchObject({ instance: 'echo/0', state: 'stopped' });
    });
  });

  test('is confirmed as stopped if it is heard of for the first time when it is withdrawn', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      await world.start();
      await world.pass(1 * S);
      const { instance, version } = triggered();
      await world.controller.want({ withdrawn: [{ instance, epoch: epoch(3), version }] });
      await world.pass(1 * S);
      expect(world.controller.last('instance')?.report).toMatchObject({ instance, epoch: 3, state: 'stopped' });
      // Whoever asks again did not take the first answer, perhaps because it wanted the instance then.
      await world.controller.want({ withdrawn: [{ instance, epoch: epoch(3), version }] });
      await world.pass(1 * S);
      expect(world.controller.heard.filter(({ kind }) => kind === 'instance')).toHaveLength(2);
    });
  });

  test('is confirmed under a later epoch that it never heard of when what it runs has ended, and not before', async () => {
    const world = worldOf(slow);
    await world.play(async () => {
      const modules = [await world.controller.grant('echo', 1)];
      world.controller.desired = { ...world.controller.desired, modules, assignments: [triggered()] };
      await world.start();
      await world.pass(1 * S);
      world.offer(CONSUMER, 'e1');
      await world.pass(1 * S);
      const { instance, version } = triggered();
      await world.controller.want({ assignments: [], withdrawn: [{ instance, epoch: epoch(2), version }] });
      await world.pass(1 * S);
      expect(world.controller.last('instance')?.report).toMatchObject({ epoch: 1, state: 'running' });
      await world.pass(5 * S);
      const told = world.controller.heard.flatMap((message) => (message.kind === 'instance' ? [message.report] : []));
      expect(told.slice(-2).map(({ epoch: of, state }) => `${of} ${state}`)).toEqual(['1 stopped', '2 stopped']);
    });
  });
});

test('a later epoch kills the earlier one, and nothing of the earlier takes effect', async () => {
  const world = worldOf(slow);
  await world.play(async () => {
    world.controller.desired = {
      ...world.controller.desired,
      modules: [await world.controller.grant('echo', 1)],
      assignments: [triggered()],
    };
    await world.start();
    await world.pass(1 * S);
    world.offer(CONSUMER, 'e1');
    await world.pass(1 * S);
    await world.controller.want({ assignments: [triggered({ epoch: epoch(2) })] });
    await world.pass(10 * S);
    expect(world.of('instance.ended')).toMatchObject([{ fields: { epoch: 1 } }]);
    expect(world.of('instance.serving').map((record) => record.fields.epoch)).toEqual([1, 2]);
    expect(world.bus.published).toEqual([]);
    expect(world.wasm.open).toBe(0);
  });
});

describe('when the lease lapses', () => {
  const plan = async (world: AgentWorld): Promise<void> => {
    const modules = [await world.controller.grant('echo', 1)];
    const stays = assignmentOf('stay/0', { movable: false, triggers: [bindingOf('s', { ackWaitMs: 60_000 })] });
    world.controller.desired = { ...world.controller.desired, modules, assignments: [triggered(), stays] };
    await world.start();
    await world.pass(1 * S);
  };

  test('movable work stops without an effect, and what stays goes on', async () => {
    const world = worldOf(slow);
    await world.play(async () => {
      await plan(world);
      world.sim.network.begin('cut', CUT);
      world.offer(CONSUMER, 'e1');
      world.offer(consumerOf('s' as TriggerName), 'e2');
      await world.pass(8 * S);
      expect(world.of('instance.ended').map((record) => [record.fields.instance, record.fields.cause])).toEqual([
        ['echo/0', 'lease lapsed'],
      ]);
      expect(world.bus.settled.map((one) => one.event)).toEqual(['e2']);
      expect(world.of('invocation.finished').find((record) => record.fields.event === 'e1')?.fields.outcome).toBe('WM_LEASE_LAPSED');
    });
  });

  test('movable work is served again in its epoch when the controller desires it still, and not before it says so', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      await plan(world);
      world.sim.network.begin('cut', CUT);
      await world.pass(4 * S);
      world.controller.sendsDesired = false;
      world.sim.network.end('cut');
      await world.pass(5 * S);
      expect(world.of('agent.lease').at(-1)?.fields.state).toBe('held');
      expect(world.of('instance.serving').filter((record) => record.fields.instance === 'echo/0').length).toBe(1);
      await world.controller.sayDesired();
      await world.pass(1 * S);
      expect(world.of('instance.serving').filter((record) => record.fields.instance === 'echo/0').length).toBe(2);
    });
  });

  test('a machine that was paused over it wakes without any effect of movable work', async () => {
    const world = worldOf(slow);
    await world.play(async () => {
      await plan(world);
      world.offer(CONSUMER, 'e1');
      await world.pass(4_900 * MS);
      world.machine.pause();
      await world.pass(10 * S);
      const wakesMicros = world.sim.kernel.now();
      world.machine.resume();
      await world.pass(500 * MS);
      expect(
        world.of('instance.ended').map((record) => [record.fields.instance, record.fields.cause, record.micros - wakesMicros < 10 * MS]),
      ).toEqual([['echo/0', 'lease lapsed', true]]);
      expect(world.bus.published).toEqual([]);
      expect(world.bus.settled).toEqual([]);
    });
  });
});

test('what a paused machine finds finished when it wakes has no effect, although the timer of its lease comes later', async () => {
  const world = worldOf(function* () {
    yield request('publish', 'alerts.x\nhi');
    return 0;
  });
  await world.play(async () => {
    world.controller.desired = {
      ...world.controller.desired,
      modules: [await world.controller.grant('echo', 1, { capabilities: ['publish:>'] })],
      assignments: [triggered({ grants: [{ kind: 'publish', scope: '>' as SubjectFilter }] })],
    };
    world.wasm.legMicros = 100 * MS;
    await world.start();
    await world.pass(1 * S);
    world.offer(CONSUMER, 'e1');
    await world.pass(20 * MS);
    expect(world.wasm.open).toBe(1);
    world.machine.pause();
    await world.pass(10 * S);
    world.machine.resume();
    await world.pass(500 * MS);
    expect(world.bus.published).toEqual([]);
    expect(world.bus.settled).toEqual([]);
    expect(world.of('invocation.finished')).toMatchObject([{ fields: { outcome: 'WM_LEASE_LAPSED' } }]);
  });
});

describe('a restart without the controller', () => {
  test('goes on with the work that stays, from the last desired state, and with none that moves', async () => {
    const world = worldOf(done);
    await world.play(async () => {
      const modules = [await world.controller.grant('echo', 1)];
      const stays = assignmentOf('stay/0', { movable: false, triggers: [bindingOf('s')] });
      world.controller.desired = { ...world.controller.desired, modules, assignments: [triggered(), stays] };
      await world.start();
      await world.pass(2 * S);
      world.sim.network.begin('cut', CUT);
      await world.restart();
      await world.pass(2 * S);
      world.offer(consumerOf('s' as TriggerName), 'e1');
      await world.pass(1 * S);
      const after = world.records.filter((record) => record.incarnation === 2);
      expect(after.filter((record) => record.kind === 'instance.serving').map((record) => record.fields)).toMatchObject([
        { instance: 'stay/0' },
      ]);
      expect(world.bus.settled).toMatchObject([{ event: 'e1', settlement: { kind: 'ack' } }]);
    });
  });
});
