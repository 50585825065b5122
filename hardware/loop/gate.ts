// A gate that lets so many in at a time, in the order in which they came: what a hundred simulated machines begin at one instant would
// hold up the clock that all of them share.

export class Gate {
  #free: number;
  /** Bound: who may come here, which the simulated machines bound. */
  readonly #waiting: (() => void)[] = [];

  constructor(atOnce: number) {
    this.#free = atOnce;
  }

  /** Does the work when it is its turn, in a later turn of the event loop, never within the call. */
  async pass<T>(work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free -= 1;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    await new Promise((resolve) => setImmediate(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#free += 1;
      else next();
    }
  }
}
