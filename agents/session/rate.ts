// So many a second and no more: what a module in a loop says must not fill the controller.
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { Clock } from '../../system/ports/clock.ts';

export class Rate {
  readonly #clock: Pick<Clock, 'monotonicMicros'>;
  readonly #perSecondMax: number;
  #second = -1;
  #count = 0;

  constructor(clock: Pick<Clock, 'monotonicMicros'>, perSecondMax: number) {
    this.#clock = clock;
    this.#perSecondMax = perSecondMax;
  }

  admits(): boolean {
    const second = Math.floor(this.#clock.monotonicMicros() / MICROS_PER_S);
    if (second !== this.#second) {
      this.#second = second;
      this.#count = 0;
    }
    this.#count += 1;
    return this.#count <= this.#perSecondMax;
  }
}
