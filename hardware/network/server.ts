// The side that listens. Owns the sockets itself: whoever has no certificate of a known authority never reaches gRPC, a revoked
// one is told so at its first call and then put out, and nobody stays connected for longer than his certificate holds. gRPC gets
// the verified sockets, and hands the calls over before it makes streams of them (an interceptor), so that reading can be pulled.
import { Metadata, Server, ServerCredentials, ServerInterceptingCall, status } from '@grpc/grpc-js';
import type { ServerInterceptingCallInterface } from '@grpc/grpc-js';
import { constants } from 'node:crypto';
import { createServer as createPlainServer, isIP } from 'node:net';
import type { AddressInfo, Server as PlainServer, Socket } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import type { Server as TlsServer, TlsOptions, TLSSocket } from 'node:tls';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import { holderOf } from './identity.ts';
import type { Holder, Identity } from './identity.ts';
import type { Methods } from './methods.ts';
import { certificateRefused, connectionLost, encodeStatus, tooLarge } from './status.ts';
import { GrpcStream } from './stream.ts';
import { bytesOf, CALLS_OPEN_MAX, hostOf, PLAIN_TEXT_PEER, STREAMS_OPEN_MAX, WAIT_MS_MAX } from './transport.ts';
import type { Keepalive } from './transport.ts';

/** Bound: connections of one listener; beyond it, it accepts nobody. */
export const CONNECTIONS_MAX = 65_536;
/** Bound: how long a peer may take for the TLS handshake. */
export const HANDSHAKE_MS_MAX = 10_000;
/** Bound: how long calls and streams may take to end after their listener closed. */
export const LISTENER_GRACE_MS = 1_000;
/** Bound: how long a peer that is refused may stay, to hear why. */
export const REFUSED_LINGER_MS = 1_000;
const BACKLOG = 1_024;

export type ServeOptions = {
  readonly endpoint: string;
  /** `host:port`; port 0 takes a free one. */
  readonly address: string;
  readonly handler: ServiceHandler;
  readonly methods: Methods;
  readonly identity: Identity | null;
  readonly revoked: (serial: string) => boolean;
  readonly keepalive: Keepalive;
  /** Somebody was not let in. For the log; the peer is told what it may know. */
  readonly onRefused: (sentence: string) => void;
};

/** A live socket and who is at its other end. */
type Guest = { readonly socket: Socket; readonly peer: PeerIdentity; readonly holder: Holder | null; leaves: boolean };

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asIs = (bytes: Buffer): Buffer => bytes;
const unref = (timer: NodeJS.Timeout): NodeJS.Timeout => timer.unref();

/** What gRPC's own machinery sees of a call that we answer ourselves. */
class TakenCall extends ServerInterceptingCall {
  override start(): void {}
}

export class GrpcListener {
  readonly #options: ServeOptions;
  readonly #server: Server;
  readonly #injector: ReturnType<Server['createConnectionInjector']>;
  readonly #sockets: TlsServer | PlainServer;
  /** By both addresses of the connection, which no two live ones share. */
  readonly #guests = new Map<string, Guest>();
  /** Also those whose handshake goes on. */
  readonly #accepted = new Set<Socket>();
  readonly #streams = new Set<GrpcStream>();
  #closed: Promise<void> | null = null;

