// What the store asks of the thread that has the database, what it answers, and the bounds on both.
import type { StateEntry } from '../../system/domain/broker.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';

/** Bound: operations that wait for the thread or are with it. */
export const OPERATIONS_MAX = 4_096;
/** Bound: bytes of records and values that were accepted and are not durable yet. */
export const BYTES_PENDING_MAX = 64 * 1024 * 1024;
/** Bound: operations of one transaction; all that wait go together, up to this. */
export const BATCH_OPERATIONS_MAX = 1_024;
/** Bound: bytes of records in one answer, beyond which no further record is added. */
export const PAGE_BYTES_MAX = 1024 * 1024;
/** Bound: bytes of one value. */
export const VALUE_BYTES_MAX = 4 * 1024 * 1024;
/** Bound: characters of the name of a journal or bucket, and of a key. */
export const NAME_LENGTH_MAX = 1_024;
/** How long a process waits for the lock of another, which may be at its very end. */
export const LOCK_WAIT_MS = 1_000;

export type JournalPosition = { readonly journal: number; readonly dropped: number; readonly last: number };
export type JournalRow = { readonly sequence: number; readonly record: Uint8Array };

export type Operation =
  | { readonly kind: 'open'; readonly name: string }
  | {
      readonly kind: 'append';
      readonly journal: number;
      /** Sequence of the first of `records`, which may be none. */
      readonly first: number;
      readonly records: readonly Uint8Array[];
      /** Sequence up to which records are dropped. */
      readonly dropped: number;
    }
  | { readonly kind: 'page'; readonly journal: number; readonly from: number; readonly to: number }
  | { readonly kind: 'get'; readonly bucket: string; readonly key: string }
  | {
      readonly kind: 'put';
      readonly bucket: string;
      readonly key: string;
      readonly value: Uint8Array;
      readonly expectedVersion: number | null;
    };

export type Answers = {
  readonly open: JournalPosition;
  readonly append: void;
  /** Empty only when all of the range was dropped. */
  readonly page: readonly JournalRow[];
  readonly get: StateEntry | null;
  readonly put: number;
};

/** Of one batch: one outcome each, all of them durable, or none and why. */
export type BatchResult =
  | { readonly committed: true; readonly outcomes: readonly Outcome<unknown>[] }
  | { readonly committed: false; readonly reason: Err };

export type ToThread = { readonly kind: 'batch'; readonly operations: readonly Operation[] } | { readonly kind: 'close' };
export type FromThread =
  | { readonly kind: 'opened'; readonly outcome: Outcome<void> }
  | { readonly kind: 'batch'; readonly result: BatchResult };
export type ThreadData = { readonly path: string; readonly lockWaitMs: number };
