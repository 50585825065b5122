// Deliveries that this process holds, until they are settled or their ack wait is over. JetStream takes an acknowledgement of any
// delivery of an event, also of one that ran out: that a newer one counts alone is held here.
import type { ConsumerSpec, DeliveredEvent } from '../../system/domain/broker.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { MICROS_PER_MS, type Clock, type Timer } from '../../system/ports/clock.ts';
import type { History } from './failures.ts';

/** Bound: acknowledgements remembered, so that saying one again is no error. */
const ACKNOWLEDGED_MAX = 4_096;

export type Held = {
  readonly spec: ConsumerSpec;
  readonly delivered: DeliveredEvent;
  /** Where JetStream wants it settled. */
  readonly reply: string;
  readonly history: History;
};

type Named = Pick<DeliveredEvent, 'sequence' | 'delivery'>;

function keyOf(consumer: ConsumerName, { sequence, delivery }: Named): string {
  return `${consumer}/${sequence}/${delivery}`;
}

export class HeldDeliveries {
  readonly #clock: Clock;
  /** Bound: `pendingMax` of each consumer that is fetched from. */
  readonly #held = new Map<string, { readonly held: Held; readonly timer: Timer }>();
  readonly #acknowledged = new Set<string>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(held: Held): void {
    const key = keyOf(held.spec.name, held.delivered);
    const timer = this.#clock.after(held.spec.ackWaitMs * MICROS_PER_MS, () => void this.#held.delete(key));
    this.#held.set(key, { held, timer });
  }

  find(consumer: ConsumerName, delivered: Named): Held | null {
    return this.#held.get(keyOf(consumer, delivered))?.held ?? null;
  }

  wasAcknowledged(consumer: ConsumerName, delivered: Named): boolean {
    return this.#acknowledged.has(keyOf(consumer, delivered));
  }

  /** It is settled. */
  drop({ spec, delivered }: Held, isAcknowledged = false): void {
    const key = keyOf(spec.name, delivered);
    this.#held.get(key)?.timer.cancel();
    this.#held.delete(key);
    if (!isAcknowledged) return;
    this.#acknowledged.add(key);
    if (this.#acknowledged.size > ACKNOWLEDGED_MAX) for (const oldest of this.#acknowledged) return void this.#acknowledged.delete(oldest);
  }

  clear(): void {
    for (const { timer } of this.#held.values()) timer.cancel();
    this.#held.clear();
  }
}
