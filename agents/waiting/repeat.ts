// Repeats what may be repeated: an act whose end is unknown, or that failed for the moment, and that changes nothing when it is
// done twice. Bound: `attemptsMax`, and whatever `check` says before each attempt.
import type { Outcome, WmError } from '../../system/domain/outcome.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import { backoffMicros } from './backoff.ts';
import type { BackoffLaw } from './backoff.ts';

export type Repetition = {
  readonly clock: Pick<Clock, 'sleep'>;
  readonly random: RandomStream;
  readonly law: BackoffLaw;
  readonly attemptsMax: number;
  /** Why nothing may take effect now; null: it may. Safety: asked in the same turn in which the act begins. */
  readonly check: () => WmError | null;
};

export async function repeat<T>(repetition: Repetition, act: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
  for (let attempt = 0; ; attempt++) {
    const obstacle = repetition.check();
    if (obstacle !== null) return { ok: false, error: obstacle };
    const done = await act();
    if (done.ok || !mayRepeat(done.error) || attempt + 1 >= repetition.attemptsMax) return done;
    await repetition.clock.sleep(backoffMicros(repetition.law, attempt, repetition.random));
  }
}

/** A rejection stays one, except that a full broker empties. */
function mayRepeat(error: WmError): boolean {
  return error.kind !== 'rejected' || error.code === 'WM_BUS_FULL';
}
