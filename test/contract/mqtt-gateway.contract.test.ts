// What a gateway promises to devices and to the platform, between a real Mosquitto and the embedded broker on a real disk, over a
// real network.
import type { MqttClient } from 'mqtt';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { consumerOf } from '../../hardware/mqtt/outbound.ts';
import type { GatewayConfig } from '../../hardware/mqtt/mqtt.ts';
import { EVENT_BYTES_MAX } from '../../system/domain/event.ts';
import type { SubjectFilter } from '../../system/domain/identifiers.ts';
import { failed, unknown } from '../../system/domain/outcome.ts';
import type { Bus } from '../../system/ports/bus.ts';
import { HAS_MOSQUITTO, Mosquitto } from '../support/mqtt/mosquitto.ts';
import { connected, device, gatewayConfig, listen, Platform, startGateway, until, type Running } from '../support/mqtt/site.ts';

const QOS_1 = { qos: 1 } as const;
const ALERTS = { name: 'alerts', subjects: 'alerts.>' as SubjectFilter, topic: null, retain: false } as const;

/** The bus, while a test holds its publications back, or makes them fail. */
function heldBus(bus: Bus): { readonly bus: Bus; readonly release: () => void; readonly hold: () => void } {
  let open = true;
  const full = failed('WM_BUS_FULL', { message: 'The queue is full.', next: 'Publish again later.' });
  return {
    bus: { ...bus, publish: (event, options) => (open ? bus.publish(event, options) : Promise.resolve(full)) },
    release: () => (open = true),
    hold: () => (open = false),
  };
}

