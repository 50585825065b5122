// A nats-server in a container, by testcontainers. No registry is asked: the image is the binary and nothing else. It shares the
// network of the host, so that its port stays the same over restarts and no bridge or packet filter is needed.
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTestcontainers } from '../containers/engine.ts';
import { NATS_SERVER_VERSION } from './build.ts';
import { READY, type Runner, type RunnerOptions } from './runner.ts';

const IMAGE = `wasmmatrix/nats-server:${NATS_SERVER_VERSION}`;
const CONFIGURATION = '/nats/nats.conf';
/** Bound: wait for a server to be ready. */
const READY_MS_MAX = 30_000;
/** Bound: wait for a server that was told to end, before it is killed. */
const END_S_MAX = 10;

async function ensureImage(binary: string): Promise<void> {
  const { GenericContainer, getContainerRuntimeClient, ImageName } = await loadTestcontainers();
  const client = await getContainerRuntimeClient();
  if (await client.image.exists(ImageName.fromString(IMAGE))) return;
  const context = mkdtempSync(join(tmpdir(), 'wasmmatrix-image-'));
  try {
    copyFileSync(binary, join(context, 'nats-server'));
    writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nWORKDIR /nats\nCOPY nats-server /nats-server\nENTRYPOINT ["/nats-server"]\n');
    await GenericContainer.fromDockerfile(context).build(IMAGE, { deleteOnExit: false });
  } finally {
    rmSync(context, { recursive: true, force: true });
  }
}

export async function startContainer({ binary, configuration, files }: RunnerOptions): Promise<Runner> {
  const { GenericContainer, getContainerRuntimeClient, Wait } = await loadTestcontainers();
  await ensureImage(binary);
  const client = await getContainerRuntimeClient();
  const words: string[] = [];
  let id: string | null = null;

  /** Until the server says that it is ready for the n-th time, or the container has ended. */
  const ready = async (sinceS: number): Promise<void> => {
    const container = client.container.getById(id ?? '');
    const logs = await container.logs({ follow: true, stdout: true, stderr: true, since: sinceS });
    let heard = '';
    for await (const chunk of logs) {
      heard += String(chunk);
      if (READY.test(heard)) return;
    }
    throw new Error(`nats-server ended before it was ready:\n${heard}`);
  };

  return {
    start: async () => {
      if (id !== null) {
        const { State } = await client.container.getById(id).inspect();
        // Docker counts its log in nanoseconds and takes fractions: only what is said after the last end counts.
        const endedS = Date.parse(State.FinishedAt) / 1_000;
        await client.container.getById(id).start();
        return ready(endedS);
      }
      const container = new GenericContainer(IMAGE)
        .withNetworkMode('host')
        .withCopyContentToContainer([
          { content: configuration, target: CONFIGURATION },
          ...Object.entries(files).map(([name, content]) => ({ content, target: `/nats/files/${name}` })),
        ])
        .withCommand(['-c', CONFIGURATION])
        .withLogConsumer((stream) => stream.on('data', (chunk) => words.push(String(chunk))))
        .withStartupTimeout(READY_MS_MAX)
        .withWaitStrategy(Wait.forLogMessage(READY));
      try {
        id = (await container.start()).getId();
      } catch (error) {
        throw new Error(`nats-server ended before it was ready: ${String(error)}\n${words.join('')}`);
      }
      return undefined;
    },
    signal: async (signal) => {
      const container = client.container.getById(id ?? '');
      if (signal === 'SIGKILL') await container.kill();
      else await container.stop({ t: END_S_MAX });
      await container.wait();
    },
    remove: async () => {
      if (id !== null) await client.container.getById(id).remove({ force: true, v: true });
    },
  };
}
