// How long to wait before trying again, and a wait that can be given up.
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';

export type BackoffLaw = { readonly baseMs: number; readonly maxMs: number };

/** Doublings after which a law has certainly reached its maximum. */
const DOUBLINGS_MAX = 20;

/** Exponential with full jitter, and never nothing. `attempt` is 0 for the first repetition. */
export function backoffMs({ baseMs, maxMs }: BackoffLaw, attempt: number, random: RandomStream): number {
  return 1 + random.below(Math.min(maxMs, baseMs * 2 ** Math.min(attempt, DOUBLINGS_MAX)));
}

/** Resolves after `ms`, or as soon as it is given up. */
export function pause(clock: Clock, ms: number, given: AbortSignal): Promise<void> {
  if (given.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = (): void => {
      timer.cancel();
      given.removeEventListener('abort', end);
      resolve();
    };
    const timer = clock.after(ms * MICROS_PER_MS, end);
    given.addEventListener('abort', end, { once: true });
  });
}
