// The effects that follow a guest: its result is published, then its delivery is settled. Each is repeated while its end is
// unknown or the broker cannot take it, within the delivery's ack wait: both are idempotent, by event id and by delivery number.
import type { DeliveredEvent, Settlement } from '../../system/domain/broker.ts';
import type { BusEvent, FencingToken } from '../../system/domain/event.ts';
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome, WmError } from '../../system/domain/outcome.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { AgentBounds } from '../bounds.ts';
import { backoffMicros } from '../waiting/waiting.ts';

export type EffectContext = {
  readonly ports: Pick<Ports, 'bus' | 'clock'>;
  readonly bounds: AgentBounds;
  readonly random: RandomStream;
  readonly fence: FencingToken;
  /** Why nothing may take effect now; null: it may. */
  readonly check: () => WmError | null;
};

/** Ok when the result is durable at the broker. */
export function publishResult(context: EffectContext, event: BusEvent): Promise<Outcome<void>> {
  return repeat(context, async () => {
    const published = await context.ports.bus.publish(event, {
      fence: context.fence,
      deadlineMicros: context.bounds.publishDeadlineMs * MICROS_PER_MS,
    });
    return published.ok ? ok() : published;
  });
}

export function settle(
  context: EffectContext,
  consumer: ConsumerName,
  delivery: DeliveredEvent,
  settlement: Settlement,
): Promise<Outcome<void>> {
  return repeat(context, () => context.ports.bus.settle(consumer, delivery, settlement, { fence: context.fence }));
}

async function repeat(context: EffectContext, act: () => Promise<Outcome<void>>): Promise<Outcome<void>> {
  const law = { baseMs: context.bounds.effectRetryMs, maxMs: context.bounds.effectRetryMsMax };
  for (let attempt = 0; ; attempt++) {
    // Safety: asked in the same turn in which the effect leaves; everything before it took time.
    const obstacle = context.check();
    if (obstacle !== null) return { ok: false, error: obstacle };
    const done = await act();
    if (done.ok || !mayRepeat(done.error) || attempt + 1 >= context.bounds.effectAttemptsMax) return done;
    await context.ports.clock.sleep(backoffMicros(law, attempt, context.random));
  }
}

/** A rejection stays one, except that a full broker empties. */
function mayRepeat(error: WmError): boolean {
  return error.kind !== 'rejected' || error.code === 'WM_BUS_FULL';
}
