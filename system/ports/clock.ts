// Time, whole: reading it and waiting for it. Two clocks kept apart: monotonic for durations and deadlines (never jumps,
// no meaning outside the process), civil for people (may jump; never used to decide). Timers of a node that crashes vanish.
// Order: timers due at the same instant fire in the order in which they were set.

/** Microseconds of a monotonic clock: a whole number, 0 somewhere before the start of the process. */
export type Micros = number;

export type Timer = {
  /** Idempotent; after it returns, the callback is not called any more. */
  cancel(): void;
};

export interface Clock {
  /** Microseconds, whole, never less than an earlier answer. */
  monotonicMicros(): Micros;
  /** Milliseconds since 1970-01-01 UTC, as well as this machine knows. */
  civilMs(): number;
  /** Calls `callback` once, not earlier than `delayMicros` from now (less than 0 counts as 0), never from within this call. */
  after(delayMicros: Micros, callback: () => void): Timer;
  /** Resolves not earlier than `delayMicros` from now. For work that may be given up, use `after`. */
  sleep(delayMicros: Micros): Promise<void>;
}

export const MICROS_PER_MS = 1_000;
export const MICROS_PER_S = 1_000_000;
