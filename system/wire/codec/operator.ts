// Codec of the operator API: requests, replies, queries, answers. Decoders accept any bytes and never throw.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Epoch, Incarnation, Term } from '../../domain/identifiers.ts';
import type { DeploymentSpec, InstanceState, InstanceView, TriggerSpec } from '../../domain/deployment.ts';
import { ARCHITECTURES, type NodeStatus, type NodeView } from '../../domain/node.ts';
import type { ModuleVersion } from '../../domain/module.ts';
import type {
  DeploymentView,
  OperatorAnswer,
  OperatorCommand,
  OperatorQuery,
  OperatorReply,
  OperatorRequest,
} from '../../domain/operator.ts';
import type { Outcome } from '../../domain/outcome.ts';
import {
  OperatorAnswerSchema,
  OperatorQuerySchema,
  OperatorReplySchema,
  OperatorRequestSchema,
  type DeploymentSpec as WireDeployment,
  type DeploymentSpecSchema,
  type DeploymentView as WireDeploymentView,
  type DeploymentViewSchema,
  type InstanceView as WireInstance,
  type InstanceViewSchema,
  type ModulePush as WirePush,
  type ModuleVersion as WireVersion,
  type NodeView as WireNode,
  type OperatorRequest as WireRequest,
  type TriggerSpec as WireTrigger,
  type TriggerSpecSchema,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import {
  branded,
  bytesOf,
  decodeWith,
  encodeWith,
  instanceId,
  name,
  oneOf,
  optional,
  orNull,
  present,
  subject,
  subjectFilter,
  text,
  whole,
  wrong,
  zone,
} from './fields.ts';
import {
  capabilitiesFrom,
  factsFrom,
  factsTo,
  manifestFrom,
  manifestTo,
  signatureFrom,
  signatureTo,
  trustedKeyFrom,
  trustedKeyTo,
} from './parts.ts';
import { decisionFrom, decisionTo } from './placement.ts';

const STATUSES: readonly NodeStatus[] = ['healthy', 'suspect', 'unavailable', 'draining'];
const STATES: readonly InstanceState[] = ['pending', 'assigned', 'running', 'failed', 'stopped'];
const QUERIES: readonly OperatorQuery['kind'][] = ['nodes', 'modules', 'deployments', 'instances', 'trust'];

export function deploymentTo(spec: DeploymentSpec): MessageInitShape<typeof DeploymentSpecSchema> {
  const { requirements, version, ...same } = spec;
  return {
    ...same,
    ...optional('version', version),
    requirements: {
      architectures: [...requirements.architectures],
      isaFeatures: [...requirements.isaFeatures],
      hardware: [...requirements.hardware],
      ...optional('within', requirements.within),
      memoryBytes: BigInt(requirements.memoryBytes),
      cpuMillis: requirements.cpuMillis,
    },
  };
}

export function deploymentFrom(wire: WireDeployment): DeploymentSpec {
  const needs = present(wire.requirements, 'deployment.requirements');
  return {
    name: name(wire.name, 'deployment.name'),
    module: name(wire.module, 'deployment.module'),
    version: wire.version ?? null,
    replicas: wire.replicas,
    origin: zone(wire.origin, 'deployment.origin'),
    requirements: {
      architectures: needs.architectures.map((architecture) => oneOf(architecture, 'deployment.requirements.architectures', ARCHITECTURES)),
      isaFeatures: needs.isaFeatures.map((feature) => text(feature, 'deployment.requirements.isa_features', 64)),
      hardware: needs.hardware.map((hardware) => text(hardware, 'deployment.requirements.hardware', 64)),
      within: orNull(needs.within, (within) => zone(within, 'deployment.requirements.within')),
      memoryBytes: whole(needs.memoryBytes, 'deployment.requirements.memory_bytes'),
      cpuMillis: needs.cpuMillis,
    },
    spread: wire.spread <= 255 ? wire.spread : wrong('deployment.spread', 'at most 255'),
    whenUnreachable: oneOf(wire.whenUnreachable, 'deployment.when_unreachable', ['move', 'stay']),
    concurrency: wire.concurrency > 0 ? wire.concurrency : wrong('deployment.concurrency', 'at least 1'),
  };
}

export function triggerTo(spec: TriggerSpec): MessageInitShape<typeof TriggerSpecSchema> {
  const { result, ...same } = spec;
  return { ...same, ...optional('result', result) };
}

export function triggerFrom(wire: WireTrigger): TriggerSpec {
  return {
    name: name(wire.name, 'trigger.name'),
    subject: subjectFilter(wire.subject, 'trigger.subject'),
    deployment: name(wire.deployment, 'trigger.deployment'),
    result: orNull(wire.result, (result) => subject(result, 'trigger.result')),
    deliveriesMax: wire.deliveriesMax > 0 ? wire.deliveriesMax : wrong('trigger.deliveries_max', 'at least 1'),
    ackWaitMs: wire.ackWaitMs > 0 ? wire.ackWaitMs : wrong('trigger.ack_wait_ms', 'at least 1'),
    backoffMs: wire.backoffMs,
    backoffMsMax: wire.backoffMsMax >= wire.backoffMs ? wire.backoffMsMax : wrong('trigger.backoff_ms_max', 'at least backoff_ms'),
  };
}

type WireCommand = NonNullable<MessageInitShape<typeof OperatorRequestSchema>['command']>;

function commandTo(command: OperatorCommand): WireCommand {
  switch (command.kind) {
    case 'trust-add':
      return { case: 'trustAdd', value: { publicKey: command.publicKey, mayGrant: [...command.mayGrant] } };
    case 'trust-revoke':
      return { case: 'trustRevoke', value: { key: command.key } };
    case 'module-push':
      return {
        case: 'modulePush',
        value: {
          manifest: manifestTo(command.manifest),
          ...optional('signature', command.signature === null ? null : signatureTo(command.signature)),
          bytes: command.bytes,
        },
      };
    case 'deployment-apply':
      return { case: 'deploymentApply', value: deploymentTo(command.spec) };
    case 'deployment-scale':
      return { case: 'deploymentScale', value: { deployment: command.deployment, replicas: command.replicas } };
    case 'deployment-delete':
      return { case: 'deploymentDelete', value: { deployment: command.deployment } };
    case 'rollback':
      return { case: 'rollback', value: { deployment: command.deployment, version: command.version } };
    case 'trigger-apply':
      return { case: 'triggerApply', value: triggerTo(command.spec) };
    case 'trigger-delete':
      return { case: 'triggerDelete', value: { trigger: command.trigger } };
    case 'node-drain':
      return { case: 'nodeDrain', value: { node: command.node } };
  }
}

function pushFrom(wire: WirePush): OperatorCommand {
  return {
    kind: 'module-push',
    manifest: manifestFrom(present(wire.manifest, 'push.manifest'), 'push.manifest'),
    signature: orNull(wire.signature, (signature) => signatureFrom(signature, 'push.signature')),
    bytes: wire.bytes,
  };
}

function commandFrom(command: WireRequest['command']): OperatorCommand {
  switch (command.case) {
    case 'trustAdd':
      return {
        kind: 'trust-add',
        publicKey: bytesOf(command.value.publicKey, 'public_key', 32),
        mayGrant: capabilitiesFrom(command.value.mayGrant, 'may_grant'),
      };
    case 'trustRevoke':
      return { kind: 'trust-revoke', key: branded(command.value.key, 'key') };
    case 'modulePush':
      return pushFrom(command.value);
    case 'deploymentApply':
      return { kind: 'deployment-apply', spec: deploymentFrom(command.value) };
    case 'deploymentScale':
      return { kind: 'deployment-scale', deployment: name(command.value.deployment, 'deployment'), replicas: command.value.replicas };
    case 'deploymentDelete':
      return { kind: 'deployment-delete', deployment: name(command.value.deployment, 'deployment') };
    case 'rollback':
      return { kind: 'rollback', deployment: name(command.value.deployment, 'deployment'), version: command.value.version };
    case 'triggerApply':
      return { kind: 'trigger-apply', spec: triggerFrom(command.value) };
    case 'triggerDelete':
      return { kind: 'trigger-delete', trigger: name(command.value.trigger, 'trigger') };
    case 'nodeDrain':
      return { kind: 'node-drain', node: name(command.value.node, 'node') };
    default:
      return wrong('command', 'a command, found none');
  }
}

export function encodeOperatorRequest(request: OperatorRequest): Uint8Array {
  return encodeWith(OperatorRequestSchema, { id: request.id, command: commandTo(request.command) });
}

export function decodeOperatorRequest(bytes: Uint8Array): Outcome<OperatorRequest> {
  return decodeWith(OperatorRequestSchema, bytes, (wire) => ({
    id: wire.id === '' ? wrong('id', 'an identifier, found none') : text(wire.id, 'id', 128),
    command: commandFrom(wire.command),
  }));
}

export function encodeOperatorReply(reply: OperatorReply): Uint8Array {
  return encodeWith(OperatorReplySchema, {
    reply:
      reply.kind === 'done'
        ? { case: 'done', value: { sequence: BigInt(reply.sequence) } }
        : { case: 'moduleStored', value: { sequence: BigInt(reply.sequence), module: reply.module, version: reply.version } },
  });
}

export function decodeOperatorReply(bytes: Uint8Array): Outcome<OperatorReply> {
  return decodeWith(OperatorReplySchema, bytes, ({ reply }): OperatorReply => {
    switch (reply.case) {
      case 'done':
        return { kind: 'done', sequence: whole(reply.value.sequence, 'sequence') };
      case 'moduleStored':
        return {
          kind: 'module-stored',
          sequence: whole(reply.value.sequence, 'sequence'),
          module: name(reply.value.module, 'module'),
          version: reply.value.version,
        };
      default:
        return wrong('reply', 'done or module_stored, found none');
    }
  });
}

export function encodeOperatorQuery(query: OperatorQuery): Uint8Array {
  return encodeWith(OperatorQuerySchema, { kind: query.kind });
}

export function decodeOperatorQuery(bytes: Uint8Array): Outcome<OperatorQuery> {
  return decodeWith(OperatorQuerySchema, bytes, (wire) => ({ kind: oneOf(wire.kind, 'kind', QUERIES) }));
}

function versionFrom(wire: WireVersion): ModuleVersion {
  return {
    manifest: manifestFrom(present(wire.manifest, 'modules.manifest'), 'modules.manifest'),
    version: wire.version,
    signature: signatureFrom(present(wire.signature, 'modules.signature'), 'modules.signature'),
    sizeBytes: whole(wire.sizeBytes, 'modules.size_bytes'),
  };
}

function nodeFrom(wire: WireNode): NodeView {
  return {
    facts: factsFrom(present(wire.facts, 'nodes.facts'), 'nodes.facts'),
    status: oneOf(wire.status, 'nodes.status', STATUSES),
    incarnation: whole(wire.incarnation, 'nodes.incarnation') as Incarnation,
    sinceMs: whole(wire.sinceMs, 'nodes.since_ms'),
    cause: text(wire.cause, 'nodes.cause'),
  };
}

function instanceTo(view: InstanceView): MessageInitShape<typeof InstanceViewSchema> {
  const { node, nodeIncarnation, epoch, sinceMs, ...same } = view;
  return {
    ...same,
    ...optional('node', node),
    ...optional('nodeIncarnation', nodeIncarnation === null ? null : BigInt(nodeIncarnation)),
    epoch: BigInt(epoch),
    sinceMs: BigInt(sinceMs),
  };
}

function instanceFrom(wire: WireInstance): InstanceView {
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

function deploymentViewTo(view: DeploymentView): MessageInitShape<typeof DeploymentViewSchema> {
  return {
    spec: deploymentTo(view.spec),
    revision: BigInt(view.revision),
    version: view.version,
    triggers: view.triggers.map(triggerTo),
    decisions: view.decisions.map(decisionTo),
  };
}

function deploymentViewFrom(wire: WireDeploymentView): DeploymentView {
  return {
    spec: deploymentFrom(present(wire.spec, 'deployments.spec')),
    revision: whole(wire.revision, 'deployments.revision'),
    version: wire.version,
    triggers: wire.triggers.map(triggerFrom),
    decisions: wire.decisions.map(decisionFrom),
  };
}

type WireAnswer = NonNullable<MessageInitShape<typeof OperatorAnswerSchema>['answer']>;

function answerTo(answer: OperatorAnswer): WireAnswer {
  switch (answer.kind) {
    case 'nodes':
      return {
        case: 'nodes',
        value: {
          nodes: answer.nodes.map(({ facts, status, incarnation, sinceMs, cause }) => ({
            facts: factsTo(facts),
            status,
            incarnation: BigInt(incarnation),
            sinceMs: BigInt(sinceMs),
            cause,
          })),
        },
      };
    case 'modules':
      return {
        case: 'modules',
        value: {
          modules: answer.modules.map(({ manifest, version, signature, sizeBytes }) => ({
            manifest: manifestTo(manifest),
            version,
            signature: signatureTo(signature),
            sizeBytes: BigInt(sizeBytes),
          })),
        },
      };
    case 'deployments':
      return { case: 'deployments', value: { deployments: answer.deployments.map(deploymentViewTo) } };
    case 'instances':
      return { case: 'instances', value: { instances: answer.instances.map(instanceTo) } };
    case 'trust':
      return { case: 'trust', value: { keys: answer.keys.map(trustedKeyTo) } };
  }
}

export function encodeOperatorAnswer(answer: OperatorAnswer): Uint8Array {
  return encodeWith(OperatorAnswerSchema, { term: BigInt(answer.term), answer: answerTo(answer) });
}

export function decodeOperatorAnswer(bytes: Uint8Array): Outcome<OperatorAnswer> {
  return decodeWith(OperatorAnswerSchema, bytes, (wire): OperatorAnswer => {
    const term = whole(wire.term, 'term') as Term;
    const { answer } = wire;
    switch (answer.case) {
      case 'nodes':
        return { kind: 'nodes', term, nodes: answer.value.nodes.map(nodeFrom) };
      case 'modules':
        return { kind: 'modules', term, modules: answer.value.modules.map(versionFrom) };
      case 'deployments':
        return { kind: 'deployments', term, deployments: answer.value.deployments.map(deploymentViewFrom) };
      case 'instances':
        return { kind: 'instances', term, instances: answer.value.instances.map(instanceFrom) };
      case 'trust':
        return { kind: 'trust', term, keys: answer.value.keys.map((key) => trustedKeyFrom(key, 'keys')) };
      default:
        return wrong('answer', 'an answer, found none');
    }
  });
}
