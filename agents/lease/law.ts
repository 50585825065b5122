// The lease as data: until when this agent may run movable work without hearing from the controller (R1.3).
import { MICROS_PER_MS } from '../../system/ports/clock.ts';

/** Moment on the agent's own monotonic clock at which the lease lapses; null: none was ever granted. */
export type LeaseExpiry = number | null;

/**
 * Safety: counted from the sending of the message that was answered, not from the answer: the controller cannot have begun
 * its own count later than that. An answer never shortens a lease.
 */
export function renewedExpiry(expiry: LeaseExpiry, sentMicros: number, leaseMs: number): number {
  const granted = sentMicros + leaseMs * MICROS_PER_MS;
  return expiry === null ? granted : Math.max(expiry, granted);
}

/** At the moment of expiry itself it is not held any more. */
export function holdsAt(expiry: LeaseExpiry, nowMicros: number): boolean {
  return expiry !== null && nowMicros < expiry;
}
