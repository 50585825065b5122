// Virtual time behind the `Clock` port: that of a machine, which may drift and be set wrong (`kernel/machine-time.ts`), from a
// fixed date on. A clock belongs to the incarnation for which it was made: when that dies, its timers vanish, its
// sleeps never end, and it sets no new ones. `null` is the clock of the world, which is never off and never dies.
import type { Clock, Timer } from '../../system/ports/clock.ts';
import type { Kernel, Machine, ScheduledEvent } from '../kernel/kernel.ts';

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
    return this.#machine === null ? this.#kernel.now() : this.#machine.time.monotonicMicros();
  }

  civilMs(): number {
    const micros = this.#machine === null ? this.#kernel.now() : this.#machine.time.civilMicros();
    return this.#kernel.civilStartMs + Math.floor(micros / MICROS_PER_MS);
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
    if (machine === null) return this.#kernel.after(delayMicros > 0 ? Math.ceil(delayMicros) : 0, null, label, callback);
    return new MachineTimer(this.#kernel, machine, delayMicros, label, callback);
  }
}

/** Looks at its machine's clock when it comes due: one that got slower meanwhile has not reached the moment yet. */
class MachineTimer implements Timer {
  readonly #kernel: Kernel;
  readonly #machine: Machine;
  readonly #dueMicros: number;
  readonly #label: string;
  readonly #callback: () => void;
  #event: ScheduledEvent;

  constructor(kernel: Kernel, machine: Machine, delayMicros: number, label: string, callback: () => void) {
    this.#kernel = kernel;
    this.#machine = machine;
    this.#dueMicros = machine.time.monotonicMicros() + (delayMicros > 0 ? Math.ceil(delayMicros) : 0);
    this.#label = label;
    this.#callback = callback;
    this.#event = this.#set(delayMicros);
  }

  cancel(): void {
    this.#event.cancel();
  }

  #set(delayMicros: number): ScheduledEvent {
    return this.#kernel.after(this.#machine.time.worldDelay(delayMicros), this.#machine, this.#label, this);
  }

  act(): void {
    const leftMicros = this.#dueMicros - this.#machine.time.monotonicMicros();
    if (leftMicros > 0) this.#event = this.#set(leftMicros);
    else this.#callback();
  }
}
