// Triggers and their consumers at the broker: whoever serves a trigger is told when it changes, and nothing is left behind.
import { describe, expect, test } from 'vitest';
import { createBroker, type ControllerBroker } from '../../../system/bus/bus.ts';
import { planCommand } from '../../../system/controller/commands.ts';
import type { ControllerPorts } from '../../../system/controller/controller.ts';
import { applyEntry, createState } from '../../../system/controller/state.ts';
import { FETCH_EVENTS_METHOD } from '../../../system/domain/broker.ts';
import type { DeploymentName, TriggerName, ZonePath } from '../../../system/domain/identifiers.ts';
import { rejected } from '../../../system/domain/outcome.ts';
import { TRIGGERS_MAX } from '../../../system/events/events.ts';
import { ControllerWorld, deploymentOf, S, triggerOf } from '../../support/controller/world.ts';

const OTHER = 'other' as DeploymentName;
const T = triggerOf().name;

async function deployed(world: ControllerWorld): Promise<void> {
  await world.startNode('n1');
  await world.pass(S);
  await world.trust();
  await world.push('echo', 'echo 1');
  await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
  await world.must({ kind: 'trigger-apply', spec: triggerOf() });
  await world.pass(S);
}

/** The embedded broker, of which a test may hold back or change what it likes. */
class TestBroker {
  broker: ControllerBroker | null = null;
  fetches = 0;
  changes: Partial<ControllerBroker> = {};

  readonly create = (ports: ControllerPorts): ControllerBroker => {
    const real = createBroker(ports, { queueEventsMax: 100 });
    const { changes } = this;
    this.broker = {
      ...real,
      handleCall: (method, peer, request) => {
        if (method === FETCH_EVENTS_METHOD) this.fetches += 1;
        return real.handleCall(method, peer, request);
      },
      ...changes,
    };
    return this.broker;
  };

  async consumers(): Promise<readonly string[]> {
    const listed = await this.broker?.listConsumers();
    return listed?.ok === true ? listed.value : [];
  }
}

describe('a trigger', () => {
  test('that is given to another deployment starts its instances, and no longer those of the first', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await deployed(world);
      // On a node of its own: what is told to one node says nothing of the other.
      await world.startNode('n2', { zone: 'cloud/us' });
      const requirements = { ...deploymentOf().requirements, within: 'cloud/us' as ZonePath };
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ name: OTHER, requirements }) });
      await world.pass(S);
      await world.must({ kind: 'trigger-apply', spec: triggerOf({ deployment: OTHER }) });
      await world.pass(S);
      for (let at = 0; at < 10; at++) await world.publish(`e${at}`, 'ping.a', 'hello');
      await world.pass(2 * S);
      const served = world.of('invocation.finished').map(({ fields }) => fields.instance);
      expect(served).toEqual(Array(10).fill('other/0'));
    });
  });

  test('that is deleted is asked for no more, and nothing of it stays at the broker', async () => {
    const broker = new TestBroker();
    const world = new ControllerWorld({ broker: broker.create });
    await world.play(async () => {
      await deployed(world);
      expect(await broker.consumers()).toEqual(['trigger-on-ping']);
      await world.must({ kind: 'trigger-delete', trigger: T });
      expect(await broker.consumers()).toEqual([]);
      await world.pass(S);
      const before = broker.fetches;
      await world.pass(60 * S);
      expect(broker.fetches).toBe(before);
    });
  });

  test('that is deleted while it is being made stays away', async () => {
    const broker = new TestBroker();
    const world = new ControllerWorld({ broker: broker.create });
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await Promise.all([world.must({ kind: 'trigger-apply', spec: triggerOf() }), world.must({ kind: 'trigger-delete', trigger: T })]);
      expect((await world.query('deployments')).deployments[0]?.triggers).toEqual([]);
      expect(await broker.consumers()).toEqual([]);
    });
  });

  test('whose end the broker was not told of before the controller ended is gone after the next start', async () => {
    const broker = new TestBroker();
    broker.changes = { deleteConsumer: () => new Promise(() => {}) };
    const world = new ControllerWorld({ broker: broker.create });
    await world.play(async () => {
      await deployed(world);
      void world.execute({ kind: 'trigger-delete', trigger: T });
      await world.pass(S);
      broker.changes = {};
      await world.restartController();
      expect((await world.query('deployments')).deployments[0]?.triggers).toEqual([]);
      expect(await broker.consumers()).toEqual([]);
    });
  });

  test('that the broker refuses ends nothing, is told as refused, and is served once the broker takes it', async () => {
    const broker = new TestBroker();
    broker.changes = {
      createConsumer: () => Promise.resolve(rejected('WM_ARGUMENT', { message: 'It is full.', next: 'Make room.' })),
    };
    const world = new ControllerWorld({ broker: broker.create });
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      const refused = await world.execute({ kind: 'trigger-apply', spec: triggerOf() });
      expect(refused).toMatchObject({ ok: false, error: { code: 'WM_ARGUMENT' } });
      expect(refused.ok ? '' : refused.error.message).toContain('is applied, but the broker refuses it: It is full.');
      await world.restartController();
      expect(world.endings).toEqual([]);
      broker.changes = {};
      await world.restartController();
      expect(await broker.consumers()).toEqual(['trigger-on-ping']);
    });
  });

  test('that the broker refused is tried again without a restart', async () => {
    const broker = new TestBroker();
    let isFull = true;
    const world = new ControllerWorld({
      broker: (ports) => {
        const real = createBroker(ports, { queueEventsMax: 100 });
        const full = rejected('WM_ARGUMENT', { message: 'It is full.', next: 'Make room.' });
        broker.broker = { ...real, createConsumer: (spec) => (isFull ? Promise.resolve(full) : real.createConsumer(spec)) };
        return broker.broker;
      },
    });
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.execute({ kind: 'trigger-apply', spec: triggerOf() }, 'once');
      isFull = false;
      await world.pass(30 * S);
      expect(await world.execute({ kind: 'trigger-apply', spec: triggerOf() }, 'once')).toMatchObject({ ok: true });
      await world.publish('e1', 'ping.a', 'hello');
      await world.pass(S);
      expect(world.of('invocation.finished')).toHaveLength(1);
    });
  });

  test('is refused beyond the bound of triggers, and one that there is may still change', () => {
    const state = createState();
    const nameOf = (at: number): TriggerName => `t${at}` as TriggerName;
    applyEntry(state, { kind: 'deployment-applied', spec: deploymentOf(), version: 1, revision: 1 }, 1);
    for (let at = 0; at < TRIGGERS_MAX; at++) applyEntry(state, { kind: 'trigger-applied', spec: triggerOf({ name: nameOf(at) }) }, 1);
    const keys = { keyIdOf: () => '' as never };
    const apply = (at: number): unknown =>
      planCommand(state, { kind: 'trigger-apply', spec: triggerOf({ name: nameOf(at), backoffMs: 7 }) }, keys, 1);
    expect(apply(TRIGGERS_MAX)).toMatchObject({ ok: false, error: { code: 'WM_ARGUMENT', detail: { triggersMax: TRIGGERS_MAX } } });
    expect(apply(0)).toMatchObject({ ok: true });
  });
});
