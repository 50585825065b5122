// Watching the fleet: what an operator at a terminal may rely on.
import { describe, expect, test } from 'vitest';
import { WATCHERS_MAX } from '../../../system/controller/watching.ts';
import { WATCH_METHOD } from '../../../system/domain/operator.ts';
import type { NodeView } from '../../../system/domain/node.ts';
import type { WatchMessage } from '../../../system/domain/watch.ts';
import { decodeWatchMessage, encodeWatchRequest } from '../../../system/wire/codec/watch.ts';
import { byKey, TestWatcher } from '../../support/controller/watcher.ts';
import { ControllerWorld, deploymentOf, MS, S, triggerOf, ZONES } from '../../support/controller/world.ts';

/** What the controller says on a stream to which `bytes` are sent, until it closes or `messages` came. */
function ask(world: ControllerWorld, from: string, bytes: readonly Uint8Array[], messages = 100): Promise<readonly WatchMessage[]> {
  return world.stream(from, WATCH_METHOD, async (opened) => {
    if (!opened.ok) throw new Error(opened.error.message);
    const heard: WatchMessage[] = [];
    for (const each of bytes) await opened.value.send(each);
    while (heard.length < messages) {
      const received = await opened.value.receive();
      if (!received.ok || received.value === null) break;
      const decoded = decodeWatchMessage(received.value);
      if (!decoded.ok) throw new Error(decoded.error.message);
      heard.push(decoded.value);
    }
    return heard;
  });
}

const NODES = encodeWatchRequest({ kind: 'nodes', after: null });

