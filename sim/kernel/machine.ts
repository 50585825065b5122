// A simulated computer: what is scheduled for it dies with it. A machine is created once and boots many times; each boot
// is an incarnation, and whatever an earlier incarnation scheduled is dropped, so that its promises never settle.
// Its processor costs time: `execute` queues work on `cores`. It does not know what the computer runs.
import type { ScheduledEvent } from './kernel.ts';

export interface Machine {
  readonly name: string;
  /** 0 before the first boot; grows by one with each. */
  readonly incarnation: number;
  readonly alive: boolean;
  readonly paused: boolean;
  /** True while the incarnation of that number lives: adapters of a dead one must do nothing. */
  lives(incarnation: number): boolean;
  /** Power loss: everything scheduled for this incarnation is dropped. Idempotent. */
  crash(): void;
  /** Starts a new incarnation. A bug on a machine that is alive, and in the event that crashed it. */
  boot(): void;
  /** Frozen as by SIGSTOP: events that come due are held, work on the processor stands still. Idempotent. */
  pause(): void;
  /** What was held is delivered one by one, in the order in which it came due, before anything that comes due later. */
  resume(): void;
  /** Work that costs processor time: starts when a core is free, first come first served; `run` is called when it is done. */
  execute(costMicros: number, label: string, run: () => void): ScheduledEvent;
  /** How far the civil clock of this machine is off, in milliseconds; survives a boot. */
  civilOffsetMs: number;
}
