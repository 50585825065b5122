// What a node that was taken over asks of broker and store in due form: the events of everybody's triggers, the end of their
// consumers, keys that are not its own. It has the certificate of its node, and gives no fencing token.
import { createBusClient } from '../../system/bus/bus.ts';
import { consumerOf } from '../../system/domain/deployment.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import type { Network } from '../../system/ports/network.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import { createStateClient } from '../../system/state/state.ts';
import type { Scenario } from '../../scenarios/scenario.ts';

const DEADLINE_MICROS = 2 * MICROS_PER_S;

export function liesOf({ steps, observeState }: Scenario, network: Network, controller: Endpoint): readonly (() => Promise<unknown>)[] {
  const bus = createBusClient({ network }, { broker: controller });
  const state = createStateClient({ network }, { store: controller });
  const consumers = steps.flatMap((step) => (step.do === 'trigger' ? [consumerOf(step.spec.name)] : []));
  const write = { expectedVersion: null, fence: null, deadlineMicros: DEADLINE_MICROS };
  return [
    ...consumers.map((consumer) => () => bus.fetch(consumer, { eventsMax: 16, waitMs: 0, fence: null })),
    ...consumers.map((consumer) => () => bus.deleteConsumer(consumer)),
    ...observeState.map((key) => () => state.put(key, new Uint8Array(0), write)),
  ];
}
