// What watchers rely on, whatever the order of commands, crashes and returns: what they fold is what a query would answer, and
// each transition of an instance reaches them once, in order (P18, R5.6), also across a restart of the controller.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { EventView, WatchMessage } from '../../../system/domain/watch.ts';
import { compareCursors, STATE_KINDS } from '../../../system/domain/watch.ts';
import { byKey, TestWatcher, type Heard } from '../../support/controller/watcher.ts';
import { ControllerWorld, deploymentOf, MS, S, triggerOf } from '../../support/controller/world.ts';

const NODES = ['n1', 'n2', 'n3'];
const NAMES = ['a', 'b'];

const anyStep = fc.oneof(
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash-controller' as const), downMs: fc.integer({ min: 1, max: 2_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('crash-node' as const), node: fc.constantFrom(...NODES) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drain' as const), node: fc.constantFrom(...NODES) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('push' as const), module: fc.constantFrom('echo', 'other') }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('trigger' as const), name: fc.constantFrom(...NAMES) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('delete' as const), name: fc.constantFrom(...NAMES) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('rollback' as const), name: fc.constantFrom(...NAMES) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant('apply' as const),
      name: fc.constantFrom(...NAMES),
      module: fc.constantFrom('echo', 'other'),
      spread: fc.constantFrom(0, 255),
      replicas: fc.integer({ min: 0, max: 5 }),
    }),
  },
);
const anySteps = fc.array(fc.record({ step: anyStep, afterMicros: fc.integer({ min: 0, max: S }) }), { maxLength: 12 });

type Moved = { readonly sequence: number; readonly text: string };

/** Transitions that a watcher of instances saw on one stream, by what it folds. */
function seen(stream: readonly Heard[]): readonly Moved[] {
  const states = new Map<string, string>();
  const moved: Moved[] = [];
  const note = (message: Exclude<WatchMessage, { kind: 'ended' }>, id: string, to: string, rest: string): void => {
    const from = states.get(id);
    states.set(id, to);
    if (message.phase === 'change' && from !== undefined && from !== 'stopped' && from !== to)
      moved.push({ sequence: message.sequence, text: `${id} ${from} -> ${to}${rest}` });
  };
  for (const { message } of stream) {
    if (message.kind !== 'instances') continue;
    for (const { id, state, epoch, version } of message.upserts) note(message, id, state, ` epoch ${epoch} version ${version}`);
    for (const id of message.removals) note(message, id, 'stopped', '');
  }
  return moved;
}

function told(events: readonly EventView[]): readonly Moved[] {
  return events
    .filter(({ kind, fields }) => kind === 'instance.state' && fields['from'] !== 'stopped')
    .map(({ sequence, fields }) => {
      const rest = fields['to'] === 'stopped' && fields['node'] === null ? '' : ` epoch ${fields['epoch']} version ${fields['version']}`;
      return { sequence, text: `${fields['instance']} ${fields['from']} -> ${fields['to']}${rest}` };
    });
}

function within(moved: readonly Moved[], after: number, before: number): readonly Moved[] {
  return moved.filter(({ sequence }) => sequence > after && sequence < before);
}

async function perform(
  world: ControllerWorld,
  step: Exclude<typeof anyStep extends fc.Arbitrary<infer T> ? T : never, null>,
): Promise<void> {
  switch (step.kind) {
    case 'crash-controller':
      return world.restartController(step.downMs * MS);
    case 'crash-node':
      world.crash(step.node);
      await world.pass(2 * S);
      return world.restartNode(step.node);
    case 'drain':
      return void (await world.execute({ kind: 'node-drain', node: step.node as never }));
    case 'push':
      return void (await world.push(step.module, `echo ${step.module} ${world.records.length}`));
    case 'trigger':
      return void (await world.execute({ kind: 'trigger-apply', spec: triggerOf({ deployment: step.name as never }) }));
    case 'delete':
      return void (await world.execute({ kind: 'deployment-delete', deployment: step.name as never }));
    case 'rollback':
      return void (await world.execute({ kind: 'rollback', deployment: step.name as never, version: 1 }));
    case 'apply': {
      const { name, module, spread, replicas } = step;
      const spec = deploymentOf({ name: name as never, module: module as never, spread, replicas });
      return void (await world.execute({ kind: 'deployment-apply', spec }));
    }
  }
}

test('P18, R5.6: a watcher folds what a query answers, and sees every transition once and in order', async () => {
  await fc.assert(
    fc.asyncProperty(
      anySteps,
      fc.integer({ min: 1, max: 1_000_000 }),
      fc.constantFrom(7, 10_000),
      async (steps, seed, snapshotEveryEntries) => {
        const world = new ControllerWorld({ seed: String(seed), config: { snapshotEveryEntries } });
        const events = new TestWatcher(world, 'events');
        const states = STATE_KINDS.map((kind) => new TestWatcher(world, kind));
        await world.play(async () => {
          await events.start();
          for (const watcher of states) await watcher.start();
          for (const node of NODES) await world.startNode(node);
          await world.pass(500 * MS);
          await world.trust();
          await world.push('echo', 'echo 1');
          await world.push('other', 'echo 2');
          for (const { step, afterMicros } of steps) {
            await world.pass(afterMicros);
            await perform(world, step);
          }
          await world.pass(20 * S);
          for (const watcher of states) {
            const answer = await world.query(watcher.kind);
            const views = Object.values(answer).find((value) => Array.isArray(value)) as never;
            expect(Object.fromEntries(watcher.views(watcher.kind))).toEqual(Object.fromEntries(byKey(watcher.kind, views)));
          }
          for (const watcher of [events, ...states]) await watcher.stop();
        });
        const inOrder = events.events.every((event, at) => at === 0 || compareCursors(events.events[at - 1] as EventView, event) < 0);
        expect(inOrder).toBe(true);
        expect(!events.hasGap || snapshotEveryEntries === 7).toBe(true);
        if (events.hasGap) return;
        const durable = [...new Set(world.of('instance.state').map(({ fields }) => JSON.stringify(fields)))];
        const facts = events.events.filter(({ kind }) => kind === 'instance.state').map(({ fields }) => JSON.stringify(fields));
        expect(facts.length).toBeGreaterThanOrEqual(durable.length);
        expect(new Set(facts)).toEqual(new Set(durable));
        for (const stream of states.find(({ kind }) => kind === 'instances')?.streams ?? []) {
          const frames = stream.flatMap(({ message }) => (message.kind === 'instances' ? [message] : []));
          const first = frames.findLast(({ phase }) => phase === 'present')?.sequence ?? 0;
          const last = frames.at(-1)?.sequence ?? 0;
          expect(within(seen(stream), first, last)).toEqual(within(told(events.events), first, last));
        }
      },
    ),
    { numRuns: 50 },
  );
});
