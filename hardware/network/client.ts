// The side that dials. One connection is one transport: it never reconnects by itself, although a gRPC channel would, because
// callers must see that what they had sent may be lost. The channel is closed as soon as it leaves READY.
import { Channel, connectivityState, credentials, Metadata, status } from '@grpc/grpc-js';
import type { ChannelOptions, StatusObject } from '@grpc/grpc-js';
import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { failed, ok } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { ByteStream, Connection, PeerIdentity } from '../../system/ports/network.ts';
import { checkIdentity, holderOf } from './identity.ts';
import type { Holder, Identity, Trust } from './identity.ts';
import { certificateRefused, connectionLost, decodeStatus, tooLarge, unreachable } from './status.ts';
import { GrpcStream } from './stream.ts';
import { bytesOf, CALLS_OPEN_MAX, hostOf, PLAIN_TEXT_PEER, STREAMS_OPEN_MAX, WAIT_MS_MAX } from './transport.ts';
import type { Keepalive } from './transport.ts';

/** What a TLS client asks for when it dials an address, which is no name; who answers is decided by the certificate alone. */
const NAME_FOR_ADDRESSES = 'wasmmatrix.invalid';

export type DialOptions = {
  readonly endpoint: string;
  /** `host:port`. */
  readonly address: string;
  /** Without a certificate of its own: `Trust`. Null: plain text. */
  readonly identity: Identity | Trust | null;
  readonly accepts: (name: string) => boolean;
  readonly revoked: (serial: string) => boolean;
  readonly keepalive: Keepalive;
  readonly deadlineMicros: number;
  readonly onBegin: (connection: GrpcConnection) => void;
  readonly onEnd: (connection: GrpcConnection) => void;
  /** It ended although nobody here closed it. */
  readonly onLost: () => void;
};

type Call = ReturnType<Channel['createCall']>;
type Pending = { readonly call: Call; readonly settle: (outcome: Outcome<Uint8Array>) => void };

const waitMs = (micros: number): number => Math.min(WAIT_MS_MAX, Math.max(0, Math.ceil(micros / 1_000)));

function channelOptions(address: string, keepalive: Keepalive): ChannelOptions {
  return {
    'grpc.keepalive_time_ms': keepalive.idleMs,
    'grpc.keepalive_timeout_ms': keepalive.answerMs,
    'grpc.keepalive_permit_without_calls': 1,
    'grpc.max_send_message_length': MESSAGE_BYTES_MAX,
    'grpc.max_receive_message_length': MESSAGE_BYTES_MAX,
    // A connection of its own, which neither retries nor goes idle, nor is led elsewhere by the environment.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.enable_retries': 0,
    // What is kept for retries is kept beside the window of a stream: 1 MiB each, unless it is forbidden here too.
    'grpc.retry_buffer_size': 0,
    'grpc.per_rpc_retry_buffer_size': 0,
    'grpc.client_idle_timeout_ms': WAIT_MS_MAX,
    'grpc.enable_http_proxy': 0,
    'grpc.service_config_disable_resolution': 1,
    'grpc.enable_channelz': 0,
    ...(isIP(hostOf(address)) === 0 ? {} : { 'grpc.ssl_target_name_override': NAME_FOR_ADDRESSES }),
  };
}

export async function dial(options: DialOptions): Promise<Outcome<Connection>> {
  const { endpoint, address, identity, deadlineMicros } = options;
  const own = identity !== null && 'certificate' in identity ? checkIdentity(identity, Date.now()) : null;
  if (own !== null) return own;
  let peer = PLAIN_TEXT_PEER;
  let refusal: Err | null = null;
  const check = (subjectAltName: string | undefined, serial: string, validTo: string): Error | undefined => {
    const holder = holderOf(subjectAltName, serial, validTo);
    refusal = refusePeer(options, holder, serial);
    if (refusal !== null) return new Error(refusal.error.message);
    peer = { name: holder!.name };
    return undefined;
  };
  let channel: Channel;
  try {
    channel = new Channel(`dns:${address}`, credentialsOf(identity, check), channelOptions(address, options.keepalive));
  } catch (error) {
    return unreachable(endpoint, error instanceof Error ? error.message : String(error));
  }
  const trouble = await ready(channel, waitMs(deadlineMicros));
  if (trouble === null) {
    const connection = new GrpcConnection(channel, peer, options);
    options.onBegin(connection);
    connection.start();
    return ok<Connection>(connection);
  }
  channel.close();
  if (refusal !== null) return refusal;
  return explain(`${endpoint} (${address})`, trouble);
}

