// What guests say on its way to the controller: in batches, bounded, and nothing where nothing is said.
import { expect, test } from 'vitest';
import { parseCapability } from '../../../system/domain/capability.ts';
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { TriggerName } from '../../../system/domain/identifiers.ts';
import type { AgentMessage } from '../../../system/domain/session.ts';
import { assignmentOf, bindingOf } from '../../support/agent/assignments.ts';
import { request, type Script } from '../../support/agent/scripted-wasm.ts';
import { AgentWorld, S } from '../../support/agent/world.ts';

const CONSUMER = consumerOf('t' as TriggerName);

type Logs = Extract<AgentMessage, { readonly kind: 'logs' }>;

async function serving(script: Script, world: AgentWorld, body: () => Promise<void>): Promise<readonly Logs[]> {
  world.scripts.set('echo', script);
  await world.play(async () => {
    const modules = [await world.controller.grant('echo', 3, { capabilities: ['log'] })];
    const grants = [parseCapability('log')].filter((capability) => capability !== null);
    const assignments = [assignmentOf('echo/0', { triggers: [bindingOf('t')], grants, version: 3 })];
    world.controller.desired = { ...world.controller.desired, modules, assignments };
    await world.start();
    await world.pass(S);
    await body();
  });
  return world.controller.heard.filter((message) => message.kind === 'logs');
}

const saying = (count: number): Script =>
  function* () {
    for (let at = 0; at < count; at++) yield request('log', `line ${at}`);
    return 0;
  };

test('lines of a moment come in one message, each with what it belongs to', async () => {
  const world = new AgentWorld();
  const heard = await serving(saying(3), world, async () => {
    world.offer(CONSUMER, 'e1');
    await world.pass(2 * S);
  });
  expect(heard).toHaveLength(1);
  expect(heard[0]).toMatchObject({
    lines: [0, 1, 2].map((at) => ({
      instance: 'echo/0',
      version: 3,
      level: 'info',
      event: 'e1',
      correlation: 'c-e1',
      text: `line ${at}`,
    })),
    dropped: [],
  });
});

test('where nothing is said, nothing is sent', async () => {
  const world = new AgentWorld();
  const heard = await serving(saying(0), world, async () => {
    world.offer(CONSUMER, 'e1');
    await world.pass(2 * S);
  });
  expect(world.of('invocation.finished')).toHaveLength(1);
  expect(heard).toEqual([]);
});

test('an invocation that failed says so with its code', async () => {
  const world = new AgentWorld();
  const trap: Script = function* () {
    yield { kind: 'trapped', trap: 'unreachable', message: 'it gave up' };
    return 0;
  };
  const heard = await serving(trap, world, async () => {
    world.offer(CONSUMER, 'e1');
    await world.pass(2 * S);
  });
  expect(heard.flatMap(({ lines }) => lines)).toMatchObject([
    { level: 'warn', event: 'e1', text: expect.stringContaining('WM_GUEST_TRAPPED') as string },
  ]);
});

test('what is more than a second allows is counted and not sent', async () => {
  const world = new AgentWorld({ bounds: { logLinesPerSecondMax: 10 } });
  const heard = await serving(saying(30), world, async () => {
    world.offer(CONSUMER, 'e1');
    await world.pass(2 * S);
    world.offer(CONSUMER, 'e2');
    await world.pass(2 * S);
  });
  expect(heard.map(({ lines }) => lines.length)).toEqual([10, 10]);
  expect(heard.map(({ dropped }) => dropped)).toEqual([[{ instance: 'echo/0', lines: 20 }], [{ instance: 'echo/0', lines: 20 }]]);
});

test('lines wait for a session, and none of them is sent before a heartbeat that is due', async () => {
  const world = new AgentWorld({ bounds: { logLinesPerMessageMax: 1 } });
  const heard = await serving(saying(5), world, async () => {
    world.controller.hangUp();
    world.offer(CONSUMER, 'e1');
    await world.pass(2 * S);
  });
  expect(heard.flatMap(({ lines }) => lines)).toHaveLength(5);
  const kinds = world.controller.heard.map(({ kind }) => kind);
  const hello = kinds.lastIndexOf('hello');
  expect(kinds.indexOf('heartbeat', hello)).toBeLessThan(kinds.indexOf('logs', hello));
});
