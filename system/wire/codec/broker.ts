// Codec of the embedded broker's and the state store's calls. Decoders accept any bytes and never throw.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { STATE_KEY_LENGTH_MAX, STATE_VALUE_BYTES_MAX } from '../../domain/broker.ts';
import type {
  ConsumerSpec,
  DeliveredEvent,
  FetchEventsReply,
  FetchEventsRequest,
  PublishRequest,
  Settlement,
  SettleRequest,
  StateGetReply,
  StateGetRequest,
  StatePutReply,
  StatePutRequest,
} from '../../domain/broker.ts';
import { EVENT_BYTES_MAX, EVENT_ID_LENGTH_MAX, type BusEvent, type FailureReason, type PublishAck } from '../../domain/event.ts';
import type { ConsumerName } from '../../domain/identifiers.ts';
import type { Outcome } from '../../domain/outcome.ts';
import {
  BusEventSchema,
  ConsumerRequestSchema,
  FetchEventsReplySchema,
  FetchEventsRequestSchema,
  PublishReplySchema,
  PublishRequestSchema,
  SettleRequestSchema,
  StateGetReplySchema,
  StateGetRequestSchema,
  StatePutReplySchema,
  StatePutRequestSchema,
  type BusEvent as WireEvent,
  type ConsumerSpec as WireConsumer,
  type ConsumerSpecSchema,
  type SettleRequest as WireSettle,
} from '../generated/wasmmatrix/v1/broker_pb.js';
import type { FailureReason as WireReason } from '../generated/wasmmatrix/v1/common_pb.js';
import {
  decodeWith,
  encodeWith,
  errorCode,
  name,
  optional,
  orNull,
  present,
  subject,
  subjectFilter,
  text,
  whole,
  wrong,
} from './fields.ts';
import { fenceFrom, fenceTo } from './parts.ts';

/** Bound: headers that an event is published with, and those that the broker may add. */
const HEADERS_MAX = 32;
const HEADERS_ADDED_MAX = 8;

export type ConsumerRequest =
  | { readonly kind: 'create'; readonly spec: ConsumerSpec }
  | { readonly kind: 'delete'; readonly name: ConsumerName };

function eventTo(event: BusEvent): MessageInitShape<typeof BusEventSchema> {
  return {
    id: event.id,
    subject: event.subject,
    timeMs: BigInt(event.timeMs),
    correlation: event.correlation,
    headers: { ...event.headers },
    data: event.data,
  };
}

function eventFrom(wire: WireEvent, headersMax: number): BusEvent {
  if (wire.data.length > EVENT_BYTES_MAX) wrong('event.data', `at most ${EVENT_BYTES_MAX} bytes, found ${wire.data.length}`);
  if (wire.id === '') wrong('event.id', 'an identifier, found none');
  const names = Object.keys(wire.headers);
  if (names.length > headersMax) wrong('event.headers', `at most ${headersMax}, found ${names.length}`);
  const headers: Record<string, string> = {};
  for (const header of names) headers[text(header, 'event.headers', 128)] = text(wire.headers[header] ?? '', `event.headers.${header}`);
  return {
    id: text(wire.id, 'event.id', EVENT_ID_LENGTH_MAX) as BusEvent['id'],
    subject: subject(wire.subject, 'event.subject'),
    timeMs: whole(wire.timeMs, 'event.time_ms'),
    correlation: text(wire.correlation, 'event.correlation', EVENT_ID_LENGTH_MAX) as BusEvent['correlation'],
    headers,
    data: wire.data,
  };
}

export function encodeBusEvent(event: BusEvent): Uint8Array {
  return encodeWith(BusEventSchema, eventTo(event));
}

/** An event as the broker holds it: published, or made by it of one that was. */
export function decodeHeldEvent(bytes: Uint8Array): Outcome<BusEvent> {
  return decodeWith(BusEventSchema, bytes, (wire) => eventFrom(wire, HEADERS_MAX + HEADERS_ADDED_MAX));
}

export function encodePublishRequest(request: PublishRequest): Uint8Array {
  return encodeWith(PublishRequestSchema, {
    event: eventTo(request.event),
    ...optional('fence', request.fence === null ? null : fenceTo(request.fence)),
  });
}

