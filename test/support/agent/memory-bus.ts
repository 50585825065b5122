// A broker and a state store in memory, as one agent sees them: queues by consumer, deliveries that run out, a fence, and
// trouble on demand. Answers take `travelMicros` each way.
import type { DeliveredEvent, Settlement, StateEntry } from '../../../system/domain/broker.ts';
import type { BusEvent, FencingToken, PublishAck } from '../../../system/domain/event.ts';
import type { ConsumerName } from '../../../system/domain/identifiers.ts';
import { ok, rejected } from '../../../system/domain/outcome.ts';
import type { Outcome, WmError } from '../../../system/domain/outcome.ts';
import type { Bus } from '../../../system/ports/bus.ts';
import type { Clock } from '../../../system/ports/clock.ts';
import type { State } from '../../../system/ports/state.ts';

type Waiting = { readonly resolve: () => void };

export class MemoryBus implements Bus, State {
  readonly published: BusEvent[] = [];
  readonly settled: { readonly event: string; readonly settlement: Settlement; readonly micros: number }[] = [];
  readonly state = new Map<string, StateEntry>();
  readonly fetchesOpen = new Map<ConsumerName, number>();
  /** Answered to every publish, settle and put, without effect, while not null. */
  trouble: WmError | null = null;
  /** So many withdrawals come before the fetch that they are about, and find nothing. */
  overtaking = 0;
  #clock: Clock;
  /** Answered to every publish, without effect, while not null. */
  publishTrouble: WmError | null = null;
  readonly #travelMicros: number;
  readonly #queues = new Map<ConsumerName, DeliveredEvent[]>();
  readonly #waiting = new Map<ConsumerName, Waiting[]>();
  readonly #fences = new Map<string, number>();
  #sequence = 0;

  constructor(clock: Clock, travelMicros = 100) {
    this.#clock = clock;
    this.#travelMicros = travelMicros;
  }

  /** The node booted anew: whoever waited is gone, and answers take the time of the new boot. */
  reboot(clock: Clock): void {
    this.#clock = clock;
    this.#waiting.clear();
    this.fetchesOpen.clear();
  }

  offer(consumer: ConsumerName, event: BusEvent, attempt = 1): void {
    this.#sequence += 1;
    const queue = this.#queues.get(consumer) ?? [];
    queue.push({ event, sequence: this.#sequence, delivery: this.#sequence, attempt });
    this.#queues.set(consumer, queue);
    this.#waiting.get(consumer)?.shift()?.resolve();
  }

  queued(consumer: ConsumerName): number {
    return this.#queues.get(consumer)?.length ?? 0;
  }

  /** From here on effects of earlier epochs are refused. */
  fence(instance: string, epoch: number): void {
    this.#fences.set(instance, epoch);
  }

  async publish(event: BusEvent, options: { readonly fence: FencingToken | null }): Promise<Outcome<PublishAck>> {
    await this.#travel();
    const refused = this.#refuse(options.fence);
    if (refused !== null) return refused;
    if (this.publishTrouble !== null) return { ok: false, error: this.publishTrouble };
    const duplicate = this.published.some((earlier) => earlier.id === event.id);
    if (!duplicate) this.published.push(event);
    await this.#travel();
    return ok({ sequence: this.published.length, duplicate });
  }

  createConsumer(): Promise<Outcome<void>> {
    return Promise.resolve(ok());
  }

  deleteConsumer(): Promise<Outcome<void>> {
    return Promise.resolve(ok());
  }

  async fetch(
    consumer: ConsumerName,
    options: { readonly eventsMax: number; readonly waitMs: number; readonly fence: FencingToken | null },
  ): Promise<Outcome<readonly DeliveredEvent[]>> {
    this.fetchesOpen.set(consumer, (this.fetchesOpen.get(consumer) ?? 0) + 1);
    await this.#travel();
    const refused = this.#refuse(options.fence);
    if (refused === null && this.queued(consumer) === 0) await this.#wait(consumer, options.waitMs);
    const deliveries = refused === null ? (this.#queues.get(consumer) ?? []).splice(0, options.eventsMax) : [];
    await this.#travel();
    this.fetchesOpen.set(consumer, (this.fetchesOpen.get(consumer) ?? 0) - 1);
    return refused ?? ok(deliveries);
  }

  async withdraw(consumer: ConsumerName): Promise<Outcome<void>> {
    await this.#travel();
    if (this.overtaking > 0) {
      this.overtaking -= 1;
      await this.#travel();
      return ok();
    }
    for (const { resolve } of this.#waiting.get(consumer)?.splice(0) ?? []) resolve();
    await this.#travel();
    return ok();
  }

  async settle(
    _consumer: ConsumerName,
    delivery: DeliveredEvent,
    settlement: Settlement,
    options: { readonly fence: FencingToken | null },
  ): Promise<Outcome<void>> {
    await this.#travel();
    const refused = this.#refuse(options.fence);
    if (refused !== null) return refused;
    this.settled.push({ event: delivery.event.id, settlement, micros: this.#clock.monotonicMicros() });
    await this.#travel();
    return ok();
  }

  async get(key: string): Promise<Outcome<StateEntry | null>> {
    await this.#travel();
    return ok(this.state.get(key) ?? null);
  }

  async put(
    key: string,
    value: Uint8Array,
    options: { readonly expectedVersion: number | null; readonly fence: FencingToken | null },
  ): Promise<Outcome<number>> {
    await this.#travel();
    const refused = this.#refuse(options.fence);
    if (refused !== null) return refused;
    const version = this.state.get(key)?.version ?? 0;
    if (options.expectedVersion !== null && options.expectedVersion !== version)
      return rejected('WM_CONFLICT', { message: `${key} is at ${version}.`, next: 'Read again.' });
    this.state.set(key, { version: version + 1, value });
    return ok(version + 1);
  }

  close(): void {
    for (const waiting of this.#waiting.values()) for (const one of waiting) one.resolve();
  }

  #refuse(fence: FencingToken | null): Outcome<never> | null {
    if (this.trouble !== null) return { ok: false, error: this.trouble };
    if (fence === null || fence.epoch >= (this.#fences.get(fence.instance) ?? 0)) return null;
    return rejected('WM_FENCED', { message: `${fence.instance} was superseded.`, next: 'Nothing.' });
  }

  #wait(consumer: ConsumerName, waitMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(waitMs * 1_000, resolve);
      const waiting = this.#waiting.get(consumer) ?? [];
      waiting.push({
        resolve: () => {
          timer.cancel();
          resolve();
        },
      });
      this.#waiting.set(consumer, waiting);
    });
  }

  #travel(): Promise<void> {
    return this.#clock.sleep(this.#travelMicros);
  }
}
