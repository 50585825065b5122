// What a plan says, both ways.
import type { MessageInitShape } from '@bufbuild/protobuf';
import {
  INSTANCE_ACTIONS,
  PLAN_ACTIONS,
  type DeploymentPlan,
  type FieldChange,
  type InstancePlan,
  type TriggerPlan,
} from '../../domain/plan.ts';
import type {
  DeploymentPlan as WireDeployment,
  DeploymentPlanSchema,
  FieldChange as WireField,
  FieldChangeSchema,
  InstancePlan as WireInstance,
  InstancePlanSchema,
  TriggerPlan as WireTrigger,
  TriggerPlanSchema,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import { instanceId, name, oneOf, optional, orNull, text } from './fields.ts';
import { decisionFrom, decisionTo } from './placement.ts';

function fieldTo({ field, from, to }: FieldChange): MessageInitShape<typeof FieldChangeSchema> {
  return { field, ...optional('from', from), ...optional('to', to) };
}

function fieldFrom(wire: WireField): FieldChange {
  return {
    field: text(wire.field, 'plan.fields.field'),
    from: orNull(wire.from, (value) => text(value, 'plan.fields.from')),
    to: orNull(wire.to, (value) => text(value, 'plan.fields.to')),
  };
}

function instanceTo({ instance, action, from, decision }: InstancePlan): MessageInitShape<typeof InstancePlanSchema> {
  return { instance, action, ...optional('from', from), ...optional('decision', decision === null ? null : decisionTo(decision)) };
}

function instanceFrom(wire: WireInstance): InstancePlan {
  return {
    instance: instanceId(wire.instance, 'plan.instances.instance'),
    action: oneOf(wire.action, 'plan.instances.action', INSTANCE_ACTIONS),
    from: orNull(wire.from, (node) => name<'NodeId'>(node, 'plan.instances.from')),
    decision: orNull(wire.decision, decisionFrom),
  };
}

export function deploymentPlanTo(plan: DeploymentPlan): MessageInitShape<typeof DeploymentPlanSchema> {
  return { ...plan, fields: plan.fields.map(fieldTo), instances: plan.instances.map(instanceTo) };
}

export function deploymentPlanFrom(wire: WireDeployment): DeploymentPlan {
  return {
    name: name(wire.name, 'plan.name'),
    action: oneOf(wire.action, 'plan.action', PLAN_ACTIONS),
    version: wire.version,
    fields: wire.fields.map(fieldFrom),
    instances: wire.instances.map(instanceFrom),
    instancesChanged: wire.instancesChanged,
  };
}

export function triggerPlanTo(plan: TriggerPlan): MessageInitShape<typeof TriggerPlanSchema> {
  return { ...plan, fields: plan.fields.map(fieldTo) };
}

export function triggerPlanFrom(wire: WireTrigger): TriggerPlan {
  return {
    name: name(wire.name, 'plan.name'),
    deployment: name(wire.deployment, 'plan.deployment'),
    action: oneOf(wire.action, 'plan.action', PLAN_ACTIONS),
    fields: wire.fields.map(fieldFrom),
  };
}
