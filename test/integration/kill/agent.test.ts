// Agents are killed while events come: none that was accepted is lost, and none has its effect twice. The guest counts in state,
// once for each event however often it is delivered.
import { copyFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { openOperator, type Operator } from '../../../hardware/operator/operator.ts';
import { buildExamples } from '../../../scenarios/examples/build.ts';
import type { ConsumerSpec } from '../../../system/domain/broker.ts';
import type { BusEvent } from '../../../system/domain/event.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { createStateClient } from '../../../system/state/state.ts';
import { temporaryFolder } from '../../support/e2e/command.ts';
import { eventually, Platform } from '../../support/e2e/platform.ts';
import { get } from '../storage/contents.ts';

const KILLS = 3;
/** Published between two kills. Fewer in all than the guest remembers, so that it can know every event again. */
const EVENTS_BETWEEN = 30;
const DEADLINE_MICROS = 60_000_000;
const NODES = ['one', 'two'] as const;

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
let operator: Operator;

const RESULTS = {
  name: 'results',
  filter: 'counted.>',
  ackWaitMs: 30_000,
  deliveriesMax: 100,
  backoffMs: 50,
  backoffMsMax: 500,
  pendingMax: 256,
  idleMsMax: null,
} as unknown as ConsumerSpec;

const eventOf = (id: string): BusEvent =>
  ({ id, subject: 'count.up', timeMs: Date.now(), correlation: id, headers: {}, data: new Uint8Array() }) as unknown as BusEvent;

beforeAll(async () => {
  await platform.up(['--heartbeat', '200ms', '--suspect', '600ms', '--lease', '800ms', '--unavailable', '1s']);
  operator = get(await openOperator({ context: platform.told.context, environment: {}, onTrouble: () => {} }));
  get(await operator.bus.createConsumer(RESULTS));
  await Promise.all(NODES.map((name) => platform.agent(name)));
  copyFileSync((await buildExamples()).get('counter')!.wasmPath, join(folder.path, 'counter.wasm'));
  const manifest = join(folder.path, 'app.yaml');
  writeFileSync(
    manifest,
    '- { deploy: counter, origin: local, replicas: 2, spread: node, needs: { memory: 4MiB } }\n- { trigger: counter, on: count.up, result: counted.up, deliveries: 100, ackWait: 1s }\n',
  );
  const capabilities = ['state-read:counter/', 'state-write:counter/'];
  await platform.ok('keys', 'create', 'ops');
  await platform.ok('trust', 'add', 'ops', ...capabilities.flatMap((capability) => ['--grant', capability]));
  const declared = capabilities.flatMap((capability) => ['--capability', capability]);
  await platform.ok('push', join(folder.path, 'counter.wasm'), '--name', 'counter', '--sign', 'ops', '--memory', '4MiB', ...declared);
  await platform.ok('apply', manifest, '--running', '60');
});

afterAll(async () => {
  await operator?.close();
  await platform.close();
  folder.remove();
});

it(`counts every event once through ${KILLS} kills of agents`, async () => {
  const published: string[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const victim = NODES[kill % NODES.length]!;
    const at = Math.floor(Math.random() * EVENTS_BETWEEN);
    let killed: Promise<unknown> = Promise.resolve();
    for (let i = 0; i < EVENTS_BETWEEN; i++) {
      if (i === at) killed = platform.kill(platform.agentProcess(victim), 'SIGKILL');
      const id = `event-${published.length}`;
      get(await operator.bus.publish(eventOf(id), { fence: null, deadlineMicros: DEADLINE_MICROS }));
      published.push(id);
    }
    await killed;
    await platform.agent(victim);
  }

  const results: string[] = [];
  await eventually(
    async () => {
      for (const delivery of get(await operator.bus.fetch(RESULTS.name, { eventsMax: 64, waitMs: 500, fence: null }))) {
        results.push(delivery.event.correlation);
        get(await operator.bus.settle(RESULTS.name, delivery, { kind: 'ack' }, { fence: null }));
      }
      return new Set(results).size;
    },
    (count) => count === published.length,
    'every event has its result',
  );
  expect(results.toSorted()).toEqual(published.toSorted());
  const state = createStateClient({ network: operator.network }, { store: 'controller' as Endpoint });
  const entry = get(await state.get('counter/count', { deadlineMicros: DEADLINE_MICROS }));
  expect(new TextDecoder().decode(entry?.value).split('\n')[0]).toBe(String(published.length));
});
