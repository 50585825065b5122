// The embedded broker as agents and publishers see it: one call each. It never repeats a call on its own: whoever called knows
// whether that is right.
import { CONSUMER_METHOD, FETCH_EVENTS_METHOD, PUBLISH_METHOD, SETTLE_METHOD } from '../domain/broker.ts';
import type { Endpoint } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Bus } from '../ports/bus.ts';
import { MICROS_PER_MS } from '../ports/clock.ts';
import { Line } from '../ports/line.ts';
import type { Ports } from '../ports/ports.ts';
import {
  decodeFetchEventsReply,
  decodePublishReply,
  encodeConsumerRequest,
  encodeFetchEventsRequest,
  encodePublishRequest,
  encodeSettleRequest,
  type ConsumerRequest,
} from '../wire/codec/broker.ts';

/** Bound: time for an answer beyond what the request itself may wait. */
const ANSWER_MICROS = 5_000_000;
/** Bound: time for the answer of a fetch beyond its wait. Short, since a broker that lost power never answers, and says so to nobody. */
const FETCH_ANSWER_MICROS = 2_000_000;

export function createBusClient(ports: Pick<Ports, 'network'>, config: { readonly broker: Endpoint }): Bus {
  const line = new Line(ports.network, config.broker);

  const change = async (request: ConsumerRequest): Promise<Outcome<void>> => {
    const answer = await line.call(CONSUMER_METHOD, encodeConsumerRequest(request), ANSWER_MICROS);
    return answer.ok ? ok() : answer;
  };

  return {
    async publish(event, { fence, deadlineMicros }) {
      const answer = await line.call(PUBLISH_METHOD, encodePublishRequest({ event, fence }), deadlineMicros);
      return answer.ok ? decodePublishReply(answer.value) : answer;
    },
    createConsumer: (spec) => change({ kind: 'create', spec }),
    deleteConsumer: (name) => change({ kind: 'delete', name }),
    async fetch(consumer, { eventsMax, waitMs, fence }) {
      const request = encodeFetchEventsRequest({ consumer, eventsMax, waitMs, fence });
      const answer = await line.call(FETCH_EVENTS_METHOD, request, waitMs * MICROS_PER_MS + FETCH_ANSWER_MICROS);
      if (!answer.ok) return answer;
      const reply = decodeFetchEventsReply(answer.value);
      return reply.ok ? ok(reply.value.deliveries) : reply;
    },
    async withdraw(consumer, { fence }) {
      const request = encodeFetchEventsRequest({ consumer, eventsMax: 0, waitMs: 0, fence });
      const answer = await line.call(FETCH_EVENTS_METHOD, request, FETCH_ANSWER_MICROS);
      return answer.ok ? ok() : answer;
    },
    async settle(consumer, delivery, settlement, { fence }) {
      const request = encodeSettleRequest({ consumer, sequence: delivery.sequence, delivery: delivery.delivery, settlement, fence });
      const answer = await line.call(SETTLE_METHOD, request, ANSWER_MICROS);
      return answer.ok ? ok() : answer;
    },
    close: () => line.close(),
  };
}
