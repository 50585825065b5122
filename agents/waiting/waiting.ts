// Waiting that can be cut short. One waiter at a time; a wake without a waiter is kept for the next wait, so that nothing
// that happens between a decision and the wait that follows it is slept through.
import type { Clock, Timer } from '../../system/ports/clock.ts';

export { backoffCeilingMicros, backoffMicros, BACKOFF_MICROS_MIN } from './backoff.ts';
export { repeat } from './repeat.ts';
export type { Repetition } from './repeat.ts';

export class Wait {
  readonly #clock: Pick<Clock, 'after'>;
  #finish: (() => void) | null = null;
  #isWoken = false;

  constructor(clock: Pick<Clock, 'after'>) {
    this.#clock = clock;
  }

  /** Resolves after the delay, or as soon as `wake` is called. */
  for(delayMicros: number): Promise<void> {
    return this.#begin(delayMicros);
  }

  untilWoken(): Promise<void> {
    return this.#begin(null);
  }

  wake(): void {
    if (this.#finish === null) this.#isWoken = true;
    else this.#finish();
  }

  #begin(delayMicros: number | null): Promise<void> {
    if (this.#isWoken) {
      this.#isWoken = false;
      return Promise.resolve();
    }
    return new Promise((resolve) => {
      let timer: Timer | null = null;
      const finish = (): void => {
        timer?.cancel();
        if (this.#finish === finish) this.#finish = null;
        resolve();
      };
      this.#finish = finish;
      if (delayMicros !== null) timer = this.#clock.after(delayMicros, finish);
    });
  }
}
