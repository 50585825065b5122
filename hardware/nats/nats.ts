// The connection to NATS servers, which the bus and the store of production share. Owns credentials, TLS, reconnection, and the
// words in which trouble is told; streams and subjects are the business of whoever uses it. Refuses to queue: what is asked while
// there is no connection fails at once, so that nothing piles up in the client. It reconnects on its own, for ever.
// Surprising: an acknowledgement of JetStream is no fsync unless the server says `sync_interval: always`, and only its
// monitoring endpoint tells whether it does (`checkSyncAlways`).
import { readFile } from 'node:fs/promises';
import { jetstream, JetStreamApiError, jetstreamManager, type JetStreamClient, type JetStreamManager } from '@nats-io/jetstream';
import { connect, credsAuthenticator, type NatsConnection, type NodeConnectionOptions } from '@nats-io/transport-node';
import { failed, ok, rejected, unknown, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { describeConnectTrouble, describeTrouble, isSilent, withoutJetStream } from './trouble.ts';

export { checkSyncAlways } from './sync.ts';
export { JETSTREAM } from './trouble.ts';

/** Bound: the first connection, all servers together tried once. */
const CONNECT_MS_MAX = 5_000;
/** Bound: wait between two attempts at the same server, and the jitter on it. */
const RECONNECT_MS = 250;
const RECONNECT_JITTER_MS = 250;
/** A server that is silent is asked this often, and lost after so many questions without an answer. */
const PING_MS = 5_000;
const PINGS_UNANSWERED_MAX = 2;
/** Bound: an answer of a server. */
const ANSWER_MS_MAX = 5_000;

export type NatsCredentials =
  | { readonly kind: 'none' }
  | { readonly kind: 'password'; readonly user: string; readonly password: string }
  | { readonly kind: 'token'; readonly token: string }
  /** A file as `nsc` writes it: a signed user and its key. */
  | { readonly kind: 'file'; readonly path: string };

export type NatsOptions = {
  /** `nats://host:port`; one that answers is enough. With TLS by name: the client compares no certificate with an address. */
  readonly servers: readonly string[];
  /** Shown by the server to its operators. */
  readonly name: string;
  readonly credentials: NatsCredentials;
  /** Null: TLS is used where the server asks for it, with the authorities that this machine trusts. */
  readonly tls: { readonly caFile?: string; readonly certificateFile?: string; readonly keyFile?: string } | null;
};

export type NatsState = 'connected' | 'lost' | 'closed';

export type NatsLink = {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly state: () => NatsState;
  /** Tells each change of the state; gives what ends that. */
  watch(listener: (state: NatsState) => void): () => void;
  /**
   * One request. failed: there was no connection, nothing was sent. unknown: the connection was lost, or no answer came in time.
   * `refuse` turns a refusal of JetStream into an outcome; null leaves it to this module.
   */
  ask<T>(what: string, request: () => Promise<T>, refuse?: (error: JetStreamApiError) => Outcome<T> | null): Promise<Outcome<T>>;
  /** Sends what was accepted, and ends. */
  close(): Promise<void>;
};

async function readCredentials(path: string): Promise<Outcome<Uint8Array>> {
  let trouble = 'it holds no user and no key';
  try {
    const text = await readFile(path, 'utf8');
    if (text.includes('BEGIN NATS USER JWT') && text.includes('BEGIN USER NKEY SEED')) return ok(new TextEncoder().encode(text));
  } catch (error) {
    trouble = (error as Error).message;
  }
  return rejected('WM_NATS_REFUSED', {
    message: `The credentials file ${path} cannot be used: ${trouble}.`,
    next: 'Name a file that `nsc generate creds` wrote, readable by this process.',
  });
}

async function toConnectionOptions(options: NatsOptions): Promise<Outcome<NodeConnectionOptions>> {
  const { credentials, tls } = options;
  let login: Partial<NodeConnectionOptions> = {};
  if (credentials.kind === 'password') login = { user: credentials.user, pass: credentials.password };
  else if (credentials.kind === 'token') login = { token: credentials.token };
  else if (credentials.kind === 'file') {
    const file = await readCredentials(credentials.path);
    if (!file.ok) return file;
    login = { authenticator: credsAuthenticator(file.value) };
  }
  const { caFile, certificateFile, keyFile } = tls ?? {};
  return ok({
    servers: [...options.servers],
    name: options.name,
    ...login,
    ...(tls === null
      ? {}
      : {
          tls: {
            ...(caFile === undefined ? {} : { caFile }),
            ...(certificateFile === undefined ? {} : { certFile: certificateFile }),
            ...(keyFile === undefined ? {} : { keyFile }),
          },
        }),
    timeout: CONNECT_MS_MAX,
    reconnectTimeWait: RECONNECT_MS,
    reconnectJitter: RECONNECT_JITTER_MS,
    pingInterval: PING_MS,
    maxPingOut: PINGS_UNANSWERED_MAX,
    maxReconnectAttempts: -1,
    // A server whose users are being changed may refuse for a moment: that must not end a process for good.
    ignoreAuthErrorAbort: true,
  });
}

/** Resolves when a server let us in. It does not wait for servers that are down: start again, with backoff. */
export async function connectNats(options: NatsOptions): Promise<Outcome<NatsLink>> {
  const prepared = await toConnectionOptions(options);
  if (!prepared.ok) return prepared;
  try {
    // A first connection is tried once at each server; only what was connected is reconnected for ever.
    const connection = await connect({ ...prepared.value, waitOnFirstConnect: false });
    return ok(new Link(connection, await jetstreamManager(connection, { checkAPI: false, timeout: ANSWER_MS_MAX })));
  } catch (error) {
    return describeConnectTrouble(error, options);
  }
}

class Link implements NatsLink {
  readonly connection: NatsConnection;
  readonly jetstream: JetStreamClient;
  readonly manager: JetStreamManager;
  readonly #listeners = new Set<(state: NatsState) => void>();
  /** Requests that wait for an answer: each is told when the connection is lost. Bound: what callers ask at once. */
  readonly #asked = new Set<(lost: Err) => void>();
  #state: NatsState = 'connected';

  constructor(connection: NatsConnection, manager: JetStreamManager) {
    this.connection = connection;
    this.manager = manager;
    this.jetstream = jetstream(connection, { timeout: ANSWER_MS_MAX });
    void this.#follow();
    void connection.closed().then(() => this.#become('closed'));
  }

  state(): NatsState {
    return this.#state;
  }

  watch(listener: (state: NatsState) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  async #follow(): Promise<void> {
    for await (const status of this.connection.status()) {
      if (status.type === 'disconnect') this.#become('lost');
      else if (status.type === 'reconnect') this.#become('connected');
    }
  }

  #become(state: NatsState): void {
    if (this.#state === state || this.#state === 'closed') return;
    this.#state = state;
    if (state !== 'connected') for (const tell of [...this.#asked]) tell(this.#lost());
    for (const listener of [...this.#listeners]) listener(state);
  }

  #lost(): Err {
    return unknown('WM_CONNECTION_LOST', {
      message: 'The connection to NATS ended while an answer was outstanding.',
      next: 'Observe whether it happened before repeating it; the connection is made again on its own.',
    });
  }

  async ask<T>(what: string, request: () => Promise<T>, refuse?: (error: JetStreamApiError) => Outcome<T> | null): Promise<Outcome<T>> {
    if (this.#state === 'closed')
      return failed('WM_CANCELLED', { message: `NATS: ${what} was not sent: the connection was closed.`, next: 'Connect anew.' });
    if (this.#state === 'lost') {
      return failed('WM_UNREACHABLE', {
        message: `NATS: ${what} was not sent: no server of the list can be reached now.`,
        next: 'Try again with backoff; the connection is made again on its own.',
      });
    }
    let tell: (lost: Err) => void = () => {};
    const lost = new Promise<Err>((resolve) => (tell = resolve));
    this.#asked.add(tell);
    try {
      return await Promise.race([request().then((value): Outcome<T> => ({ ok: true, value })), lost]);
    } catch (error) {
      const refused = error instanceof JetStreamApiError ? (refuse?.(error) ?? null) : null;
      return refused ?? describeTrouble(error, what);
    } finally {
      this.#asked.delete(tell);
    }
  }

  async close(): Promise<void> {
    if (this.connection.isClosed()) return;
    // Draining waits for a server; one that is away would keep us for as long as it is.
    await (this.#state === 'connected' ? this.connection.drain() : this.connection.close()).catch(() => {});
    this.#become('closed');
  }
}

/** Fails in words when the server has no JetStream for this account: its own question is the one that every server with it answers. */
export async function checkJetStream(link: NatsLink): Promise<Outcome<void>> {
  const what = 'the question for JetStream';
  const info = await link.ask<unknown>(what, () =>
    link.manager.getAccountInfo().catch((error: unknown) => {
      if (isSilent(error)) return null;
      throw error;
    }),
  );
  if (!info.ok) return info;
  return info.value === null ? withoutJetStream(what) : ok();
}
