// What a run and its program on a device say to each other over one SSH session: lines of JSON there and back, and in between the
// lines of the agent's records and log as they are.

export type HostOrder = 'commission' | 'start' | 'crash' | 'shut-down' | 'pause' | 'resume' | 'stop';

export type ToHost =
  /** Asked once a second: tells the clocks apart, and that the run is still there. */
  | { readonly kind: 'beat'; readonly beat: number }
  /** Before any order: the agent's command line after its name, and what it joins with. */
  | { readonly kind: 'agent'; readonly node: string; readonly args: readonly string[]; readonly joinToken: string }
  | { readonly kind: 'order'; readonly order: HostOrder };

/** What a device is; told first. */
export type HostHello = {
  readonly kind: 'hello';
  /** Names this boot of this machine and this view of its processes: two that say the same are one machine. */
  readonly machine: string;
  /** Of Node.js: `arm64` and so on. */
  readonly arch: string;
  readonly isaFeatures: readonly string[];
  /** Free ports of its loopback: the agent's, and the one that leads to the controller. */
  readonly ports: readonly [number, number];
  /** How long its processor takes to load the agent's program. */
  readonly startMs: number;
};

/** Times are its own, in microseconds of CLOCK_MONOTONIC. */
export type FromHost =
  | HostHello
  | { readonly kind: 'refused'; readonly why: string; readonly next: string }
  | { readonly kind: 'beat'; readonly beat: number; readonly micros: number }
  | { readonly kind: 'started'; readonly incarnation: number; readonly micros: number }
  | { readonly kind: 'stopped'; readonly cause: string; readonly micros: number }
  | { readonly kind: 'paused' | 'resumed'; readonly micros: number }
  /** Its agent's process; null: there is none. */
  | { readonly kind: 'process'; readonly pid: number | null }
  | { readonly kind: 'up'; readonly said: unknown }
  /** Nothing of the run is left there. */
  | { readonly kind: 'bye' };

/** In front of a line of the agent's records, and of its log. */
export const RECORD_MARK = 'r ';
export const LOG_MARK = 'l ';

/** Silence of a run after which its program on a device ends it there, and of that program after which the device is lost. */
export const BEAT_MS = 1_000;
/** Bound: from the call to a device until it has said what it is. It loads the agent's program twice, which at first has to be compiled. */
export const OPEN_MS_MAX = 300_000;
export const ABANDONED_MS = 30_000;
export const LOST_MS = 15_000;
