// What an agent that was taken over may not do to the others (SECURITY.md): its certificate is real, what it asks for is not its own.
import { expect, test } from 'vitest';
import { CONSUMER_METHOD, FETCH_EVENTS_METHOD, PUBLISH_METHOD, SETTLE_METHOD, STATE_PUT_METHOD } from '../../../system/domain/broker.ts';
import { Holders } from '../../../system/controller/authority.ts';
import { REFUSALS_PER_SECOND_MAX } from '../../../system/controller/refusals.ts';
import type { FencingToken } from '../../../system/domain/event.ts';
import type {
  ConsumerName,
  DeploymentName,
  ModuleName,
  NodeId,
  Subject,
  SubjectFilter,
  TriggerName,
  ZonePath,
} from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import {
  encodeConsumerRequest,
  encodeFetchEventsRequest,
  encodePublishRequest,
  encodeSettleRequest,
  encodeStatePutRequest,
  type ConsumerRequest,
} from '../../../system/wire/codec/broker.ts';
import { consumerOf, eventOf, fenceOf } from '../../support/bus/site.ts';
import { TestWatcher } from '../../support/controller/watcher.ts';
import { ControllerWorld, deploymentOf, S, triggerOf } from '../../support/controller/world.ts';

const PING = 'trigger-on-ping' as ConsumerName;
const OTHER = 'trigger-on-other' as ConsumerName;
/** `echo/0` runs on a, `other/0` on b. */
const OF_A = fenceOf('echo/0', 1);
const OF_B = fenceOf('other/0', 1);

class Rogue {
  readonly #world: ControllerWorld;
  readonly #from: string;

  constructor(world: ControllerWorld, from: string) {
    this.#world = world;
    this.#from = from;
  }

  change(request: ConsumerRequest): Promise<string> {
    return this.#call(CONSUMER_METHOD, encodeConsumerRequest(request));
  }

  fetch(consumer: ConsumerName, fence: FencingToken | null): Promise<string> {
    return this.#call(FETCH_EVENTS_METHOD, encodeFetchEventsRequest({ consumer, eventsMax: 1, waitMs: 0, fence }));
  }

  settle(consumer: ConsumerName, fence: FencingToken | null): Promise<string> {
    return this.#call(SETTLE_METHOD, encodeSettleRequest({ consumer, sequence: 1, delivery: 1, settlement: { kind: 'ack' }, fence }));
  }

  publish(subject: string, fence: FencingToken | null, headers: Record<string, string> = {}): Promise<string> {
    const event = eventOf(`${subject}-${JSON.stringify([fence, headers])}`, { subject: subject as Subject, headers });
    return this.#call(PUBLISH_METHOD, encodePublishRequest({ event, fence }));
  }

  put(key: string, fence: FencingToken | null): Promise<string> {
    return this.#call(STATE_PUT_METHOD, encodeStatePutRequest({ key, value: new Uint8Array(1), expectedVersion: null, fence }));
  }

  async #call(method: string, request: Uint8Array): Promise<string> {
    return codeOf(await this.#world.call(this.#from, method, request));
  }
}

function codeOf(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'ok' : outcome.error.code;
}

async function twoTenants(world: ControllerWorld): Promise<void> {
  await world.startNode('a', { zone: 'cloud/eu' });
  await world.startNode('b', { zone: 'cloud/us' });
  await world.pass(1 * S);
  const mayGrant = ['publish:>', 'state-write:echo/', 'state-write:other/'];
  await world.trust(mayGrant);
  for (const [name, zone] of [
    ['echo', 'cloud/eu'],
    ['other', 'cloud/us'],
  ] as const) {
    await world.push(name, `echo ${name}`, { capabilities: [`publish:${name}.said`, `state-write:${name}/`] });
    const { requirements } = deploymentOf();
    const within = { ...requirements, within: zone as ZonePath };
    await world.must({
      kind: 'deployment-apply',
      spec: deploymentOf({ name: name as DeploymentName, module: name as ModuleName, requirements: within }),
    });
  }
  await world.must({ kind: 'trigger-apply', spec: triggerOf() });
  const changes = {
    name: 'on-other' as TriggerName,
    subject: 'other.>' as SubjectFilter,
    deployment: 'other' as DeploymentName,
    result: 'other-pong' as Subject,
  };
  await world.must({ kind: 'trigger-apply', spec: triggerOf(changes) });
  await world.pass(1 * S);
  const { instances } = await world.query('instances');
  expect(instances.map(({ id, node, epoch }) => [id, node, epoch])).toEqual([
    ['echo/0', 'a' as NodeId, 1],
    ['other/0', 'b' as NodeId, 1],
  ]);
}

test('an agent that was taken over changes no consumer', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await twoTenants(world);
    const rogue = new Rogue(world, 'b');
    expect(await rogue.change({ kind: 'delete', name: PING })).toBe('WM_NODE_REFUSED');
    expect(await rogue.change({ kind: 'create', spec: { ...consumerOf('spy'), filter: '>' as SubjectFilter } })).toBe('WM_NODE_REFUSED');
    expect((await world.publish('e1', 'ping.a', 'hello')).ok).toBe(true);
    await world.pass(1 * S);
    expect(world.of('event.accepted').map(({ fields }) => fields.subject)).toEqual(['ping.a', 'pong']);
  });
});

