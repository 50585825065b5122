// What an operator wants to run, and the instances that come of it (R2, R4, R5).
import type { Architecture } from './node.ts';
import type {
  ConsumerName,
  DeploymentName,
  Epoch,
  Incarnation,
  InstanceId,
  ModuleName,
  NodeId,
  Subject,
  SubjectFilter,
  TriggerName,
  ZonePath,
} from './identifiers.ts';

export type Requirements = {
  /** Empty: any. */
  readonly architectures: readonly Architecture[];
  readonly isaFeatures: readonly string[];
  readonly hardware: readonly string[];
  /** Node must lie in this zone; null: anywhere. */
  readonly within: ZonePath | null;
  /** Memory reserved for one instance, in bytes. */
  readonly memoryBytes: number;
  /** CPU reserved for one instance, in thousandths of a core. */
  readonly cpuMillis: number;
};

/** Which level of the fault domain two instances may not share: 0 none, 1 the first path element, 2 the second, … 255 the node. */
export type SpreadLevel = number;
export const SPREAD_NODE: SpreadLevel = 255;

export type DeploymentSpec = {
  readonly name: DeploymentName;
  readonly module: ModuleName;
  /** Null: the newest version at the time of the command. */
  readonly version: number | null;
  readonly replicas: number;
  /** Where demand comes from; proximity is measured to it. */
  readonly origin: ZonePath;
  readonly requirements: Requirements;
  readonly spread: SpreadLevel;
  readonly whenUnreachable: 'move' | 'stay';
  /** Whether an instance moves when another node has become much nearer to demand. Absent, as in journals of earlier versions: it stays. */
  readonly whenNearer?: 'move' | 'stay';
  /** Invocations at a time in one instance. */
  readonly concurrency: number;
};

/** A subject bound to a deployment: each matching event is one invocation of one of its instances. */
export type TriggerSpec = {
  readonly name: TriggerName;
  readonly subject: SubjectFilter;
  readonly deployment: DeploymentName;
  /** Where a guest's output is published; null: nowhere. */
  readonly result: Subject | null;
  /** Deliveries of one event before it is dead-lettered. */
  readonly deliveriesMax: number;
  /** A delivery that is not acknowledged within this time is delivered again. */
  readonly ackWaitMs: number;
  /** First and largest delay of the exponential backoff after a failed delivery. */
  readonly backoffMs: number;
  readonly backoffMsMax: number;
};

/** Consumers with such a name belong to triggers: the controller deletes those that have none. */
export const TRIGGER_CONSUMER_PREFIX = 'trigger-';

export function consumerOf(trigger: TriggerName): ConsumerName {
  return `${TRIGGER_CONSUMER_PREFIX}${trigger}` as ConsumerName;
}

/**
 * The controller's view of an instance. pending: wants a node. assigned: its node was told. running: its node said so.
 * failed: its node said that it cannot run it. stopped: no longer wanted, kept until its node confirms.
 */
export type InstanceState = 'pending' | 'assigned' | 'running' | 'failed' | 'stopped';

/** P8: the only transitions there are. Assigned once more: in a later epoch, after an older copy of the controller was put back. */
export const INSTANCE_TRANSITIONS: Readonly<Record<InstanceState, readonly InstanceState[]>> = {
  pending: ['assigned', 'stopped'],
  assigned: ['assigned', 'running', 'failed', 'pending', 'stopped'],
  running: ['assigned', 'failed', 'pending', 'stopped'],
  failed: ['pending', 'assigned', 'stopped'],
  stopped: ['pending'],
};

export type InstanceView = {
  readonly id: InstanceId;
  readonly deployment: DeploymentName;
  readonly state: InstanceState;
  readonly node: NodeId | null;
  readonly nodeIncarnation: Incarnation | null;
  readonly epoch: Epoch;
  readonly module: ModuleName;
  readonly version: number;
  readonly sinceMs: number;
  readonly cause: string;
};

/** One factor of a placement score, in points of 1,000; more is better. */
export type PlacementFactor = { readonly name: string; readonly points: number; readonly weight: number; readonly why: string };

export type PlacementCandidate = { readonly node: NodeId; readonly score: number; readonly factors: readonly PlacementFactor[] };

/** What factors have in a score, which is the mean of all by their weights. */
export function pointsOf({ factors }: PlacementCandidate, counts: (name: string) => boolean): number {
  let weights = 0;
  let points = 0;
  for (const { name, points: had, weight } of factors) {
    weights += weight;
    if (counts(name)) points += weight * had;
  }
  return points / weights;
}

/** Every decision names its factors and the runners-up, or why each class of node was refused (R4). */
export type PlacementDecision = {
  readonly instance: InstanceId;
  readonly chosen: PlacementCandidate | null;
  readonly runnersUp: readonly PlacementCandidate[];
  readonly refused: readonly { readonly reason: string; readonly nodes: number; readonly example: NodeId }[];
  readonly feasible: number;
};

export type DeploymentView = {
  readonly spec: DeploymentSpec;
  readonly revision: number;
  /** Version that instances are to run now. */
  readonly version: number;
  readonly triggers: readonly TriggerSpec[];
  /** Last decision for each instance, with reasons; of a large deployment as many as are shown, those that found no node first. */
  readonly decisions: readonly PlacementDecision[];
};
