// Codec of enrolment. What arrives here comes from peers that nobody knows yet: every list and text is bounded.
import type {
  BusSettings,
  EnrolReply,
  EnrolRequest,
  RenewRequest,
  RevokeReply,
  RevokeRequest,
  TokensReply,
  TokensRequest,
} from '../../domain/enrolment.ts';
import { TOKEN_ROLES, TOKEN_SECRET_BYTES } from '../../domain/enrolment.ts';
import type { Outcome } from '../../domain/outcome.ts';
import {
  EnrolReplySchema,
  EnrolRequestSchema,
  RenewRequestSchema,
  RevokeReplySchema,
  RevokeRequestSchema,
  TokensReplySchema,
  TokensRequestSchema,
  type EnrolReply as WireReply,
} from '../generated/wasmmatrix/v1/enrolment_pb.js';
import { bytesOf, decodeWith, encodeWith, oneOf, optional, orNull, text, whole, wrong } from './fields.ts';

/** Bound: characters of a name and of a host. */
const NAME_LENGTH_MAX = 253;
/** Bound: characters of the beginning of names at NATS. */
const PREFIX_LENGTH_MAX = 63;
/** Bound: bytes of a public key; ECDSA on the largest curve needs a third of it. */
const PUBLIC_KEY_BYTES_MAX = 512;
/** Bound: hosts, servers, authorities in a message. */
const LIST_LENGTH_MAX = 16;
/** Bound: characters of a certificate, and of a join token. */
const PEM_LENGTH_MAX = 16_384;
/** Bound: serial numbers and tokens in an answer. */
const ANSWER_LENGTH_MAX = 4_096;

function list(values: readonly string[], field: string, lengthMax = NAME_LENGTH_MAX, countMax = LIST_LENGTH_MAX): string[] {
  if (values.length > countMax) wrong(field, `at most ${countMax} of them, found ${values.length}`);
  return values.map((value) => text(value, field, lengthMax));
}

function keyFrom(publicKey: Uint8Array): Uint8Array {
  return publicKey.length <= PUBLIC_KEY_BYTES_MAX
    ? publicKey
    : wrong('public_key', `at most ${PUBLIC_KEY_BYTES_MAX} bytes, found ${publicKey.length}`);
}

export function encodeEnrolRequest(request: EnrolRequest): Uint8Array {
  return encodeWith(EnrolRequestSchema, { ...request, hosts: [...request.hosts] });
}

export function decodeEnrolRequest(bytes: Uint8Array): Outcome<EnrolRequest> {
  return decodeWith(EnrolRequestSchema, bytes, ({ name, secret, publicKey, hosts }) => ({
    name: text(name, 'name', NAME_LENGTH_MAX),
    secret: bytesOf(secret, 'secret', TOKEN_SECRET_BYTES),
    publicKey: keyFrom(publicKey),
    hosts: list(hosts, 'hosts'),
  }));
}

function busFrom(bus: WireReply['bus']): BusSettings | null {
  if (bus.case === undefined) return null;
  const { servers, user, password, prefix } = bus.value;
  return {
    kind: bus.case,
    servers: list(servers, 'nats.servers'),
    user: orNull(user, (value) => text(value, 'nats.user')),
    password: orNull(password, (value) => text(value, 'nats.password')),
    prefix: text(prefix, 'nats.prefix', PREFIX_LENGTH_MAX),
  };
}

export function encodeEnrolReply({ certificate, authorities, notAfterMs, renewAtMs, bus }: EnrolReply): Uint8Array {
  return encodeWith(EnrolReplySchema, {
    certificate,
    authorities: [...authorities],
    notAfterMs: BigInt(notAfterMs),
    renewAtMs: BigInt(renewAtMs),
    ...(bus === null
      ? {}
      : {
          bus: {
            case: bus.kind,
            value: { servers: [...bus.servers], prefix: bus.prefix, ...optional('user', bus.user), ...optional('password', bus.password) },
          },
        }),
  });
}

export function decodeEnrolReply(bytes: Uint8Array): Outcome<EnrolReply> {
  return decodeWith(EnrolReplySchema, bytes, ({ certificate, authorities, notAfterMs, renewAtMs, bus }) => ({
    certificate: text(certificate, 'certificate', PEM_LENGTH_MAX),
    authorities: list(authorities, 'authorities', PEM_LENGTH_MAX),
    notAfterMs: whole(notAfterMs, 'not_after_ms'),
    renewAtMs: whole(renewAtMs, 'renew_at_ms'),
    bus: busFrom(bus),
  }));
}

export function encodeRenewRequest({ publicKey, hosts }: RenewRequest): Uint8Array {
  return encodeWith(RenewRequestSchema, { publicKey, hosts: [...hosts] });
}

export function decodeRenewRequest(bytes: Uint8Array): Outcome<RenewRequest> {
  return decodeWith(RenewRequestSchema, bytes, ({ publicKey, hosts }) => ({ publicKey: keyFrom(publicKey), hosts: list(hosts, 'hosts') }));
}

export function encodeRevokeRequest(request: RevokeRequest): Uint8Array {
  return encodeWith(RevokeRequestSchema, request);
}

export function decodeRevokeRequest(bytes: Uint8Array): Outcome<RevokeRequest> {
  return decodeWith(RevokeRequestSchema, bytes, ({ name }) => ({ name: text(name, 'name', NAME_LENGTH_MAX) }));
}

export function encodeRevokeReply({ serials }: RevokeReply): Uint8Array {
  return encodeWith(RevokeReplySchema, { serials: [...serials] });
}

export function decodeRevokeReply(bytes: Uint8Array): Outcome<RevokeReply> {
  return decodeWith(RevokeReplySchema, bytes, ({ serials }) => ({
    serials: list(serials, 'serials', NAME_LENGTH_MAX, ANSWER_LENGTH_MAX),
  }));
}

export function encodeTokensRequest(request: TokensRequest): Uint8Array {
  return encodeWith(TokensRequestSchema, {
    action: request.kind === 'list' ? { case: 'list', value: {} } : { case: request.kind, value: { role: request.role } },
  });
}

export function decodeTokensRequest(bytes: Uint8Array): Outcome<TokensRequest> {
  return decodeWith(TokensRequestSchema, bytes, ({ action }): TokensRequest => {
    switch (action.case) {
      case undefined:
        return wrong('action', 'list, current, create or rotate, found none');
      case 'list':
        return { kind: 'list' };
      default:
        return { kind: action.case, role: oneOf(action.value.role, `${action.case}.role`, TOKEN_ROLES) };
    }
  });
}

export function encodeTokensReply({ tokens, token }: TokensReply): Uint8Array {
  return encodeWith(TokensReplySchema, {
    tokens: tokens.map(({ id, role, createdAtMs }) => ({ id, role, createdAtMs: BigInt(createdAtMs) })),
    ...optional('token', token),
  });
}

export function decodeTokensReply(bytes: Uint8Array): Outcome<TokensReply> {
  return decodeWith(TokensReplySchema, bytes, ({ tokens, token }) => {
    if (tokens.length > ANSWER_LENGTH_MAX) wrong('tokens', `at most ${ANSWER_LENGTH_MAX} of them, found ${tokens.length}`);
    return {
      tokens: tokens.map(({ id, role, createdAtMs }) => ({
        id: text(id, 'tokens.id', NAME_LENGTH_MAX),
        role: oneOf(role, 'tokens.role', TOKEN_ROLES),
        createdAtMs: whole(createdAtMs, 'tokens.created_at_ms'),
      })),
      token: orNull(token, (value) => text(value, 'token', PEM_LENGTH_MAX)),
    };
  });
}
