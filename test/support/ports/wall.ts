// A wall whose hands the test moves: what waits for a time is woken when the hands reach it, in a turn of the event loop of its own.
import type { Wall } from '../../../sim/kernel/kernel.ts';

type Waiting = { readonly dueMicros: number; readonly wake: () => void };

export class HandWall implements Wall {
  #micros: number;
  readonly #waiting = new Set<Waiting>();
  readonly #rested: (() => void)[] = [];

  constructor(startMicros = 0) {
    this.#micros = startMicros;
  }

  micros(): number {
    return this.#micros;
  }

  after(delayMicros: number, wake: () => void): () => void {
    if (delayMicros <= 0) {
      const turn = setImmediate(wake);
      return () => clearImmediate(turn);
    }
    const waiting = { dueMicros: this.#micros + delayMicros, wake };
    this.#waiting.add(waiting);
    for (const resolve of this.#rested.splice(0)) resolve();
    return () => this.#waiting.delete(waiting);
  }

  /** When the next wait is over; infinity when nothing waits. */
  get nextMicros(): number {
    return Math.min(Infinity, ...[...this.#waiting].map(({ dueMicros }) => dueMicros));
  }

  /** Resolves when somebody begins to wait for a time. */
  rested(): Promise<void> {
    return new Promise((resolve) => this.#rested.push(resolve));
  }

  /** Moves the hands without waking anybody, as when a machine was busy. */
  skipTo(micros: number): void {
    this.#micros = micros;
  }

  /** Moves the hands and wakes who waited for that; resolves when somebody waits again, at once when nobody was woken. */
  async advanceTo(micros: number): Promise<void> {
    this.#micros = micros;
    const due = [...this.#waiting].filter(({ dueMicros }) => dueMicros <= micros);
    if (due.length === 0) return;
    const rested = this.rested();
    for (const waiting of due) {
      this.#waiting.delete(waiting);
      setImmediate(waiting.wake);
    }
    await rested;
  }
}
