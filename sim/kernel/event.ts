// One thing that will happen. It belongs to an incarnation of a machine (or to the world) and knows when it must not happen
// any more. The ledger counts what waits in the queue but will never be delivered, so that the kernel knows when to sweep.
import type { TextHash } from './digest.ts';
import type { ScheduledEvent } from './kernel.ts';

/**
 * What an event gives that left nothing for a microtask: it settled no promise and told nobody who might. The kernel goes on to the next
 * event without looking for microtasks. `--verify` looks for them all the same in its second play, and finds an event that says so wrongly.
 */
export const QUIET = Symbol('quiet');

/** What an event does. An object that has it to do anyway needs no function of its own for it, which large fleets feel. */
export type Action = (() => unknown) | { act(): unknown };

/** Who an event belongs to; the kernel's own view of a machine. */
export interface Owner {
  readonly name: string;
  /** Of its name. */
  readonly hash: TextHash;
  readonly incarnation: number;
  readonly alive: boolean;
  /** Events of the living incarnation that wait in the queue. */
  queued: number;
}

/** Entries of the queue that will not be delivered. */
export type Ledger = { dead: number };

export class Event implements ScheduledEvent {
  readonly micros: number;
  readonly owner: Owner | null;
  readonly incarnation: number;
  readonly label: string;
  /** Number of the event during whose delivery this one was scheduled: its cause. */
  readonly cause: number;
  /** Null once delivered, cancelled or dropped. */
  run: Action | null;
  inQueue = false;
  /** Made where the event was set, for the places in its stack; null unless the observer wants origins. */
  origin: Error | null = null;
  readonly #ledger: Ledger;

  constructor(micros: number, owner: Owner | null, label: string, cause: number, run: Action, ledger: Ledger) {
    this.micros = micros;
    this.owner = owner;
    this.incarnation = owner === null ? 0 : owner.incarnation;
    this.label = label;
    this.cause = cause;
    this.run = run;
    this.#ledger = ledger;
  }

  get pending(): boolean {
    if (this.run === null) return false;
    const owner = this.owner;
    return owner === null || (owner.alive && owner.incarnation === this.incarnation);
  }

  cancel(): void {
    if (this.pending && this.inQueue) {
      this.#ledger.dead++;
      if (this.owner !== null) this.owner.queued--;
    }
    this.run = null;
  }
}
