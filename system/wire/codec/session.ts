// Codec of the session between agent and controller and of artefact fetches. Decoders accept any bytes and never throw.
import type { MessageInitShape } from '@bufbuild/protobuf';
import { describeCapability, parseCapability } from '../../domain/capability.ts';
import type { Epoch, Incarnation, Term } from '../../domain/identifiers.ts';
import { ok, type Outcome } from '../../domain/outcome.ts';
import type {
  AgentMessage,
  Assignment,
  ControllerMessage,
  FetchReply,
  FetchRequest,
  InstanceReport,
  ModuleGrant,
  TriggerBinding,
} from '../../domain/session.ts';
import {
  AgentMessageSchema,
  ControllerMessageSchema,
  FetchReplySchema,
  FetchRequestSchema,
  type Assignment as WireAssignment,
  type AssignmentSchema,
  type Desired as WireDesired,
  type Heartbeat as WireHeartbeat,
  type Hello as WireHello,
  type InstanceReport as WireReport,
  type InstanceReportSchema,
  type ModuleGrant as WireGrant,
} from '../generated/wasmmatrix/v1/session_pb.js';
import {
  branded,
  decodeWith,
  digest,
  encodeWith,
  errorCode,
  instanceId,
  name,
  oneOf,
  optional,
  orNull,
  present,
  subject,
  text,
  whole,
  wrong,
} from './fields.ts';
import {
  artefactFrom,
  artefactTo,
  degrees,
  factsFrom,
  factsTo,
  lineFrom,
  lineTo,
  loadFrom,
  loadTo,
  manifestFrom,
  manifestTo,
  signatureFrom,
  signatureTo,
  trustedKeyFrom,
  trustedKeyTo,
} from './parts.ts';
import { decodeAcknowledgement, decodeHeartbeat, encodeAcknowledgement, encodeHeartbeat } from './heartbeat.ts';

function reportTo(report: InstanceReport): MessageInitShape<typeof InstanceReportSchema> {
  return {
    instance: report.instance,
    epoch: BigInt(report.epoch),
    state: report.state,
    version: report.version,
    cause: report.cause,
    ...optional('code', report.code),
  };
}

function reportFrom(wire: WireReport): InstanceReport {
  return {
    instance: instanceId(wire.instance, 'report.instance'),
    epoch: whole(wire.epoch, 'report.epoch') as Epoch,
    state: oneOf(wire.state, 'report.state', ['running', 'failed', 'stopped']),
    version: wire.version,
    cause: text(wire.cause, 'report.cause'),
    code: orNull(wire.code, (code) => errorCode(code, 'report.code')),
  };
}

export function encodeAgentMessage(message: AgentMessage): Uint8Array {
  return (message.kind === 'heartbeat' ? encodeHeartbeat(message) : null) ?? encodeAnyAgentMessage(message);
}

/** By the generic codec. */
export function encodeAnyAgentMessage(message: AgentMessage): Uint8Array {
  switch (message.kind) {
    case 'hello':
      return encodeWith(AgentMessageSchema, {
        message: {
          case: 'hello',
          value: {
            facts: factsTo(message.facts),
            joinToken: message.joinToken,
            bootId: message.bootId,
            ...optional('incarnation', message.incarnation === null ? null : BigInt(message.incarnation)),
            instances: message.instances.map(reportTo),
            artefacts: [...message.artefacts],
          },
        },
      });
    case 'heartbeat':
      return encodeWith(AgentMessageSchema, {
        message: {
          case: 'heartbeat',
          value: {
            sequence: BigInt(message.sequence),
            load: loadTo(message.load),
            latencies: message.latencies.map(({ landmark, rttMicros }) => ({ landmark, rttMicros: BigInt(rttMicros) })),
          },
        },
      });
    case 'instance':
      return encodeWith(AgentMessageSchema, { message: { case: 'instance', value: reportTo(message.report) } });
    case 'refusal':
      return encodeWith(AgentMessageSchema, {
        message: { case: 'refusal', value: { code: message.code, subject: message.subject, message: message.message } },
      });
    case 'moved':
      return encodeWith(AgentMessageSchema, { message: { case: 'moved', value: message.location } });
    case 'logs': {
      const dropped = message.dropped.map(({ instance, lines }) => ({ instance, lines: BigInt(lines) }));
      return encodeWith(AgentMessageSchema, { message: { case: 'logs', value: { lines: message.lines.map(lineTo), dropped } } });
    }
  }
}

export function decodeAgentMessage(bytes: Uint8Array): Outcome<AgentMessage> {
  const heartbeat = decodeHeartbeat(bytes);
  return heartbeat === null ? decodeAnyAgentMessage(bytes) : ok<AgentMessage>(heartbeat);
}

