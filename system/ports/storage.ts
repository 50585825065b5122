// What must outlive a process: journals (append, sync, read back), blobs by digest, keys with compare-and-set.
// Failures: a write or sync that fails or is unknown leaves the store unusable for this process: end and recover.
// A crash loses what was not synced, and may keep any prefix of it.
import type { StateEntry } from '../domain/broker.ts';
import type { Digest } from '../domain/identifiers.ts';
import type { Outcome } from '../domain/outcome.ts';

/** Bound: bytes of one journal record. */
export const JOURNAL_RECORD_BYTES_MAX = 1024 * 1024;

export interface JournalStore {
  /** Sequence of the last record, 0 when empty. */
  readonly lastSequence: number;
  /** Buffers one record as sequence `expectedSequence` + 1; WM_JOURNAL_CONFLICT when another wrote. Not durable yet. */
  append(record: Uint8Array, options: { readonly expectedSequence: number }): Outcome<number>;
  /** Resolves when everything appended before the call is durable. */
  sync(): Promise<Outcome<void>>;
  /** Records from `fromSequence` (from 1) in order. */
  read(fromSequence: number): AsyncIterable<{ readonly sequence: number; readonly record: Uint8Array }>;
  /** Drops records up to and including `sequence`; durable with the next sync. */
  truncate(sequence: number): Outcome<void>;
}

export interface BlobStore {
  /** Durable when resolved. Storing a digest that is there is free. */
  put(digest: Digest, bytes: Uint8Array): Promise<Outcome<void>>;
  /** Null when absent. */
  get(digest: Digest): Promise<Outcome<Uint8Array | null>>;
  list(): Promise<Outcome<readonly Digest[]>>;
  delete(digest: Digest): Promise<Outcome<void>>;
}

export interface KeyValueStore {
  get(key: string): Promise<Outcome<StateEntry | null>>;
  /** Durable when resolved; the new version. `expectedVersion` 0: must not exist; null: any. WM_CONFLICT otherwise. */
  put(key: string, value: Uint8Array, options: { readonly expectedVersion: number | null }): Promise<Outcome<number>>;
}

export interface Storage {
  /** Opens or creates. One open journal of a name at a time. */
  journal(name: string): Promise<Outcome<JournalStore>>;
  readonly blobs: BlobStore;
  keyValue(bucket: string): KeyValueStore;
}
