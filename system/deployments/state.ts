// The fold: what entries do to deployments and instances. Each change of state of an instance is asserted (P8).
import { INSTANCE_TRANSITIONS, type DeploymentSpec, type InstanceState, type PlacementDecision } from '../domain/deployment.ts';
import {
  instanceIdOf,
  type DeploymentName,
  type Epoch,
  type Incarnation,
  type InstanceId,
  type ModuleName,
  type NodeId,
} from '../domain/identifiers.ts';
import type { ErrorCode } from '../domain/errors.ts';
import { assert } from '../domain/outcome.ts';
import type { InstanceRecord } from './instance.ts';

export type DeploymentRecord = {
  readonly spec: DeploymentSpec;
  /** Version that instances are to run now. */
  readonly version: number;
  readonly revision: number;
};

export type DeploymentsState = {
  readonly deployments: Map<DeploymentName, DeploymentRecord>;
  readonly instances: Map<InstanceId, InstanceRecord>;
  /** Ordinals that a deployment of this name ever had: 0 to this, exclusive. */
  readonly ordinals: Map<DeploymentName, number>;
  /** Deployments that were deleted and whose instances are remembered, the longest ago first. */
  readonly retired: Map<DeploymentName, true>;
  /** No instance that is remembered no more had a higher one: where a new instance begins. */
  epochFloor: Epoch;
};

/** Bound: instances of deleted deployments, and such deployments, that are remembered for their epochs. */
export const TOMBSTONES_MAX = 4_096;

export type DeploymentEntry =
  | { readonly kind: 'deployment-applied'; readonly spec: DeploymentSpec; readonly version: number; readonly revision: number }
  | { readonly kind: 'deployment-rolled-back'; readonly deployment: DeploymentName; readonly version: number; readonly revision: number }
  | { readonly kind: 'deployment-deleted'; readonly deployment: DeploymentName };

type InstanceChange = { readonly instance: InstanceId; readonly atMs: number; readonly cause: string };

export type InstanceEntry =
  | (InstanceChange & {
      readonly kind: 'instance-created';
      readonly deployment: DeploymentName;
      readonly module: ModuleName;
      readonly ordinal: number;
    })
  | (InstanceChange & {
      readonly kind: 'instance-assigned';
      readonly node: NodeId;
      readonly nodeIncarnation: Incarnation;
      readonly epoch: Epoch;
      readonly version: number;
      readonly memoryBytes: number;
      readonly cpuMillis: number;
      readonly decision: PlacementDecision;
    })
  /** Its node is told again: another version, another epoch, or it was found not to run there. */
  | (InstanceChange & { readonly kind: 'instance-told'; readonly version: number; readonly epoch?: Epoch })
  | (InstanceChange & { readonly kind: 'instance-running' })
  | (InstanceChange & { readonly kind: 'instance-failed'; readonly code: ErrorCode | null })
  /** Wants a node again; `boundTo` alone, where it is given. */
  | (InstanceChange & { readonly kind: 'instance-unplaced'; readonly boundTo?: NodeId })
  | (InstanceChange & { readonly kind: 'instance-stopped' })
  /** Its node confirmed that it stopped, or cannot run it any more. */
  | (InstanceChange & { readonly kind: 'instance-released' });

export function createDeploymentsState(): DeploymentsState {
  return { deployments: new Map(), instances: new Map(), ordinals: new Map(), retired: new Map(), epochFloor: 0 as Epoch };
}

export function isDeploymentEntry(entry: { readonly kind: string }): entry is DeploymentEntry {
  return entry.kind.startsWith('deployment-');
}

export function isInstanceEntry(entry: { readonly kind: string }): entry is InstanceEntry {
  return entry.kind.startsWith('instance-');
}

export function applyDeploymentEntry(state: DeploymentsState, entry: DeploymentEntry): void {
  switch (entry.kind) {
    case 'deployment-applied':
      state.deployments.set(entry.spec.name, { spec: entry.spec, version: entry.version, revision: entry.revision });
      state.retired.delete(entry.spec.name);
      for (const instance of instancesOf(state, entry.spec.name)) {
        if (instance.module !== entry.spec.module) state.instances.set(instance.id, { ...instance, module: entry.spec.module });
      }
      return;
    case 'deployment-rolled-back': {
      const deployment = state.deployments.get(entry.deployment);
      assert(deployment !== undefined, `deployment ${entry.deployment} exists when it is rolled back`);
      state.deployments.set(entry.deployment, { ...deployment, version: entry.version, revision: entry.revision });
      return;
    }
    case 'deployment-deleted':
      assert(state.deployments.delete(entry.deployment), `deployment ${entry.deployment} exists when it is deleted`);
      forgetTombstones(state);
      state.retired.set(entry.deployment, true);
      return;
  }
}

