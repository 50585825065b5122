// Another bus behind the controller's endpoint: callers see no difference, and a bus that is away is waited for.
import { describe, expect, it } from 'vitest';
import { createBroker, createBusClient, createBusGateway, type FencedBus } from '../../../system/bus/bus.ts';
import type { ControllerBroker } from '../../../system/bus/bus.ts';
import { FETCH_EVENTS_METHOD } from '../../../system/domain/broker.ts';
import type { FencingToken } from '../../../system/domain/event.ts';
import type { ConsumerName, Endpoint } from '../../../system/domain/identifiers.ts';
import { failed, ok, rejected, type Outcome } from '../../../system/domain/outcome.ts';
import { admitAll, consumerOf, codeOf, eventOf, FAILURE, fenceOf, get, Site } from '../../support/bus/site.ts';
import { ControllerWorld, deploymentOf, S, triggerOf } from '../../support/controller/world.ts';
import { MemoryNetwork } from '../../support/ports/memory-network.ts';
import { memoryRandom } from '../../support/ports/memory-telemetry.ts';

const BUS = 'bus' as Endpoint;
const CONTROLLER = 'controller' as Endpoint;
const UNFENCED = { fence: null, deadlineMicros: 1_000_000 };
const AWAY = failed('WM_UNREACHABLE', { message: 'The bus is away.', next: 'Try again.' });

/** A bus of its own, a gateway to it, and somebody who knows only the gateway. */
async function open(changes: (bus: FencedBus) => Partial<FencedBus> = () => ({})) {
  const site = await Site.open();
  const network = new MemoryNetwork();
  const serve = (endpoint: Endpoint, broker: ControllerBroker) =>
    network.listen(endpoint, { call: (method, _peer, request) => broker.handleCall(method, admitAll, request), stream: async () => {} });
  get(await serve(BUS, site.broker));
  const direct = createBusClient({ network }, { broker: BUS });
  const fence = (token: FencingToken): Promise<Outcome<void>> => Promise.resolve(ok(site.broker.fence(token)));
  const bus: FencedBus = { ...direct, fence, backlog: () => site.broker.backlog(), listConsumers: () => site.broker.listConsumers() };
  const gateway = createBusGateway({ clock: site.clock, random: memoryRandom(), telemetry: site.telemetry }, { ...bus, ...changes(bus) });
  get(await gateway.start());
  get(await serve(CONTROLLER, gateway));
  return { site, direct, gateway, through: createBusClient({ network }, { broker: CONTROLLER }) };
}

