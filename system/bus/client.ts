// The embedded broker as agents and publishers see it: one call each, over a connection that is dialled when it is needed
// and dialled again when it is lost. It never repeats a call on its own: whoever called knows whether that is right.
// A late answer is no lost connection: what is under way on it comes to its end, and what comes is sent on another.
import { CONSUMER_METHOD, FETCH_EVENTS_METHOD, PUBLISH_METHOD, SETTLE_METHOD } from '../domain/broker.ts';
import type { Endpoint } from '../domain/identifiers.ts';
import { failed, ok, type Outcome } from '../domain/outcome.ts';
import type { Bus } from '../ports/bus.ts';
import { MICROS_PER_MS } from '../ports/clock.ts';
import type { Connection } from '../ports/network.ts';
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

const CLOSED = failed('WM_CANCELLED', { message: 'This client of the broker was closed.', next: 'Make a new client.' });

/** A connection, and how many of its calls are not answered. */
type Line = { readonly connection: Connection; outstanding: number };

export function createBusClient(ports: Pick<Ports, 'network'>, config: { readonly broker: Endpoint }): Bus {
  let line: Line | null = null;
  /** Bound: beside the newest, as many as had a late answer within the longest deadline; each ends with its last call. */
  const lines = new Set<Line>();
  let dialling: Promise<Outcome<Line>> | null = null;
  let closed = false;

  const dial = async (deadlineMicros: number): Promise<Outcome<Line>> => {
    if (closed) return CLOSED;
    if (line !== null) return ok(line);
    dialling ??= ports.network.connect(config.broker, { deadlineMicros }).then((dialled): Outcome<Line> => {
      dialling = null;
      if (!dialled.ok) return dialled;
      if (closed) {
        dialled.value.close();
        return CLOSED;
      }
      line = { connection: dialled.value, outstanding: 0 };
      lines.add(line);
      return ok(line);
    });
    return dialling;
  };

  const call = async (method: string, request: Uint8Array, deadlineMicros: number): Promise<Outcome<Uint8Array>> => {
    const dialled = await dial(deadlineMicros);
    if (!dialled.ok) return dialled;
    const used = dialled.value;
    used.outstanding += 1;
    const answer = await used.connection.call(method, request, { deadlineMicros });
    used.outstanding -= 1;
    const code = answer.ok ? null : answer.error.code;
    const isLost = code === 'WM_CONNECTION_LOST' || code === 'WM_UNREACHABLE';
    if ((isLost || code === 'WM_DEADLINE') && line === used) line = null;
    if (isLost || (line !== used && used.outstanding === 0)) {
      lines.delete(used);
      used.connection.close();
    }
    return answer;
  };

  const change = async (request: ConsumerRequest): Promise<Outcome<void>> => {
    const answer = await call(CONSUMER_METHOD, encodeConsumerRequest(request), ANSWER_MICROS);
    return answer.ok ? ok() : answer;
  };

  return {
    async publish(event, { fence, deadlineMicros }) {
      const answer = await call(PUBLISH_METHOD, encodePublishRequest({ event, fence }), deadlineMicros);
      return answer.ok ? decodePublishReply(answer.value) : answer;
    },
    createConsumer: (spec) => change({ kind: 'create', spec }),
    deleteConsumer: (name) => change({ kind: 'delete', name }),
    async fetch(consumer, { eventsMax, waitMs, fence }) {
      const request = encodeFetchEventsRequest({ consumer, eventsMax, waitMs, fence });
      const answer = await call(FETCH_EVENTS_METHOD, request, waitMs * MICROS_PER_MS + FETCH_ANSWER_MICROS);
      if (!answer.ok) return answer;
      const reply = decodeFetchEventsReply(answer.value);
      return reply.ok ? ok(reply.value.deliveries) : reply;
    },
    async settle(consumer, delivery, settlement, { fence }) {
      const request = encodeSettleRequest({ consumer, sequence: delivery.sequence, delivery: delivery.delivery, settlement, fence });
      const answer = await call(SETTLE_METHOD, request, ANSWER_MICROS);
      return answer.ok ? ok() : answer;
    },
    close() {
      closed = true;
      for (const { connection } of lines) connection.close();
      lines.clear();
      line = null;
    },
  };
}
