// What a node says of itself: distances, load, metrics, idleness, refusals (R4.1, R8.2, R12.1, P11).
import { expect, test } from 'vitest';
import { leastRtt, withSample } from '../../../agents/probes/samples.ts';
import type { Samples } from '../../../agents/probes/samples.ts';
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { Endpoint, NodeId, TriggerName } from '../../../system/domain/identifiers.ts';
import { ok } from '../../../system/domain/outcome.ts';
import { PING_METHOD } from '../../../system/domain/node-service.ts';
import type { AgentMessage } from '../../../system/domain/session.ts';
import { CLOUD, FLEET } from '../../contract/sim-world.ts';
import { assignmentOf, bindingOf } from '../../support/agent/assignments.ts';
import { request } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, FACTS, MS, S } from '../../support/agent/world.ts';

/** Its heartbeats that say a distance. */
function toldIn(world: AgentWorld): readonly Extract<AgentMessage, { kind: 'heartbeat' }>[] {
  return world.controller.heard.flatMap((message) => (message.kind === 'heartbeat' && message.latencies.length > 0 ? [message] : []));
}

test('the least of the recent round trips counts, and silence is no distance', () => {
  let samples: Samples = [];
  for (const rtt of [900, 400, 500, null]) samples = withSample(samples, rtt, 3);
  expect(samples).toEqual([400, 500, null]);
  expect(leastRtt(samples)).toBe(400);
  expect(leastRtt([null, null])).toBeNull();
  expect(leastRtt([])).toBeNull();
});

test('an agent measures its landmarks, reports them with its heartbeats, and answers pings itself', async () => {
  const world = new AgentWorld();
  await world.play(async () => {
    const landmark = world.sim.add('landmark', CLOUD);
    const endpoint = 'agent/landmark' as Endpoint;
    await world.on(landmark, async () => {
      await world.sim.network
        .portOf('landmark')
        .listen(endpoint, { call: async () => ok(new Uint8Array()), stream: async (_method, stream) => stream.close() });
    });
    world.controller.desired = {
      ...world.controller.desired,
      landmarks: [
        { node: 'landmark' as NodeId, endpoint },
        { node: FACTS.node, endpoint: FACTS.endpoint },
        { node: 'absent' as NodeId, endpoint: 'agent/absent' as Endpoint },
      ],
    };
    await world.start();
    await world.pass(6 * S);
    const latencies = toldIn(world).at(-1)?.latencies ?? [];
    expect(latencies.map((one) => one.landmark)).toEqual(['landmark']);
    expect(latencies[0]?.rttMicros).toBeGreaterThanOrEqual(10 * MS);
    expect(latencies[0]?.rttMicros).toBeLessThan(12 * MS);
    const answered = await world.on(landmark, async () => {
      const connected = await world.sim.network.portOf('landmark').connect(FACTS.endpoint, { deadlineMicros: S });
      return connected.ok ? connected.value.call(PING_METHOD, new Uint8Array(), { deadlineMicros: S }) : connected;
    });
    expect(answered.ok).toBe(true);
  });
});

test('distances are said when they are new, again before they would be forgotten, and first thing in every session', async () => {
  const world = new AgentWorld({ bounds: { probeIntervalMs: 50_000, probeSamplesMax: 1 } });
  await world.play(async () => {
    const endpoint = 'agent/landmark' as Endpoint;
    await world.on(world.sim.add('landmark', CLOUD), async () => {
      await world.sim.network
        .portOf('landmark')
        .listen(endpoint, { call: async () => ok(new Uint8Array()), stream: async (_method, stream) => stream.close() });
    });
    world.controller.desired = { ...world.controller.desired, landmarks: [{ node: 'landmark' as NodeId, endpoint }] };
    await world.start();
    await world.pass(45 * S);
    const all = world.controller.heard.filter((message) => message.kind === 'heartbeat');
    expect(all.length).toBeGreaterThan(80);
    // A heartbeat every half second. What was measured in the first is said in the second, and again every 20 s.
    expect(toldIn(world).map(({ sequence }) => sequence)).toEqual([2, 42, 82]);
    world.sim.network.begin('far', { kind: 'latency', a: CLOUD, b: FLEET, factor: [3, 1] });
    await world.pass(9 * S);
    expect(toldIn(world).map(({ sequence }) => sequence)).toEqual([2, 42, 82, 102]);
    const [before, after] = [toldIn(world).at(-2), toldIn(world).at(-1)].map((beat) => beat?.latencies[0]?.rttMicros ?? 0);
    expect(after).toBeGreaterThan(2 * (before ?? 0));
    const heard = world.controller.heard.length;
    world.controller.hangUp();
    await world.pass(2 * S);
    const anew = world.controller.heard.slice(heard).filter((message) => message.kind === 'heartbeat');
    expect(anew[0]).toMatchObject({ sequence: 1, latencies: [{ landmark: 'landmark', rttMicros: after }] });
  });
});

