// Events with at-least-once delivery (R9.1). Order: per subject, first deliveries follow publication; redeliveries do not.
// Bounds: the broker's queue (WM_BUS_FULL: nothing stored), the consumer's outstanding deliveries, events per fetch.
// Failures: a publish that ends unknown may have been stored: publish again with the same event id, which stores it once.
import type { ConsumerSpec, DeliveredEvent, Settlement } from '../domain/broker.ts';
import type { BusEvent, FencingToken, PublishAck } from '../domain/event.ts';
import type { ConsumerName } from '../domain/identifiers.ts';
import type { Outcome } from '../domain/outcome.ts';

export interface Bus {
  /** Resolves ok only when the event is durable. `fence` null: the publisher is no instance. */
  publish(event: BusEvent, options: { readonly fence: FencingToken | null; readonly deadlineMicros: number }): Promise<Outcome<PublishAck>>;
  /** Creates a durable consumer or changes its settings; it starts with the events accepted after its creation. */
  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>>;
  deleteConsumer(name: ConsumerName): Promise<Outcome<void>>;
  /** Up to `eventsMax` deliveries; waits up to `waitMs` for the first and then answers with none. */
  fetch(
    consumer: ConsumerName,
    options: { readonly eventsMax: number; readonly waitMs: number; readonly fence: FencingToken | null },
  ): Promise<Outcome<readonly DeliveredEvent[]>>;
  /**
   * Fetches of this instance that wait are answered with none: what comes next goes to others, and not to somebody who is about to
   * leave. Where it fails, or comes between two requests, they end when their wait is over.
   */
  withdraw(consumer: ConsumerName, options: { readonly fence: FencingToken }): Promise<Outcome<void>>;
  /** Ends a delivery. WM_FENCED: the instance was superseded; WM_NOT_FOUND: the delivery ran out and was given to another. */
  settle(
    consumer: ConsumerName,
    delivery: Pick<DeliveredEvent, 'sequence' | 'delivery'>,
    settlement: Settlement,
    options: { readonly fence: FencingToken | null },
  ): Promise<Outcome<void>>;
  close(): void;
}
