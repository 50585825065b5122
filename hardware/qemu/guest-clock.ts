// The clock of an emulated machine against this one's. Nothing inside can read ours, so it is told from what arrives: a line that the
// machine stamped was found here some time later, never earlier, and the line that took least says best how far the clocks are apart.
// A clock that is made to run too fast or too slow is held to what an even one would have said.
// What it gives is late by the way of that fastest line (about a millisecond) and never early. Times of one boot never go back.

export class GuestClock {
  /** Ours minus its. */
  #offset = Number.POSITIVE_INFINITY;
  #last = 0;

  /** What its clock and an even one said when its rate changed last, and its rate since. */
  #from = { its: 0, even: 0 };
  #rate = 1;

  /** Its clock begins anew. */
  restarted(): void {
    this.#offset = Number.POSITIVE_INFINITY;
    this.#from = { its: 0, even: 0 };
    this.#rate = 1;
  }

  /** From now on its clock measures `ppm` parts per million too much. */
  runs(ppm: number, nowMicros: number): void {
    const even = Number.isFinite(this.#offset) ? nowMicros - this.#offset : this.#from.even;
    this.#from = { its: this.#from.its + (even - this.#from.even) * this.#rate, even };
    this.#rate = 1 + ppm / 1_000_000;
  }

  /** Our time, in microseconds, of what it stamped with `micros` and we found at `nowMicros`. */
  hostMicros(micros: number, nowMicros: number): number {
    const even = this.#from.even + (micros - this.#from.its) / this.#rate;
    this.#offset = Math.min(this.#offset, nowMicros - even);
    this.#last = Math.max(this.#last, Math.round(even + this.#offset));
    return this.#last;
  }
}
