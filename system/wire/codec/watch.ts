// Codec of the stream on which an operator watches. Decoders accept any bytes and never throw.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { Term } from '../../domain/identifiers.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { WATCH_KINDS, type EndedMessage, type WatchMessage, type WatchRequest } from '../../domain/watch.ts';
import {
  WatchMessageSchema,
  WatchRequestSchema,
  type Ended as WireEnded,
  type EndedSchema,
  type WatchMessage as WireMessage,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import { decodeWith, encodeWith, errorCode, oneOf, optional, orNull, text, whole, wrong } from './fields.ts';
import { cellFrom, cellTo } from './matrix.ts';
import { trustedKeyFrom, trustedKeyTo } from './parts.ts';
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

export function encodeWatchRequest({ kind, after }: WatchRequest): Uint8Array {
  const cursor = after === null ? null : { sequence: BigInt(after.sequence), part: BigInt(after.part) };
  return encodeWith(WatchRequestSchema, { kind, ...optional('after', cursor) });
}

export function decodeWatchRequest(bytes: Uint8Array): Outcome<WatchRequest> {
  return decodeWith(WatchRequestSchema, bytes, (wire) => ({
    kind: oneOf(wire.kind, 'kind', WATCH_KINDS),
    after: orNull(wire.after, ({ sequence, part }) => ({ sequence: whole(sequence, 'after.sequence'), part: whole(part, 'after.part') })),
  }));
}

export function endedTo({ code, message, next }: EndedMessage): MessageInitShape<typeof EndedSchema> {
  return { code, message, next };
}

export function endedFrom(wire: WireEnded): EndedMessage {
  return {
    kind: 'ended',
    code: errorCode(wire.code, 'ended.code'),
    message: text(wire.message, 'ended.message'),
    next: text(wire.next, 'ended.next'),
  };
}

type WireBody = NonNullable<MessageInitShape<typeof WatchMessageSchema>['message']>;

function bodyTo(message: WatchMessage): WireBody {
  switch (message.kind) {
    case 'nodes':
      return { case: 'nodes', value: { nodes: message.upserts.map(nodeTo) } };
    case 'modules':
      return { case: 'modules', value: { modules: message.upserts.map(versionTo) } };
    case 'deployments':
      return { case: 'deployments', value: { deployments: message.upserts.map(deploymentViewTo) } };
    case 'instances':
      return { case: 'instances', value: { instances: message.upserts.map(instanceTo) } };
    case 'trust':
      return { case: 'trust', value: { keys: message.upserts.map(trustedKeyTo) } };
    case 'matrix':
      return { case: 'matrix', value: { cells: message.upserts.map(cellTo) } };
    case 'events':
      return { case: 'events', value: { events: message.events.map(eventTo) } };
    case 'ended':
      return { case: 'ended', value: endedTo(message) };
  }
}

export function encodeWatchMessage(message: WatchMessage): Uint8Array {
  const body = bodyTo(message);
  if (message.kind === 'ended') return encodeWith(WatchMessageSchema, { message: body });
  const { term, sequence, phase, more } = message;
  return encodeWith(WatchMessageSchema, {
    term: BigInt(term),
    sequence: BigInt(sequence),
    phase,
    more,
    removals: message.kind === 'events' ? [] : [...message.removals],
    gap: message.kind === 'events' && message.gap,
    message: body,
  });
}

export function decodeWatchMessage(bytes: Uint8Array): Outcome<WatchMessage> {
  return decodeWith(WatchMessageSchema, bytes, messageFrom);
}

function messageFrom(wire: WireMessage): WatchMessage {
  const { message } = wire;
  if (message.case === 'ended') return endedFrom(message.value);
  const frame = {
    term: whole(wire.term, 'term') as Term,
    sequence: whole(wire.sequence, 'sequence'),
    phase: oneOf(wire.phase, 'phase', ['present', 'change']),
    more: wire.more,
  };
  const removals = wire.removals.map((key) => text(key, 'removals', 256));
  switch (message.case) {
    case 'nodes':
      return { ...frame, kind: 'nodes', upserts: message.value.nodes.map(nodeFrom), removals };
    case 'modules':
      return { ...frame, kind: 'modules', upserts: message.value.modules.map(versionFrom), removals };
    case 'deployments':
      return { ...frame, kind: 'deployments', upserts: message.value.deployments.map(deploymentViewFrom), removals };
    case 'instances':
      return { ...frame, kind: 'instances', upserts: message.value.instances.map(instanceFrom), removals };
    case 'trust':
      return { ...frame, kind: 'trust', upserts: message.value.keys.map((key) => trustedKeyFrom(key, 'keys')), removals };
    case 'matrix':
      return { ...frame, kind: 'matrix', upserts: message.value.cells.map(cellFrom), removals };
    case 'events':
      return { ...frame, kind: 'events', events: message.value.events.map(eventFrom), gap: wire.gap };
    default:
      return wrong('message', 'a kind of state, events or ended, found none');
  }
}
