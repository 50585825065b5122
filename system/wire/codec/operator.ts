// Codec of the operator API: requests, replies, queries, answers. Decoders accept any bytes and never throw.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Term } from '../../domain/identifiers.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply, OperatorRequest } from '../../domain/operator.ts';
import type { Outcome } from '../../domain/outcome.ts';
import {
  OperatorAnswerSchema,
  OperatorQuerySchema,
  OperatorReplySchema,
  OperatorRequestSchema,
  type ModulePush as WirePush,
  type OperatorRequest as WireRequest,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import { branded, bytesOf, decodeWith, encodeWith, name, oneOf, optional, orNull, present, text, whole, wrong } from './fields.ts';
import {
  capabilitiesFrom,
  manifestFrom,
  manifestTo,
  notAfterFrom,
  notAfterTo,
  signatureFrom,
  signatureTo,
  trustedKeyFrom,
  trustedKeyTo,
} from './parts.ts';
import { cellFrom, cellTo } from './matrix.ts';
import { deploymentPlanFrom, deploymentPlanTo, triggerPlanFrom, triggerPlanTo } from './plan.ts';
import { deploymentFrom, deploymentTo, triggerFrom, triggerTo } from './specs.ts';
import {
  deploymentViewFrom,
  deploymentViewTo,
  eventFrom,
  eventTo,
  instanceFrom,
  instanceTo,
  nodeFrom,
  nodeTo,
  versionFrom,
  versionTo,
} from './views.ts';

const QUERIES: readonly OperatorQuery['kind'][] = ['nodes', 'modules', 'deployments', 'instances', 'trust', 'events', 'matrix', 'plan'];

type WireCommand = NonNullable<MessageInitShape<typeof OperatorRequestSchema>['command']>;

function commandTo(command: OperatorCommand): WireCommand {
  switch (command.kind) {
    case 'trust-add':
      return {
        case: 'trustAdd',
        value: { publicKey: command.publicKey, mayGrant: [...command.mayGrant], ...notAfterTo(command.notAfterMs) },
      };
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
    case 'node-undrain':
      return { case: 'nodeUndrain', value: { node: command.node } };
    case 'node-remove':
      return { case: 'nodeRemove', value: { node: command.node } };
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
        ...notAfterFrom(command.value.notAfterMs, 'not_after_ms'),
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
    case 'nodeUndrain':
      return { kind: 'node-undrain', node: name(command.value.node, 'node') };
    case 'nodeRemove':
      return { kind: 'node-remove', node: name(command.value.node, 'node') };
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
  if (query.kind !== 'plan') return encodeWith(OperatorQuerySchema, { kind: query.kind });
  const { kind, deployments, triggers } = query;
  return encodeWith(OperatorQuerySchema, { kind, deployments: deployments.map(deploymentTo), triggers: triggers.map(triggerTo) });
}

export function decodeOperatorQuery(bytes: Uint8Array): Outcome<OperatorQuery> {
  return decodeWith(OperatorQuerySchema, bytes, (wire): OperatorQuery => {
    const kind = oneOf(wire.kind, 'kind', QUERIES);
    if (kind !== 'plan') return { kind };
    return { kind, deployments: wire.deployments.map(deploymentFrom), triggers: wire.triggers.map(triggerFrom) };
  });
}

type WireAnswer = NonNullable<MessageInitShape<typeof OperatorAnswerSchema>['answer']>;

function answerTo(answer: OperatorAnswer): WireAnswer {
  switch (answer.kind) {
    case 'nodes':
      return {
        case: 'nodes',
        value: { nodes: answer.nodes.map(nodeTo) },
      };
    case 'modules':
      return {
        case: 'modules',
        value: { modules: answer.modules.map(versionTo) },
      };
    case 'deployments':
      return { case: 'deployments', value: { deployments: answer.deployments.map(deploymentViewTo) } };
    case 'instances':
      return { case: 'instances', value: { instances: answer.instances.map(instanceTo) } };
    case 'trust':
      return { case: 'trust', value: { keys: answer.keys.map(trustedKeyTo) } };
    case 'events':
      return { case: 'events', value: { events: answer.events.map(eventTo) } };
    case 'matrix':
      return { case: 'matrix', value: { cells: answer.cells.map(cellTo) } };
    case 'plan':
      return {
        case: 'plan',
        value: { deployments: answer.deployments.map(deploymentPlanTo), triggers: answer.triggers.map(triggerPlanTo) },
      };
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
      case 'events':
        return { kind: 'events', term, events: answer.value.events.map(eventFrom) };
      case 'matrix':
        return { kind: 'matrix', term, cells: answer.value.cells.map(cellFrom) };
      case 'plan':
        return {
          kind: 'plan',
          term,
          deployments: answer.value.deployments.map(deploymentPlanFrom),
          triggers: answer.value.triggers.map(triggerPlanFrom),
        };
      default:
        return wrong('answer', 'an answer, found none');
    }
  });
}
