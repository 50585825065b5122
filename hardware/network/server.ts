// The side that listens. Owns the sockets itself: whoever shows no certificate may call the open methods only, in a gRPC server
// with bounds of its own; whoever shows a bad or revoked one is told so at his first call and then put out; nobody stays connected
// for longer than his certificate holds. gRPC gets the secured sockets, and hands the calls over before it makes streams of them
// (an interceptor), so that reading can be pulled.
import { Server, ServerCredentials, ServerInterceptingCall } from '@grpc/grpc-js';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { constants } from 'node:crypto';
import { createServer as createPlainServer, isIP } from 'node:net';
import type { AddressInfo, Server as PlainServer, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer, TlsOptions, TLSSocket } from 'node:tls';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { ServiceHandler } from '../../system/ports/network.ts';
import { admit, needsCertificate, placeOf } from './admission.ts';
import type { Admission } from './admission.ts';
import { serveCall, serveStream } from './calls.ts';
import { chainOf } from './identity.ts';
import type { Identity } from './identity.ts';
import type { Health } from './health.ts';
import type { Methods } from './methods.ts';
import { STANDARD_METHODS, StandardServices } from './standard.ts';
import { certificateRefused, connectionLost, encodeStatus } from './status.ts';
import type { GrpcStream } from './stream.ts';
import { CALLS_OPEN_MAX, hostOf, PLAIN_TEXT_PEER, STREAMS_OPEN_MAX, WAIT_MS_MAX } from './transport.ts';
import type { Keepalive } from './transport.ts';

/** Bound: connections of one listener; beyond it, it accepts nobody. */
export const CONNECTIONS_MAX = 65_536;
/** Bound: how long a peer may take for the TLS handshake. */
export const HANDSHAKE_MS_MAX = 10_000;
/** Bound: how long calls and streams may take to end after their listener closed. */
export const LISTENER_GRACE_MS = 1_000;
/** Bound: how long a peer that is refused may stay, to hear why. */
export const REFUSED_LINGER_MS = 1_000;
/** Bounds of those who show no certificate, or a bad one: connections of a listener, those of one place, stay, calls, a message. */
export const STRANGERS_MAX = 256;
export const STRANGERS_OF_PLACE_MAX = 32;
export const STRANGER_STAY_MS = 60_000;
const STRANGER_CALLS_OPEN_MAX = 4;
export const STRANGER_MESSAGE_BYTES_MAX = 64 * 1_024;
const BACKLOG = 1_024;

export type ServeOptions = {
  readonly endpoint: string;
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly handler: ServiceHandler;
  readonly methods: Methods;
  readonly identity: Identity | null;
  readonly revoked: (serial: string) => boolean;
  /** Methods that need no certificate. */
  readonly open: readonly string[];
  /** Full names of our services that are listed to stock clients. */
  readonly services: readonly string[];
  readonly health: Health;
  readonly keepalive: Keepalive;
  /** Somebody was not let in. For the log; the peer is told what it may know. */
  readonly onRefused: (sentence: string) => void;
};

/** A live socket and who is at its other end. */
type Guest = { readonly socket: Socket; readonly admission: Admission | typeof PLAIN_TEXT; leaves: boolean };
type Injector = ReturnType<Server['createConnectionInjector']>;
type Bounds = { readonly messageBytesMax: number; readonly streamsMax: number };

const PLAIN_TEXT = { kind: 'plain', peer: PLAIN_TEXT_PEER } as const;
const FOR_MEMBERS: Bounds = { messageBytesMax: MESSAGE_BYTES_MAX, streamsMax: CALLS_OPEN_MAX + STREAMS_OPEN_MAX };
const FOR_STRANGERS: Bounds = { messageBytesMax: STRANGER_MESSAGE_BYTES_MAX, streamsMax: STRANGER_CALLS_OPEN_MAX };

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asIs = (bytes: Buffer): Buffer => bytes;
const unref = (timer: NodeJS.Timeout): NodeJS.Timeout => timer.unref();

/** How many strangers are connected, and from where. */
class Strangers {
  readonly #ofPlace = new Map<string, number>();
  #count = 0;

  hasRoom(place: string): boolean {
    return this.#count < STRANGERS_MAX && (this.#ofPlace.get(place) ?? 0) < STRANGERS_OF_PLACE_MAX;
  }

  add(place: string, change: 1 | -1): void {
    const count = (this.#ofPlace.get(place) ?? 0) + change;
    this.#count += change;
    if (count === 0) this.#ofPlace.delete(place);
    else this.#ofPlace.set(place, count);
  }
}

/** What gRPC's own machinery sees of a call that we answer ourselves. */
class TakenCall extends ServerInterceptingCall {
  override start(): void {}
}

export class GrpcListener {
  readonly #options: ServeOptions;
  /** Plain to gRPC: the sockets that they are given are secured already. */
  readonly #members: Injector;
  readonly #strangers: Injector;
  readonly #sockets: TlsServer | PlainServer;
  /** By both addresses of the connection, which no two live ones share. */
  readonly #guests = new Map<string, Guest>();
  /** Also those whose handshake goes on. */
  readonly #accepted = new Set<Socket>();
  readonly #streams = new Set<GrpcStream>();
  readonly #standard: StandardServices;
  readonly #strangersIn = new Strangers();
  #closed: Promise<void> | null = null;

