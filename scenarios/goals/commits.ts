// How long the controller may take to make durable what it has decided, and so to tell it: 50 ms, and as many times more as its disk
// is slow, while it is and for what was under way when that ended.
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';

export const COMMIT_MICROS = 50_000;

export class Commits {
  readonly #slowest: number;
  #slowFaults = 0;
  #slowUntil = Number.NEGATIVE_INFINITY;

  constructor({ steps }: Scenario) {
    this.#slowest = steps.reduce((most, step) => {
      const isSlow = step.do === 'fault' && step.fault.kind === 'disk-slow' && step.fault.machine === 'controller';
      return isSlow ? Math.max(most, step.fault.factor) : most;
    }, 1);
  }

  observe(record: RunRecord): void {
    if (record.kind !== 'fault.begun' && record.kind !== 'fault.ended') return;
    if (record.fields.kind !== 'disk-slow' || record.fields.target !== 'controller') return;
    this.#slowFaults += record.kind === 'fault.begun' ? 1 : -1;
    this.#slowUntil = this.#slowFaults > 0 ? Number.POSITIVE_INFINITY : record.micros;
  }

  /** For what was decided at `micros`. */
  microsFor(micros: number): number {
    return micros <= this.#slowUntil + COMMIT_MICROS ? COMMIT_MICROS * this.#slowest : COMMIT_MICROS;
  }
}
