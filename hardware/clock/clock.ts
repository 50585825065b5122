// The clock of a real machine. Owns every timer of a process, so that two timers due at the same instant fire in the order
// in which they were set, and none fires early, which `setTimeout` alone promises neither of. A timer may be late by about a
// millisecond, and by as long as the event loop was busy.
import type { Clock, Micros, Timer } from '../../system/ports/clock.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';

/** Bound: longest single wait that `setTimeout` can hold, in milliseconds; longer ones are armed again. */
const WAIT_MS_MAX = 2 ** 31 - 1;

type Entry = { readonly dueMicros: Micros; readonly order: number; callback: (() => void) | null };

function before(a: Entry, b: Entry): boolean {
  return a.dueMicros < b.dueMicros || (a.dueMicros === b.dueMicros && a.order < b.order);
}

export class SystemClock implements Clock {
  readonly #origin = process.hrtime.bigint();
  /** Binary heap by (due, order). Bound: the product's own timers; cancelled ones leave when they come due. */
  readonly #heap: Entry[] = [];
  #order = 0;
  #lastMicros = 0;
  #armedMicros: Micros | null = null;
  #disarm: () => void = () => {};

  monotonicMicros(): Micros {
    const micros = Number((process.hrtime.bigint() - this.#origin) / 1_000n);
    if (micros > this.#lastMicros) this.#lastMicros = micros;
    return this.#lastMicros;
  }

  civilMs(): number {
    return Date.now();
  }

  after(delayMicros: Micros, callback: () => void): Timer {
    const delay = Math.max(0, Math.ceil(delayMicros));
    const entry: Entry = { dueMicros: this.monotonicMicros() + delay, order: this.#order++, callback };
    this.#push(entry);
    this.#arm();
    return {
      cancel: () => {
        entry.callback = null;
        this.#arm();
      },
    };
  }

  sleep(delayMicros: Micros): Promise<void> {
    return new Promise((resolve) => {
      this.after(delayMicros, resolve);
    });
  }

  /** One wait of the event loop stands for the earliest timer; without timers the process may end. */
  #arm(): void {
    while (this.#heap.length > 0 && this.#heap[0]!.callback === null) this.#pop();
    const due = this.#heap[0]?.dueMicros ?? null;
    if (due === this.#armedMicros) return;
    this.#disarm();
    this.#armedMicros = due;
    this.#disarm = () => {};
    if (due === null) return;
    const delayMicros = due - this.monotonicMicros();
    if (delayMicros <= 0) {
      const handle = setImmediate(() => this.#fire());
      this.#disarm = () => clearImmediate(handle);
    } else {
      const handle = setTimeout(() => this.#fire(), Math.min(WAIT_MS_MAX, Math.ceil(delayMicros / MICROS_PER_MS)));
      this.#disarm = () => clearTimeout(handle);
    }
  }

  #fire(): void {
    this.#armedMicros = null;
    const now = this.monotonicMicros();
    // Timers set by these callbacks have a later order and are left for the next turn, so that nothing starves the loop.
    const orderEnd = this.#order;
    try {
      while (this.#heap.length > 0) {
        const head = this.#heap[0]!;
        if (head.dueMicros > now || head.order >= orderEnd) break;
        this.#pop();
        const callback = head.callback;
        head.callback = null;
        callback?.();
      }
    } finally {
      this.#armedMicros = null;
      this.#arm();
    }
  }

  #push(entry: Entry): void {
    const heap = this.#heap;
    let child = heap.push(entry) - 1;
    while (child > 0) {
      const parent = (child - 1) >> 1;
      if (!before(entry, heap[parent]!)) break;
      heap[child] = heap[parent]!;
      child = parent;
    }
    heap[child] = entry;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let parent = 0;
    for (;;) {
      let child = parent * 2 + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1]!, heap[child]!)) child++;
      if (!before(heap[child]!, last)) break;
      heap[parent] = heap[child]!;
      parent = child;
    }
    heap[parent] = last;
  }
}