describe('a watch', () => {
  test('begins with what is, however little that is', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      const [first] = await ask(world, 'operator', [NODES], 1);
      expect(first).toMatchObject({ kind: 'nodes', phase: 'present', more: false, upserts: [], removals: [] });
    });
  });

  test('begins with the present state also when it is opened in the middle of a command', async () => {
    for (let micros = 0; micros < 4_000; micros += 100) {
      const world = new ControllerWorld();
      await world.play(async () => {
        await world.startNode('n1');
        await world.pass(S);
        await world.trust();
        await world.push('echo', 'echo 1');
        const other = new TestWatcher(world, 'instances');
        await other.start();
        const watcher = new TestWatcher(world, 'instances');
        const applied = world.must({ kind: 'deployment-apply', spec: deploymentOf({ replicas: 3 }) });
        await world.pass(micros);
        await watcher.start();
        await applied;
        await world.pass(S);
        const phases = watcher.streams.flat().map(({ message }) => (message.kind === 'instances' ? message.phase : message.kind));
        expect(phases.indexOf('present')).toBe(0);
        expect(phases.lastIndexOf('present')).toBeLessThan(phases.includes('change') ? phases.indexOf('change') : phases.length);
        const { instances } = await world.query('instances');
        for (const each of [watcher, other]) expect(each.views('instances')).toEqual(byKey('instances', instances));
        for (const each of [watcher, other]) await each.stop();
      });
    }
  });

  test('shows the module of an instance that waits when its deployment takes another', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      await world.push('other', 'echo 2');
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      const watcher = new TestWatcher(world, 'instances');
      await watcher.start();
      await world.must({ kind: 'deployment-apply', spec: deploymentOf({ module: 'other' as never }) });
      await world.pass(S);
      expect(watcher.views('instances').get('echo/0')).toMatchObject({ state: 'pending', module: 'other' });
      await watcher.stop();
    });
  });

  test('R1.5: tells of a change of a node in every zone within 100 ms of its arrival', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      const watchers: TestWatcher<'nodes'>[] = [];
      for (const [at, zone] of ZONES.entries()) {
        world.addOperator(`ops-${at}`, zone);
        watchers.push(new TestWatcher(world, 'nodes', `ops-${at}`));
      }
      for (const watcher of watchers) await watcher.start();
      /** Greatest delay until every watcher was told of a view that `isMeant`. */
      const delayOf = (sinceMicros: number, isMeant: (view: NodeView) => boolean): number =>
        Math.max(
          ...watchers.map(
            ({ streams }) =>
              (streams
                .flat()
                .find(({ message, micros }) => micros >= sinceMicros && message.kind === 'nodes' && message.upserts.some(isMeant))
                ?.micros ?? Infinity) - sinceMicros,
          ),
        );
      const enrolled = world.kernel.now();
      await world.startNode('n1');
      await world.pass(S);
      expect(delayOf(enrolled, ({ incarnation }) => incarnation === 1)).toBeLessThan(100 * MS);
      world.crash('n1');
      await world.pass(2 * S);
      const suspected = world.of('node.status').find(({ fields }) => fields.to === 'suspect')?.micros ?? Infinity;
      expect(delayOf(suspected, ({ status }) => status === 'suspect')).toBeLessThan(100 * MS);
      const changed = world.kernel.now();
      await world.restartNode('n1', { facts: { hardware: ['can'] } });
      await world.pass(S);
      expect(delayOf(changed, ({ facts }) => facts.hardware.includes('can'))).toBeLessThan(100 * MS);
      for (const watcher of watchers) await watcher.stop();
    });
  });

  test('R1.4: shows the load that a node last reported, and tells of load alone once a second at most', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      const [node] = (await world.query('nodes')).nodes;
      expect(node?.load).toMatchObject({ invocationsActive: 0 });
      const watcher = new TestWatcher(world, 'nodes');
      await watcher.start();
      await world.trust();
      await world.push('echo', 'echo 1');
      world.scripts.set('echo', function* () {
        yield { kind: 'leg', micros: 30 * MS };
        return 0;
      });
      await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
      await world.must({ kind: 'trigger-apply', spec: triggerOf({ result: null }) });
      for (let event = 0; event < 100; event++) {
        void world.publish(`e${event}`, 'ping.a', '');
        await world.pass(50 * MS);
      }
      const times = watcher.streams
        .flat()
        .flatMap(({ micros, message }) => ('phase' in message && message.phase === 'change' ? [micros] : []));
      expect(times.length).toBeGreaterThan(2);
      expect(times.every((micros, at) => at === 0 || micros - (times[at - 1] ?? 0) > 900 * MS)).toBe(true);
      await watcher.stop();
    });
  });

  test('is closed in order when the controller stops, and goes on with the next one', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      const watcher = new TestWatcher(world, 'nodes');
      await watcher.start();
      await world.on('controller', () => world.controller?.stop() ?? Promise.resolve());
      await world.startController();
      await world.pass(S);
      expect(watcher.streams).toHaveLength(2);
      expect(watcher.views('nodes').get('n1')).toMatchObject({ status: 'healthy' });
      await watcher.stop();
    });
  });

  test('is refused to whoever is no operator, to nonsense and to a second question, with a sentence', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      expect(await ask(world, 'n1', [NODES])).toMatchObject([{ kind: 'ended', code: 'WM_NODE_REFUSED' }]);
      expect(await ask(world, 'operator', [new Uint8Array([255, 1])])).toMatchObject([{ kind: 'ended', code: 'WM_MESSAGE_INVALID' }]);
      expect((await ask(world, 'operator', [NODES, NODES])).at(-1)).toMatchObject({ kind: 'ended', code: 'WM_MESSAGE_INVALID' });
    });
  });

  test('is refused when as many are open as there may be, until one of them is closed', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      const watchers = Array.from({ length: WATCHERS_MAX }, () => new TestWatcher(world, 'nodes'));
      for (const watcher of watchers) await watcher.start();
      expect(await ask(world, 'operator', [NODES])).toMatchObject([{ kind: 'ended', code: 'WM_ARGUMENT' }]);
      await watchers[0]?.stop();
      await world.pass(S);
      expect(await ask(world, 'operator', [NODES], 1)).toMatchObject([{ kind: 'nodes' }]);
      for (const watcher of watchers) await watcher.stop();
    });
  });
});

describe('events', () => {
  test('are the facts of the platform with their time and the command that they come of', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      await world.trust();
      await world.push('echo', 'echo 1', { key: null });
      await world.push('echo', 'echo 1');
      await world.execute({ kind: 'deployment-apply', spec: deploymentOf() }, 'my-command');
      await world.pass(S);
      const { events } = await world.query('events');
      const kinds = events.map(({ kind }) => kind);
      expect(kinds).toEqual(
        expect.arrayContaining(['node.enrolled', 'module.refused', 'module.stored', 'deployment.applied', 'instance.state']),
      );
      const applied = events.find(({ kind }) => kind === 'deployment.applied');
      expect(applied).toMatchObject({ correlation: 'my-command', fields: { deployment: 'echo', version: 1, replicas: 1 } });
      expect(applied?.timeMs).toBeGreaterThan(0);
    });
  });

  test('are still there after the controller was started again, each where it was', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.startNode('n1');
      await world.pass(S);
      await world.trust();
      const before = (await world.query('events')).events.filter(({ kind }) => kind === 'node.enrolled' || kind === 'trust.added');
      await world.restartController();
      const after = (await world.query('events')).events.filter(({ kind }) => kind === 'node.enrolled' || kind === 'trust.added');
      const placed = (events: typeof before): unknown =>
        events.map(({ kind, sequence, part, fields }) => ({ kind, sequence, part, fields }));
      expect(placed(after)).toEqual(placed(before));
      expect(before).toHaveLength(2);
    });
  });
});
