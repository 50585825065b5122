// What is kept of a lease and where, what a candidate is told, and the bounds on both.
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { Random } from '../../system/ports/random.ts';

/** Bound: lengths of a lease. Shorter ones are lost to a garbage collection, longer ones to impatience. */
export const LEASE_MS_MIN = 1_000;
export const LEASE_MS_MAX = 600_000;
/** How often the holder renews and a standby looks, within one lease. */
export const LOOKS_PER_LEASE = 5;

export type LeaseRecord = {
  /** For people: the name of the node. */
  readonly holder: string;
  /** Of one attempt to lead: two processes never share it. */
  readonly session: string;
  readonly leaseMs: number;
  /** For people and standbys: where it is reached. */
  readonly address: string;
};

/** Where the record is kept. Other engines than NATS can follow. */
export interface LeaseStore {
  /** Revision 0 and null when nothing was ever written; null when it was given back. */
  read(): Promise<Outcome<{ readonly revision: number; readonly record: LeaseRecord | null }>>;
  /** The new revision, higher than any before; WM_CONFLICT when the revision is another. */
  write(record: LeaseRecord | null, expectedRevision: number): Promise<Outcome<number>>;
}

export type LeaseOptions = {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: LeaseStore;
  readonly holder: string;
  readonly address: string;
  readonly leaseMs: number;
  /** Somebody else leads: at the first look, and when it is another one. */
  readonly onStandby?: (leader: LeaseRecord) => void;
  /** The record could not be read or written; it is tried again. */
  readonly onTrouble?: (sentence: string) => void;
};

export interface Tenure {
  /** Why this process must stop leading, at once. */
  readonly lost: Promise<string>;
  /** Whether it may act as leader now: to be asked before each act that nothing else fences. */
  isHeld(): boolean;
}
