// What applying something would do, before anybody does it: what changes in it, and where its instances would go.
import type { PlacementDecision } from './deployment.ts';
import type { DeploymentName, InstanceId, NodeId, TriggerName } from './identifiers.ts';

export type PlanAction = 'create' | 'update' | 'unchanged';
export const PLAN_ACTIONS: readonly PlanAction[] = ['create', 'update', 'unchanged'];

/** A field by its path, such as `requirements.memoryBytes`, and its values as texts; null: none. */
export type FieldChange = { readonly field: string; readonly from: string | null; readonly to: string | null };

/**
 * create: it is new, or it waited, and would be placed. move: placed anew, perhaps where it is. upgrade: stays, with another version.
 * stop: no longer wanted. wait: it has no node, and none would take it.
 */
export type InstanceAction = 'create' | 'move' | 'upgrade' | 'stop' | 'wait';
export const INSTANCE_ACTIONS: readonly InstanceAction[] = ['create', 'move', 'upgrade', 'stop', 'wait'];

export type InstancePlan = {
  readonly instance: InstanceId;
  readonly action: InstanceAction;
  /** Where it is now. */
  readonly from: NodeId | null;
  /** Where it would go and why; nothing chosen: nowhere, and why not. Null for those that stay or stop. */
  readonly decision: PlacementDecision | null;
};

export type DeploymentPlan = {
  readonly name: DeploymentName;
  readonly action: PlanAction;
  /** Version that its instances would run. */
  readonly version: number;
  readonly fields: readonly FieldChange[];
  /** Those for which something changes, by number; of very many as many as can be shown. */
  readonly instances: readonly InstancePlan[];
  readonly instancesChanged: number;
};

export type TriggerPlan = {
  readonly name: TriggerName;
  readonly deployment: DeploymentName;
  readonly action: PlanAction;
  readonly fields: readonly FieldChange[];
};
