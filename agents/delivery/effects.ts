// The effects that follow a guest: its result is published, then its delivery is settled. Each is repeated while its end is
// unknown or the broker cannot take it, within the delivery's ack wait: both are idempotent, by event id and by delivery number.
import type { DeliveredEvent, Settlement } from '../../system/domain/broker.ts';
import type { BusEvent, FencingToken } from '../../system/domain/event.ts';
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import type { Bus } from '../../system/ports/bus.ts';
import { repeat } from '../waiting/waiting.ts';
import type { Repetition } from '../waiting/waiting.ts';

export type EffectContext = {
  readonly bus: Bus;
  readonly fence: FencingToken;
  readonly publishDeadlineMicros: number;
  readonly repetition: Repetition;
};

/** Ok when the result is durable at the broker. */
export function publishResult(context: EffectContext, event: BusEvent): Promise<Outcome<void>> {
  return repeat(context.repetition, async () => {
    const published = await context.bus.publish(event, { fence: context.fence, deadlineMicros: context.publishDeadlineMicros });
    return published.ok ? ok() : published;
  });
}

export function settle(
  context: EffectContext,
  consumer: ConsumerName,
  delivery: DeliveredEvent,
  settlement: Settlement,
): Promise<Outcome<void>> {
  return repeat(context.repetition, () => context.bus.settle(consumer, delivery, settlement, { fence: context.fence }));
}
