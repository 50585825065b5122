// How clients of the API repeat: the same request, after growing pauses, until it is answered or its time is over.
import { unknown, type Outcome, type WmError } from '../domain/outcome.ts';
import { MICROS_PER_MS, type Clock } from '../ports/clock.ts';
import type { RandomStream } from '../ports/random.ts';

const PAUSE_MICROS_MIN = 50 * MICROS_PER_MS;
const PAUSE_MICROS_MAX = 2_000 * MICROS_PER_MS;
/** Bound: how long one attempt waits for its answer. */
export const ATTEMPT_MICROS_MAX = 5_000 * MICROS_PER_MS;

export type RetryOptions = {
  readonly clock: Pick<Clock, 'monotonicMicros' | 'sleep'>;
  readonly stream: RandomStream;
  /** From now. */
  readonly deadlineMicros: number;
  /** Told before each pause. */
  readonly onTrouble?: (error: WmError) => void;
};

/** Invariant: once an attempt may have happened, the whole is not said to have failed. */
export async function repeat<T>(options: RetryOptions, attempt: (deadlineMicros: number) => Promise<Outcome<T>>): Promise<Outcome<T>> {
  const { clock, stream } = options;
  const endMicros = clock.monotonicMicros() + options.deadlineMicros;
  let mayHaveHappened = false;
  for (let pauseMicros = PAUSE_MICROS_MIN; ; pauseMicros = Math.min(pauseMicros * 2, PAUSE_MICROS_MAX)) {
    const leftMicros = Math.max(1, endMicros - clock.monotonicMicros());
    const outcome = await attempt(Math.min(leftMicros, ATTEMPT_MICROS_MAX));
    if (outcome.ok || outcome.error.kind === 'rejected') return outcome;
    if (outcome.error.kind === 'unknown') mayHaveHappened = true;
    const jitteredMicros = stream.below(pauseMicros) + 1;
    if (clock.monotonicMicros() + jitteredMicros >= endMicros) {
      const { code, message, next, detail } = outcome.error;
      return mayHaveHappened ? unknown(code, { message, next, detail }) : outcome;
    }
    options.onTrouble?.(outcome.error);
    await clock.sleep(jitteredMicros);
  }
}
