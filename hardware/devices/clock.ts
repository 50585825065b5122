// The clock of a device against this one's. A question that was answered left before the answer was stamped, and was back after it:
// so the clocks are apart by what lies in the middle, within half of the way there and back, and by what they have drifted since. The
// answer that leaves least open is the one that counts. Pure.
import type { ForeignClock } from '../local/local.ts';

/** Bound: answers that are remembered, at one a second. */
const SAMPLES_MAX = 32;
/** By no more than this do two clocks part: as fast as NTP sets one right while it runs, which is more than crystals differ. */
const DRIFT_PPM_MAX = 500;
const PPM = 1_000_000;

type Sample = { readonly offset: number; readonly wayMicros: number; readonly heardMicros: number };

export class DeviceClock implements ForeignClock {
  readonly #samples: Sample[] = [];
  #lastMicros = 0;
  #worstMicros = 0;

  /** Asked at `askedMicros` and answered by `heardMicros` of this machine's clock; the device stamped `micros` in between. */
  hear(askedMicros: number, heardMicros: number, micros: number): void {
    this.#samples.push({ offset: (askedMicros + heardMicros) / 2 - micros, wayMicros: heardMicros - askedMicros, heardMicros });
    if (this.#samples.length > SAMPLES_MAX) this.#samples.shift();
  }

  /** How far those of its times that were asked for may be from true, at worst; before that, how far one would be. */
  get uncertaintyMicros(): number {
    return Math.max(this.#worstMicros, this.#best()?.within ?? Infinity);
  }

  /** Our time of one of its times. */
  at(micros: number): number {
    const best = this.#best();
    if (best === null) throw new Error('a device is asked for its clock before anything it stamped is placed');
    this.#worstMicros = Math.max(this.#worstMicros, best.within);
    return Math.round(micros + best.offset);
  }

  /** As of the last answer. */
  #best(): { readonly offset: number; readonly within: number } | null {
    const nowMicros = this.#samples.at(-1)?.heardMicros ?? 0;
    let best: { readonly offset: number; readonly within: number } | null = null;
    for (const { offset, wayMicros, heardMicros } of this.#samples) {
      const within = wayMicros / 2 + ((nowMicros - heardMicros) * DRIFT_PPM_MAX) / PPM;
      if (best === null || within <= best.within) best = { offset, within };
    }
    return best;
  }

  /** Of records, which come in their order: never before the one before it, and never later than it was found here. */
  hostMicros(micros: number, nowMicros: number): number {
    this.#lastMicros = Math.max(this.#lastMicros, Math.min(this.at(micros), nowMicros));
    return this.#lastMicros;
  }
}
