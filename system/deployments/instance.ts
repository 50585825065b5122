// One numbered replica as the controller sees it.
import type { InstanceState, PlacementDecision } from '../domain/deployment.ts';
import type { DeploymentName, Epoch, Incarnation, InstanceId, ModuleName, NodeId } from '../domain/identifiers.ts';

type Reservation = { readonly memoryBytes: number; readonly cpuMillis: number };

export type InstanceRecord = Reservation & {
  readonly id: InstanceId;
  readonly deployment: DeploymentName;
  readonly module: ModuleName;
  readonly state: InstanceState;
  readonly node: NodeId | null;
  readonly nodeIncarnation: Incarnation | null;
  /** Grows with each placement; 0, or where forgotten ones of any name have been, before the first. */
  readonly epoch: Epoch;
  /** 0 before the first placement. */
  readonly version: number;
  /** Failures since the version was last changed: decides the delay before the next attempt. */
  readonly failures: number;
  readonly decision: PlacementDecision | null;
  /** While it is pending: the node that it stays with, and waits for (R5.4). */
  readonly boundTo?: NodeId;
  readonly sinceMs: number;
  readonly cause: string;
};

/** Bounds of the delay before a failed instance is placed again: doubled with each failure. */
const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 30_000;
const RETRY_DOUBLINGS_MAX = 6;

export function retryDelayMs(failures: number): number {
  return Math.min(RETRY_MS_MAX, RETRY_MS_MIN * 2 ** Math.min(Math.max(0, failures - 1), RETRY_DOUBLINGS_MAX));
}

export function instanceStateIs(instance: InstanceRecord, ...states: readonly InstanceState[]): boolean {
  return states.includes(instance.state);
}

/** P7: its node has promised memory and CPU to it. */
export function holdsNode(
  instance: InstanceRecord,
): instance is InstanceRecord & { readonly node: NodeId; readonly nodeIncarnation: Incarnation } {
  return instance.node !== null && (instance.state === 'assigned' || instance.state === 'running');
}