  private constructor(options: ServeOptions) {
    this.#options = options;
    this.#standard = new StandardServices(options.health, options.services);
    this.#members = this.#injector(FOR_MEMBERS);
    this.#strangers = this.#injector(FOR_STRANGERS);
    this.#sockets = options.identity === null ? this.#plain() : this.#secured(options.identity);
    this.#sockets.maxConnections = CONNECTIONS_MAX;
    this.#sockets.on('connection', (socket: Socket) => {
      this.#accepted.add(socket);
      socket.once('close', () => this.#accepted.delete(socket));
    });
  }

  static async bind(options: ServeOptions): Promise<Outcome<GrpcListener>> {
    const { endpoint, address } = options;
    const host = hostOf(address);
    const port = Number(address.slice(address.lastIndexOf(':') + 1));
    if (host === '' || !Number.isInteger(port) || port < 0 || port > 65_535) {
      return cannotListen(options, `'${address}' is no address`, 'Give it as host:port.');
    }
    if (options.identity === null && !isLoopback(host)) {
      return cannotListen(options, 'it would speak plain text beyond this machine', 'Give it a certificate, or listen on 127.0.0.1.');
    }
    let listener: GrpcListener;
    try {
      listener = new GrpcListener(options);
    } catch (error) {
      return certificateRefused(`The certificate or key for ${endpoint} cannot be used: ${describe(error)}.`, { endpoint });
    }
    const error = await listener.#listen(host, port);
    if (error === null) return ok(listener);
    if (error.code === 'EADDRINUSE') {
      return cannotListen(options, `port ${port} of ${host} is in use`, 'Stop the process that has it, or choose another port.');
    }
    if (error.code === 'EACCES') return cannotListen(options, `port ${port} needs more rights`, 'Choose a port above 1023.');
    return cannotListen(options, describe(error), 'Choose an address of this machine.');
  }

  /** Where it listens, with the port that it was given. */
  get address(): string {
    const { address, family, port } = this.#sockets.address() as AddressInfo;
    return family === 'IPv6' ? `[${address}]:${port}` : `${address}:${port}`;
  }

