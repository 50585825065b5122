// What the runner of a fleet and the process of its simulated nodes say to each other. Plain data over the pipe between them; times are
// microseconds of CLOCK_MONOTONIC, which all processes of a machine share.
import type { FleetSpec } from '../../scenarios/scenario.ts';
import type { LinkFault } from '../local/local.ts';

/** The first message. */
export type LoopSetup = {
  readonly seed: string;
  /** The whole fleet, with the times of the wall. */
  readonly fleet: FleetSpec;
  readonly simulated: readonly string[];
  /** For nodes; its addresses lead to the controller past every link of the run. */
  readonly joinToken: string;
  /** `host:port` of loopback for each node that is not simulated, by its name. */
  readonly ways: Readonly<Record<string, string>>;
  /** Library of the engine addon. */
  readonly engine: string;
  readonly agentVersion: string;
  /** File of the records of all of them. */
  readonly records: string;
  /** Lateness beyond which the run does not keep pace. */
  readonly latenessMicrosMax: number;
};

export type LoopOrder =
  | { readonly kind: 'commission' | 'start' | 'crash' | 'shut-down' | 'pause' | 'resume'; readonly node: string }
  | { readonly kind: 'disk'; readonly node: string; readonly isFull: boolean }
  | { readonly kind: 'begin'; readonly fault: string; readonly link: LinkFault }
  | { readonly kind: 'end'; readonly fault: string };

export type ToLoop =
  | { readonly kind: 'setup'; readonly setup: LoopSetup }
  | { readonly kind: 'order'; readonly order: LoopOrder }
  /** The times of the scenario begin: lateness counts from here. */
  | { readonly kind: 'measure' }
  /** Everything in order; the process ends. */
  | { readonly kind: 'stop' };

export type LoopLateness = { readonly microsMax: number; readonly events: number; readonly overdue: number };

export type FromLoop =
  | { readonly kind: 'ready' }
  /** Its nodes could not be made: an error, as a sentence. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'started'; readonly node: string; readonly incarnation: number; readonly micros: number }
  | { readonly kind: 'stopped'; readonly node: string; readonly cause: string; readonly micros: number }
  | { readonly kind: 'paused' | 'resumed'; readonly node: string; readonly micros: number }
  /** What was late before this does not count. */
  | { readonly kind: 'measured' }
  | { readonly kind: 'lateness'; readonly lateness: LoopLateness }
  /** An invariant of simulated code broke. */
  | { readonly kind: 'failed'; readonly why: string };
