// How long to wait before trying again: exponential backoff with full jitter, bounded.
import type { RandomStream } from '../../system/ports/random.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';

export type BackoffLaw = { readonly baseMs: number; readonly maxMs: number };

/** Doublings after which the law has certainly reached its maximum. */
const DOUBLINGS_MAX = 20;
/** The least pause, so that a draw of 0 does not make a loop without a pause. */
export const BACKOFF_MICROS_MIN = MICROS_PER_MS;

/** The largest pause before attempt `attempt` (0: the first repetition). */
export function backoffCeilingMicros(law: BackoffLaw, attempt: number): number {
  const doublings = Math.min(Math.max(attempt, 0), DOUBLINGS_MAX);
  return Math.max(BACKOFF_MICROS_MIN, Math.min(law.maxMs, law.baseMs * (1 << doublings)) * MICROS_PER_MS);
}

/** Uniform between the least pause and the ceiling. */
export function backoffMicros(law: BackoffLaw, attempt: number, random: RandomStream): number {
  const ceiling = backoffCeilingMicros(law, attempt);
  return BACKOFF_MICROS_MIN + random.below(ceiling - BACKOFF_MICROS_MIN + 1);
}
