// Time that passes when a test says so. A process is one incarnation: ended, its timers vanish, and what it waited for never comes.
import type { Clock, Timer } from '../../../system/ports/clock.ts';

type Due = { readonly micros: number; readonly order: number; readonly run: () => void; isCancelled: boolean };

/** Every microtask has run when this resolves. */
function drained(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

export class MemoryTime {
  nowMicros = 0;
  #order = 0;
  #due: Due[] = [];

  /** The clock of one process. */
  process(): MemoryClock {
    return new MemoryClock(this);
  }

  set(delayMicros: number, run: () => void): Due {
    const due: Due = { micros: this.nowMicros + Math.max(0, delayMicros), order: ++this.#order, run, isCancelled: false };
    this.#due.push(due);
    return due;
  }

  get pending(): number {
    return this.#due.filter((due) => !due.isCancelled).length;
  }

  /** Lets this much time pass, timer by timer, microtasks in between. */
  async advance(micros: number): Promise<void> {
    const end = this.nowMicros + micros;
    for (;;) {
      await drained();
      this.#due = this.#due.filter((due) => !due.isCancelled).sort((a, b) => a.micros - b.micros || a.order - b.order);
      const next = this.#due[0];
      if (next === undefined || next.micros > end) break;
      this.#due.shift();
      this.nowMicros = next.micros;
      next.run();
    }
    this.nowMicros = end;
  }

  /** Lets time pass until the promise is settled. */
  async until<T>(promise: Promise<T>, microsMax = 60_000_000): Promise<T> {
    let result: { readonly value: T } | null = null;
    void promise.then((value) => (result = { value }));
    const end = this.nowMicros + microsMax;
    for (;;) {
      await drained();
      if (result !== null) return (result as { readonly value: T }).value;
      if (this.nowMicros >= end) throw new Error(`not settled within ${microsMax} µs`);
      const next = this.#due.filter((due) => !due.isCancelled).sort((a, b) => a.micros - b.micros || a.order - b.order)[0];
      await this.advance(next === undefined ? end - this.nowMicros : Math.min(next.micros, end) - this.nowMicros);
    }
  }
}

export class MemoryClock implements Clock {
  readonly #time: MemoryTime;
  readonly #timers = new Set<Due>();
  #isEnded = false;

  constructor(time: MemoryTime) {
    this.#time = time;
  }

  monotonicMicros(): number {
    return this.#time.nowMicros;
  }

  civilMs(): number {
    return Math.floor(this.#time.nowMicros / 1_000);
  }

  after(delayMicros: number, callback: () => void): Timer {
    if (this.#isEnded) return { cancel() {} };
    const due = this.#time.set(delayMicros, () => {
      this.#timers.delete(due);
      callback();
    });
    this.#timers.add(due);
    return {
      cancel: () => {
        due.isCancelled = true;
        this.#timers.delete(due);
      },
    };
  }

  sleep(delayMicros: number): Promise<void> {
    return new Promise((resolve) => void this.after(delayMicros, resolve));
  }

  get timers(): number {
    return this.#timers.size;
  }

  /** The process died. */
  end(): void {
    this.#isEnded = true;
    for (const due of this.#timers) due.isCancelled = true;
    this.#timers.clear();
  }
}
