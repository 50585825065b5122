// When the steps of a run happen: as written, or drawn from the stream of their own, in the order of the file.
import type { StepSpec } from './scenario.ts';

/** The stream of a run that times are drawn from. */
export const STEPS_STREAM = 'steps';

/** Microseconds of each step. `stream`: that of this name. */
export function timesOf(steps: readonly StepSpec[], stream: { readonly below: (bound: number) => number }): readonly number[] {
  return steps.map(({ at }) => (at.kind === 'at' ? at.micros : at.microsMin + stream.below(at.microsMax - at.microsMin + 1)));
}
