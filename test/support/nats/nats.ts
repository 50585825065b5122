// Real NATS servers for tests, in a container where an engine answers and as a process elsewhere; never a fake. `NATS` says
// which it will be, before anything is started, so that suites can name it and leave themselves out aloud. A server has its
// own port and store, which it keeps over `kill` and `restart`; suites share one per file, with streams of their own.
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureNatsServer, NATS_SERVER_VERSION } from './build.ts';
import { findEngine } from '../containers/engine.ts';
import { startContainer } from './container.ts';
import { startProcess } from './process.ts';
import { reservePort } from '../network/reserve.ts';

export type NatsOptions = {
  /** The server calls fsync before it acknowledges. Default true: tests judge what production does. */
  readonly syncAlways?: boolean;
  /** Default true. */
  readonly jetStream?: boolean;
  /** Further lines of its configuration: `authorization { … }`, `tls { … }`. */
  readonly config?: string;
  /** Files that `config` speaks of, by name: it reaches them as `files/<name>`. */
  readonly files?: Readonly<Record<string, string>>;
};

export type NatsServer = {
  readonly url: string;
  /** The monitoring endpoint, HTTP. */
  readonly monitorUrl: string;
  readonly how: 'container' | 'process';
  /** SIGKILL; what is on its disk stays. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for its end; what is on its disk stays. */
  halt(): Promise<void>;
  /** Starts it again after `kill` or `halt`, or stops it before: same port, same store. Resolves when it takes connections. */
  restart(): Promise<void>;
  /** Ends it for good and removes its store. */
  stop(): Promise<void>;
};

const found = await ensureNatsServer();
const engine = 'path' in found ? await findEngine() : null;

/** What the tests will run, or why they cannot. */
export const NATS: { readonly how: 'container' | 'process'; readonly title: string } | { readonly missing: string } =
  'missing' in found
    ? found
    : {
        how: engine === null ? 'process' : 'container',
        title: `nats-server ${NATS_SERVER_VERSION} as a ${engine === null ? 'process' : 'container'}`,
      };

function configurationOf(options: NatsOptions, ports: { readonly client: number; readonly monitor: number }, store: string): string {
  const { syncAlways = true, jetStream = true, config = '' } = options;
  return [
    `listen: "127.0.0.1:${ports.client}"`,
    `http: "127.0.0.1:${ports.monitor}"`,
    `server_name: "test-${ports.client}"`,
    jetStream ? `jetstream { store_dir: ${JSON.stringify(store)}${syncAlways ? ', sync_interval: always' : ''} }` : '',
    config,
    '',
  ].join('\n');
}

/** Rejects when there is no server to start: look at `NATS` first. */
export async function startNats(options: NatsOptions = {}): Promise<NatsServer> {
  if ('missing' in found) throw new Error(`There is no nats-server: ${found.missing}.`);
  const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-nats-'));
  const ports = { client: await reservePort(), monitor: await reservePort() };
  const store = engine === null ? join(folder, 'store') : '/store';
  const runnerOptions = { binary: found.path, configuration: configurationOf(options, ports, store), files: options.files ?? {}, folder };
  const runner = engine === null ? startProcess(runnerOptions) : await startContainer(runnerOptions);
  try {
    await runner.start();
  } catch (error) {
    await runner.remove();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  let running = true;
  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (running) await runner.signal(signal);
    running = false;
  };
  return {
    url: `nats://127.0.0.1:${ports.client}`,
    monitorUrl: `http://127.0.0.1:${ports.monitor}`,
    how: engine === null ? 'process' : 'container',
    kill: () => end('SIGKILL'),
    halt: () => end('SIGTERM'),
    restart: async () => {
      await end('SIGTERM');
      await runner.start();
      running = true;
    },
    stop: async () => {
      await end('SIGKILL');
      await runner.remove();
      await rm(folder, { recursive: true, force: true });
    },
  };
}
