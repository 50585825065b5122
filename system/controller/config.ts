// What a controller is told at its start; every bound it has is named here or where it is used.
import type { Endpoint } from '../domain/identifiers.ts';
import { assert } from '../domain/outcome.ts';
import type { PlacementWeights } from '../placement/placement.ts';
import { DEFAULT_WEIGHTS } from '../placement/placement.ts';

export type ControllerConfig = {
  readonly endpoint: Endpoint;
  /** What agents show to be let in. */
  readonly joinToken: string;
  readonly heartbeatIntervalMs: number;
  readonly suspectAfterMs: number;
  readonly unavailableAfterMs: number;
  /** An agent out of touch for this long stops its movable work; less than `unavailableAfterMs`, so that it has stopped before its work is placed elsewhere. */
  readonly leaseMs: number;
  /** Bound: events that the broker holds for its consumers. */
  readonly queueEventsMax: number;
  readonly weights: PlacementWeights;
  /** Identities that may use the operator API; one that ends in `/*` stands for every name below it. */
  readonly operators: readonly string[];
  /** Bound: journal entries between two snapshots. */
  readonly snapshotEveryEntries: number;
  /** An operator put an older copy of the store in place: what was said since is unknown here, and terms of since are not used again. */
  readonly restored: boolean;
  /** Keeps the whole journal and proves at each recovery that snapshot and tail give what the whole fold gives (simulator). */
  readonly assertRecovery: boolean;
};

export const DEFAULT_CONFIG: ControllerConfig = {
  endpoint: 'controller' as Endpoint,
  joinToken: '',
  heartbeatIntervalMs: 500,
  suspectAfterMs: 1_500,
  unavailableAfterMs: 3_000,
  leaseMs: 2_500,
  queueEventsMax: 10_000,
  weights: DEFAULT_WEIGHTS,
  operators: ['operator/*'],
  snapshotEveryEntries: 5_000,
  restored: false,
  assertRecovery: false,
};

export function assertConfig(config: ControllerConfig): void {
  assert(config.leaseMs < config.unavailableAfterMs, 'a lease lapses before its node is marked unavailable (R1.3)');
  assert(config.heartbeatIntervalMs < config.leaseMs, 'a lease outlives a heartbeat');
  assert(config.snapshotEveryEntries > 0 && config.queueEventsMax > 0, 'bounds of the controller are more than 0');
}

export function isOperator(config: ControllerConfig, identity: string): boolean {
  return config.operators.some((allowed) => (allowed.endsWith('/*') ? identity.startsWith(allowed.slice(0, -1)) : identity === allowed));
}
