// The broker's client: the port of whoever sits elsewhere.
import { expect, it } from 'vitest';
import { PUBLISH_METHOD } from '../../../system/domain/broker.ts';
import { createBusClient } from '../../../system/bus/bus.ts';
import type { Endpoint, Subject } from '../../../system/domain/identifiers.ts';
import { admitAll, codeOf, consumerOf, eventOf, FAILURE, fenceOf, get, Site } from '../../support/bus/site.ts';
import { MemoryNetwork } from '../../support/ports/memory-network.ts';

const BROKER = 'broker' as Endpoint;
const OPTIONS = { fence: null, deadlineMicros: 1_000_000 };

async function open() {
  const site = await Site.open();
  const network = new MemoryNetwork();
  const serve = () =>
    network.listen(BROKER, { call: (method, _peer, request) => site.broker.handleCall(method, admitAll, request), stream: async () => {} });
  const listener = get(await serve());
  return { site, network, serve, listener, bus: createBusClient({ network }, { broker: BROKER }) };
}

it('publishes, fetches and settles across the network, in every way', async () => {
  const { site, bus } = await open();
  const { name } = consumerOf('work');
  get(await bus.createConsumer(consumerOf('work', { deliveriesMax: 2 })));
  expect(get(await bus.publish(eventOf('e0', { headers: { a: 'b' } }), OPTIONS))).toEqual({ sequence: 1, duplicate: false });
  get(await bus.publish(eventOf('e1'), OPTIONS));
  const deliveries = get(await bus.fetch(name, { eventsMax: 5, waitMs: 0, fence: null }));
  expect(deliveries.map(({ event }) => event)).toEqual([eventOf('e0', { headers: { a: 'b' } }), eventOf('e1')]);
  get(await bus.settle(name, deliveries[0]!, { kind: 'ack' }, { fence: null }));
  get(await bus.settle(name, deliveries[1]!, { kind: 'term', reason: FAILURE }, { fence: null }));
  expect(site.telemetry.of('event.deadlettered')).toHaveLength(1);
  site.broker.fence(fenceOf('app/0', 2));
  expect(codeOf(await bus.publish(eventOf('e2'), { ...OPTIONS, fence: fenceOf('app/0', 1) }))).toBe('WM_FENCED');
  get(await bus.deleteConsumer(name));
  expect(codeOf(await bus.fetch(name, { eventsMax: 1, waitMs: 0, fence: null }))).toBe('WM_BUS_CONSUMER_UNKNOWN');
});

it('says what is unknown when an answer is lost; publishing again stores nothing twice', async () => {
  const { bus, network } = await open();
  get(await bus.createConsumer(consumerOf('work')));
  network.losesAnswers = true;
  expect(await bus.publish(eventOf('e0'), OPTIONS)).toMatchObject({ ok: false, error: { kind: 'unknown' } });
  network.losesAnswers = false;
  expect(get(await bus.publish(eventOf('e0'), OPTIONS))).toEqual({ sequence: 1, duplicate: true });
});

it('keeps one connection, also when many calls dial at once, and dials again when it is lost', async () => {
  const { bus, network, listener, serve } = await open();
  const acks = await Promise.all(Array.from({ length: 5 }, (_, i) => bus.publish(eventOf(`e${i}`), OPTIONS)));
  expect(acks.map(codeOf)).toEqual(['ok', 'ok', 'ok', 'ok', 'ok']);
  expect(network.dials).toBe(1);
  listener.close();
  expect(codeOf(await bus.publish(eventOf('e5'), OPTIONS))).toBe('WM_CONNECTION_LOST');
  expect(codeOf(await bus.publish(eventOf('e5'), OPTIONS))).toBe('WM_UNREACHABLE');
  get(await serve());
  expect(get(await bus.publish(eventOf('e5'), OPTIONS)).duplicate).toBe(false);
  expect(network.connections).toBe(1);
});

it('does nothing more once it is closed, and leaves no connection', async () => {
  const { bus, network } = await open();
  const dialling = bus.publish(eventOf('e0'), OPTIONS);
  bus.close();
  await dialling;
  const late = await bus.publish(eventOf('e1'), OPTIONS);
  expect(late).toMatchObject({ ok: false, error: { kind: 'failed', code: 'WM_CANCELLED' } });
  expect(network.connections).toBe(0);
});

it('lets what else is under way come to its end when one answer is late, and dials again for what comes', async () => {
  const { site, bus, network } = await open();
  const { name } = consumerOf('work');
  get(await bus.createConsumer(consumerOf('work')));
  const fetching = bus.fetch(name, { eventsMax: 1, waitMs: 60_000, fence: null });
  network.late.add(PUBLISH_METHOD);
  expect(codeOf(await bus.publish(eventOf('e0', { subject: 'other' as Subject }), OPTIONS))).toBe('WM_DEADLINE');
  network.late.clear();
  get(await bus.publish(eventOf('e1'), OPTIONS));
  expect(network.dials).toBe(2);
  const [delivery] = get(await site.time.until(fetching));
  expect(delivery?.event.id).toBe('e1');
  get(await bus.settle(name, delivery!, { kind: 'ack' }, { fence: null }));
  expect(network.connections).toBe(1);
});
