// A machine with a disk that hosts the broker, process after process, and what a test says to it.
import type { Admission, ConsumerSpec, DeliveredEvent, Settlement } from '../../../system/domain/broker.ts';
import { FETCH_EVENTS_METHOD, PUBLISH_METHOD, SETTLE_METHOD } from '../../../system/domain/broker.ts';
import type { BusEvent, FencingToken, PublishAck } from '../../../system/domain/event.ts';
import type {
  ConsumerName,
  CorrelationId,
  Epoch,
  EventId,
  InstanceId,
  Subject,
  SubjectFilter,
} from '../../../system/domain/identifiers.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';
import { createBroker, type Broker, type BrokerConfig } from '../../../system/bus/bus.ts';
import {
  decodeFetchEventsReply,
  decodePublishReply,
  encodeFetchEventsRequest,
  encodePublishRequest,
  encodeSettleRequest,
} from '../../../system/wire/codec/broker.ts';
import { MemoryTime, type MemoryClock } from '../ports/memory-clock.ts';
import { MemoryDisk } from '../ports/memory-storage.ts';
import { memoryRandom, MemoryTelemetry } from '../ports/memory-telemetry.ts';

export function eventOf(id: string, changes: Partial<BusEvent> = {}): BusEvent {
  return {
    id: id as EventId,
    subject: 'sensor.brake' as Subject,
    timeMs: 1,
    correlation: `c-${id}` as CorrelationId,
    headers: {},
    data: new Uint8Array([1, 2, 3]),
    ...changes,
  };
}

export function consumerOf(name: string, changes: Partial<ConsumerSpec> = {}): ConsumerSpec {
  return {
    name: name as ConsumerName,
    filter: 'sensor.>' as SubjectFilter,
    ackWaitMs: 1_000,
    deliveriesMax: 3,
    backoffMs: 100,
    backoffMsMax: 400,
    pendingMax: 100,
    idleMsMax: null,
    ...changes,
  };
}

export function fenceOf(instance: string, epoch: number): FencingToken {
  return { instance: instance as InstanceId, epoch: epoch as Epoch };
}

export const FAILURE = { code: 'WM_GUEST_TRAPPED', message: 'unreachable' } as const;

type FetchOptions = { readonly eventsMax?: number; readonly waitMs?: number; readonly fence?: FencingToken | null };

/** Whoever calls may do everything: for tests of the broker alone. */
export const admitAll: Admission = () => ok();

export class Site {
  readonly time = new MemoryTime();
  readonly disk = new MemoryDisk();
  readonly telemetry = new MemoryTelemetry();
  readonly #config: BrokerConfig;
  clock!: MemoryClock;
  broker!: Broker;

  constructor(config: Partial<BrokerConfig> = {}) {
    this.#config = { queueEventsMax: 1_000, ...config };
  }

  static async open(config: Partial<BrokerConfig> = {}): Promise<Site> {
    const site = new Site(config);
    const started = await site.boot();
    if (!started.ok) throw new Error(started.error.message);
    return site;
  }

  boot(changes: Partial<BrokerConfig> = {}): Promise<Outcome<void>> {
    this.clock = this.time.process();
    this.broker = createBroker(
      { clock: this.clock, random: memoryRandom(), storage: this.disk.portOf(this.clock), telemetry: this.telemetry },
      { ...this.#config, ...changes },
    );
    return this.time.until(this.broker.start());
  }

  /** Power loss and the next start. */
  async crash(keep: (unsynced: number) => number = () => 0): Promise<void> {
    this.clock.end();
    this.disk.losePower(keep);
    const started = await this.boot();
    if (!started.ok) throw new Error(started.error.message);
  }

  async publish(event: BusEvent | string, fence: FencingToken | null = null): Promise<Outcome<PublishAck>> {
    const request = encodePublishRequest({ event: typeof event === 'string' ? eventOf(event) : event, fence });
    const answer = await this.broker.handleCall(PUBLISH_METHOD, admitAll, request);
    return answer.ok ? decodePublishReply(answer.value) : answer;
  }

  async fetch(
    consumer: string,
    { eventsMax = 10, waitMs = 0, fence = null }: FetchOptions = {},
  ): Promise<Outcome<readonly DeliveredEvent[]>> {
    const request = encodeFetchEventsRequest({ consumer: consumer as ConsumerName, eventsMax, waitMs, fence });
    const answer = await this.broker.handleCall(FETCH_EVENTS_METHOD, admitAll, request);
    if (!answer.ok) return answer;
    const reply = decodeFetchEventsReply(answer.value);
    return reply.ok ? ok(reply.value.deliveries) : reply;
  }

  async settle(
    consumer: string,
    delivery: Pick<DeliveredEvent, 'sequence' | 'delivery'>,
    settlement: Settlement = { kind: 'ack' },
    fence: FencingToken | null = null,
  ): Promise<Outcome<void>> {
    const { sequence, delivery: number } = delivery;
    const request = encodeSettleRequest({ consumer: consumer as ConsumerName, sequence, delivery: number, settlement, fence });
    const answer = await this.broker.handleCall(SETTLE_METHOD, admitAll, request);
    return answer.ok ? ok() : answer;
  }

  /** Everything there is to deliver now. */
  async drain(consumer: string): Promise<readonly DeliveredEvent[]> {
    return get(await this.time.until(this.fetch(consumer, { eventsMax: 256 })));
  }
}

export function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.value;
}

export const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);