export function decodePublishRequest(bytes: Uint8Array): Outcome<PublishRequest> {
  return decodeWith(PublishRequestSchema, bytes, (wire) => ({
    event: eventFrom(present(wire.event, 'event'), HEADERS_MAX),
    fence: fenceFrom(wire.fence),
  }));
}

export function encodePublishReply(ack: PublishAck): Uint8Array {
  return encodeWith(PublishReplySchema, { sequence: BigInt(ack.sequence), duplicate: ack.duplicate });
}

export function decodePublishReply(bytes: Uint8Array): Outcome<PublishAck> {
  return decodeWith(PublishReplySchema, bytes, (wire) => ({ sequence: whole(wire.sequence, 'sequence'), duplicate: wire.duplicate }));
}

function consumerTo(spec: ConsumerSpec): MessageInitShape<typeof ConsumerSpecSchema> {
  const { idleMsMax, ...others } = spec;
  return { ...others, ...(typeof idleMsMax === 'number' ? { idleMsMax } : {}) };
}

function consumerFrom(wire: WireConsumer): ConsumerSpec {
  if (wire.deliveriesMax === 0 || wire.pendingMax === 0 || wire.ackWaitMs === 0)
    wrong('consumer', 'deliveries_max, pending_max and ack_wait_ms above 0');
  if (wire.idleMsMax === 0) wrong('consumer', 'idle_ms_max above 0, or none');
  return {
    name: name(wire.name, 'name'),
    filter: subjectFilter(wire.filter, 'filter'),
    ackWaitMs: wire.ackWaitMs,
    deliveriesMax: wire.deliveriesMax,
    backoffMs: wire.backoffMs,
    backoffMsMax: wire.backoffMsMax,
    pendingMax: wire.pendingMax,
    idleMsMax: wire.idleMsMax ?? null,
  };
}

export function encodeConsumerRequest(request: ConsumerRequest): Uint8Array {
  return encodeWith(ConsumerRequestSchema, {
    change: request.kind === 'create' ? { case: 'create', value: consumerTo(request.spec) } : { case: 'delete', value: request.name },
  });
}

export function decodeConsumerRequest(bytes: Uint8Array): Outcome<ConsumerRequest> {
  return decodeWith(ConsumerRequestSchema, bytes, ({ change }): ConsumerRequest => {
    switch (change.case) {
      case 'create':
        return { kind: 'create', spec: consumerFrom(change.value) };
      case 'delete':
        return { kind: 'delete', name: name(change.value, 'delete') };
      default:
        return wrong('change', 'create or delete, found neither');
    }
  });
}

export function encodeFetchEventsRequest(request: FetchEventsRequest): Uint8Array {
  const { fence, ...same } = request;
  return encodeWith(FetchEventsRequestSchema, { ...same, ...optional('fence', fence === null ? null : fenceTo(fence)) });
}

export function decodeFetchEventsRequest(bytes: Uint8Array): Outcome<FetchEventsRequest> {
  return decodeWith(FetchEventsRequestSchema, bytes, (wire) => {
    const fence = fenceFrom(wire.fence);
    return {
      consumer: name(wire.consumer, 'consumer'),
      eventsMax: wire.eventsMax > 0 || fence !== null ? wire.eventsMax : wrong('events_max', 'at least 1'),
      waitMs: wire.waitMs,
      fence,
    };
  });
}

export function encodeFetchEventsReply(reply: FetchEventsReply): Uint8Array {
  return encodeWith(FetchEventsReplySchema, {
    deliveries: reply.deliveries.map((delivered) => ({
      event: eventTo(delivered.event),
      sequence: BigInt(delivered.sequence),
      delivery: BigInt(delivered.delivery),
      attempt: delivered.attempt,
    })),
  });
}

export function decodeFetchEventsReply(bytes: Uint8Array): Outcome<FetchEventsReply> {
  return decodeWith(FetchEventsReplySchema, bytes, (wire) => ({
    deliveries: wire.deliveries.map((delivered): DeliveredEvent => ({
      event: eventFrom(present(delivered.event, 'deliveries.event'), HEADERS_MAX + HEADERS_ADDED_MAX),
      sequence: whole(delivered.sequence, 'deliveries.sequence'),
      delivery: whole(delivered.delivery, 'deliveries.delivery'),
      attempt: delivered.attempt,
    })),
  }));
}