test('a landmark that is replaced, or has another endpoint, is measured anew and the old one is heard of no more', async () => {
  const world = new AgentWorld({ bounds: { probeIntervalMs: 2_000 } });
  await world.play(async () => {
    const asked: string[] = [];
    await world.on(world.sim.add('landmark', CLOUD), async () => {
      for (const name of ['a', 'b', 'b2']) {
        await world.sim.network.portOf('landmark').listen(`agent/${name}` as Endpoint, {
          call: async () => {
            asked.push(name);
            return ok(new Uint8Array());
          },
          stream: async (_method, stream) => stream.close(),
        });
      }
    });
    const want = async (node: string, endpoint: string): Promise<readonly string[]> => {
      asked.length = 0;
      const heard = world.controller.heard.length;
      const landmarks = [{ node: node as NodeId, endpoint: `agent/${endpoint}` as Endpoint }];
      world.controller.desired = { ...world.controller.desired, landmarks };
      world.controller.revision += 1;
      if (heard > 0) await world.controller.sayDesired();
      else await world.start();
      await world.pass(5 * S);
      const told = toldIn(world).filter((beat) => world.controller.heard.indexOf(beat) >= heard);
      expect(told.at(-1)?.latencies.map(({ landmark }) => landmark)).toEqual([node]);
      return [...new Set(asked)];
    };
    expect(await want('a', 'a')).toEqual(['a']);
    expect(await want('b', 'b')).toEqual(['b']);
    expect(await want('b', 'b2')).toEqual(['b2']);
  });
});

test('metrics count invocations and failures, and a node that rests says that no guest is open', async () => {
  const world = new AgentWorld();
  world.scripts.set('echo', function* (options) {
    yield { kind: 'leg', micros: 400 * MS };
    return options.stdin[0] === 0x78 ? 1 : 0;
  });
  await world.play(async () => {
    const modules = [await world.controller.grant('echo', 1)];
    world.controller.desired = {
      ...world.controller.desired,
      modules,
      assignments: [assignmentOf('echo/0', { triggers: [bindingOf('t')] })],
    };
    await world.start();
    await world.pass(1 * S);
    world.offer(consumerOf('t' as TriggerName), 'e1', 'x');
    world.offer(consumerOf('t' as TriggerName), 'e2', 'y');
    await world.pass(500 * MS);
    expect(world.controller.last('heartbeat')?.load).toMatchObject({ invocationsActive: 1, memoryBytesFree: FACTS.memoryBytes - 65_536 });
    await world.pass(20 * S);
    expect(world.of('agent.metrics').at(0)?.fields).toMatchObject({
      invocations: 2,
      failures: 1,
      fuel: 14,
      invocationsActive: 0,
      memoryBytesFree: FACTS.memoryBytes,
    });
    expect(world.of('agent.metrics').at(0)?.fields.cpuPermille).toBeGreaterThan(50);
    expect(world.of('agent.metrics').at(1)?.fields.cpuPermille).toBe(0);
    expect(world.of('invocation.idle').map((record) => record.fields)).toEqual([{ node: FACTS.node, guests: 0 }]);
    // It rests: there is nothing new to tell until there is work again, of which the period begins with it.
    expect(world.of('agent.metrics').length).toBe(2);
    world.offer(consumerOf('t' as TriggerName), 'e3', 'y');
    await world.pass(6 * S);
    expect(world.of('agent.metrics').length).toBe(3);
    expect(world.of('agent.metrics').at(2)?.fields).toMatchObject({ invocations: 3, invocationsActive: 0 });
    expect(world.of('agent.metrics').at(2)?.fields.cpuPermille).toBeGreaterThan(25);
  });
});

test('a guest that is refused over and over fills neither the record nor the line to the controller', async () => {
  const world = new AgentWorld({ bounds: { refusalsToldMax: 5, refusalsPerSecondMax: 3 } });
  world.scripts.set('echo', function* () {
    for (let n = 0; n < 100; n++) yield request('publish', 'forbidden\nx');
    return 0;
  });
  await world.play(async () => {
    const modules = [await world.controller.grant('echo', 1)];
    world.controller.desired = {
      ...world.controller.desired,
      modules,
      assignments: [assignmentOf('echo/0', { triggers: [bindingOf('t')] })],
    };
    await world.start();
    await world.pass(1_100 * MS);
    world.offer(consumerOf('t' as TriggerName), 'e1');
    await world.pass(500 * MS);
    expect(world.of('invocation.finished')).toMatchObject([{ fields: { hostCalls: 100, outcome: 'completed' } }]);
    expect(world.of('capability.refused').length).toBe(5);
    expect(world.controller.heard.filter((message) => message.kind === 'refusal').length).toBe(3);
  });
});
