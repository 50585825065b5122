// An agent that is told to stop: what runs, what waits and what is left open (R2, P3).
import { expect, test } from 'vitest';
import type { AgentBounds } from '../../../agents/agent.ts';
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { KeyId, TriggerName } from '../../../system/domain/identifiers.ts';
import type { Assignment } from '../../../system/domain/session.ts';
import { assignmentOf, bindingOf } from '../../support/agent/assignments.ts';
import type { Script } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, MS, S } from '../../support/agent/world.ts';

const CONSUMER = consumerOf('t' as TriggerName);
const slow: Script = function* (_options, write) {
  for (let n = 0; n < 50; n++) yield { kind: 'leg', micros: 100 * MS };
  write('done');
  return 0;
};

const triggered = (): Assignment => assignmentOf('echo/0', { triggers: [bindingOf('t', { ackWaitMs: 60_000 })] });

function worldOf(script: Script, bounds: Partial<AgentBounds> = {}): AgentWorld {
  const world = new AgentWorld({ bounds });
  world.scripts.set('echo', script);
  return world;
}

test('an agent that stops lets running invocations finish, says goodbye and leaves nothing open', async () => {
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
    await world.on(world.machine, () => world.agent.stop());
    expect(world.bus.settled).toMatchObject([{ event: 'e1', settlement: { kind: 'ack' } }]);
    await world.pass(1 * S);
    expect(world.controller.last('instance')?.report).toMatchObject({ state: 'stopped', cause: 'the agent stops' });
    expect(world.wasm.open).toBe(0);
    const sessions = world.controller.sessions;
    await world.pass(20 * S);
    expect(world.controller.sessions).toBe(sessions);
    expect((await world.controller.author('author')).key).toBe(world.controller.desired.trust[0]?.key as KeyId);
  });
});

test.each([
  ['takes back the fetch that waits', 0],
  ['takes it back again, when the first word of it overtook the fetch', 1],
])('an agent that stops %s, and stops at once', async (_title, overtaking) => {
  const world = worldOf(slow);
  await world.play(async () => {
    world.controller.desired = {
      ...world.controller.desired,
      modules: [await world.controller.grant('echo', 1)],
      assignments: [triggered()],
    };
    await world.start();
    await world.pass(1 * S);
    expect(world.bus.fetchesOpen.get(CONSUMER)).toBe(1);
    world.bus.overtaking = overtaking;
    const before = world.sim.kernel.now();
    await world.on(world.machine, () => world.agent.stop());
    expect(world.bus.fetchesOpen.get(CONSUMER)).toBe(0);
    expect(world.sim.kernel.now() - before).toBeLessThan(100 * MS);
  });
});

test.each([
  ['is closed when the bound of stopping has passed', 1_000, []],
  ['finishes within a bound that is longer than that of other drains', 20_000, ['e1']],
])('what runs when an agent stops %s', async (_title, stopDrainMs, acknowledged) => {
  const world = worldOf(slow, { drainMs: 1_000, stopDrainMs });
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
    await world.on(world.machine, () => world.agent.stop());
    expect(world.bus.settled.filter(({ settlement }) => settlement.kind === 'ack').map(({ event }) => event)).toEqual(acknowledged);
  });
});
