// The newest identifiers and the sequences they were given: what makes publishing again harmless. A ring, so that forgetting
// the oldest costs nothing.
import type { EventId } from '../domain/identifiers.ts';

export class IdentifierWindow {
  readonly #bound: number;
  readonly #sequences = new Map<EventId, number>();
  readonly #ring: EventId[] = [];
  /** Place of the oldest, once the ring is full. */
  #oldest = 0;

  constructor(bound: number) {
    this.#bound = bound;
  }

  find(id: EventId): number | undefined {
    return this.#sequences.get(id);
  }

  /** An identifier that is known keeps its first sequence. */
  add(id: EventId, sequence: number): void {
    if (this.#sequences.has(id)) return;
    this.#sequences.set(id, sequence);
    if (this.#ring.length < this.#bound) {
      this.#ring.push(id);
      return;
    }
    const forgotten = this.#ring[this.#oldest];
    if (forgotten !== undefined) this.#sequences.delete(forgotten);
    this.#ring[this.#oldest] = id;
    this.#oldest = (this.#oldest + 1) % this.#bound;
  }

  /** Oldest first. */
  *entries(): Generator<readonly [EventId, number]> {
    for (let i = 0; i < this.#ring.length; i++) {
      const id = this.#ring[(this.#oldest + i) % this.#ring.length];
      const sequence = id === undefined ? undefined : this.#sequences.get(id);
      if (id !== undefined && sequence !== undefined) yield [id, sequence];
    }
  }
}
