// The clock of a device against this one's. A question that was answered left before the answer was stamped, and was back after it:
// so the clocks are apart by what lies in the middle, within half of the way there and back. The fastest of the last answers says it
// best; older ones are forgotten, because clocks drift. Pure.
import type { ForeignClock } from '../local/local.ts';

/** Bound: answers that are remembered. At one a second, no clock drifts by more than a few microseconds meanwhile. */
const SAMPLES_MAX = 32;

type Sample = { readonly offset: number; readonly wayMicros: number };

export class DeviceClock implements ForeignClock {
  readonly #samples: Sample[] = [];
  #lastMicros = 0;

  /** Asked at `askedMicros` and answered by `heardMicros` of this machine's clock; the device stamped `micros` in between. */
  hear(askedMicros: number, heardMicros: number, micros: number): void {
    this.#samples.push({ offset: (askedMicros + heardMicros) / 2 - micros, wayMicros: heardMicros - askedMicros });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** How far its times may be from true; infinite before the first answer. */
  get uncertaintyMicros(): number {
    return Math.min(...this.#samples.map(({ wayMicros }) => wayMicros)) / 2;
  }

  /** Our time of one of its times. */
  at(micros: number): number {
    const [first, ...rest] = this.#samples;
    if (first === undefined) throw new Error('a device is asked for its clock before anything it stamped is placed');
    return Math.round(micros + rest.reduce((best, one) => (one.wayMicros < best.wayMicros ? one : best), first).offset);
  }

  /** Of records, which come in their order: never before the one before it, and never later than it was found here. */
  hostMicros(micros: number, nowMicros: number): number {
    this.#lastMicros = Math.max(this.#lastMicros, Math.min(this.at(micros), nowMicros));
    return this.#lastMicros;
  }
}