function reasonFrom(wire: WireReason, field: string): FailureReason {
  return { code: errorCode(wire.code, `${field}.code`), message: text(wire.message, `${field}.message`) };
}

function settlementFrom(settlement: WireSettle['settlement']): Settlement {
  switch (settlement.case) {
    case 'ack':
      return { kind: 'ack' };
    case 'nak':
      return { kind: 'nak', reason: reasonFrom(settlement.value, 'nak') };
    case 'term':
      return { kind: 'term', reason: reasonFrom(settlement.value, 'term') };
    case 'release':
      return { kind: 'release' };
    default:
      return wrong('settlement', 'ack, nak, term or release, found none');
  }
}

export function encodeSettleRequest(request: SettleRequest): Uint8Array {
  const { settlement, fence } = request;
  return encodeWith(SettleRequestSchema, {
    consumer: request.consumer,
    sequence: BigInt(request.sequence),
    delivery: BigInt(request.delivery),
    settlement: 'reason' in settlement ? { case: settlement.kind, value: settlement.reason } : { case: settlement.kind, value: {} },
    ...optional('fence', fence === null ? null : fenceTo(fence)),
  });
}

export function decodeSettleRequest(bytes: Uint8Array): Outcome<SettleRequest> {
  return decodeWith(SettleRequestSchema, bytes, (wire) => ({
    consumer: name(wire.consumer, 'consumer'),
    sequence: whole(wire.sequence, 'sequence'),
    delivery: whole(wire.delivery, 'delivery'),
    settlement: settlementFrom(wire.settlement),
    fence: fenceFrom(wire.fence),
  }));
}

function key(value: string): string {
  return value !== '' ? text(value, 'key', STATE_KEY_LENGTH_MAX) : wrong('key', 'a key, found none');
}

function value(bytes: Uint8Array, field: string): Uint8Array {
  return bytes.length <= STATE_VALUE_BYTES_MAX ? bytes : wrong(field, `at most ${STATE_VALUE_BYTES_MAX} bytes, found ${bytes.length}`);
}

export function encodeStateGetRequest(request: StateGetRequest): Uint8Array {
  return encodeWith(StateGetRequestSchema, { key: request.key });
}

export function decodeStateGetRequest(bytes: Uint8Array): Outcome<StateGetRequest> {
  return decodeWith(StateGetRequestSchema, bytes, (wire) => ({ key: key(wire.key) }));
}

export function encodeStateGetReply(reply: StateGetReply): Uint8Array {
  const { entry } = reply;
  return encodeWith(StateGetReplySchema, optional('entry', entry === null ? null : { version: BigInt(entry.version), value: entry.value }));
}

export function decodeStateGetReply(bytes: Uint8Array): Outcome<StateGetReply> {
  return decodeWith(StateGetReplySchema, bytes, (wire) => ({
    entry: orNull(wire.entry, (entry) => ({ version: whole(entry.version, 'entry.version'), value: value(entry.value, 'entry.value') })),
  }));
}

export function encodeStatePutRequest(request: StatePutRequest): Uint8Array {
  return encodeWith(StatePutRequestSchema, {
    key: request.key,
    value: request.value,
    ...optional('expectedVersion', request.expectedVersion === null ? null : BigInt(request.expectedVersion)),
    ...optional('fence', request.fence === null ? null : fenceTo(request.fence)),
  });
}

export function decodeStatePutRequest(bytes: Uint8Array): Outcome<StatePutRequest> {
  return decodeWith(StatePutRequestSchema, bytes, (wire) => ({
    key: key(wire.key),
    value: value(wire.value, 'value'),
    expectedVersion: orNull(wire.expectedVersion, (version) => whole(version, 'expected_version')),
    fence: fenceFrom(wire.fence),
  }));
}

export function encodeStatePutReply(reply: StatePutReply): Uint8Array {
  return encodeWith(StatePutReplySchema, { version: BigInt(reply.version) });
}

export function decodeStatePutReply(bytes: Uint8Array): Outcome<StatePutReply> {
  return decodeWith(StatePutReplySchema, bytes, (wire) => ({ version: whole(wire.version, 'version') }));
}
