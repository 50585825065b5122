// What an operator reads of a deployment's guests, from the nodes that run them.
import { describe, expect, test } from 'vitest';
import { LOGS_METHOD } from '../../../system/domain/operator.ts';
import type { LogsMessage, LogsRequest } from '../../../system/domain/logs.ts';
import type { CorrelationId, DeploymentName, InstanceId, NodeId } from '../../../system/domain/identifiers.ts';
import { GuestLogs } from '../../../system/controller/guest-logs.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';
import { decodeLogsMessage, encodeLogsRequest } from '../../../system/wire/codec/logs.ts';
import { request } from '../../support/agent/scripted-wasm.ts';
import { ControllerWorld, deploymentOf, S, triggerOf } from '../../support/controller/world.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';

const ECHO = 'echo' as DeploymentName;

/** Collects what comes until the controller closes. */
async function read(
  world: ControllerWorld,
  asked: LogsRequest,
  from = 'operator',
  heard: LogsMessage[] = [],
): Promise<readonly LogsMessage[]> {
  await world.stream(from, LOGS_METHOD, async (opened) => {
    if (!opened.ok) throw new Error(opened.error.message);
    await opened.value.send(encodeLogsRequest(asked));
    for (;;) {
      const received = await opened.value.receive();
      if (!received.ok || received.value === null) return;
      const decoded = decodeLogsMessage(received.value);
      if (!decoded.ok) throw new Error(decoded.error.message);
      heard.push(decoded.value);
    }
  });
  return heard;
}

const textsOf = (messages: readonly LogsMessage[]): readonly string[] =>
  messages.flatMap((message) => (message.kind === 'lines' ? message.lines.map(({ text }) => text) : []));

async function serving(world: ControllerWorld): Promise<void> {
  world.scripts.set('echo', function* (guest) {
    yield request('log', `heard ${new TextDecoder().decode(guest.stdin)}`);
    return 0;
  });
  await world.startNode('n1');
  await world.pass(S);
  await world.trust(['log']);
  await world.push('echo', 'echo 1', { capabilities: ['log'] });
  await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
  await world.must({ kind: 'trigger-apply', spec: triggerOf({ result: null }) });
  await world.pass(S);
}

describe('logs of a deployment', () => {
  test('are the recent lines, with the node, the instance, the version and the event that they come of', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await serving(world);
      expect(await read(world, { deployment: ECHO, follow: false, lines: 10 })).toEqual([]);
      for (const at of [1, 2, 3]) {
        await world.publish(`e${at}`, 'ping.a', `${at}`);
        await world.pass(S);
      }
      const [message] = await read(world, { deployment: ECHO, follow: false, lines: 2 });
      expect(message).toMatchObject({
        kind: 'lines',
        dropped: 0,
        lines: [
          { node: 'n1', instance: 'echo/0', version: 1, level: 'info', event: 'e2', correlation: 'e2', text: 'heard 2' },
          { event: 'e3', text: 'heard 3' },
        ],
      });
    });
  });

  test('are followed, until the deployment is deleted', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await serving(world);
      await world.publish('e1', 'ping.a', '1');
      await world.pass(S);
      const heard: LogsMessage[] = [];
      const reading = read(world, { deployment: ECHO, follow: true, lines: 100 }, 'operator', heard);
      const fresh = read(world, { deployment: ECHO, follow: true, lines: 0 });
      await world.pass(S);
      expect(textsOf(heard)).toEqual(['heard 1']);
      await world.publish('e2', 'ping.a', '2');
      await world.pass(S);
      expect(textsOf(heard)).toEqual(['heard 1', 'heard 2']);
      await world.must({ kind: 'deployment-delete', deployment: ECHO });
      await reading;
      expect(textsOf(await fresh)).toEqual(['heard 2']);
      expect(heard.at(-1)).toMatchObject({ kind: 'ended', code: 'WM_DEPLOYMENT_UNKNOWN' });
    });
  });

  test('are refused for a deployment that is not there, and to whoever is no operator', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await serving(world);
      const none = { deployment: 'none' as DeploymentName, follow: true, lines: 1 };
      expect(await read(world, none)).toMatchObject([{ kind: 'ended', code: 'WM_DEPLOYMENT_UNKNOWN' }]);
      expect(await read(world, { ...none, deployment: ECHO }, 'n1')).toMatchObject([{ kind: 'ended', code: 'WM_NODE_REFUSED' }]);
    });
  });
});