function refusePeer({ endpoint, address, accepts, revoked }: DialOptions, holder: Holder | null, serial: string): Err | null {
  const detail = { endpoint, address, serial };
  if (holder === null) return certificateRefused(`The certificate of ${endpoint} (${address}) names no machine of ours.`, detail);
  if (revoked(holder.serial)) return certificateRefused(`The certificate of ${holder.name} (${address}) was revoked.`, detail);
  if (!accepts(holder.name)) return certificateRefused(`${address} is ${holder.name}, which may not serve ${endpoint}.`, detail);
  return null;
}

type CheckPeer = (subjectAltName: string | undefined, serial: string, validTo: string) => Error | undefined;

function credentialsOf(identity: Identity | Trust | null, check: CheckPeer) {
  if (identity === null) return credentials.createInsecure();
  return credentials.createFromSecureContext(contextOf(identity), {
    checkServerIdentity: (_host, certificate) => check(certificate.subjectaltname, certificate.serialNumber, certificate.valid_to),
  });
}

/** Reading keys and certificates takes longer than the handshake that uses them: once for each identity is enough. */
const contexts = new WeakMap<Identity | Trust, SecureContext>();

function contextOf(identity: Identity | Trust): SecureContext {
  let context = contexts.get(identity);
  if (context === undefined) {
    context = createSecureContext({
      ...('certificate' in identity ? { cert: identity.certificate, key: identity.privateKey } : {}),
      ca: [...identity.authorities],
      minVersion: 'TLSv1.3',
    });
    contexts.set(identity, context);
  }
  return context;
}

/** Null when the channel is ready, else why it is not. */
function ready(channel: Channel, deadlineMs: number): Promise<string | null> {
  return new Promise((resolve) => {
    const deadline = setTimeout(() => resolve(`no connection within ${deadlineMs} ms`), deadlineMs);
    const settle = (why: string | null): void => {
      clearTimeout(deadline);
      resolve(why);
    };
    const look = (): void => {
      const state = channel.getConnectivityState(true);
      if (state === connectivityState.READY) settle(null);
      else if (state === connectivityState.SHUTDOWN) settle('it was given up');
      else if (state === connectivityState.TRANSIENT_FAILURE) void reasonOf(channel).then(settle);
      else channel.watchConnectivityState(state, Infinity, (error) => (error === undefined ? look() : undefined));
    };
    look();
  });
}

/** A channel keeps why it could not connect for those who call. Nothing is sent. */
function reasonOf(channel: Channel): Promise<string> {
  return new Promise((resolve) => {
    const call = channel.createCall('/wasmmatrix/Why', Date.now() + 1_000, null, null, null);
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: () => {},
      onReceiveStatus: ({ details }) => resolve(details),
    });
  });
}

/** OpenSSL's and gRPC's words, for people. */
function explain(where: string, details: string): Err {
  const why = details
    .replace(/^.*?Last error: /su, '')
    .replace(/\.? Resolution note:.*$/su, '')
    .replace(/^Error: /u, '');
  if (why.includes('ECONNREFUSED')) return unreachable(where, 'nothing listens there (ECONNREFUSED)');
  if (/certificate|self.signed|unable to verify/iu.test(why)) {
    return certificateRefused(`The certificate of ${where} is not accepted: ${why}.`, { where });
  }
  if (/ECONNRESET|EPIPE|socket hang up|disconnected before secure|Failed to connect|No connection established$/iu.test(why)) {
    return unreachable(
      where,
      'it hung up during the handshake; it may not know the certificate of this machine, or speak another protocol',
    );
  }
  return unreachable(where, why);
}

export class GrpcConnection implements Connection {
  readonly peer: PeerIdentity;
  readonly #channel: Channel;
  readonly #options: Pick<DialOptions, 'onEnd' | 'onLost'>;
  readonly #calls = new Set<Pending>();
  readonly #streams = new Set<GrpcStream>();
  #state: 'open' | 'ended' | 'gone' = 'open';

  constructor(channel: Channel, peer: PeerIdentity, options: Pick<DialOptions, 'onEnd' | 'onLost'>) {
    this.#channel = channel;
    this.peer = peer;
    this.#options = options;
  }