test('what an agent that was taken over asks for is told to operators, so often in a second and no more', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await twoTenants(world);
    const rogue = new Rogue(world, 'b');
    const told = () => world.of('security.refused').map(({ fields }) => [fields.node, fields.subject, fields.code]);
    await rogue.put('echo/count', OF_B);
    expect(codeOf(await world.call('b', PUBLISH_METHOD, new Uint8Array([255])))).toBe('WM_MESSAGE_INVALID');
    expect(told()).toEqual([
      ['node/b', STATE_PUT_METHOD, 'WM_NODE_REFUSED'],
      ['node/b', PUBLISH_METHOD, 'WM_MESSAGE_INVALID'],
    ]);
    await world.pass(1 * S);
    // All at once, within one second.
    await Promise.all(Array.from({ length: 2 * REFUSALS_PER_SECOND_MAX }, () => rogue.fetch(PING, null)));
    await new Rogue(world, 'a').fetch(PING, null);
    expect(told().slice(2)).toEqual([
      ...Array.from({ length: REFUSALS_PER_SECOND_MAX }, () => ['node/b', FETCH_EVENTS_METHOD, 'WM_NODE_REFUSED']),
      ['node/a', FETCH_EVENTS_METHOD, 'WM_NODE_REFUSED'],
    ]);
    await world.pass(1 * S);
    await rogue.fetch(PING, null);
    expect(told()).toHaveLength(REFUSALS_PER_SECOND_MAX + 4);
  });
});

test('an agent that was taken over drives nothing out of what those read who watch', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await twoTenants(world);
    const watcher = new TestWatcher(world, 'events');
    await watcher.start();
    expect(await new Rogue(world, 'b').put('echo/count', OF_B)).toBe('WM_NODE_REFUSED');
    await world.must({ kind: 'deployment-scale', deployment: 'echo' as DeploymentName, replicas: 2 });
    await world.pass(1 * S);
    await watcher.stop();
    const kinds = new Set(watcher.events.map(({ kind }) => kind));
    expect(kinds).toContain('placement.decided');
    expect(kinds).not.toContain('security.refused');
    expect(world.of('security.refused')).toHaveLength(1);
  });
});

test('an agent that was taken over speaks for no other instance, in no epoch, and for none at all neither', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await twoTenants(world);
    const rogue = new Rogue(world, 'b');
    for (const fence of [null, OF_A, fenceOf('echo/0', 99), fenceOf('other/0', 2), fenceOf('none/0', 1)]) {
      expect([fence, await rogue.fetch(PING, fence)]).toEqual([fence, 'WM_NODE_REFUSED']);
      expect([fence, await rogue.settle(PING, fence)]).toEqual([fence, 'WM_NODE_REFUSED']);
      expect([fence, await rogue.publish('echo.said', fence)]).toEqual([fence, 'WM_NODE_REFUSED']);
      expect([fence, await rogue.put('echo/count', fence)]).toEqual([fence, 'WM_NODE_REFUSED']);
    }
  });
});

test('an agent acts for its own instances within what they were deployed for', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await twoTenants(world);
    const b = new Rogue(world, 'b');
    expect(await b.fetch(PING, OF_B)).toBe('WM_NODE_REFUSED');
    expect(await b.settle(PING, OF_B)).toBe('WM_NODE_REFUSED');
    expect(await b.fetch('dead-letters' as ConsumerName, OF_B)).toBe('WM_NODE_REFUSED');
    expect(await b.fetch(OTHER, OF_B)).toBe('ok');
    expect(await b.settle(OTHER, OF_B)).toBe('WM_NOT_FOUND');
    expect(await b.put('echo/count', OF_B)).toBe('WM_NODE_REFUSED');
    expect(await b.put('other/count', OF_B)).toBe('ok');
    expect(await b.publish('echo.said', OF_B)).toBe('WM_NODE_REFUSED');
    expect(await b.publish('other.said', OF_B)).toBe('ok');
    expect(await b.publish('pong', OF_B, { 'wm-trigger': 'on-ping' })).toBe('WM_NODE_REFUSED');
    expect(await b.publish('other-pong', OF_B, { 'wm-trigger': 'on-other' })).toBe('ok');
  });
});

test('who held an instance before hears that it was superseded, also when the controller has started again', async () => {
  const world = new ControllerWorld();
  await world.play(async () => {
    await twoTenants(world);
    world.crash('b');
    await world.startNode('c', { zone: 'cloud/us' });
    await world.pass(6 * S);
    const { instances } = await world.query('instances');
    expect(instances.find(({ id }) => id === OF_B.instance)).toMatchObject({ node: 'c', epoch: 2 });
    await world.restartNode('b');
    await world.pass(1 * S);
    const b = new Rogue(world, 'b');
    expect(await b.put('other/count', OF_B)).toBe('WM_FENCED');
    expect(await b.put('other/count', fenceOf('other/0', 2))).toBe('WM_NODE_REFUSED');
    await world.restartController();
    await world.pass(2 * S);
    expect(await b.put('other/count', OF_B)).toBe('WM_FENCED');
    expect(await b.put('other/count', fenceOf('other/0', 2))).toBe('WM_NODE_REFUSED');
    expect(await new Rogue(world, 'c').put('other/count', fenceOf('other/0', 2))).toBe('ok');
  });
});

test('who holds an instance is forgotten with the instance, when most of them are', () => {
  const holders = new Holders();
  const remembered = new Map([[fenceOf('kept/0', 1).instance, null]]);
  holders.place(fenceOf('kept/0', 7), 'a' as NodeId);
  for (let i = 0; i < 5_000; i++) {
    holders.place(fenceOf(`gone/${i}`, 1), 'a' as NodeId);
    holders.prune(remembered);
    expect(holders.size).toBeLessThanOrEqual(1_026);
  }
  expect(holders.find(fenceOf('kept/0', 1).instance)).toEqual({ epoch: 7, node: 'a' });
});
