// What clients say to the embedded broker and to the state store beside it, each as one call on their endpoint.
import type { BusEvent, FailureReason, FencingToken } from './event.ts';
import type { ConsumerName, SubjectFilter } from './identifiers.ts';
import type { Outcome } from './outcome.ts';

export const PUBLISH_METHOD = '/wasmmatrix.v1.Bus/Publish';
export const CONSUMER_METHOD = '/wasmmatrix.v1.Bus/Consumer';
export const FETCH_EVENTS_METHOD = '/wasmmatrix.v1.Bus/Fetch';
export const SETTLE_METHOD = '/wasmmatrix.v1.Bus/Settle';
export const STATE_GET_METHOD = '/wasmmatrix.v1.State/Get';
export const STATE_PUT_METHOD = '/wasmmatrix.v1.State/Put';

/** Bound: characters of a key of the state store, and bytes of its value. */
export const STATE_KEY_LENGTH_MAX = 256;
export const STATE_VALUE_BYTES_MAX = 64 * 1_024;

export type ConsumerSpec = {
  readonly name: ConsumerName;
  readonly filter: SubjectFilter;
  readonly ackWaitMs: number;
  readonly deliveriesMax: number;
  readonly backoffMs: number;
  readonly backoffMsMax: number;
  /** Deliveries that may be outstanding at once, over all who fetch. */
  readonly pendingMax: number;
  /** A consumer that nobody fetched from for this long is deleted with what waits for it; null: it stays. */
  readonly idleMsMax: number | null;
};

export type PublishRequest = {
  readonly event: BusEvent;
  /** Null for publishers that are no instance. */
  readonly fence: FencingToken | null;
};

export type FetchEventsRequest = {
  readonly consumer: ConsumerName;
  readonly eventsMax: number;
  /** How long the broker holds the request open when it has nothing. */
  readonly waitMs: number;
  readonly fence: FencingToken | null;
};

/** `delivery` names this delivery; settling another one of the same event is refused. */
export type DeliveredEvent = {
  readonly event: BusEvent;
  readonly sequence: number;
  readonly delivery: number;
  /** 1 for the first. */
  readonly attempt: number;
};

export type FetchEventsReply = { readonly deliveries: readonly DeliveredEvent[] };

export type Settlement =
  | { readonly kind: 'ack' }
  | { readonly kind: 'nak'; readonly reason: FailureReason }
  | { readonly kind: 'term'; readonly reason: FailureReason }
  /** Given back untried: no delivery is counted, and the next who asks may have it at once. */
  | { readonly kind: 'release' };

export type SettleRequest = {
  readonly consumer: ConsumerName;
  readonly sequence: number;
  readonly delivery: number;
  readonly settlement: Settlement;
  readonly fence: FencingToken | null;
};

/** `version` grows with each write of a key, from 1. */
export type StateEntry = { readonly version: number; readonly value: Uint8Array };

export type StateGetRequest = { readonly key: string };
export type StateGetReply = { readonly entry: StateEntry | null };

export type StatePutRequest = {
  readonly key: string;
  readonly value: Uint8Array;
  /** 0: must not exist. Null: any. */
  readonly expectedVersion: number | null;
  readonly fence: FencingToken | null;
};
export type StatePutReply = { readonly version: number };

/** What a call to the broker or to the state store is about, for whoever decides whether its caller may make it. */
export type BusCall =
  | { readonly kind: 'publish'; readonly event: BusEvent; readonly fence: FencingToken | null }
  | { readonly kind: 'consumer'; readonly consumer: ConsumerName }
  | { readonly kind: 'fetch' | 'settle'; readonly consumer: ConsumerName; readonly fence: FencingToken | null }
  | { readonly kind: 'put'; readonly key: string; readonly fence: FencingToken | null };

/** Whether one caller may make this call now. */
export type Admission = (call: BusCall) => Outcome<void>;
