// The agent and its controller: enrolment, heartbeats, lease, reconnection, refusal (R1.1, R1.3).
import { describe, expect, test } from 'vitest';
import { FLEET, CLOUD } from '../../contract/sim-world.ts';
import type { Term } from '../../../system/domain/identifiers.ts';
import { AgentWorld, MS, NODE, S } from '../../support/agent/world.ts';

const CUT = { kind: 'partition', a: [CLOUD], b: [FLEET] } as const;

test('an agent enrols, is welcomed, and is heard at the interval it was told', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    await world.start();
    await world.pass(5 * S);
    expect(world.controller.last('hello')).toMatchObject({ joinToken: 'token', incarnation: null, instances: [], artefacts: [] });
    const beats = world.controller.heard.filter((message) => message.kind === 'heartbeat');
    expect(beats.length).toBeGreaterThanOrEqual(9);
    expect(beats.length).toBeLessThanOrEqual(11);
    expect(world.of('agent.lease').map((record) => record.fields.state)).toEqual(['held']);
    expect(world.controller.sessions).toBe(1);
    await world.on(world.machine, () => world.agent.stop());
  });
});

test('a controller that ends the session is dialled again, with the incarnation that it gave', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    await world.start();
    await world.pass(1 * S);
    world.controller.hangUp();
    await world.pass(1 * S);
    expect(world.controller.sessions).toBe(2);
    const hellos = world.controller.heard.filter((message) => message.kind === 'hello');
    expect(hellos[1]).toMatchObject({ incarnation: 1, bootId: hellos[0]?.bootId });
    expect(world.of('agent.lease').map((record) => record.fields.state)).toEqual(['held']);
  });
});

test('a restart is told apart from a reconnection', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    await world.start();
    await world.pass(1 * S);
    await world.restart();
    await world.pass(2 * S);
    const hellos = world.controller.heard.filter((message) => message.kind === 'hello');
    expect(new Set(hellos.map((hello) => hello.bootId)).size).toBe(2);
    expect(hellos.at(-1)?.incarnation).toBeNull();
  });
});

test('a session without answers is dropped and dialled anew', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    world.controller.leaseMs = 60_000;
    await world.start();
    await world.pass(1 * S);
    world.controller.answersHeartbeats = false;
    await world.pass(4 * S);
    expect(world.of('agent.session').map((record) => record.fields.cause)).toContain('no answer to 4 heartbeats');
    expect(world.controller.sessions).toBeGreaterThanOrEqual(2);
  });
});

describe('the lease', () => {
  test('lapses when nothing is heard, counted from the sending, and is held again after the partition', async () => {
    const world = new AgentWorld();
    await world.play(async () => {
      await world.start();
      await world.pass(3 * S);
      const cutMicros = world.sim.kernel.now();
      world.sim.network.begin('cut', CUT);
      await world.pass(3 * S);
      const lapsed = world.of('agent.lease').find((record) => record.fields.state === 'lapsed');
      expect(lapsed?.micros).toBeLessThanOrEqual(cutMicros + world.controller.leaseMs * MS);
      expect(lapsed?.micros).toBeGreaterThan(cutMicros + (world.controller.leaseMs - 600) * MS);
      world.sim.network.end('cut');
      await world.pass(8 * S);
      expect(world.of('agent.lease').map((record) => record.fields.state)).toEqual(['held', 'lapsed', 'held']);
    });
  });
});

test('answers that are late renew the lease as long as they are younger than it, and what was never sent renews nothing', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    world.controller.leaseMs = 10_000;
    await world.start();
    await world.pass(3 * S);
    // The round trip grows to 3 s, six heartbeats: answers never stay away, they are only late.
    for (let factor = 10; factor <= 300; factor += 10) {
      world.sim.network.begin(`far ${factor}`, { kind: 'latency', a: CLOUD, b: FLEET, factor: [factor, 1] });
      if (factor > 10) world.sim.network.end(`far ${factor - 10}`);
      await world.pass(3 * S);
    }
    await world.pass(30 * S);
    expect(world.of('agent.lease').map((record) => record.fields.state)).toEqual(['held']);
    expect(world.controller.sessions).toBe(1);
    world.controller.answersHeartbeats = false;
    for (let i = 0; i < 40; i++) {
      await world.controller.say({ kind: 'heartbeat-ack', term: world.controller.term as Term, sequence: 100_000 + i, leaseMs: 10_000 });
      await world.pass(S / 2);
    }
    expect(world.of('agent.lease').map((record) => record.fields.state)).toEqual(['held', 'lapsed']);
  });
});

test('a refused agent says why, and tries again slowly', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    world.controller.refusal = { kind: 'refused', code: 'WM_NODE_REFUSED', message: 'wrong token', next: 'give the right one' };
    await world.start();
    await world.pass(20 * S);
    expect(world.of('log').some((record) => record.fields.level === 'error' && record.fields.message.includes('wrong token'))).toBe(true);
    expect(world.controller.sessions).toBeGreaterThanOrEqual(2);
    expect(world.controller.sessions).toBeLessThanOrEqual(8);
    world.controller.refusal = null;
    await world.pass(10 * S);
    expect(world.of('agent.session').at(-1)?.fields).toMatchObject({ node: NODE, state: 'connected' });
  });
});

test('a controller with another key than the first is not believed, also after a restart', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    await world.start();
    await world.pass(1 * S);
    const honest = world.controller.author.bind(world.controller);
    world.controller.author = (name, mayGrant) => honest(name === 'controller' ? 'impostor' : name, mayGrant);
    await world.restart();
    await world.pass(5 * S);
    expect(world.of('log').some((record) => record.fields.message.includes('WM_SIGNER_UNTRUSTED'))).toBe(true);
    expect(world.of('agent.desired').filter((record) => record.incarnation === 2)).toEqual([]);
  });
});

test('an older leader is refused, and an older revision is not applied', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    world.controller.term = 5;
    world.controller.revision = 7;
    await world.start();
    await world.pass(1 * S);
    await world.controller.sayDesired(6);
    await world.controller.sayDesired(900, 4);
    await world.controller.sayDesired(7);
    await world.pass(1 * S);
    expect(world.of('agent.desired').map((record) => record.fields.applied)).toEqual([true, false, false, true]);
    world.controller.term = 4;
    await world.restart();
    await world.pass(1 * S);
    expect(world.of('agent.desired').filter((record) => record.incarnation === 2)).toEqual([]);
    expect(world.of('log').some((record) => record.fields.message.includes('WM_STALE_TERM'))).toBe(true);
  });
});
