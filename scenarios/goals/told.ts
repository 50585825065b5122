// What a node knows after a restart of what it was told: all but the last of it, which its disk may not have taken.
/** What a node was told so long before it ended may not have come to its disk: a disk that is full takes nothing. */
const UNSTORED_MICROS = 1_000_000;

/** When a node was told what it is to do, and what of it its disk has. Bound: what it was told within `UNSTORED_MICROS`. */
export class Told {
  #stored = 0;
  #recent: number[] = [];

  add(micros: number): void {
    this.#settle(micros);
    this.#recent.push(micros);
  }

  /** What it was told just before is lost. */
  stop(micros: number): void {
    this.#settle(micros);
    this.#recent = [];
  }

  last(): number {
    return this.#recent.at(-1) ?? this.#stored;
  }

  #settle(micros: number): void {
    while (this.#recent[0] !== undefined && this.#recent[0] <= micros - UNSTORED_MICROS)
      this.#stored = this.#recent.shift() ?? this.#stored;
  }
}