/** Forgets the deployments that were deleted longest ago, as many as it takes and as far as every node has let go of them. */
function forgetTombstones(state: DeploymentsState): void {
  let count = 0;
  for (const name of state.retired.keys()) count += 1 + (state.ordinals.get(name) ?? 0);
  for (const name of state.retired.keys()) {
    if (count <= TOMBSTONES_MAX) return;
    const instances = instancesOf(state, name);
    if (instances.some(({ node }) => node !== null)) continue;
    count -= 1 + (state.ordinals.get(name) ?? 0);
    for (const { id, epoch } of instances) {
      // Safety: whoever has this name again is placed under a higher epoch than any that had it before.
      if (epoch > state.epochFloor) state.epochFloor = epoch;
      state.instances.delete(id);
    }
    state.ordinals.delete(name);
    state.retired.delete(name);
  }
}

/** The state that an entry leads to; null when it stays as it is. */
export function targetOf(before: InstanceState, entry: InstanceEntry): InstanceState | null {
  switch (entry.kind) {
    case 'instance-created':
    case 'instance-unplaced':
      return 'pending';
    case 'instance-assigned':
      return 'assigned';
    case 'instance-told':
      return before === 'assigned' && entry.epoch === undefined ? null : 'assigned';
    case 'instance-running':
      return 'running';
    case 'instance-failed':
      return 'failed';
    case 'instance-stopped':
      return 'stopped';
    case 'instance-released':
      return null;
  }
}

function getInstance(state: DeploymentsState, id: InstanceId): InstanceRecord {
  const instance = state.instances.get(id);
  assert(instance !== undefined, `instance ${id} of an entry exists`);
  return instance;
}

export function applyInstanceEntry(state: DeploymentsState, entry: InstanceEntry): void {
  const known = state.instances.get(entry.instance);
  if (entry.kind === 'instance-created' && known === undefined) {
    state.ordinals.set(entry.deployment, Math.max(state.ordinals.get(entry.deployment) ?? 0, entry.ordinal + 1));
    state.instances.set(entry.instance, {
      id: entry.instance,
      deployment: entry.deployment,
      module: entry.module,
      state: 'pending',
      node: null,
      nodeIncarnation: null,
      epoch: state.epochFloor,
      version: 0,
      memoryBytes: 0,
      cpuMillis: 0,
      failures: 0,
      decision: null,
      sinceMs: entry.atMs,
      cause: entry.cause,
    });
    return;
  }
  const before = getInstance(state, entry.instance);
  const to = targetOf(before.state, entry);
  assert(
    to === null || INSTANCE_TRANSITIONS[before.state].includes(to),
    `instance ${before.id} may not go from ${before.state} to ${String(to)}`,
  );
  // Another node is for one that has none: only its epoch may change in between (P8).
  assert(entry.kind !== 'instance-assigned' || before.state !== 'assigned', `instance ${before.id} is assigned when it has no node`);
  const changed: InstanceRecord = to === null ? before : { ...before, state: to, sinceMs: entry.atMs, cause: entry.cause };
  state.instances.set(before.id, change(changed, entry));
}

export function change({ boundTo: _, ...instance }: InstanceRecord, entry: InstanceEntry): InstanceRecord {
  switch (entry.kind) {
    case 'instance-created':
      return { ...instance, module: entry.module, node: null, nodeIncarnation: null, failures: 0 };
    case 'instance-unplaced':
      return { ...instance, node: null, nodeIncarnation: null, ...(entry.boundTo === undefined ? {} : { boundTo: entry.boundTo }) };
    case 'instance-released':
      return { ...instance, node: null, nodeIncarnation: null };
    case 'instance-assigned':
      assert(entry.epoch > instance.epoch, `the epoch of ${instance.id} grows with each placement`);
      return {
        ...instance,
        node: entry.node,
        nodeIncarnation: entry.nodeIncarnation,
        epoch: entry.epoch,
        version: entry.version,
        failures: entry.version === instance.version ? instance.failures : 0,
        memoryBytes: entry.memoryBytes,
        cpuMillis: entry.cpuMillis,
        decision: entry.decision,
      };
    case 'instance-told':
      assert(entry.epoch === undefined || entry.epoch > instance.epoch, `the epoch of ${instance.id} grows when it is told another`);
      return {
        ...instance,
        epoch: entry.epoch ?? instance.epoch,
        version: entry.version,
        failures: entry.version === instance.version ? instance.failures : 0,
      };
    case 'instance-failed':
      return { ...instance, failures: instance.failures + 1 };
    case 'instance-running':
    case 'instance-stopped':
      return instance;
  }
}

/** Instances of a deployment by ordinal, stopped ones included. */
export function instancesOf(state: DeploymentsState, deployment: DeploymentName): readonly InstanceRecord[] {
  const instances: InstanceRecord[] = [];
  const count = state.ordinals.get(deployment) ?? 0;
  for (let ordinal = 0; ordinal < count; ordinal++) {
    const instance = state.instances.get(instanceIdOf(deployment, ordinal));
    if (instance !== undefined) instances.push(instance);
  }
  return instances;
}
