// An event as the bus carries it. Data is opaque bytes; the identifier makes delivery at least once and effect once possible.
import type { CorrelationId, Epoch, EventId, InstanceId, Subject } from './identifiers.ts';
import type { ErrorCode } from './errors.ts';

/** Bound: bytes of data in one event. */
export const EVENT_BYTES_MAX = 256 * 1024;
/** Bound: characters of an event identifier. */
export const EVENT_ID_LENGTH_MAX = 200;

export type BusEvent = {
  readonly id: EventId;
  readonly subject: Subject;
  /** Civil milliseconds at the publisher. */
  readonly timeMs: number;
  readonly correlation: CorrelationId;
  readonly headers: Readonly<Record<string, string>>;
  readonly data: Uint8Array;
};

/** Proves that an effect comes from the current placement of an instance; the broker and the state store refuse older ones. */
export type FencingToken = { readonly instance: InstanceId; readonly epoch: Epoch };

export type PublishAck = {
  readonly sequence: number;
  /** The broker already held an event with this identifier; nothing was stored again. */
  readonly duplicate: boolean;
};

/** Headers of what came of an event: its identifier, and the trigger that led there. */
export const SOURCE_HEADER = 'wm-source';
export const TRIGGER_HEADER = 'wm-trigger';

/** Why a delivery did not end in an acknowledgement. */
export type FailureReason = { readonly code: ErrorCode; readonly message: string };

/** Subject that dead letters of a consumer are published to: `dead.<consumer>`. */
export const DEAD_LETTER_PREFIX = 'dead';