  private constructor(options: ServeOptions) {
    this.#options = options;
    const { methods, keepalive, identity } = options;
    this.#server = new Server({
      'grpc.keepalive_time_ms': keepalive.idleMs,
      'grpc.keepalive_timeout_ms': keepalive.answerMs,
      'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
      'grpc.max_concurrent_streams': CALLS_OPEN_MAX + STREAMS_OPEN_MAX,
      'grpc.enable_channelz': 0,
      interceptors: [
        (method, call) => {
          this.#take(method.path, method.requestStream, call);
          return new TakenCall(call);
        },
      ],
    });
    for (const path of methods.calls) this.#server.register(path, () => {}, asBuffer, asIs, 'unary');
    for (const path of methods.streams) this.#server.register(path, () => {}, asBuffer, asIs, 'bidi');
    // Plain to gRPC: the sockets that it is given are secured, and verified, already.
    this.#injector = this.#server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#sockets = identity === null ? this.#plain() : this.#secured(identity);
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
      if (guest.holder !== null && this.#options.revoked(guest.holder.serial)) this.#putOut(guest, 'its certificate was revoked');
    }
  }

  /** Streams end in order, calls get a moment; resolves when nobody is connected any more. */
  close(): Promise<void> {
    this.#closed ??= new Promise((resolve) => {
      this.#sockets.close(() => resolve());
      for (const stream of [...this.#streams]) stream.close();
      this.#injector.drain(LISTENER_GRACE_MS);
      this.#injector.destroy();
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

  #plain(): PlainServer {
    return createPlainServer({ noDelay: true }, (socket) => this.#admit(socket, PLAIN_TEXT_PEER, null));
  }

  #secured(identity: Identity): TlsServer {
    const server = createTlsServer({ ...tlsOptions(identity), noDelay: true }, (socket) => this.#meet(socket));
    server.on('tlsClientError', (error, socket) => {
      // A code, although its type says otherwise. The address is gone by now.
      const why = socket.authorizationError === null ? describe(error) : `its certificate is not accepted (${socket.authorizationError})`;
      this.#options.onRefused(`A peer was not let in: ${why}.`);
    });
    return server;
  }

  /** TLS has verified who signed the certificate and that it holds now. */
  #meet(socket: TLSSocket): void {
    const certificate = socket.getPeerCertificate();
    const holder = holderOf(certificate.subjectaltname, certificate.serialNumber, certificate.valid_to);
    if (holder === null || !socket.authorized) {
      this.#options.onRefused(`A peer at ${socket.remoteAddress} was not let in: its certificate names no machine of ours.`);
      socket.destroy();
      return;
    }
    this.#admit(socket, { name: holder.name }, holder);
  }

  #admit(socket: Socket, peer: PeerIdentity, holder: Holder | null): void {
    socket.on('error', () => {});
    const key = keyOf(socket);
    const lifetimeMs = holder === null ? WAIT_MS_MAX : Math.min(WAIT_MS_MAX, Math.max(0, holder.notAfterMs - Date.now()));
    const expiry = holder === null ? null : unref(setTimeout(() => this.#putOut(guest, 'its certificate expired'), lifetimeMs));
    const guest: Guest = { socket, peer, holder, leaves: false };
    this.#guests.set(key, guest);
    socket.once('close', () => {
      if (expiry !== null) clearTimeout(expiry);
      if (this.#guests.get(key) === guest) this.#guests.delete(key);
    });
    this.#injector.injectConnection(socket);
  }

  #putOut(guest: Guest, why: string): void {
    this.#options.onRefused(`${guest.peer.name} was put out: ${why}.`);
    guest.socket.destroy();
  }

  /** Null, and the call is answered, when its peer is not to be served. */
  #guestOf(call: ServerInterceptingCallInterface): Guest | null {
    const guest = this.#guests.get(keyOf(call.getConnectionInfo()));
    if (guest === undefined) {
      call.sendStatus(encodeStatus(connectionLost('the caller', 'it is gone').error));
      return null;
    }
    if (guest.holder === null || !this.#options.revoked(guest.holder.serial)) return guest;
    const { name, serial } = guest.holder;
    call.sendStatus(encodeStatus(certificateRefused(`The certificate of ${name} was revoked.`, { name, serial }).error));
    if (!guest.leaves) unref(setTimeout(() => this.#putOut(guest, 'its certificate was revoked'), REFUSED_LINGER_MS));
    guest.leaves = true;
    return null;
  }

  #take(path: string, isStream: boolean, call: ServerInterceptingCallInterface): void {
    const guest = this.#guestOf(call);
    if (guest === null) return;
    if (isStream) this.#serveStream(path, guest.peer, call);
    else this.#serveCall(path, guest.peer, call);
  }

  #serveCall(path: string, peer: PeerIdentity, call: ServerInterceptingCallInterface): void {
    let request: Buffer | null = null;
    call.start({
      onReceiveMetadata: () => call.startRead(),
      onReceiveMessage: (message: Buffer) => {
        if (request === null) {
          request = message;
          call.startRead();
        } else {
          call.sendStatus({ code: status.UNIMPLEMENTED, details: 'A call has one request.' });
        }
      },
      onReceiveHalfClose: () => {
        if (request === null) call.sendStatus({ code: status.UNIMPLEMENTED, details: 'A call has one request.' });
        else void this.#answer(path, peer, bytesOf(request), call);
      },
      onCancel: () => {},
    });
  }

  async #answer(path: string, peer: PeerIdentity, request: Uint8Array, call: ServerInterceptingCallInterface): Promise<void> {
    const answer = await this.#options.handler.call(path, peer, request);
    if (!answer.ok) {
      call.sendStatus(encodeStatus(answer.error));
    } else if (answer.value.length > MESSAGE_BYTES_MAX) {
      call.sendStatus(encodeStatus(tooLarge(answer.value.length).error));
    } else {
      call.sendMessage(answer.value, () => {});
      call.sendStatus({ code: status.OK, details: '' });
    }
  }

  #serveStream(path: string, peer: PeerIdentity, call: ServerInterceptingCallInterface): void {
    const stream = new GrpcStream({
      peer,
      read: () => call.startRead(),
      write: (message, written) => call.sendMessage(message, written),
      end: () => call.sendStatus({ code: status.OK, details: '' }),
      abort: () => call.sendStatus({ code: status.CANCELLED, details: 'The stream was given up.' }),
      forget: () => this.#streams.delete(stream),
    });
    this.#streams.add(stream);
    call.start({
      onReceiveMetadata: () => {
        call.sendMetadata(new Metadata());
        stream.start();
      },
      onReceiveMessage: (message: Buffer) => stream.accept(bytesOf(message)),
      onReceiveHalfClose: () => stream.endByPeer(),
      onCancel: () => stream.finish(connectionLost(peer.name, 'the peer or the connection went away')),
    });
    // A handler that throws is a bug, which ends the process.
    void this.#options.handler.stream(path, stream).then(() => stream.close());
  }
}

function tlsOptions(identity: Identity): TlsOptions {
  return {
    cert: identity.certificate,
    key: identity.privateKey,
    ca: [...identity.authorities],
    requestCert: true,
    rejectUnauthorized: true,
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