/** By the generic codec. */
export function decodeAnyAgentMessage(bytes: Uint8Array): Outcome<AgentMessage> {
  return decodeWith(AgentMessageSchema, bytes, ({ message }): AgentMessage => {
    switch (message.case) {
      case 'hello':
        return helloFrom(message.value);
      case 'heartbeat':
        return heartbeatFrom(message.value);
      case 'instance':
        return { kind: 'instance', report: reportFrom(message.value) };
      case 'refusal':
        return {
          kind: 'refusal',
          code: errorCode(message.value.code, 'refusal.code'),
          subject: text(message.value.subject, 'refusal.subject'),
          message: text(message.value.message, 'refusal.message'),
        };
      case 'moved': {
        const { latitude, longitude } = message.value;
        return {
          kind: 'moved',
          location: { latitude: degrees(latitude, 90, 'moved.latitude'), longitude: degrees(longitude, 180, 'moved.longitude') },
        };
      }
      case 'logs':
        return {
          kind: 'logs',
          lines: message.value.lines.map((line) => lineFrom(line, 'logs.lines')),
          dropped: message.value.dropped.map(({ instance, lines }) => ({
            instance: instanceId(instance, 'logs.dropped.instance'),
            lines: whole(lines, 'logs.dropped.lines'),
          })),
        };
      default:
        return wrong('message', 'hello, heartbeat, instance, refusal, logs or moved, found none');
    }
  });
}

function helloFrom(wire: WireHello): AgentMessage {
  return {
    kind: 'hello',
    facts: factsFrom(present(wire.facts, 'hello.facts'), 'hello.facts'),
    joinToken: text(wire.joinToken, 'hello.join_token', 512),
    bootId: branded(wire.bootId, 'hello.boot_id'),
    incarnation: orNull(wire.incarnation, (incarnation) => whole(incarnation, 'hello.incarnation') as Incarnation),
    instances: wire.instances.map(reportFrom),
    artefacts: wire.artefacts.map((artefact) => digest(artefact, 'hello.artefacts')),
  };
}

function heartbeatFrom(wire: WireHeartbeat): AgentMessage {
  return {
    kind: 'heartbeat',
    sequence: whole(wire.sequence, 'heartbeat.sequence'),
    load: loadFrom(present(wire.load, 'heartbeat.load'), 'heartbeat.load'),
    latencies: wire.latencies.map(({ landmark, rttMicros }) => ({
      landmark: name<'NodeId'>(landmark, 'heartbeat.latencies.landmark'),
      rttMicros: whole(rttMicros, 'heartbeat.latencies.rtt_micros'),
    })),
  };
}

function assignmentTo(assignment: Assignment): MessageInitShape<typeof AssignmentSchema> {
  return {
    instance: assignment.instance,
    epoch: BigInt(assignment.epoch),
    deployment: assignment.deployment,
    module: assignment.module,
    version: assignment.version,
    grants: assignment.grants.map(describeCapability),
    concurrency: assignment.concurrency,
    triggers: assignment.triggers.map(({ trigger, consumer, result, ackWaitMs }) => ({
      trigger,
      consumer,
      ackWaitMs,
      ...optional('result', result),
    })),
    movable: assignment.movable,
  };
}

function assignmentFrom(wire: WireAssignment): Assignment {
  return {
    instance: instanceId(wire.instance, 'assignment.instance'),
    epoch: whole(wire.epoch, 'assignment.epoch') as Epoch,
    deployment: name(wire.deployment, 'assignment.deployment'),
    module: name(wire.module, 'assignment.module'),
    version: wire.version,
    grants: wire.grants.map((grant) => parseCapability(grant) ?? wrong('assignment.grants', `a capability, found '${grant.slice(0, 80)}'`)),
    concurrency: wire.concurrency > 0 ? wire.concurrency : wrong('assignment.concurrency', 'at least 1'),
    triggers: wire.triggers.map((binding): TriggerBinding => ({
      trigger: name(binding.trigger, 'assignment.triggers.trigger'),
      consumer: branded(binding.consumer, 'assignment.triggers.consumer'),
      result: orNull(binding.result, (result) => subject(result, 'assignment.triggers.result')),
      ackWaitMs: binding.ackWaitMs,
    })),
    movable: wire.movable,
  };
}

function grantFrom(wire: WireGrant): ModuleGrant {
  return {
    version: wire.version,
    manifest: manifestFrom(present(wire.manifest, 'modules.manifest'), 'modules.manifest'),
    signature: signatureFrom(present(wire.signature, 'modules.signature'), 'modules.signature'),
    artefact: artefactFrom(present(wire.artefact, 'modules.artefact'), 'modules.artefact'),
  };
}

export function encodeControllerMessage(message: ControllerMessage): Uint8Array {
  return (message.kind === 'heartbeat-ack' ? encodeAcknowledgement(message) : null) ?? encodeAnyControllerMessage(message);
}

