// The network of real machines: gRPC over HTTP/2 and mutual TLS. A call is a unary call, a stream a bidirectional one, on the
// method paths of the protocol, with the bytes of the messages untouched: a stock client with the .proto can talk to it. Refuses
// plain text beyond this machine, and peers without a certificate of a known authority. Reconnecting is left to callers.
// What it costs to be lost: a peer that vanished is noticed after `LOST_WITHIN_MS`, one whose process ended at once.
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Listener, Network } from '../../system/ports/network.ts';
import { dial } from './client.ts';
import type { GrpcConnection } from './client.ts';
import { checkIdentity } from './identity.ts';
import type { Identity } from './identity.ts';
import { Health } from './health.ts';
import { OPEN_METHODS, PROTOCOL_METHODS, servicesOf } from './methods.ts';
import type { Methods } from './methods.ts';
import { dialInTurn, Routes } from './routes.ts';
import { GrpcListener } from './server.ts';
import { unreachable } from './status.ts';
import { keepaliveOf, type Keepalive } from './transport.ts';

export { Authority, createIdentityKey, RevocationList } from './authority.ts';
export type { CertificateRequest, IssuedCertificate } from './authority.ts';
export { Enrolment, withEnrolment } from './enrolment.ts';
export type { EnrolmentOptions } from './enrolment.ts';
export { loadIdentity, saveIdentity } from './identity-file.ts';
export type { KeptIdentity } from './identity-file.ts';
export { IdentityKeeper } from './identity-keeper.ts';
export type { Identity } from './identity.ts';
export { decodeJoinToken, encodeJoinToken, type JoinToken } from './join-token.ts';
export { isController, join, renewThrough } from './join.ts';
export { PROTOCOL_METHODS } from './methods.ts';
export { NodeService } from './node-service.ts';
export type { Methods } from './methods.ts';
export { WINDOW_BYTES } from './stream.ts';
export { keepaliveOf } from './transport.ts';

/** Ten seconds of silence, then no answer for five: the simulated network assumes the same. */
export const KEEPALIVE: Keepalive = keepaliveOf(10_000);
/** Bound: after so long without a sign of life a connection is lost, on both sides. */
export const LOST_WITHIN_MS = KEEPALIVE.idleMs + KEEPALIVE.answerMs;

export type GrpcNetworkOptions = {
  /**
   * `host:port` where an endpoint is dialled, several of them where one stands in for another; null when it is known nowhere.
   * Each connect tries them in turn, and begins with the one that answered last.
   */
  readonly addresses: (endpoint: Endpoint) => string | readonly string[] | null;
  /** `host:port` where an endpoint listens; port 0 takes a free one, see `addressOf`. */
  readonly listen: (endpoint: Endpoint) => string;
  /** Null: plain text, for tests, on loopback only, and said aloud. Every peer is then called `plain-text`. */
  readonly identity: Identity | null;
  /** May a machine of this verified name serve the endpoint? Without it any enrolled machine could pose as the controller. */
  readonly accepts: (endpoint: Endpoint, name: string) => boolean;
  /** Serial numbers, upper-case hexadecimal. Asked at the handshake by the side that dials, at every call by the one that serves. */
  readonly revoked?: (serial: string) => boolean;
  readonly methods?: Methods;
  /** Methods that a peer without any certificate may call. */
  readonly open?: readonly string[];
  /** Full names of our services at an endpoint, for stock clients that ask by reflection and health. */
  readonly services?: (endpoint: Endpoint) => readonly string[];
  readonly keepalive?: Keepalive;
  /** Sentences for the log: who was not let in, and why. */
  readonly onRefused?: (sentence: string) => void;
};

export type GrpcNetwork = Network & {
  /** Where an endpoint of this process listens, with its real port; null when it does not. */
  addressOf(endpoint: Endpoint): string | null;
  /** A renewed certificate: for new handshakes, without an interruption. */
  renew(identity: Identity): void;
  /** What grpc.health says of a service of this process, or, by the empty name, of the whole process. All begin as serving. */
  setServing(service: string, serving: boolean): void;
  /** The list of revoked certificates has grown: whoever is on it is put out now. */
  expel(): void;
  /** Closes every listener and connection; resolves when the sockets are gone. */
  close(): Promise<void>;
};

export function createGrpcNetwork(options: GrpcNetworkOptions): GrpcNetwork {
  const {
    addresses,
    accepts,
    revoked = () => false,
    methods = PROTOCOL_METHODS,
    open: openMethods = OPEN_METHODS,
    services = servicesOf,
    keepalive = KEEPALIVE,
    onRefused = () => {},
  } = options;
  let identity = options.identity;
  if (identity === null) process.emitWarning('The network speaks plain text, without identities: for tests only.');
  const listeners = new Map<Endpoint, GrpcListener | null>();
  const connections = new Set<GrpcConnection>();
  /** Also those that are closing. */
  const open = new Set<GrpcListener>();
  const routes = new Routes();
  const health = new Health();
  let closed = false;

  return {
    async listen(endpoint, handler) {
      if (closed) return failed('WM_CANCELLED', { message: 'The network was closed.', next: 'Create a new one.', detail: { endpoint } });
      if (listeners.has(endpoint)) {
        return rejected('WM_ARGUMENT', {
          message: `Endpoint ${endpoint} is taken.`,
          next: 'Close its listener first, or listen on another name.',
          detail: { endpoint },
        });
      }
      const unusable = identity === null ? null : checkIdentity(identity, Date.now());
      if (unusable !== null) return unusable;
      listeners.set(endpoint, null);
      const bound = await GrpcListener.bind({
        endpoint,
        address: options.listen(endpoint),
        handler,
        methods,
        identity,
        revoked,
        open: openMethods,
        services: services(endpoint),
        health,
        keepalive,
        onRefused,
      });
      if (!bound.ok) {
        listeners.delete(endpoint);
        return bound;
      }
      const listener = bound.value;
      listeners.set(endpoint, listener);
      open.add(listener);
      return ok<Listener>({
        close: () => {
          if (listeners.get(endpoint) !== listener) return;
          listeners.delete(endpoint);
          void listener.close().then(() => open.delete(listener));
        },
      });
    },

    async connect(endpoint, { deadlineMicros }) {
      if (closed) return unreachable(endpoint, 'the network was closed');
      return dialInTurn(routes.of(endpoint, addresses(endpoint)), endpoint, deadlineMicros, (address, shareMicros) =>
        dial({
          endpoint,
          address,
          identity,
          accepts: (name) => accepts(endpoint, name),
          revoked,
          keepalive,
          deadlineMicros: shareMicros,
          onBegin: (connection) => connections.add(connection),
          onEnd: (connection) => connections.delete(connection),
          onLost: () => routes.moveOn(endpoint, address),
        }),
      );
    },

    addressOf: (endpoint) => listeners.get(endpoint)?.address ?? null,
    renew: (next) => {
      identity = next;
      for (const listener of listeners.values()) listener?.renew(next);
    },
    setServing: (service, serving) => health.set(service, serving),
    expel: () => {
      for (const listener of listeners.values()) listener?.expel();
    },
    close: async () => {
      closed = true;
      for (const connection of [...connections]) connection.destroy();
      listeners.clear();
      await Promise.all([...open].map((listener) => listener.close()));
    },
  };
}
