// What operators see, both ways: views of the state, and events.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DeploymentView, InstanceState, InstanceView } from '../../domain/deployment.ts';
import type { Epoch, Incarnation } from '../../domain/identifiers.ts';
import type { ModuleVersion } from '../../domain/module.ts';
import type { NodeStatus, NodeView } from '../../domain/node.ts';
import type { EventValue, EventView } from '../../domain/watch.ts';
import type {
  DeploymentView as WireDeploymentView,
  DeploymentViewSchema,
  EventField as WireField,
  EventFieldSchema,
  EventView as WireEvent,
  EventViewSchema,
  InstanceView as WireInstance,
  InstanceViewSchema,
  ModuleVersion as WireVersion,
  ModuleVersionSchema,
  NodeView as WireNode,
  NodeViewSchema,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import { branded, finite, instanceId, name, oneOf, optional, orNull, present, text, whole, wrong } from './fields.ts';
import { factsFrom, factsTo, loadFrom, loadTo, manifestFrom, manifestTo, signatureFrom, signatureTo } from './parts.ts';
import { decisionFrom, decisionTo } from './placement.ts';
import { deploymentFrom, deploymentTo, triggerFrom, triggerTo } from './specs.ts';

const STATUSES: readonly NodeStatus[] = ['healthy', 'suspect', 'unavailable', 'draining'];
const STATES: readonly InstanceState[] = ['pending', 'assigned', 'running', 'failed', 'stopped'];
/** Bound: fields of one event. */
const EVENT_FIELDS_MAX = 64;

export function versionTo(version: ModuleVersion): MessageInitShape<typeof ModuleVersionSchema> {
  return {
    manifest: manifestTo(version.manifest),
    version: version.version,
    signature: signatureTo(version.signature),
    sizeBytes: BigInt(version.sizeBytes),
  };
}

export function nodeTo(view: NodeView): MessageInitShape<typeof NodeViewSchema> {
  return {
    facts: factsTo(view.facts),
    status: view.status,
    incarnation: BigInt(view.incarnation),
    sinceMs: BigInt(view.sinceMs),
    cause: view.cause,
    ...optional('load', view.load === null ? null : loadTo(view.load)),
  };
}

export function versionFrom(wire: WireVersion): ModuleVersion {
  return {
    manifest: manifestFrom(present(wire.manifest, 'modules.manifest'), 'modules.manifest'),
    version: wire.version,
    signature: signatureFrom(present(wire.signature, 'modules.signature'), 'modules.signature'),
    sizeBytes: whole(wire.sizeBytes, 'modules.size_bytes'),
  };
}

export function nodeFrom(wire: WireNode): NodeView {
  return {
    facts: factsFrom(present(wire.facts, 'nodes.facts'), 'nodes.facts'),
    status: oneOf(wire.status, 'nodes.status', STATUSES),
    incarnation: whole(wire.incarnation, 'nodes.incarnation') as Incarnation,
    sinceMs: whole(wire.sinceMs, 'nodes.since_ms'),
    cause: text(wire.cause, 'nodes.cause'),
    load: orNull(wire.load, (load) => loadFrom(load, 'nodes.load')),
  };
}

export function instanceTo(view: InstanceView): MessageInitShape<typeof InstanceViewSchema> {
  const { node, nodeIncarnation, epoch, sinceMs, ...same } = view;
  return {
    ...same,
    ...optional('node', node),
    ...optional('nodeIncarnation', nodeIncarnation === null ? null : BigInt(nodeIncarnation)),
    epoch: BigInt(epoch),
    sinceMs: BigInt(sinceMs),
  };
}

export function instanceFrom(wire: WireInstance): InstanceView {
  return {
    id: instanceId(wire.id, 'instances.id'),
    deployment: name(wire.deployment, 'instances.deployment'),
    state: oneOf(wire.state, 'instances.state', STATES),
    node: orNull(wire.node, (node) => name<'NodeId'>(node, 'instances.node')),
    nodeIncarnation: orNull(wire.nodeIncarnation, (incarnation) => whole(incarnation, 'instances.node_incarnation') as Incarnation),
    epoch: whole(wire.epoch, 'instances.epoch') as Epoch,
    module: name(wire.module, 'instances.module'),
    version: wire.version,
    sinceMs: whole(wire.sinceMs, 'instances.since_ms'),
    cause: text(wire.cause, 'instances.cause'),
  };
}

export function deploymentViewTo(view: DeploymentView): MessageInitShape<typeof DeploymentViewSchema> {
  return {
    spec: deploymentTo(view.spec),
    revision: BigInt(view.revision),
    version: view.version,
    triggers: view.triggers.map(triggerTo),
    decisions: view.decisions.map(decisionTo),
  };
}

export function deploymentViewFrom(wire: WireDeploymentView): DeploymentView {
  return {
    spec: deploymentFrom(present(wire.spec, 'deployments.spec')),
    revision: whole(wire.revision, 'deployments.revision'),
    version: wire.version,
    triggers: wire.triggers.map(triggerFrom),
    decisions: wire.decisions.map(decisionFrom),
  };
}

function fieldTo([key, value]: readonly [string, EventValue]): MessageInitShape<typeof EventFieldSchema> {
  switch (typeof value) {
    case 'string':
      return { name: key, value: { case: 'text', value } };
    case 'number':
      return { name: key, value: { case: 'number', value } };
    case 'boolean':
      return { name: key, value: { case: 'flag', value } };
    default:
      return { name: key };
  }
}

function fieldFrom(wire: WireField): readonly [string, EventValue] {
  const key = text(wire.name, 'events.fields.name', 64);
  switch (wire.value.case) {
    case 'text':
      return [key, text(wire.value.value, 'events.fields.text')];
    case 'number':
      return [key, finite(wire.value.value, 'events.fields.number')];
    case 'flag':
      return [key, wire.value.value];
    default:
      return [key, null];
  }
}

export function eventTo(event: EventView): MessageInitShape<typeof EventViewSchema> {
  return {
    sequence: BigInt(event.sequence),
    part: BigInt(event.part),
    timeMs: BigInt(event.timeMs),
    ...optional('correlation', event.correlation),
    kind: event.kind,
    fields: Object.entries(event.fields).map(fieldTo),
  };
}

export function eventFrom(wire: WireEvent): EventView {
  if (wire.fields.length > EVENT_FIELDS_MAX) wrong('events.fields', `at most ${EVENT_FIELDS_MAX}`);
  return {
    sequence: whole(wire.sequence, 'events.sequence'),
    part: whole(wire.part, 'events.part'),
    timeMs: whole(wire.timeMs, 'events.time_ms'),
    correlation: orNull(wire.correlation, (correlation) => branded<'CorrelationId'>(correlation, 'events.correlation')),
    kind: text(wire.kind, 'events.kind', 64),
    fields: Object.fromEntries(wire.fields.map(fieldFrom)),
  };
}
