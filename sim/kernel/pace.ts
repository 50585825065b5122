// The pace of a run that meets the real world: virtual time that is never ahead of the wall's. It knows when an event may be
// delivered, rests the kernel until then, and measures how late each one was; catching up is the kernel's own doing, since what is
// overdue is delivered at once. The wall is injected, so that a test can hold it in its hands.

export interface Wall {
  /** Whole microseconds since some moment; never less than before. */
  micros(): number;
  /** Calls `wake` once, in a later turn of the event loop and in so many microseconds or soon after; what it returns takes that back. */
  after(delayMicros: number, wake: () => void): () => void;
}

type Lateness = {
  /** Of the events that were measured, how long the latest came after its time. */
  readonly microsMax: number;
  /** Events that were measured, and those of them that were later than the bound. */
  readonly events: number;
  readonly overdue: number;
};

export class Pace {
  readonly #wall: Wall;
  /** Bound: lateness beyond which a run does not keep pace. */
  readonly #latenessMicrosMax: number;
  readonly #originMicros: number;
  #lateness = { microsMax: 0, events: 0, overdue: 0 };
  #resting: { readonly wake: () => void; readonly forget: () => void } | null = null;
  #roused = false;

  /** The run begins now. */
  constructor(wall: Wall, latenessMicrosMax: number) {
    this.#wall = wall;
    this.#latenessMicrosMax = latenessMicrosMax;
    this.#originMicros = wall.micros();
  }

  /** Microseconds since the start of the run, by the wall. */
  nowMicros(): number {
    return this.#wall.micros() - this.#originMicros;
  }

  /** Calls `wake` in a later turn of the event loop, when the wall has reached this time (infinity: never) or something came from outside. */
  rest(untilMicros: number, wake: () => void): void {
    const once = (): void => {
      if (this.#resting === null) return;
      this.#resting = null;
      this.#roused = false;
      wake();
    };
    const forget = untilMicros === Infinity ? () => {} : this.#wall.after(Math.max(0, untilMicros - this.nowMicros()), once);
    this.#resting = { wake: once, forget };
  }

  /** Something came from outside: a rest ends now. */
  rouse(): void {
    if (this.#resting === null || this.#roused) return;
    this.#roused = true;
    this.#resting.forget();
    this.#wall.after(0, this.#resting.wake);
  }

  /** An event that was due at this time is delivered. */
  delivered(dueMicros: number): void {
    const late = this.nowMicros() - dueMicros;
    this.#lateness.events += 1;
    if (late > this.#lateness.microsMax) this.#lateness.microsMax = late;
    if (late > this.#latenessMicrosMax) this.#lateness.overdue += 1;
  }

  /** Since the start of the run, or the last `measure`. */
  lateness(): Lateness {
    return { ...this.#lateness };
  }

  /** What was late before this does not count: a fleet that starts is not yet what the run is about. */
  measure(): void {
    this.#lateness = { microsMax: 0, events: 0, overdue: 0 };
  }
}
