// Publishes numbered events at a rate that keeps the platform as busy as is asked for, and keeps the ledger of what came of them.
// Bounds: publishes under way, and events whose result is outstanding; what cannot be published in time is published later.
import type { ConsumerSpec } from '../../../system/domain/broker.ts';
import { SOURCE_HEADER, type BusEvent } from '../../../system/domain/event.ts';
import type { ConsumerName, CorrelationId, EventId, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { describeError } from '../../../system/domain/outcome.ts';
import type { Bus } from '../../../system/ports/bus.ts';
import { Ledger } from './ledger.ts';

/** Bound: publishes that were not answered yet. */
const PUBLISHING_MAX = 128;
/** Bound: accepted events without a result. */
const OUTSTANDING_MAX = 500;
/** Each so manieth event is counted in the state store, the others are echoed. */
export const COUNTED_EVERY = 100;
const PUBLISH_MICROS = 5_000_000;
const TICK_MS = 10;
const FETCH = { eventsMax: 256, waitMs: 1_000, fence: null } as const;
const AGAIN_MS = 200;
const CONSUMER: ConsumerSpec = {
  name: 'soak-results' as ConsumerName,
  filter: 'soak.out.>' as SubjectFilter,
  ackWaitMs: 60_000,
  deliveriesMax: 1_000,
  backoffMs: 100,
  backoffMsMax: 2_000,
  pendingMax: 1_024,
  idleMsMax: null,
};

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

export class Load {
  readonly ledger: Ledger;
  readonly #bus: Bus;
  /** Events a second. */
  rate: number;
  published = 0;
  counted = 0;
  /** Publishes that were refused, failed or unknown, and were repeated under the same identifier. */
  repeated = 0;
  readonly troubles = new Map<string, number>();
  /** Microseconds from publishing to seeing the result, of some. Bound: the newest. */
  readonly #latencies: number[] = [];
  readonly #publishedMs = new Map<number, number>();
  #underWay = 0;
  #stopped = false;

  constructor(bus: Bus, options: { readonly eventsMax: number; readonly rate: number }) {
    this.#bus = bus;
    this.ledger = new Ledger(options.eventsMax);
    this.rate = options.rate;
  }

  async start(): Promise<void> {
    const created = await this.#bus.createConsumer(CONSUMER);
    if (!created.ok) throw new Error(describeError(created.error));
    void this.#listen();
  }

  /** Publishes until `end`, then until every publish was answered. */
  async publish(end: () => boolean): Promise<void> {
    let due = 0;
    let lastMs = performance.now();
    while (!end() && this.published < this.ledger.eventsMax) {
      await sleep(TICK_MS);
      const nowMs = performance.now();
      due = Math.min(due + ((nowMs - lastMs) / 1_000) * this.rate, this.rate);
      lastMs = nowMs;
      while (due >= 1 && this.#hasRoom()) {
        due -= 1;
        void this.#publishOne(this.published++);
      }
    }
    while (this.#underWay > 0) await sleep(TICK_MS);
  }

  /** Until every accepted event has its result, or `msMax` have passed. */
  async settle(msMax: number): Promise<void> {
    const endMs = performance.now() + msMax;
    while (this.ledger.done < this.ledger.accepted && performance.now() < endMs) await sleep(TICK_MS);
    // Whatever comes twice comes late.
    await sleep(Math.min(5_000, msMax));
    this.#stopped = true;
  }

  get backlog(): number {
    return this.ledger.accepted - this.ledger.done;
  }

  /** Milliseconds that a share of the newest events took at most. */
  latencyMs(share: number): number {
    const sorted = this.#latencies.toSorted((a, b) => a - b);
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? Number.NaN;
  }

  #hasRoom(): boolean {
    return this.#underWay < PUBLISHING_MAX && this.backlog < OUTSTANDING_MAX && this.published < this.ledger.eventsMax;
  }

  async #publishOne(number: number): Promise<void> {
    this.#underWay += 1;
    const isCounted = number % COUNTED_EVERY === 0;
    const id = `soak-${number}`;
    const event: BusEvent = {
      id: id as EventId,
      subject: (isCounted ? 'soak.count' : 'soak.echo') as Subject,
      timeMs: Date.now(),
      correlation: id as CorrelationId,
      headers: {},
      data: new TextEncoder().encode(`{"number":${number},"padding":"${'x'.repeat(100)}"}`),
    };
    if (!isCounted) this.#publishedMs.set(number, performance.now());
    for (;;) {
      const published = await this.#bus.publish(event, { fence: null, deadlineMicros: PUBLISH_MICROS });
      if (published.ok) break;
      this.#trouble(published.error.code);
      this.repeated += 1;
      await sleep(AGAIN_MS);
    }
    this.ledger.accept(number);
    if (isCounted) this.counted += 1;
    this.#underWay -= 1;
  }

  async #listen(): Promise<void> {
    while (!this.#stopped) {
      const fetched = await this.#bus.fetch(CONSUMER.name, FETCH);
      if (!fetched.ok) {
        this.#trouble(fetched.error.code);
        await sleep(AGAIN_MS);
        continue;
      }
      await Promise.all(
        fetched.value.map(async (delivery) => {
          const source = delivery.event.headers[SOURCE_HEADER] ?? '';
          const number = Number(/^soak-(\d+)$/.exec(source)?.[1] ?? Number.NaN);
          this.ledger.result(number, delivery.sequence);
          this.#took(number);
          const settled = await this.#bus.settle(CONSUMER.name, delivery, { kind: 'ack' }, { fence: null });
          if (!settled.ok) this.#trouble(settled.error.code);
        }),
      );
    }
  }

  #took(number: number): void {
    const publishedMs = this.#publishedMs.get(number);
    if (publishedMs === undefined) return;
    this.#publishedMs.delete(number);
    this.#latencies.push(performance.now() - publishedMs);
    if (this.#latencies.length > 2_000) this.#latencies.splice(0, 1_000);
  }

  #trouble(code: string): void {
    this.troubles.set(code, (this.troubles.get(code) ?? 0) + 1);
  }
}