  /** New handshakes use the new certificate and trust the new authorities; connections that stand are kept. */
  renew(identity: Identity): void {
    if ('setSecureContext' in this.#sockets) this.#sockets.setSecureContext(tlsOptions(identity));
  }

  /** Puts out whoever was revoked since his handshake. */
  expel(): void {
    for (const guest of [...this.#guests.values()]) {
      const { admission } = guest;
      if (admission.kind === 'member' && this.#options.revoked(admission.holder.serial)) this.#putOut(guest, 'its certificate was revoked');
    }
  }

  /** Streams end in order, calls get a moment; resolves when nobody is connected any more. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#sockets.close(() => resolve());
      for (const stream of [...this.#streams]) stream.close();
      this.#standard.close();
      for (const injector of [this.#members, this.#strangers]) {
        injector.drain(LISTENER_GRACE_MS);
        injector.destroy();
      }
      unref(
        setTimeout(() => {
          for (const socket of this.#accepted) socket.destroy();
        }, LISTENER_GRACE_MS),
      );
    });
    return this.#closed;
  }

  #listen(host: string, port: number): Promise<NodeJS.ErrnoException | null> {
    return new Promise((resolve) => {
      this.#sockets.once('error', resolve);
      this.#sockets.listen({ host, port, backlog: BACKLOG }, () => {
        this.#sockets.off('error', resolve);
        // Out of file handles: the connection is lost, the listener is not.
        this.#sockets.on('error', (error) => this.#options.onRefused(`A connection could not be accepted: ${describe(error)}.`));
        resolve(null);
      });
    });
  }

  #injector({ messageBytesMax, streamsMax }: Bounds): Injector {
    const { methods, keepalive } = this.#options;
    const server = new Server({
      'grpc.keepalive_time_ms': keepalive.idleMs,
      'grpc.keepalive_timeout_ms': keepalive.answerMs,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_receive_message_length': messageBytesMax,
      'grpc.max_concurrent_streams': streamsMax,
      'grpc.enable_channelz': 0,
      interceptors: [
        (method, call) => {
          this.#take(method.path, method.requestStream, call);
          return new TakenCall(call);
        },
      ],
    });
    for (const path of methods.calls) server.register(path, () => {}, asBuffer, asIs, 'unary');
    for (const path of [...methods.streams, ...STANDARD_METHODS]) server.register(path, () => {}, asBuffer, asIs, 'bidi');
    return server.createConnectionInjector(ServerCredentials.createInsecure());
  }

  #plain(): PlainServer {
    return createPlainServer({ noDelay: true }, (socket) => this.#enter({ socket, admission: PLAIN_TEXT, leaves: false }, WAIT_MS_MAX));
  }

  #secured(identity: Identity): TlsServer {
    const server = createTlsServer({ ...tlsOptions(identity), noDelay: true }, (socket) => this.#meet(socket));
    server.on('tlsClientError', (error) => this.#options.onRefused(`A peer was not let in: ${describe(error)}.`));
    return server;
  }

  #meet(socket: TLSSocket): void {
    const admission = admit(socket);
    const { peer } = admission;
    if (admission.kind === 'refused') this.#options.onRefused(`${peer.name} was not let in: ${admission.refusal.error.message}`);
    if (admission.kind !== 'member' && !this.#strangersIn.hasRoom(placeOf(peer))) {
      this.#options.onRefused(`${peer.name} was not let in: too many peers without a good certificate are connected, here or from there.`);
      socket.destroy();
      return;
    }
    const guest: Guest = { socket, admission, leaves: false };
    switch (admission.kind) {
      case 'member':
        return this.#enter(guest, admission.holder.notAfterMs - Date.now(), 'its certificate expired');
      case 'stranger':
        return this.#enter(guest, STRANGER_STAY_MS);
      case 'refused':
        return this.#enter(guest, REFUSED_LINGER_MS);
    }
  }

  /** `why` is for the log; without it nothing is said. */
  #enter(guest: Guest, stayMs: number, why: string | null = null): void {
    const { socket, admission } = guest;
    const isMember = admission.kind === 'member' || admission.kind === 'plain';
    socket.on('error', () => {});
    const key = keyOf(socket);
    const stay = unref(setTimeout(() => this.#putOut(guest, why), Math.min(WAIT_MS_MAX, Math.max(0, stayMs))));
    this.#guests.set(key, guest);
    if (!isMember) this.#strangersIn.add(placeOf(admission.peer), 1);
    socket.once('close', () => {
      clearTimeout(stay);
      if (!isMember) this.#strangersIn.add(placeOf(admission.peer), -1);
      if (this.#guests.get(key) === guest) this.#guests.delete(key);
    });
    (isMember ? this.#members : this.#strangers).injectConnection(socket);
  }

  #putOut({ socket, admission }: Guest, why: string | null): void {
    if (why !== null) this.#options.onRefused(`${admission.peer.name} was put out: ${why}.`);
    socket.destroy();
  }

  /** Why its peer is not to be served; null when it is. */
  #refusalOf(guest: Guest, path: string): Err | null {
    const { admission } = guest;
    switch (admission.kind) {
      case 'plain':
        return null;
      case 'stranger':
        return this.#options.open.includes(path) ? null : needsCertificate(path);
      case 'refused':
        return admission.refusal;
      case 'member': {
        const { name, serial } = admission.holder;
        if (!this.#options.revoked(serial)) return null;
        if (!guest.leaves) unref(setTimeout(() => this.#putOut(guest, 'its certificate was revoked'), REFUSED_LINGER_MS));
        guest.leaves = true;
        return certificateRefused(`The certificate of ${name} was revoked.`, { name, serial });
      }
    }
  }

  #take(path: string, isStream: boolean, call: ServerInterceptingCallInterface): void {
    const guest = this.#guests.get(keyOf(call.getConnectionInfo()));
    const refusal = guest === undefined ? connectionLost('the caller', 'it is gone') : this.#refusalOf(guest, path);
    if (guest === undefined || refusal !== null) {
      call.sendStatus(encodeStatus((refusal as Err).error));
      return;
    }
    if (STANDARD_METHODS.includes(path)) return this.#standard.serve(path, call);
    const taken = { call, path, peer: guest.admission.peer, handler: this.#options.handler };
    if (isStream) serveStream(taken, this.#streams);
    else serveCall(taken);
  }
}

function tlsOptions(identity: Identity): TlsOptions {
  return {
    cert: chainOf(identity),
    key: identity.privateKey,
    ca: [...identity.authorities],
    requestCert: true,
    // Safety: `admit` decides, by the same verification, and says why.
    rejectUnauthorized: false,
    minVersion: 'TLSv1.3',
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS_MAX,
    // Safety: a resumed session would skip the verification of the certificate.
    secureOptions: constants.SSL_OP_NO_TICKET,
  };
}

type Ends = {
  readonly localAddress?: string | undefined;
  readonly localPort?: number | undefined;
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
};

const keyOf = ({ localAddress, localPort, remoteAddress, remotePort }: Ends): string =>
  `${localAddress} ${localPort} ${remoteAddress} ${remotePort}`;

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

const describe = (error: unknown): string => (error instanceof Error ? error.message : String(error));

function cannotListen({ endpoint, address }: ServeOptions, why: string, next: string): Err {
  return rejected('WM_ARGUMENT', { message: `${endpoint} cannot listen on ${address}: ${why}.`, next, detail: { endpoint, address } });
}