  /** Watches for its end, which may have come already. */
  start(): void {
    const channel = this.#channel;
    channel.watchConnectivityState(connectivityState.READY, Infinity, () => this.#wind());
    if (channel.getConnectivityState(false) !== connectivityState.READY) this.#wind();
  }

  async call(method: string, request: Uint8Array, options: { readonly deadlineMicros: number }): Promise<Outcome<Uint8Array>> {
    if (request.length > MESSAGE_BYTES_MAX) return tooLarge(request.length);
    if (this.#state !== 'open') return this.#notSent('the connection has ended');
    if (this.#calls.size >= CALLS_OPEN_MAX) return this.#notSent(`${CALLS_OPEN_MAX} calls of the connection have no answer yet`);
    const copy = Buffer.from(request);
    const deadlineMs = waitMs(options.deadlineMicros);
    const call = this.#channel.createCall(method, Date.now() + deadlineMs, null, null, null);
    return new Promise((resolve) => {
      const pending: Pending = {
        call,
        settle: (outcome) => {
          if (!this.#calls.delete(pending)) return;
          resolve(outcome);
          this.#leaveWhenIdle();
        },
      };
      this.#calls.add(pending);
      let answer: Buffer | null = null;
      call.start(new Metadata(), {
        onReceiveMetadata: () => {},
        onReceiveMessage: (message: Buffer) => (answer = message),
        onReceiveStatus: (received) => pending.settle(this.#answerOf(method, received, answer)),
      });
      call.sendMessageWithContext({ callback: () => {} }, copy);
      call.halfClose();
      call.startRead();
    });
  }

  async open(method: string): Promise<Outcome<ByteStream>> {
    if (this.#state !== 'open') return this.#notSent('the connection has ended');
    if (this.#streams.size >= STREAMS_OPEN_MAX) return this.#notSent(`${STREAMS_OPEN_MAX} streams of the connection are open`);
    const call = this.#channel.createCall(method, Infinity, null, null, null);
    const stream = new GrpcStream({
      peer: this.peer,
      read: () => call.startRead(),
      write: (message, written) => call.sendMessageWithContext({ callback: (error) => (error ? undefined : written()) }, message),
      end: () => call.halfClose(),
      abort: () => call.cancelWithStatus(status.CANCELLED, 'The stream was given up.'),
      forget: () => {
        this.#streams.delete(stream);
        this.#leaveWhenIdle();
      },
    });
    this.#streams.add(stream);
    call.start(new Metadata(), {
      onReceiveMetadata: () => {},
      onReceiveMessage: (message: Buffer) => stream.accept(bytesOf(message)),
      onReceiveStatus: (received) => stream.finish(received.code === status.OK ? null : decodeStatus(received, this.peer.name, method)),
    });
    stream.start();
    return ok<ByteStream>(stream);
  }

  close(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    for (const { call, settle } of [...this.#calls]) {
      settle(connectionLost(this.peer.name, 'it was closed'));
      call.cancelWithStatus(status.CANCELLED, 'The connection was closed.');
    }
    for (const stream of [...this.#streams]) stream.close();
    this.#leaveWhenIdle();
  }

  /** At once, whatever the peer does. */
  destroy(): void {
    this.close();
    for (const stream of [...this.#streams]) stream.finish(connectionLost(this.peer.name, 'it was closed'));
  }

  /** The transport is gone, or the peer says that it will go: nothing new. What is open is settled by its own last word. */
  #wind(): void {
    if (this.#state !== 'open') return;
    this.#state = 'ended';
    this.#options.onLost();
    // Whatever gRPC had not yet sent it must not send on another transport. What was sent goes on to its own end.
    this.#channel.close();
    this.#leaveWhenIdle();
  }

  #leaveWhenIdle(): void {
    if (this.#state !== 'ended' || this.#calls.size > 0 || this.#streams.size > 0) return;
    this.#state = 'gone';
    this.#channel.close();
    this.#options.onEnd(this);
  }

  #answerOf(method: string, received: StatusObject, answer: Buffer | null): Outcome<Uint8Array> {
    if (received.code !== status.OK) return decodeStatus(received, this.peer.name, method);
    return answer === null ? connectionLost(this.peer.name, `it answered ${method} with nothing`) : ok(bytesOf(answer));
  }

  #notSent(why: string): Err {
    return failed('WM_UNREACHABLE', {
      message: `Nothing was sent to ${this.peer.name}: ${why}.`,
      next: 'Connect again, with backoff.',
      detail: { peer: this.peer.name },
    });
  }
}
