// How an outcome travels over gRPC: a status that any client understands, and beside it the exact `WmError` for ours. What
// comes from a peer is checked: an error that is none of ours is told as what the status alone says.
import { Metadata, status } from '@grpc/grpc-js';
import type { StatusObject } from '@grpc/grpc-js';
import { WM_ERRORS } from '../../system/domain/errors.ts';
import type { ErrorCode } from '../../system/domain/errors.ts';
import { describeError, failed, rejected, unknown } from '../../system/domain/outcome.ts';
import type { Err, WmError } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';

/** Trailing metadata with the `WmError` as JSON. */
export const ERROR_KEY = 'wm-error-bin';
/** Bound: bytes of an error on the wire. Trailers are headers, of which peers accept little; a longer message is cut. */
export const ERROR_BYTES_MAX = 8 * 1024;
const MESSAGE_LENGTH_CUT = 1_024;

const STATUS_OF: Partial<Record<ErrorCode, status>> = {
  WM_NODE_REFUSED: status.PERMISSION_DENIED,
  WM_CERTIFICATE_REFUSED: status.UNAUTHENTICATED,
  WM_NOT_FOUND: status.NOT_FOUND,
  WM_CONFLICT: status.ABORTED,
  WM_BUS_FULL: status.RESOURCE_EXHAUSTED,
  WM_MESSAGE_TOO_LARGE: status.RESOURCE_EXHAUSTED,
  WM_DEADLINE: status.DEADLINE_EXCEEDED,
  WM_CANCELLED: status.CANCELLED,
};

function codeOf({ kind, code }: WmError): status {
  const named = STATUS_OF[code];
  if (named !== undefined) return named;
  if (kind === 'failed') return status.UNAVAILABLE;
  if (kind === 'unknown') return status.UNKNOWN;
  return code === 'WM_ARGUMENT' || code.endsWith('_INVALID') ? status.INVALID_ARGUMENT : status.FAILED_PRECONDITION;
}

export function encodeStatus(error: WmError): StatusObject {
  const metadata = new Metadata();
  const cut = (text: string): string => text.slice(0, MESSAGE_LENGTH_CUT);
  let bytes = Buffer.from(JSON.stringify(error));
  if (bytes.length > ERROR_BYTES_MAX) {
    bytes = Buffer.from(JSON.stringify({ ...error, message: `${cut(error.message)} (cut)`, next: cut(error.next), detail: {} }));
  }
  metadata.set(ERROR_KEY, bytes);
  // A header cannot hold half a surrogate pair.
  return { code: codeOf(error), details: cut(describeError(error)).toWellFormed(), metadata };
}

function decodeError(metadata: Metadata): WmError | null {
  const [bytes] = metadata.get(ERROR_KEY);
  if (!Buffer.isBuffer(bytes) || bytes.length > 2 * ERROR_BYTES_MAX) return null;
  try {
    const error: unknown = JSON.parse(bytes.toString('utf8'));
    return isError(error) ? { kind: error.kind, code: error.code, message: error.message, next: error.next, detail: error.detail } : null;
  } catch {
    return null;
  }
}

function isError(value: unknown): value is WmError {
  if (typeof value !== 'object' || value === null) return false;
  const { kind, code, message, next, detail } = value as Partial<Record<keyof WmError, unknown>>;
  return (
    (kind === 'rejected' || kind === 'failed' || kind === 'unknown') &&
    typeof code === 'string' &&
    Object.hasOwn(WM_ERRORS, code) &&
    typeof message === 'string' &&
    typeof next === 'string' &&
    typeof detail === 'object' &&
    detail !== null &&
    Object.values(detail).every((fact) => ['string', 'number', 'boolean'].includes(typeof fact))
  );
}

/** What a status that is not OK means to the caller of `method`. Something was sent, so whatever is not certain is unknown. */
export function decodeStatus(received: StatusObject, peer: string, method: string): Err {
  const error = decodeError(received.metadata);
  if (error !== null) return { ok: false, error };
  const detail = { peer, method };
  switch (received.code) {
    case status.UNIMPLEMENTED:
      return rejected('WM_MESSAGE_INVALID', {
        message: `${peer} has no method ${method}.`,
        next: 'Update the older side, or correct the method.',
        detail,
      });
    case status.RESOURCE_EXHAUSTED:
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `A message of ${method} is too large, says ${peer}: ${received.details}.`,
        next: 'Send less, or in parts.',
        detail,
      });
    case status.UNAUTHENTICATED:
      return certificateRefused(`${peer} does not know this machine: ${received.details}.`, detail);
    case status.DEADLINE_EXCEEDED:
      return unknown('WM_DEADLINE', {
        message: `${peer} did not answer ${method} before its deadline.`,
        next: 'Observe whether it happened before repeating it.',
        detail,
      });
    default:
      return connectionLost(peer, received.details);
  }
}

export function connectionLost(peer: string, why: string): Err {
  return unknown('WM_CONNECTION_LOST', {
    message: `The connection to ${peer} was lost: ${why}.`,
    next: 'Observe whether what was sent arrived before repeating it.',
    detail: { peer },
  });
}

export function tooLarge(bytes: number): Err {
  return rejected('WM_MESSAGE_TOO_LARGE', {
    message: `A message of ${bytes} bytes is larger than ${MESSAGE_BYTES_MAX}.`,
    next: 'Send it in parts.',
    detail: { bytes },
  });
}

export function unreachable(where: string, why: string): Err {
  return failed('WM_UNREACHABLE', {
    message: `${where} could not be reached: ${why}.`,
    next: 'Try again with backoff.',
    detail: { where },
  });
}

const ENROL_OR_RENEW = 'Enrol the machine again, or renew its certificate; check that its clock is right.';

export function certificateRefused(message: string, detail: WmError['detail'], next = ENROL_OR_RENEW): Err {
  return rejected('WM_CERTIFICATE_REFUSED', { message, next, detail });
}
