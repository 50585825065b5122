// What is left in a battery: it empties with time, and faster with work. Low, its machine saves power; empty, it is off. Pure.
import type { BatterySpec } from '../../scenarios/scenario.ts';

/** A full one, in parts: a machine that idles for years still takes whole parts. */
const FULL = 1_000_000_000_000;
const PERMILLE = 1_000;

export class Battery {
  readonly #spec: BatterySpec;
  #charge = FULL;

  constructor(spec: BatterySpec) {
    this.#spec = spec;
  }

  get permille(): number {
    return Math.ceil((this.#charge * PERMILLE) / FULL);
  }

  get isEmpty(): boolean {
    return this.#charge === 0;
  }

  get factor(): number {
    return this.permille <= this.#spec.lowPermille ? this.#spec.factor : 1;
  }

  /** `busyPermille` of the cores worked for so long. Work in low power takes as much less as it is slower. */
  pass(micros: number, busyPermille: number): void {
    const { idleMicros, fullMicros } = this.#spec;
    const idle = (FULL / idleMicros) * micros;
    const work = (FULL / fullMicros) * micros;
    const taken = Math.round(idle + ((work - idle) * busyPermille) / PERMILLE / this.factor);
    this.#charge = Math.max(0, this.#charge - taken);
  }

  fill(): void {
    this.#charge = FULL;
  }
}
