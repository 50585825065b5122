// Virtual time behind the `Clock` port. Monotonic time is the kernel's; civil time is a fixed date plus it, plus what the
// machine's clock is off. A clock belongs to the incarnation for which it was made: when that dies, its timers vanish, its
// sleeps never end, and it sets no new ones. `null` is the clock of the world, which is never off and never dies.
import type { Clock, Timer } from '../../system/ports/clock.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';

/** 2030-01-01T00:00:00Z, in milliseconds: when every run begins. */
export const CIVIL_START_MS = 1_893_456_000_000;

const MICROS_PER_MS = 1_000;
/** What a dead incarnation gets for a timer. */
const VANISHED: Timer = { cancel() {} };

export function createClock(kernel: Kernel, machine: Machine | null): Clock {
  return new VirtualClock(kernel, machine);
}

class VirtualClock implements Clock {
  readonly #kernel: Kernel;
  readonly #machine: Machine | null;
  readonly #incarnation: number;

  constructor(kernel: Kernel, machine: Machine | null) {
    this.#kernel = kernel;
    this.#machine = machine;
    this.#incarnation = machine === null ? 0 : machine.incarnation;
  }

  monotonicMicros(): number {
    return this.#localMicros();
  }

  civilMs(): number {
    const offsetMs = this.#machine === null ? 0 : this.#machine.civilOffsetMs;
    return CIVIL_START_MS + Math.floor(this.#localMicros() / MICROS_PER_MS) + offsetMs;
  }

  after(delayMicros: number, callback: () => void): Timer {
    return this.#set(delayMicros, 'timer', callback);
  }

  sleep(delayMicros: number): Promise<void> {
    return new Promise((resolve) => this.#set(delayMicros, 'sleep', resolve));
  }

  #set(delayMicros: number, label: string, callback: () => void): Timer {
    const machine = this.#machine;
    if (machine !== null && !machine.lives(this.#incarnation)) return VANISHED;
    return this.#kernel.after(this.#virtualDelay(delayMicros), machine, label, callback);
  }

  /** The one place where this machine's monotonic time follows from the world's. A clock that drifts differs here. */
  #localMicros(): number {
    return this.#kernel.now();
  }

  /** The one place where the world's delay follows from this machine's. */
  #virtualDelay(localMicros: number): number {
    return localMicros > 0 ? Math.ceil(localMicros) : 0;
  }
}