// Reason: a machine without Mosquitto cannot try it; CI installs one.
describe.skipIf(!HAS_MOSQUITTO)('an MQTT gateway between Mosquitto and the embedded broker', () => {
  const mosquitto = new Mosquitto();
  let platform: Platform;
  let car: MqttClient;
  let gateways: Running[] = [];
  let nextClient = 0;

  /** Each test has a session of its own at the broker. */
  const configure = (changes: Partial<GatewayConfig> = {}): GatewayConfig =>
    gatewayConfig(mosquitto, changes, { clientId: `gateway-${nextClient}` });
  const run = async (config: GatewayConfig, bus = platform.bus): Promise<Running> => {
    const running = startGateway(bus, config);
    gateways.push(running);
    return connected(running);
  };

  beforeAll(() => mosquitto.start());
  afterAll(() => mosquitto.close());
  beforeEach(async () => {
    nextClient++;
    platform = await Platform.open();
    car = await device(mosquitto);
  });
  afterEach(async () => {
    await car.endAsync(true);
    await Promise.all(gateways.map(({ gateway }) => gateway.stop()));
    gateways = [];
    await platform.close();
  });

  it('makes an event of a message: subject, identifier, time, correlation, headers, bytes', async () => {
    await run(configure());
    await car.publishAsync('vehicles/truck-7/brake', Buffer.from([0, 255, 7]), {
      qos: 1,
      properties: {
        contentType: 'application/octet-stream',
        correlationData: Buffer.from('trip-12'),
        responseTopic: 'vehicles/truck-7/answers',
        userProperties: { id: '41', time: '2026-01-02T03:04:05.678Z', unit: 'kPa', axle: ['1', '2'] },
      },
    });
    const [event] = await platform.readAll(1);
    expect({ ...event, data: [...(event?.data ?? [])] }).toEqual({
      id: 'vehicles/truck-7/brake#41',
      subject: 'sensors.brake.truck-7',
      timeMs: Date.parse('2026-01-02T03:04:05.678Z'),
      correlation: 'trip-12',
      headers: {
        'content-type': 'application/octet-stream',
        'mqtt-topic': 'vehicles/truck-7/brake',
        'mqtt-response-topic': 'vehicles/truck-7/answers',
        unit: 'kPa',
        axle: '1, 2',
      },
      data: [0, 255, 7],
    });
  });

  it('keeps the order of the messages of one topic', async () => {
    await run(configure());
    const count = 200;
    await Promise.all(Array.from({ length: count }, (_, i) => car.publishAsync('vehicles/a/brake', String(i), QOS_1)));
    const read = await platform.readAll(count);
    expect(read.map(({ data }) => Buffer.from(data).toString())).toEqual(Array.from({ length: count }, (_, i) => String(i)));
  });

  it('stores a message once, however often a device sends it with its identifier, and those of two devices apart', async () => {
    const { gateway } = await run(configure());
    const numbered = { qos: 1, properties: { userProperties: { id: '1' } } } as const;
    for (const topic of ['vehicles/a/brake', 'vehicles/a/brake', 'vehicles/b/brake']) await car.publishAsync(topic, 'x', numbered);
    await until(() => gateway.counters.published === 3);
    expect(gateway.counters.duplicates).toBe(1);
    expect((await platform.readAll(2)).map(({ id }) => id).sort()).toEqual(['vehicles/a/brake#1', 'vehicles/b/brake#1']);
  });

  it('takes the identifier of a CloudEvent within its source', async () => {
    await run(configure());
    const cloud = { specversion: '1.0', id: '9', source: '/plants/4', type: 'brake' };
    await car.publishAsync('vehicles/a/brake', 'x', { qos: 1, properties: { userProperties: cloud } });
    const [event] = await platform.readAll(1);
    expect([event?.id, event?.headers['type'], event?.headers['source']]).toEqual(['/plants/4#9', 'brake', '/plants/4']);
  });

  it('acknowledges nothing that the bus has not stored: a gateway that goes leaves it to the next, as the same event', async () => {
    const { bus, hold } = heldBus(platform.bus);
    const config = configure({ receiptsFile: `${platform.folder}/receipts` });
    hold();
    const first = await run(config, bus);
    for (let i = 0; i < 5; i++) await car.publishAsync('vehicles/a/brake', 'the same text', QOS_1);
    await until(() => first.gateway.counters.received === 5 && first.gateway.counters.publishRetries > 0);
    expect(first.gateway.status.held).toMatch(/^WM_BUS_FULL/);
    await first.gateway.stop();

    const second = await run(config);
    const read = await platform.readAll(5);
    expect(second.gateway.counters.redelivered).toBe(5);
    expect(new Set(read.map(({ id }) => id)).size).toBe(5);
    await second.gateway.stop();

    const third = await run(config);
    await car.publishAsync('vehicles/a/brake', 'last', QOS_1);
    await platform.readAll(1);
    expect(third.gateway.counters.received).toBe(1);
  });

  it('stores a message once when the answer of the bus was lost and the broker sends it again, also without an identifier', async () => {
    const lost = unknown('WM_DEADLINE', { message: 'No answer came.', next: 'Observe.' });
    const config = configure({ receiptsFile: `${platform.folder}/receipts` });
    const first = await run(config, {
      ...platform.bus,
      publish: async (event, options) => {
        await platform.bus.publish(event, options);
        return lost;
      },
    });
    for (let i = 0; i < 5; i++) await car.publishAsync(`vehicles/${i}/brake`, 'the same text', QOS_1);
    await until(() => platform.telemetry.of('event.accepted').length === 5);
    await first.gateway.stop();
    const second = await run(config);
    await until(() => second.gateway.counters.published === 5);
    expect([second.gateway.counters.redelivered, second.gateway.counters.duplicates]).toEqual([5, 5]);
  });

  it('keeps the order of one topic when the bus takes a later message and not the first', async () => {
    let failures = 3;
    const away = failed('WM_UNREACHABLE', { message: 'Not there.', next: 'Try again.' });
    const { gateway } = await run(configure(), {
      ...platform.bus,
      publish: (event, options) =>
        Buffer.from(event.data).toString() === 'first' && failures-- > 0 ? Promise.resolve(away) : platform.bus.publish(event, options),
    });
    for (const text of ['first', 'second', 'third']) await car.publishAsync('vehicles/a/brake', text, QOS_1);
    const read = await platform.readAll(3);
    expect(read.map(({ data }) => Buffer.from(data).toString())).toEqual(['first', 'second', 'third']);
    expect(gateway.counters.publishRetries).toBe(3);
  });

  it('holds back a broker that forgets the receive maximum, and lets it know that it lives', async () => {
    const { bus, hold, release } = heldBus(platform.bus);
    hold();
    const config = gatewayConfig(mosquitto, {}, { clientId: `gateway-${nextClient}`, keepAliveS: 3 });
    const first = await run(config, bus);
    for (let i = 0; i < 100; i++) await car.publishAsync(`vehicles/${i}/brake`, String(i), QOS_1);
    await until(() => first.gateway.counters.received === 16);
    await first.gateway.stop();
    // Mosquitto 2.0.11 sends more than it may once a message of a resumed session is acknowledged.
    let taken = 0;
    const { gateway } = await run(config, {
      ...bus,
      publish: (event, options) => (taken++ === 0 ? platform.bus : bus).publish(event, options),
    });
    const pings = (): number => mosquitto.log.split(`Received PINGREQ from gateway-${nextClient}`).length - 1;
    const before = pings();
    // One a second; a broker that hears none closes the connection after four and a half.
    await until(() => gateway.counters.publishRetries > 0 && pings() - before > 5);
    expect(gateway.counters.received).toBeLessThanOrEqual(18);
    expect([gateway.status.state, gateway.counters.connections]).toEqual(['connected', 1]);
    release();
    expect(new Set((await platform.readAll(100)).map(({ data }) => Buffer.from(data).toString())).size).toBe(100);
  });

  it('holds the broker back at the receive maximum while the bus is full, and goes on when it is not', async () => {
    const { bus, hold, release } = heldBus(platform.bus);
    hold();
    const { gateway } = await run(configure(), bus);
    for (let i = 0; i < 100; i++) await car.publishAsync(`vehicles/${i}/brake`, String(i), QOS_1);
    await until(() => gateway.counters.publishRetries > 50);
    expect(gateway.counters.received).toBe(16);
    expect(gateway.status.state).toBe('connected');
    release();
    await platform.readAll(100);
    expect([gateway.counters.received, gateway.counters.dropped, gateway.status.held]).toEqual([100, 0, null]);
  });

  it('tells the broker of a message that can never be an event, records it, and goes on', async () => {
    const { gateway, telemetry } = await run(configure());
    await car.publishAsync('vehicles/a/brake', Buffer.alloc(EVENT_BYTES_MAX + 1), QOS_1);
    await car.publishAsync(`vehicles/${'x'.repeat(65)}/brake`, 'x', QOS_1);
    await car.publishAsync('vehicles/a/brake', Buffer.from([0xff]), { qos: 1, properties: { payloadFormatIndicator: true } });
    await car.publishAsync('vehicles/a/brake', 'good', QOS_1);
    expect((await platform.readAll(1)).map(({ data }) => Buffer.from(data).toString())).toEqual(['good']);
    expect(telemetry.of('gateway.refused').map(({ code, direction }) => [code, direction])).toEqual([
      ['WM_MESSAGE_TOO_LARGE', 'in'],
      ['WM_EVENT_INVALID', 'in'],
      ['WM_EVENT_INVALID', 'in'],
    ]);
    // Told in the acknowledgement, so that they do not come again.
    const client = `gateway-${nextClient}`;
    await until(() => mosquitto.log.includes(`Received PUBACK from ${client} (Mid: 4, RC:0)`));
    expect(
      [...mosquitto.log.matchAll(new RegExp(`Received PUBACK from ${client} \\(Mid: (\\d), RC:(\\d+)\\)`, 'g'))].map(([, mid, code]) => [
        mid,
        Number(code),
      ]),
    ).toEqual([
      ['1', 0x97],
      ['2', 0x90],
      ['3', 0x99],
      ['4', 0],
    ]);
    expect(gateway.counters.refused).toBe(3);
  });

  it('publishes events as messages with what they carry', async () => {
    const heard = await listen(car, 'alerts/#');
    const { gateway } = await run(configure({ outbound: [ALERTS] }));
    await until(() => platform.telemetry.of('consumer.created').some(({ consumer }) => consumer === 'mqtt-plant-alerts'));
    await platform.publish('e-1', 'alerts.brake.truck$207', { headers: { 'content-type': 'text/plain', severity: 'high' } });
    await until(() => heard.length === 1);
    expect(heard[0]).toMatchObject({
      topic: 'alerts/brake/truck 7',
      payload: Buffer.from('e-1'),
      qos: 1,
      properties: {
        contentType: 'text/plain',
        correlationData: Buffer.from('c-e-1'),
        userProperties: {
          id: 'e-1',
          correlation: 'c-e-1',
          subject: 'alerts.brake.truck$207',
          time: '2023-11-14T22:13:20.000Z',
          severity: 'high',
        },
      },
    });
    await until(() => gateway.counters.sent === 1);
  });

  it('keeps events until there is a broker, and costs them no try while there is none', async () => {
    const config = configure({ outbound: [ALERTS] });
    const { gateway } = await run(config);
    await until(() => platform.telemetry.of('consumer.created').some(({ consumer }) => consumer === 'mqtt-plant-alerts'));
    await gateway.stop();
    for (let i = 0; i < 50; i++) await platform.publish(`e-${i}`, 'alerts.x');
    const heard = await listen(car, 'alerts/#');
    await run(config);
    await until(() => heard.length === 50);
    expect(heard.map(({ payload }) => String(payload))).toEqual(Array.from({ length: 50 }, (_, i) => `e-${i}`));
    const delivered = platform.telemetry.of('event.delivered').filter(({ consumer }) => consumer === 'mqtt-plant-alerts');
    expect(delivered.every(({ attempt }) => attempt === 1)).toBe(true);
  });

  it('dead-letters an event of which no topic or message can be made, and keeps its connection', async () => {
    const { gateway, telemetry } = await run(configure({ outbound: [ALERTS] }));
    await until(() => platform.telemetry.of('consumer.created').some(({ consumer }) => consumer === 'mqtt-plant-alerts'));
    await platform.publish('odd', 'alerts.a$b');
    await platform.publish('two-lines', 'alerts.x', { headers: { note: 'two\nlines' } });
    await until(() => gateway.counters.unsendable === 2);
    expect([gateway.status.state, gateway.counters.connections]).toEqual(['connected', 1]);
    expect(telemetry.of('gateway.refused')[0]).toMatchObject({ direction: 'out', event: 'odd', code: 'WM_EVENT_INVALID' });
    const subjects = (await platform.readAll(4)).map(({ subject }) => subject);
    expect(subjects.filter((subject) => subject === `dead.${consumerOf('plant', ALERTS).name}`)).toHaveLength(2);
  });

  it('does not take in what it gave out itself', async () => {
    const config = configure({
      inbound: [{ topics: 'both/#', subject: null }],
      outbound: [{ name: 'both', subjects: 'both.>' as SubjectFilter, topic: null, retain: false }],
    });
    const { gateway } = await run(config);
    await until(() => platform.telemetry.of('consumer.created').some(({ consumer }) => consumer === 'mqtt-plant-both'));
    await platform.publish('mine', 'both.a');
    await until(() => gateway.counters.sent === 1);
    await car.publishAsync('both/b', 'theirs', QOS_1);
    const read = await platform.readAll(2);
    expect(read.map(({ subject }) => subject)).toEqual(['both.a', 'both.b']);
    expect(gateway.counters.received).toBe(1);
  });

  it('acknowledges all that it stored when it is stopped, and leaves the rest, and what comes meanwhile, to the session', async () => {
    const config = configure();
    const first = await run(config);
    const sent = Array.from({ length: 40 }, (_, i) => car.publishAsync('vehicles/a/brake', `before ${i}`, QOS_1));
    await until(() => first.gateway.counters.published > 0);
    await first.gateway.stop();
    expect(await first.gateway.ended).toBeNull();
    await Promise.all(sent);
    for (let i = 0; i < 3; i++) await car.publishAsync('vehicles/a/brake', `away ${i}`, QOS_1);
    const second = await run(config);
    expect(new Set((await platform.readAll(43)).map(({ id }) => id)).size).toBe(43);
    await until(() => first.gateway.counters.published + second.gateway.counters.published === 43);
    expect(second.gateway.counters.duplicates).toBe(0);
  });
});
