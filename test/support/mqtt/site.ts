// A platform's bus on a real disk and over a real network, a device at the broker, and gateways between them.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectAsync, type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { createMqttGateway, type GatewayConfig, type MqttGateway } from '../../../hardware/mqtt/mqtt.ts';
import { createGrpcNetwork, PROTOCOL_METHODS, type GrpcNetwork } from '../../../hardware/network/network.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { openStorage, type OpenStorage } from '../../../hardware/storage/storage.ts';
import { createBroker, createBusClient, type Broker } from '../../../system/bus/bus.ts';
import type { DeliveredEvent } from '../../../system/domain/broker.ts';
import type { BusEvent } from '../../../system/domain/event.ts';
import type { ConsumerName, CorrelationId, Endpoint, EventId, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Bus } from '../../../system/ports/bus.ts';
import { admitAll, consumerOf } from '../bus/site.ts';
import { MemoryTelemetry } from '../ports/memory-telemetry.ts';
import type { Mosquitto } from './mosquitto.ts';

export const BROKER = 'broker' as Endpoint;
const READER = 'reader' as ConsumerName;
const SECOND = 1_000_000;
export const UNFENCED = { fence: null, deadlineMicros: 10 * SECOND } as const;

export function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.value;
}

/** Plain text on loopback, as tests may have it. */
export function loopback(address: string | null): GrpcNetwork {
  return createGrpcNetwork({
    addresses: () => address,
    listen: () => address ?? '127.0.0.1:0',
    identity: null,
    accepts: () => true,
    methods: PROTOCOL_METHODS,
  });
}

/** The embedded broker of the platform in this process, on SQLite, reached over gRPC. */
export class Platform {
  readonly folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-platform-'));
  readonly telemetry = new MemoryTelemetry();
  readonly #queueEventsMax: number;
  #storage: OpenStorage | null = null;
  #broker: Broker | null = null;
  #network: GrpcNetwork | null = null;
  #client: GrpcNetwork | null = null;
  address: string | null = null;
  bus!: Bus;

  private constructor(queueEventsMax: number) {
    this.#queueEventsMax = queueEventsMax;
  }

  static async open(queueEventsMax = 10_000): Promise<Platform> {
    const platform = new Platform(queueEventsMax);
    await platform.boot();
    get(await platform.bus.createConsumer({ ...consumerOf(READER), filter: '>' as SubjectFilter, ackWaitMs: 60_000, pendingMax: 10_000 }));
    return platform;
  }

  async boot(): Promise<void> {
    this.#storage = get(await openStorage({ folder: this.folder }));
    const ports = { clock: new SystemClock(), random: new SystemRandom(), storage: this.#storage, telemetry: this.telemetry };
    const broker = createBroker(ports, { queueEventsMax: this.#queueEventsMax });
    get(await broker.start());
    this.#broker = broker;
    this.#network = loopback(this.address);
    get(
      await this.#network.listen(BROKER, {
        call: (method, _peer, request) => broker.handleCall(method, admitAll, request),
        stream: async () => {},
      }),
    );
    this.address = this.#network.addressOf(BROKER);
    if (this.#client !== null) return;
    this.#client = loopback(this.address);
    this.bus = createBusClient({ network: this.#client }, { broker: BROKER });
  }

  /** The broker ends; its clients stay. */
  async stop(): Promise<void> {
    await this.#network?.close();
    await this.#broker?.stop();
    await this.#storage?.close();
  }

  async close(): Promise<void> {
    this.bus.close();
    await this.#client?.close();
    await this.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** Takes up to so many events out of the queue, and settles them. */
  async read(eventsMax: number, waitMs = 200): Promise<readonly DeliveredEvent[]> {
    const deliveries = get(await this.bus.fetch(READER, { eventsMax, waitMs, fence: null }));
    for (const delivery of deliveries) get(await this.bus.settle(READER, delivery, { kind: 'ack' }, { fence: null }));
    return deliveries;
  }

  /** Reads until so many are there; the test's own bound of time ends it otherwise. */
  async readAll(count: number): Promise<readonly BusEvent[]> {
    const events: BusEvent[] = [];
    while (events.length < count) events.push(...(await this.read(Math.min(100, count - events.length), 1_000)).map(({ event }) => event));
    return events;
  }

  async publish(id: string, subject: string, changes: Partial<BusEvent> = {}): Promise<void> {
    const event: BusEvent = {
      id: id as EventId,
      subject: subject as Subject,
      timeMs: 1_700_000_000_000,
      correlation: `c-${id}` as CorrelationId,
      headers: {},
      data: Buffer.from(id),
      ...changes,
    };
    get(await this.bus.publish(event, UNFENCED));
  }
}

export function gatewayConfig(
  mosquitto: Pick<Mosquitto, 'url'>,
  changes: Partial<GatewayConfig> = {},
  broker: Partial<GatewayConfig['broker']> = {},
): GatewayConfig {
  return {
    name: 'plant',
    broker: {
      url: mosquitto.url,
      clientId: 'wasmmatrix-plant',
      username: null,
      password: null,
      authority: null,
      certificate: null,
      privateKey: null,
      keepAliveS: 5,
      sessionExpiryS: 3_600,
      receiveMaximum: 16,
      ...broker,
    },
    inbound: [{ topics: 'vehicles/+/brake', subject: 'sensors.brake.{1}' }],
    outbound: [],
    receiptsFile: null,
    ...changes,
  };
}

export type Running = { readonly gateway: MqttGateway; readonly telemetry: MemoryTelemetry };

export function startGateway(bus: Bus, config: GatewayConfig): Running {
  const telemetry = new MemoryTelemetry();
  const gateway = createMqttGateway({ bus, clock: new SystemClock(), random: new SystemRandom(), telemetry }, config);
  get(gateway.start());
  return { gateway, telemetry };
}

/** Bound: how long a condition may take on a machine that has other things to do. */
export const PATIENCE_MS = 60_000;

export async function until(holds: () => boolean, patienceMs = PATIENCE_MS): Promise<void> {
  const began = performance.now();
  while (!holds()) {
    if (performance.now() - began > patienceMs)
      throw new Error(`waited ${patienceMs / 1_000} s in vain until ${holds.toString().slice(0, 200)}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

export async function connected(running: Running): Promise<Running> {
  await until(() => running.gateway.status.state === 'connected');
  return running;
}

/** A device: it speaks MQTT and knows nothing of the platform. */
export async function device(mosquitto: Mosquitto, options: Partial<IClientOptions> = {}): Promise<MqttClient> {
  return connectAsync(mosquitto.url, { protocolVersion: 5, reconnectPeriod: 0, ...options });
}

export async function listen(client: MqttClient, filter: string): Promise<readonly IPublishPacket[]> {
  const packets: IPublishPacket[] = [];
  client.on('message', (_topic, _payload, packet) => packets.push(packet));
  await client.subscribeAsync(filter, { qos: 1 });
  return packets;
}
