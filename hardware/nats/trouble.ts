// What a NATS client or server says when something is wrong, as outcomes with a sentence that helps.
import { JetStreamApiError } from '@nats-io/jetstream';
import {
  AuthorizationError,
  ClosedConnectionError,
  DrainingConnectionError,
  NoRespondersError,
  PermissionViolationError,
  RequestError,
  TimeoutError,
  UserAuthenticationExpiredError,
} from '@nats-io/transport-node';
import { failed, rejected, unknown, type Err } from '../../system/domain/outcome.ts';

/** JetStream's own numbers for what this module has words for. */
export const JETSTREAM = {
  notEnabled: 10076,
  notEnabledForAccount: 10039,
  insufficientResources: 10023,
  storageExceeded: 10047,
  consumerNotFound: 10014,
  streamNotFound: 10059,
  noMessage: 10037,
  wrongLastSequence: 10071,
  wrongLastSequenceConstant: 10164,
  storeFailed: 10077,
  duplicateInProcess: 10158,
  maximumConsumers: 10026,
} as const;

/** JetStream's numbers from here on are trouble of its own, not of the request. */
const HTTP_SERVER_ERRORS = 500;

function causeOf(error: unknown): unknown {
  return error instanceof RequestError && error.cause !== undefined ? error.cause : error;
}

function isRefusal(error: unknown): boolean {
  return error instanceof AuthorizationError || error instanceof UserAuthenticationExpiredError;
}

export function describeConnectTrouble(
  error: unknown,
  options: { readonly servers: readonly string[]; readonly credentials: { readonly kind: string } },
): Err {
  const servers = options.servers.join(', ');
  const { message, code } = error as { readonly message: string; readonly code?: string };
  if (isRefusal(error) || isRefusal((error as Error).cause)) {
    return rejected('WM_NATS_REFUSED', {
      message: `The NATS server at ${servers} refused the credentials of this process (${options.credentials.kind === 'none' ? 'it gave none' : `kind: ${options.credentials.kind}`}).`,
      next: 'Correct user and password, token or credentials file; the log of the server names the user.',
    });
  }
  const tls = /certificate|TLS|SSL|tls/.test(message) || /^(?:ERR_TLS|ERR_SSL|CERT_|UNABLE_TO|DEPTH_ZERO|SELF_SIGNED)/.test(code ?? '');
  if (tls) {
    return rejected('WM_NATS_REFUSED', {
      message: `TLS with the NATS server at ${servers} failed: ${message}.`,
      next: 'Name the authority that signed the certificate of the server, and a certificate of this process where the server asks for one.',
    });
  }
  return failed('WM_UNREACHABLE', {
    message: `No NATS server can be reached at ${servers}: ${message}.`,
    next: 'Start the server, or correct the list of servers; then try again.',
  });
}

export function describeTrouble(thrown: unknown, what: string): Err {
  const error = causeOf(thrown);
  if (isSilent(error)) {
    return failed('WM_UNREACHABLE', {
      message: `NATS: nobody answers ${what}: the stream has no leader now, or the server has no JetStream.`,
      next: 'Try again with backoff; in a cluster a leader is being chosen.',
    });
  }
  if (isWithoutJetStream(error)) return withoutJetStream(what);
  if (error instanceof JetStreamApiError) {
    if (error.code === JETSTREAM.insufficientResources || error.code === JETSTREAM.storageExceeded) {
      return failed('WM_STORAGE_FULL', {
        message: `NATS: ${what} found no room: ${error.message}.`,
        next: 'Raise the limits of JetStream on the server, or free space.',
      });
    }
    if (error.code === JETSTREAM.streamNotFound) {
      return failed('WM_UNREACHABLE', {
        message: `NATS: ${what} needs a stream that is not there yet.`,
        next: 'Start the controller, which makes the streams, on the same servers, account and prefix; then try again.',
      });
    }
    if (error.status >= HTTP_SERVER_ERRORS) {
      return failed('WM_UNREACHABLE', {
        message: `NATS: JetStream cannot do ${what} now: ${error.message} (${error.code}).`,
        next: 'Try again with backoff; in a cluster a leader is being chosen.',
      });
    }
    return rejected('WM_ARGUMENT', {
      message: `NATS: JetStream refused ${what}: ${error.message} (${error.code}).`,
      next: 'Correct what the message names; nothing was changed.',
    });
  }
  if (error instanceof PermissionViolationError) {
    return rejected('WM_NATS_REFUSED', {
      message: `NATS: the user of this process may not ${error.operation} ${error.subject}, which ${what} needs.`,
      next: 'Grant it in the authorization of the server (docs/reference/nats.md lists what each role needs).',
    });
  }
  if (error instanceof TimeoutError) {
    return unknown('WM_DEADLINE', {
      message: `NATS: no answer to ${what} in time.`,
      next: 'Observe whether it happened before repeating it.',
    });
  }
  if (error instanceof ClosedConnectionError || error instanceof DrainingConnectionError) {
    return failed('WM_CANCELLED', { message: `NATS: ${what} was not sent: the connection was closed.`, next: 'Connect anew.' });
  }
  return unknown('WM_CONNECTION_LOST', {
    message: `NATS: ${what} ended with: ${error instanceof Error ? error.message : String(error)}.`,
    next: 'Observe whether it happened before repeating it.',
  });
}

/** A server without JetStream and a stream without a leader look the same: nobody listens. `checkJetStream` tells them apart. */
export function isSilent(error: unknown): boolean {
  // The client's own class for it is not exported.
  return error instanceof NoRespondersError || (error instanceof Error && error.name === 'JetStreamNotEnabled');
}

function isWithoutJetStream(error: unknown): boolean {
  return error instanceof JetStreamApiError && (error.code === JETSTREAM.notEnabled || error.code === JETSTREAM.notEnabledForAccount);
}

export function withoutJetStream(what: string): Err {
  return rejected('WM_NATS_REFUSED', {
    message: `NATS: ${what} needs JetStream, which this server has not enabled for this account.`,
    next: 'Start nats-server with `-js` or a `jetstream` block, and give the account JetStream limits.',
  });
}
