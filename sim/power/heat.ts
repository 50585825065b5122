// How warm a processor is: heat comes with work and goes to what is around it, as with any body in air (first order). Pure.
import type { ThermalSpec } from '../../scenarios/scenario.ts';

/** In thousandths of a degree Celsius: whole numbers, so that sums are the same everywhere. */
const MILLI = 1_000;

export class Heat {
  readonly #spec: ThermalSpec;
  #milliCelsius: number;
  #isThrottled = false;

  constructor(spec: ThermalSpec) {
    this.#spec = spec;
    this.#milliCelsius = spec.ambientCelsius * MILLI;
  }

  get celsius(): number {
    return this.#milliCelsius / MILLI;
  }

  /** By what all work takes longer now. */
  get factor(): number {
    return this.#isThrottled ? this.#spec.factor : 1;
  }

  /** `busyPermille` of its cores worked for so long. A throttled processor takes as much less power as it is slower. */
  pass(micros: number, busyPermille: number): void {
    const { ambientCelsius, fullCelsius, constantMicros, limitCelsius, releaseCelsius } = this.#spec;
    const target = ambientCelsius * MILLI + Math.round(((fullCelsius - ambientCelsius) * busyPermille) / this.factor);
    this.#milliCelsius += Math.round(((target - this.#milliCelsius) * Math.min(micros, constantMicros)) / constantMicros);
    if (this.#milliCelsius >= limitCelsius * MILLI) this.#isThrottled = true;
    else if (this.#milliCelsius <= releaseCelsius * MILLI) this.#isThrottled = false;
  }
}
