// The clock of an emulated machine against this one's. Nothing inside can read ours, so it is told from what arrives: a line that the
// machine stamped was found here some time later, never earlier, and the line that took least says best how far the clocks are apart.
// What it gives is late by the way of that fastest line (about a millisecond) and never early. Times of one boot never go back.

export class GuestClock {
  /** Ours minus its. */
  #offset = Number.POSITIVE_INFINITY;
  #last = 0;

  /** Its clock begins anew. */
  restarted(): void {
    this.#offset = Number.POSITIVE_INFINITY;
  }

  /** Our time, in microseconds, of what it stamped with `micros` and we found at `nowMicros`. */
  hostMicros(micros: number, nowMicros: number): number {
    this.#offset = Math.min(this.#offset, nowMicros - micros);
    this.#last = Math.max(this.#last, Math.round(micros + this.#offset));
    return this.#last;
  }
}
