// A gateway knows the bus as a port: on NATS JetStream it carries the same messages as on the embedded broker.
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { ConsumerName, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import type { Bus } from '../../../system/ports/bus.ts';
import { consumerOf, eventOf } from '../../support/bus/site.ts';
import { HAS_MOSQUITTO, Mosquitto } from '../../support/mqtt/mosquitto.ts';
import { connected, device, gatewayConfig, get, listen, startGateway, UNFENCED, until } from '../../support/mqtt/site.ts';
import { NATS, startNats, type NatsServer } from '../../support/nats/nats.ts';
import { NatsPlatform } from '../../support/nats/platform.ts';
import type { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';

// Reason: a machine without Mosquitto, or without a nats-server and Go, cannot try it; CI installs both.
describe.skipIf(!HAS_MOSQUITTO || 'missing' in NATS)('an MQTT gateway between Mosquitto and NATS JetStream', () => {
  const mosquitto = new Mosquitto();
  let server: NatsServer;
  let platform: NatsPlatform;
  let bus: Bus;
  let telemetry: MemoryTelemetry;
  beforeAll(async () => {
    await mosquitto.start();
    server = await startNats();
  });
  afterAll(async () => {
    await mosquitto.close();
    await server.stop();
  });
  beforeEach(async () => {
    platform = new NatsPlatform(server.url);
    ({ bus, telemetry } = await platform.join('platform'));
  });
  afterEach(() => platform.leave());

  it('carries messages in once and events out, whatever their properties hold', async () => {
    get(await bus.createConsumer(consumerOf('reader', { filter: 'sensors.>' as SubjectFilter })));
    const { gateway } = await connected(
      startGateway(
        bus,
        gatewayConfig(mosquitto, { outbound: [{ name: 'alerts', subjects: 'alerts.>' as SubjectFilter, topic: null, retain: false }] }),
      ),
    );
    const car = await device(mosquitto);
    const heard = await listen(car, 'alerts/#');
    const userProperties = { id: '7', 'größe & maß': 'zwei: Zeilen, ä', empty: '' };
    for (let i = 0; i < 2; i++)
      await car.publishAsync('vehicles/lkw 7/brake', Buffer.from([0, 255]), { qos: 1, properties: { userProperties } });
    await until(() => gateway.counters.published === 2);
    const deliveries = get(await bus.fetch('reader' as ConsumerName, { eventsMax: 10, waitMs: 1_000, fence: null }));
    expect(deliveries.map(({ event }) => [event.subject, event.headers, [...event.data]])).toEqual([
      ['sensors.brake.lkw$207', { 'größe & maß': 'zwei: Zeilen, ä', empty: '', 'mqtt-topic': 'vehicles/lkw 7/brake' }, [0, 255]],
    ]);
    expect(gateway.counters.duplicates).toBe(1);

    // The consumer of the route begins with what is published after it was made.
    await until(() => telemetry.of('consumer.created').some(({ consumer }) => consumer === 'mqtt-plant-alerts'));
    get(await bus.publish(eventOf('e-1', { subject: 'alerts.x' as Subject }), UNFENCED));
    await until(() => heard.length === 1);
    expect(heard[0]).toMatchObject({ topic: 'alerts/x', properties: { userProperties: { id: 'e-1' } } });
    await car.endAsync(true);
    await gateway.stop();
  });
});
