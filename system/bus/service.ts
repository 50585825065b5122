// The broker's methods: bytes in, bytes out. What is published and created in process goes through the same door, so that
// nothing is stored that could not be read back.
import {
  CONSUMER_METHOD,
  FETCH_EVENTS_METHOD,
  PUBLISH_METHOD,
  SETTLE_METHOD,
  type Admission,
  type ConsumerSpec,
  type DeliveredEvent,
  type FetchEventsRequest,
  type PublishRequest,
  type SettleRequest,
} from '../domain/broker.ts';
import type { FencingToken, PublishAck } from '../domain/event.ts';
import type { ConsumerName } from '../domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import {
  decodeConsumerRequest,
  decodeFetchEventsRequest,
  decodePublishRequest,
  decodeSettleRequest,
  encodeConsumerRequest,
  encodeFetchEventsReply,
  encodePublishReply,
  encodePublishRequest,
} from '../wire/codec/broker.ts';
import type { EmbeddedBroker } from './broker.ts';

const DONE = new Uint8Array(0);

/** What calls ask for, of whatever make the broker is. */
export type BrokerCalls = {
  publish(request: PublishRequest): Promise<Outcome<PublishAck>>;
  fetch(request: FetchEventsRequest): Promise<Outcome<readonly DeliveredEvent[]>>;
  withdraw(consumer: ConsumerName, fence: FencingToken): Promise<Outcome<void>>;
  settle(request: SettleRequest): Promise<Outcome<void>>;
  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>>;
  deleteConsumer(name: ConsumerName): Promise<Outcome<void>>;
};

/** `admit` is asked of every call, once it is known what it is about. */
export async function handleBrokerCall(
  broker: BrokerCalls,
  method: string,
  admit: Admission,
  bytes: Uint8Array,
): Promise<Outcome<Uint8Array>> {
  switch (method) {
    case PUBLISH_METHOD: {
      const request = decodePublishRequest(bytes);
      if (!request.ok) return request;
      const admitted = admit({ kind: 'publish', ...request.value });
      if (!admitted.ok) return admitted;
      const ack = await broker.publish(request.value);
      return ack.ok ? ok(encodePublishReply(ack.value)) : ack;
    }
    case FETCH_EVENTS_METHOD: {
      const request = decodeFetchEventsRequest(bytes);
      if (!request.ok) return request;
      const { consumer, fence, eventsMax } = request.value;
      const admitted = admit({ kind: 'fetch', consumer, fence });
      if (!admitted.ok) return admitted;
      if (eventsMax === 0 && fence !== null) {
        const withdrawn = await broker.withdraw(consumer, fence);
        return withdrawn.ok ? ok(encodeFetchEventsReply({ deliveries: [] })) : withdrawn;
      }
      const fetched = await broker.fetch(request.value);
      return fetched.ok ? ok(encodeFetchEventsReply({ deliveries: fetched.value })) : fetched;
    }
    case SETTLE_METHOD: {
      const request = decodeSettleRequest(bytes);
      if (!request.ok) return request;
      const { consumer, fence } = request.value;
      const admitted = admit({ kind: 'settle', consumer, fence });
      if (!admitted.ok) return admitted;
      const settled = await broker.settle(request.value);
      return settled.ok ? ok(DONE) : settled;
    }
    case CONSUMER_METHOD: {
      const request = decodeConsumerRequest(bytes);
      if (!request.ok) return request;
      const { value } = request;
      const admitted = admit({ kind: 'consumer', consumer: value.kind === 'create' ? value.spec.name : value.name });
      if (!admitted.ok) return admitted;
      const changed = value.kind === 'create' ? await broker.createConsumer(value.spec) : await broker.deleteConsumer(value.name);
      return changed.ok ? ok(DONE) : changed;
    }
    default:
      return rejected('WM_MESSAGE_INVALID', {
        message: `The broker has no method ${method}.`,
        next: 'Use Publish, Fetch, Settle or Consumer.',
      });
  }
}

export async function publishInProcess(broker: EmbeddedBroker, request: PublishRequest): Promise<Outcome<PublishAck>> {
  const checked = decodePublishRequest(encodePublishRequest(request));
  return checked.ok ? broker.publish(checked.value) : checked;
}

export async function createInProcess(broker: EmbeddedBroker, spec: ConsumerSpec): Promise<Outcome<void>> {
  const checked = decodeConsumerRequest(encodeConsumerRequest({ kind: 'create', spec }));
  return checked.ok ? broker.createConsumer(spec) : checked;
}