describe('what is kept of logs', () => {
  const lineOf = (deployment: string, text: string): Parameters<GuestLogs['add']>[1]['lines'][number] => ({
    timeMs: 1,
    instance: `${deployment}/0` as InstanceId,
    version: 1,
    level: 'info',
    event: 'e' as never,
    correlation: 'c' as CorrelationId,
    text,
  });

  /** A reader that is given the recent lines and then closes. */
  async function recent(logs: GuestLogs, deployment: string): Promise<readonly LogsMessage[]> {
    const heard: LogsMessage[] = [];
    const asked: LogsRequest = { deployment: deployment as DeploymentName, follow: false, lines: 1_000 };
    const answers: Outcome<LogsRequest | null>[] = [ok<LogsRequest | null>(asked)];
    let close = (): void => {};
    const closed = new Promise<Outcome<null>>((resolve) => (close = () => resolve(ok(null))));
    await logs.serve({
      send: (message: LogsMessage) => {
        heard.push(message);
        return Promise.resolve(ok());
      },
      receive: () => (answers.length > 0 ? Promise.resolve(answers.shift()) : closed),
      close: () => close(),
    } as unknown as Parameters<GuestLogs['serve']>[0]);
    return heard;
  }

  function create(): GuestLogs {
    return new GuestLogs({
      clock: new MemoryTime().process(),
      deploymentOf: (instance) => (instance.startsWith('unknown') ? null : (instance.split('/')[0] as DeploymentName)),
      isDeployed: () => true,
    });
  }

  test('is bounded for each deployment, and for all: the one that says most gives', async () => {
    const logs = create();
    logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf('quiet', 'hush')], dropped: [] });
    for (let at = 0; at < 1_500; at++) logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf('some', `${at}`)], dropped: [] });
    expect(textsOf(await recent(logs, 'some'))).toEqual(Array.from({ length: 1_000 }, (_, at) => `${at + 500}`));
    for (const name of Array.from({ length: 20 }, (_, at) => `loud-${at}`))
      for (let at = 0; at < 1_000; at++) logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf(name, 'x'.repeat(2_000))], dropped: [] });
    const loud = await Promise.all(Array.from({ length: 20 }, (_, at) => recent(logs, `loud-${at}`)));
    expect(loud.flatMap(textsOf).join('').length).toBeLessThan(16 * 1024 * 1024);
    expect(textsOf(await recent(logs, 'quiet'))).toEqual(['hush']);
  });

  test('is nothing of a deployment that is gone, also where its last lines come late', async () => {
    let isDeployed = true;
    const logs = new GuestLogs({
      clock: new MemoryTime().process(),
      deploymentOf: (instance) => instance.split('/')[0] as DeploymentName,
      isDeployed: () => isDeployed,
    });
    logs.forget('a' as DeploymentName);
    isDeployed = false;
    logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf('a', 'late')], dropped: [{ instance: 'a/0' as InstanceId, lines: 7 }] });
    isDeployed = true;
    logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf('a', 'of the next')], dropped: [] });
    expect(await recent(logs, 'a')).toMatchObject([{ dropped: 0, lines: [{ text: 'of the next' }] }]);
  });

  test('tells how many lines were lost before a line, and keeps nothing of instances that nobody knows', async () => {
    const logs = create();
    const lost = [
      { instance: 'a/0' as InstanceId, lines: 7 },
      { instance: 'unknown/0' as InstanceId, lines: 7 },
    ];
    logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf('a', '1')], dropped: [] });
    logs.add('n1' as NodeId, { kind: 'logs', lines: [lineOf('a', '2'), lineOf('a', '3'), lineOf('unknown', '4')], dropped: lost });
    expect(await recent(logs, 'a')).toMatchObject([
      { dropped: 0, lines: [{ text: '1' }] },
      { dropped: 7, lines: [{ text: '2' }, { text: '3' }] },
    ]);
    expect(await recent(logs, 'unknown')).toEqual([]);
  });
});
