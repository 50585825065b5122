// Who was accepted, and what came of it. Each event is a number; its effect is a result that names it, stored under a sequence
// of its own: the same result delivered again is no second effect, another sequence is. Bound: `eventsMax` events.

export class Ledger {
  readonly #accepted: Uint8Array;
  /** Sequence of the first result of each event; 0: none. */
  readonly #results: Float64Array;
  accepted = 0;
  done = 0;
  /** Events with a second effect, and how many stored events lie between the two. */
  readonly doubled: { readonly number: number; readonly apart: number }[] = [];
  /** Results of events that were never accepted, or that nobody published. */
  readonly strange: string[] = [];

  constructor(eventsMax: number) {
    this.#accepted = new Uint8Array(eventsMax);
    this.#results = new Float64Array(eventsMax);
  }

  get eventsMax(): number {
    return this.#accepted.length;
  }

  accept(number: number): void {
    if (this.#accepted[number] === 1) return;
    this.#accepted[number] = 1;
    this.accepted += 1;
  }

  /** `sequence` is that of the stored result. */
  result(number: number, sequence: number): void {
    if (!Number.isSafeInteger(number) || number < 0 || number >= this.eventsMax) {
      this.strange.push(String(number));
      return;
    }
    const first = this.#results[number]!;
    if (first === 0) {
      this.#results[number] = sequence;
      this.done += 1;
    } else if (first !== sequence) this.doubled.push({ number, apart: sequence - first });
  }

  /** Accepted, and no effect came of them. */
  lost(): readonly number[] {
    const lost: number[] = [];
    for (let number = 0; number < this.eventsMax; number++) {
      if (this.#accepted[number] === 1 && this.#results[number] === 0) lost.push(number);
    }
    return lost;
  }

  /** An effect of something that its publisher was never told was accepted; after a quiet end there are none. */
  unacknowledged(): number {
    let count = 0;
    for (let number = 0; number < this.eventsMax; number++) {
      if (this.#accepted[number] === 0 && this.#results[number] !== 0) count += 1;
    }
    return count;
  }
}
