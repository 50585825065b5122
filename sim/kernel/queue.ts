// The future: a heap with four children a node over (micros, sequence), keys in typed arrays so that comparing touches no
// object. It knows nothing of what it holds; cancelled entries stay in it until they surface or `retain` sweeps them out.
// The first entry may stand before the heap: what is set for a moment from now often is the next to be taken, and never enters it.

/** Bound: entries of one queue. More is a runaway: `push` throws. */
export const QUEUE_ENTRIES_MAX = 16 * 1024 * 1024;

const CAPACITY_FIRST = 1024;

export class EventQueue<T> {
  #micros = new Float64Array(CAPACITY_FIRST);
  #sequence = new Float64Array(CAPACITY_FIRST);
  #items: (T | undefined)[] = [];
  /** Of the heap. */
  #size = 0;
  /** Comes before everything in the heap; undefined when the heap's first is the first. */
  #front: T | undefined = undefined;
  #frontMicros = 0;
  #frontSequence = 0;

  get size(): number {
    return this.#size + (this.#front === undefined ? 0 : 1);
  }

  /** When the first entry comes due; infinity when there is none. */
  get firstMicros(): number {
    if (this.#front !== undefined) return this.#frontMicros;
    return this.#size === 0 ? Infinity : (this.#micros[0] as number);
  }

  push(micros: number, sequence: number, item: T): void {
    const front = this.#front;
    if (front === undefined) {
      if (this.#size > 0 && !isBefore(micros, sequence, this.#micros[0] as number, this.#sequence[0] as number)) {
        return this.#enter(micros, sequence, item);
      }
    } else if (isBefore(micros, sequence, this.#frontMicros, this.#frontSequence)) {
      this.#enter(this.#frontMicros, this.#frontSequence, front);
    } else {
      return this.#enter(micros, sequence, item);
    }
    this.#front = item;
    this.#frontMicros = micros;
    this.#frontSequence = sequence;
  }

  /** Removes the first entry in the order (micros, sequence); undefined when there is none. */
  pop(): T | undefined {
    const front = this.#front;
    if (front !== undefined) {
      this.#front = undefined;
      return front;
    }
    if (this.#size === 0) return undefined;
    const first = this.#items[0];
    const last = --this.#size;
    const item = this.#items[last] as T;
    this.#items[last] = undefined;
    if (last > 0) this.#sink(0, this.#micros[last] as number, this.#sequence[last] as number, item);
    return first;
  }

  /** Drops every entry that `keep` refuses; the order of the others does not change. */
  retain(keep: (item: T) => boolean): void {
    if (this.#front !== undefined && !keep(this.#front)) this.#front = undefined;
    const before = this.#size;
    let kept = 0;
    for (let index = 0; index < before; index++) {
      const item = this.#items[index] as T;
      if (!keep(item)) continue;
      this.#set(kept++, this.#micros[index] as number, this.#sequence[index] as number, item);
    }
    this.#items.length = kept;
    this.#size = kept;
    for (let index = (kept - 2) >> 2; index >= 0; index--) {
      this.#sink(index, this.#micros[index] as number, this.#sequence[index] as number, this.#items[index] as T);
    }
  }

  #enter(micros: number, sequence: number, item: T): void {
    if (this.#size === this.#micros.length) this.#grow();
    this.#rise(this.#size++, micros, sequence, item);
  }

  #rise(from: number, micros: number, sequence: number, item: T): void {
    const microsOf = this.#micros;
    const sequenceOf = this.#sequence;
    let index = from;
    while (index > 0) {
      const parent = (index - 1) >> 2;
      const parentMicros = microsOf[parent] as number;
      if (parentMicros < micros || (parentMicros === micros && (sequenceOf[parent] as number) < sequence)) break;
      this.#set(index, parentMicros, sequenceOf[parent] as number, this.#items[parent] as T);
      index = parent;
    }
    this.#set(index, micros, sequence, item);
  }

  #sink(from: number, micros: number, sequence: number, item: T): void {
    const microsOf = this.#micros;
    const sequenceOf = this.#sequence;
    const size = this.#size;
    let index = from;
    for (;;) {
      const child = index * 4 + 1;
      if (child >= size) break;
      const end = child + 4 < size ? child + 4 : size;
      let least = child;
      let leastMicros = microsOf[child] as number;
      let leastSequence = sequenceOf[child] as number;
      for (let other = child + 1; other < end; other++) {
        const otherMicros = microsOf[other] as number;
        if (otherMicros > leastMicros) continue;
        const otherSequence = sequenceOf[other] as number;
        if (otherMicros === leastMicros && otherSequence > leastSequence) continue;
        least = other;
        leastMicros = otherMicros;
        leastSequence = otherSequence;
      }
      if (micros < leastMicros || (micros === leastMicros && sequence < leastSequence)) break;
      this.#set(index, leastMicros, leastSequence, this.#items[least] as T);
      index = least;
    }
    this.#set(index, micros, sequence, item);
  }

  #set(index: number, micros: number, sequence: number, item: T): void {
    this.#micros[index] = micros;
    this.#sequence[index] = sequence;
    this.#items[index] = item;
  }

  #grow(): void {
    if (this.#size >= QUEUE_ENTRIES_MAX) {
      throw new Error(`Invariant broken: more than ${QUEUE_ENTRIES_MAX} events wait (QUEUE_ENTRIES_MAX)`);
    }
    const micros = new Float64Array(this.#micros.length * 2);
    micros.set(this.#micros);
    this.#micros = micros;
    const sequence = new Float64Array(this.#sequence.length * 2);
    sequence.set(this.#sequence);
    this.#sequence = sequence;
  }
}

function isBefore(micros: number, sequence: number, otherMicros: number, otherSequence: number): boolean {
  return micros < otherMicros || (micros === otherMicros && sequence < otherSequence);
}