describe('a gateway to a bus', () => {
  it('publishes, fetches and settles for whoever calls it, on the bus that others use', async () => {
    const { site, direct, through } = await open();
    const { name } = consumerOf('work');
    get(await through.createConsumer(consumerOf('work', { deliveriesMax: 2 })));
    get(await through.publish(eventOf('e0'), UNFENCED));
    get(await direct.publish(eventOf('e1'), UNFENCED));
    const options = { eventsMax: 5, waitMs: 0, fence: null };
    const [first, second] = get(await through.fetch(name, options));
    expect([first!.event, second!.event]).toEqual([eventOf('e0'), eventOf('e1')]);
    get(await through.settle(name, first!, { kind: 'ack' }, { fence: null }));
    get(await through.settle(name, second!, { kind: 'term', reason: FAILURE }, { fence: null }));
    expect(site.telemetry.of('event.acknowledged')).toMatchObject([{ event: 'e0' }]);
    expect(site.telemetry.of('event.deadlettered')).toMatchObject([{ event: 'e1', code: FAILURE.code }]);
    get(await through.deleteConsumer(name));
    expect(codeOf(await direct.fetch(name, options))).toBe('WM_BUS_CONSUMER_UNKNOWN');
  });

  it('refuses bytes that are no request', async () => {
    const { gateway } = await open();
    expect(codeOf(await gateway.handleCall(FETCH_EVENTS_METHOD, admitAll, new Uint8Array([255])))).toBe('WM_MESSAGE_INVALID');
    expect(codeOf(await gateway.handleCall('/wasmmatrix.v1.Bus/Unknown', admitAll, new Uint8Array(0)))).toBe('WM_MESSAGE_INVALID');
  });

  it('raises the newest fence of an instance when the bus is back, however long it was away', async () => {
    let isAway = true;
    const raised: string[] = [];
    const { site, gateway, direct } = await open((bus) => ({
      fence: (token) => {
        if (isAway) return Promise.resolve(AWAY);
        raised.push(`${token.instance} ${token.epoch}`);
        return bus.fence(token);
      },
    }));
    gateway.fence(fenceOf('app/0', 1));
    gateway.fence(fenceOf('app/1', 7));
    gateway.fence(fenceOf('app/0', 2));
    gateway.fence(fenceOf('app/0', 1));
    await site.time.advance(600_000_000);
    expect(raised).toEqual([]);
    isAway = false;
    await site.time.advance(10_000_000);
    // The first was being raised when its successor came.
    expect(raised).toEqual(['app/0 1', 'app/1 7', 'app/0 2']);
    expect(codeOf(await direct.publish(eventOf('e0'), { ...UNFENCED, fence: fenceOf('app/0', 1) }))).toBe('WM_FENCED');
    gateway.fence(fenceOf('app/1', 8));
    await site.time.advance(1_000_000);
    expect(raised.at(-1)).toBe('app/1 8');
  });

  it('creates and deletes consumers of triggers when the bus is back, and tells at once what it refuses', async () => {
    let answers: Outcome<void>[] = [AWAY, AWAY];
    const { site, gateway } = await open((bus) => ({
      createConsumer: (spec) => Promise.resolve(answers.shift() ?? bus.createConsumer(spec)),
      deleteConsumer: (name) => Promise.resolve(answers.shift() ?? bus.deleteConsumer(name)),
    }));
    get(await site.time.until(gateway.createConsumer(consumerOf('work'))));
    expect(site.telemetry.of('consumer.created')).toHaveLength(1);
    answers = [AWAY];
    get(await site.time.until(gateway.deleteConsumer('work' as ConsumerName)));
    answers = [rejected('WM_ARGUMENT', { message: 'no', next: '' })];
    expect(codeOf(await gateway.createConsumer(consumerOf('other')))).toBe('WM_ARGUMENT');
  });

  it('tries nothing any more when it was stopped', async () => {
    let tries = 0;
    const { site, gateway } = await open(() => ({ createConsumer: () => Promise.resolve((tries += 1) > 0 ? AWAY : ok()) }));
    const creating = gateway.createConsumer(consumerOf('work'));
    await site.time.advance(1_000_000);
    await gateway.stop();
    expect(codeOf(await creating)).toBe('WM_CANCELLED');
    const before = tries;
    await site.time.advance(60_000_000);
    expect([before > 1, tries === before]).toEqual([true, true]);
  });
});

it('a controller with a bus of its own places, answers events through its endpoint, and fences', async () => {
  const world: ControllerWorld = new ControllerWorld({
    broker: (ports) => {
      const broker = createBroker(ports, { queueEventsMax: 1_000 });
      const bus: FencedBus = {
        ...createBusClient(ports, { broker: BUS }),
        fence: (token) => Promise.resolve(ok(broker.fence(token))),
        backlog: () => broker.backlog(),
        listConsumers: () => broker.listConsumers(),
      };
      return {
        ...createBusGateway(ports, bus),
        start: async () => {
          get(await broker.start());
          const listening = await ports.network.listen(BUS, {
            call: (method, _peer, request) => broker.handleCall(method, admitAll, request),
            stream: async () => {},
          });
          return listening.ok ? ok() : listening;
        },
      };
    },
  });
  await world.play(async () => {
    await world.startNode('n1');
    await world.startNode('n2');
    await world.pass(1 * S);
    await world.trust();
    expect((await world.push('echo', 'echo 1')).ok).toBe(true);
    await world.must({ kind: 'deployment-apply', spec: deploymentOf() });
    await world.must({ kind: 'trigger-apply', spec: triggerOf() });
    await world.pass(1 * S);
    expect((await world.publish('e1', 'ping.a', 'hello')).ok).toBe(true);
    await world.pass(1 * S);
    expect(world.of('event.accepted').map((record) => record.fields.subject)).toEqual(['ping.a', 'pong']);
    const { instances } = await world.query('instances');
    world.crash(instances[0]?.node ?? '');
    await world.pass(6 * S);
    expect(world.of('fence.raised').map((record) => record.fields.epoch)).toEqual([1, 2]);
    expect((await world.publish('e2', 'ping.a', 'again')).ok).toBe(true);
    await world.pass(1 * S);
    expect(world.of('event.acknowledged').map((record) => record.fields.event)).toContain('e2');
  });
});