/** By the generic codec. */
export function encodeAnyControllerMessage(message: ControllerMessage): Uint8Array {
  switch (message.kind) {
    case 'welcome':
      return encodeWith(ControllerMessageSchema, {
        message: {
          case: 'welcome',
          value: {
            term: BigInt(message.term),
            incarnation: BigInt(message.incarnation),
            heartbeatIntervalMs: message.heartbeatIntervalMs,
            leaseMs: message.leaseMs,
            controllerKey: trustedKeyTo(message.controllerKey),
          },
        },
      });
    case 'refused':
      return encodeWith(ControllerMessageSchema, {
        message: { case: 'refused', value: { code: message.code, message: message.message, next: message.next } },
      });
    case 'heartbeat-ack':
      return encodeWith(ControllerMessageSchema, {
        message: {
          case: 'heartbeatAck',
          value: { term: BigInt(message.term), sequence: BigInt(message.sequence), leaseMs: message.leaseMs },
        },
      });
    case 'desired':
      return encodeWith(ControllerMessageSchema, {
        message: {
          case: 'desired',
          value: {
            term: BigInt(message.term),
            revision: BigInt(message.revision),
            trust: message.trust.map(trustedKeyTo),
            modules: message.modules.map(({ version, manifest, signature, artefact }) => ({
              version,
              manifest: manifestTo(manifest),
              signature: signatureTo(signature),
              artefact: artefactTo(artefact),
            })),
            assignments: message.assignments.map(assignmentTo),
            landmarks: message.landmarks.map(({ node, endpoint }) => ({ node, endpoint })),
            withdrawn: message.withdrawn.map(({ instance, epoch, version }) => ({ instance, epoch: BigInt(epoch), version })),
          },
        },
      });
  }
}

export function decodeControllerMessage(bytes: Uint8Array): Outcome<ControllerMessage> {
  const acknowledgement = decodeAcknowledgement(bytes);
  return acknowledgement === null ? decodeAnyControllerMessage(bytes) : ok<ControllerMessage>(acknowledgement);
}

/** By the generic codec. */
export function decodeAnyControllerMessage(bytes: Uint8Array): Outcome<ControllerMessage> {
  return decodeWith(ControllerMessageSchema, bytes, ({ message }): ControllerMessage => {
    switch (message.case) {
      case 'welcome':
        return {
          kind: 'welcome',
          term: whole(message.value.term, 'welcome.term') as Term,
          incarnation: whole(message.value.incarnation, 'welcome.incarnation') as Incarnation,
          heartbeatIntervalMs:
            message.value.heartbeatIntervalMs > 0
              ? message.value.heartbeatIntervalMs
              : wrong('welcome.heartbeat_interval_ms', 'at least 1'),
          leaseMs: message.value.leaseMs,
          controllerKey: trustedKeyFrom(present(message.value.controllerKey, 'welcome.controller_key'), 'welcome.controller_key'),
        };
      case 'refused':
        return {
          kind: 'refused',
          code: errorCode(message.value.code, 'refused.code'),
          message: text(message.value.message, 'refused.message'),
          next: text(message.value.next, 'refused.next'),
        };
      case 'heartbeatAck':
        return {
          kind: 'heartbeat-ack',
          term: whole(message.value.term, 'heartbeat_ack.term') as Term,
          sequence: whole(message.value.sequence, 'heartbeat_ack.sequence'),
          leaseMs: message.value.leaseMs,
        };
      case 'desired':
        return desiredFrom(message.value);
      default:
        return wrong('message', 'welcome, refused, heartbeat_ack or desired, found none');
    }
  });
}

function desiredFrom(wire: WireDesired): ControllerMessage {
  return {
    kind: 'desired',
    term: whole(wire.term, 'desired.term') as Term,
    revision: whole(wire.revision, 'desired.revision'),
    trust: wire.trust.map((key) => trustedKeyFrom(key, 'desired.trust')),
    modules: wire.modules.map(grantFrom),
    assignments: wire.assignments.map(assignmentFrom),
    landmarks: wire.landmarks.map((landmark) => ({
      node: name(landmark.node, 'desired.landmarks.node'),
      endpoint: branded(landmark.endpoint, 'desired.landmarks.endpoint'),
    })),
    withdrawn: wire.withdrawn.map((gone) => ({
      instance: instanceId(gone.instance, 'desired.withdrawn.instance'),
      epoch: whole(gone.epoch, 'desired.withdrawn.epoch') as Epoch,
      version: gone.version,
    })),
  };
}

export function encodeFetchRequest(request: FetchRequest): Uint8Array {
  return encodeWith(FetchRequestSchema, { artefact: request.artefact, offset: BigInt(request.offset), bytesMax: request.bytesMax });
}

export function decodeFetchRequest(bytes: Uint8Array): Outcome<FetchRequest> {
  return decodeWith(FetchRequestSchema, bytes, (wire) => ({
    artefact: digest(wire.artefact, 'artefact'),
    offset: whole(wire.offset, 'offset'),
    bytesMax: wire.bytesMax > 0 ? wire.bytesMax : wrong('bytes_max', 'at least 1'),
  }));
}

export function encodeFetchReply(reply: FetchReply): Uint8Array {
  return encodeWith(FetchReplySchema, { sizeBytes: BigInt(reply.sizeBytes), offset: BigInt(reply.offset), bytes: reply.bytes });
}

export function decodeFetchReply(bytes: Uint8Array): Outcome<FetchReply> {
  return decodeWith(FetchReplySchema, bytes, (wire) => ({
    sizeBytes: whole(wire.sizeBytes, 'size_bytes'),
    offset: whole(wire.offset, 'offset'),
    bytes: wire.bytes,
  }));
}
