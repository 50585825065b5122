// The world that never existed: virtual time in whole microseconds, events in a total order, chance by named stream, a
// rolling digest of what happened. It delivers one event, drains every microtask, and delivers the next. It knows no ports.
// Hardware in the loop: with a pace, virtual time follows the wall's and things come in from outside; such a run cannot be repeated.
// It refuses to read the process's time, timers or chance: what it needs of Node.js (a way to drain microtasks, to give its
// thread back, to see the wall clock) is injected as its host.
import type { RandomStream } from '../../system/ports/random.ts';
import type { Action } from './event.ts';
import type { Machine } from './machine.ts';
import type { Observer } from './observer.ts';
import type { Pace } from './pace.ts';
import { SimKernel } from './loop.ts';

export { CIVIL_START_MS } from './loop.ts';
export { QUIET, type Action } from './event.ts';
export type { Machine } from './machine.ts';
export type { MachineTime } from './machine-time.ts';
export type { Observer } from './observer.ts';
export { Divergence, compareWith, createRecording } from './divergence.ts';
export type { Recording } from './divergence.ts';
export { Pace } from './pace.ts';
export type { Wall } from './pace.ts';
export { canonicalSeed } from './stream.ts';

export interface ScheduledEvent {
  /** Virtual time at which it comes due. */
  readonly micros: number;
  /** Neither delivered nor cancelled nor dropped. */
  readonly pending: boolean;
  /** Idempotent; afterwards it is not delivered any more. */
  cancel(): void;
}

/** Why a play ended. quiet: nothing was left to happen. time: `microsMax` was reached. failed: a bug, see `error`. */
export type EndReason = 'done' | 'quiet' | 'time' | 'failed' | 'cancelled';

export type KernelEnd = {
  readonly reason: EndReason;
  /** The first thing handed to `fail`, null when nothing was. */
  readonly error: unknown;
  readonly micros: number;
  readonly steps: number;
  readonly digest: string;
};

export type MachineOptions = {
  /** Work that can go on at once; 1 when absent. */
  readonly cores?: number;
};

export interface Kernel {
  /** Virtual microseconds since the start of the run. */
  now(): number;
  /** Civil time at the start of the run, in milliseconds since 1970. */
  readonly civilStartMs: number;
  /**
   * Delivers `run` once, `delayMicros` (whole, not negative) from now, never from within this call. Same instant: in the
   * order of the calls, unless the run permutes. `label` is a fixed text; it and the machine's name enter the digest when the event is delivered.
   * Dropped when the machine's incarnation has died; `null` is the world itself, which never dies. Where the run permutes, events
   * of the world take turns too, each `lane` (one when absent) for itself. What `run` gives is `QUIET` or nothing.
   */
  after(delayMicros: number, machine: Machine | null, label: string, run: Action, lane?: object): ScheduledEvent;
  /**
   * Something came from outside, between two events: delivers `run` once, at the time that it is by the wall. It is how promises of
   * the real world are settled. A bug without a pace, where there is no outside.
   */
  outside(machine: Machine | null, label: string, run: () => void): void;
  /** The stream of that name, always the same object. Derived from the seed and the name alone. */
  stream(name: string): RandomStream;
  /** Creates a machine that has not booted. A bug when the name is taken. */
  machine(name: string, options?: MachineOptions): Machine;
  /** Something worth comparing happened (a record, a message): mixed into the digest together with the time. */
  note(machine: string, text: string): void;
  /** A promise of a handler: nobody awaits it, and its rejection ends the run as a bug. */
  own(what: string, promise: Promise<unknown>): void;
  /** The last events delivered, oldest first, for people: number, time, machine, label, cause. */
  recent(): readonly string[];
  /** Ends the run after the current event; the first error counts. */
  fail(error: unknown): void;
  /** Delivers events until `done()` (asked after each), quiet, `microsMax` of virtual time, a failure or cancellation. */
  play(until: { readonly done: () => boolean; readonly microsMax: number }): Promise<KernelEnd>;
  /** 16 hexadecimal digits over everything delivered and noted so far; never over the seed. */
  digest(): string;
  /** Events delivered. */
  readonly steps: number;
}

/** What the kernel needs of the process. Composition roots inject it (`sim/campaign`); it never reaches simulated code. */
export interface KernelHost {
  /** Whether `drain` does what it says when it is called from here; asked at the start of each slice, before `enter`. */
  drains(): boolean;
  /** Runs every microtask, those that are queued meanwhile included, before it returns. */
  drain(): void;
  /** Calls `next` when every microtask has run, without a turn of the event loop: where `drain` does not serve. */
  afterMicrotasks(next: () => void): void;
  /** Calls `next` in a later turn of the event loop. */
  giveBack(next: () => void): void;
  /** Wall clock, for giving the thread back only; nothing simulated follows from it. */
  wallMs(): number;
  /** Simulated code is about to run: from here on ambient calls are refused and handed to `fail`. */
  enter(fail: (error: unknown) => void): void;
  /** Simulated code stands still until the next `enter`. */
  leave(): void;
  /** The user gave up. Asked whenever the thread was given back. */
  cancelled(): boolean;
}

export type KernelOptions = {
  /** Canonical text of the seed, such as `0x2a`. */
  readonly seed: string;
  readonly host: KernelHost;
  /** Watches every delivery and note, to record one play and compare another with it; null when absent. */
  readonly observer?: Observer | null;
  /** Lets machines and ways take turns at each instant in an order drawn from the seed; each keeps the order of its own events. */
  readonly permute?: boolean;
  /** Holds virtual time to the wall's and lets things come in from outside. Null when absent: as fast as the thread can. */
  readonly pace?: Pace | null;
  /** Of a paced run, the civil time of its start; when absent, `CIVIL_START_MS`. */
  readonly civilStartMs?: number;
};

export function createKernel(options: KernelOptions): Kernel {
  return new SimKernel(options);
}
