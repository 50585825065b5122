// Agents in containers, by testcontainers. No registry is asked: the image is made of this machine's own Node.js, the libraries that it
// and the engine load, and what `devices install` sends. Containers share the network of this host, so no bridge is needed; what they
// lose when they are killed or stand still is their processes, and what they keep is their file system.
import { execFileSync } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import process from 'node:process';
import { withProduct } from '../../../hardware/devices/devices.ts';
import { ensureEngine } from '../../../hardware/wasm/build/build.ts';
import { ROOT } from '../e2e/command.ts';
import { loadTestcontainers } from './engine.ts';

/** Bound: wait for an agent that has joined. */
const UP_MS_MAX = 120_000;
const DOCKERFILE = [
  'FROM scratch',
  'COPY root/ /',
  'WORKDIR /data',
  'ENV WASMMATRIX_ENGINE=/engine.node',
  'ENTRYPOINT ["/node", "/product/cli.js"]',
  '',
].join('\n');

/** Absolute paths of the libraries that a program or library of this machine loads, the loader among them. */
function librariesOf(file: string): readonly string[] {
  return execFileSync('ldd', [file], { encoding: 'utf8' })
    .split('\n')
    .flatMap((line) => /(\/\S+) \(0x/.exec(line)?.[1] ?? []);
}

async function fill(context: string): Promise<void> {
  const root = join(context, 'root');
  for (const folder of ['product', 'tmp', 'data']) mkdirSync(join(root, folder), { recursive: true });
  const engine = await ensureEngine();
  copyFileSync(engine, join(root, 'engine.node'));
  copyFileSync(process.execPath, join(root, 'node'));
  for (const library of new Set([engine, process.execPath].flatMap(librariesOf))) {
    mkdirSync(join(root, dirname(library)), { recursive: true });
    copyFileSync(library, join(root, library));
  }
  const archive = join(context, 'product.tar');
  await withProduct(ROOT, (product) => Promise.resolve(execFileSync('tar', ['-cf', archive, ...product.files])));
  execFileSync('tar', ['-C', join(root, 'product'), '-xf', archive]);
  rmSync(archive);
  writeFileSync(join(context, 'Dockerfile'), DOCKERFILE);
}

type Client = Awaited<ReturnType<Awaited<ReturnType<typeof loadTestcontainers>>['getContainerRuntimeClient']>>;

export class ContainerFleet {
  readonly #image: string;
  readonly #client: Client;
  readonly #ids = new Map<string, string>();

  private constructor(image: string, client: Client) {
    this.#image = image;
    this.#client = client;
  }

  /** Makes the image; needs an engine that answers. */
  static async create(): Promise<ContainerFleet> {
    const { GenericContainer, getContainerRuntimeClient } = await loadTestcontainers();
    const image = `wasmmatrix/agent:${randomUUID()}`;
    const context = mkdtempSync(join(tmpdir(), 'wasmmatrix-image-'));
    try {
      await fill(context);
      await GenericContainer.fromDockerfile(context).build(image, { deleteOnExit: false });
    } finally {
      rmSync(context, { recursive: true, force: true });
    }
    return new ContainerFleet(image, await getContainerRuntimeClient());
  }

  /** One more agent; answers when it is up. */
  async start(name: string, joinToken: string): Promise<void> {
    const { GenericContainer, Wait } = await loadTestcontainers();
    const words: string[] = [];
    const container = new GenericContainer(this.#image)
      .withNetworkMode('host')
      .withEnvironment({ WASMMATRIX_JOIN: joinToken, WASMMATRIX_ADMIN: '127.0.0.1:0' })
      .withCommand([
        'agent',
        '--json',
        '--name',
        name,
        '--zone',
        'containers',
        '--data',
        '/data/agent',
        '--cores',
        '1',
        '--memory',
        '256MiB',
      ])
      .withLogConsumer((stream) => stream.on('data', (chunk) => words.push(String(chunk))))
      .withStartupTimeout(UP_MS_MAX)
      .withWaitStrategy(Wait.forLogMessage(/^\{"agent":/m));
    try {
      this.#ids.set(name, (await container.start()).getId());
    } catch (error) {
      throw new Error(`The agent of ${name} was not up: ${String(error)}\n${words.join('')}`, { cause: error });
    }
  }

  /** `kill` as a crash, `pause` until `unpause`, `start` of one that was killed, on the file system that it had. */
  async act(name: string, action: 'kill' | 'pause' | 'unpause' | 'start'): Promise<void> {
    const container = this.#client.container.getById(this.#idOf(name));
    await container[action]();
    if (action === 'kill') await container.wait();
  }

  /** As the engine says: `running`, `paused`, `exited`. */
  async stateOf(name: string): Promise<string> {
    return (await this.#client.container.getById(this.#idOf(name)).inspect()).State.Status;
  }

  async close(): Promise<void> {
    for (const id of this.#ids.values()) await this.#client.container.getById(id).remove({ force: true, v: true });
    await this.#client.container.dockerode.getImage(this.#image).remove({ force: true });
  }

  #idOf(name: string): string {
    const id = this.#ids.get(name);
    if (id === undefined) throw new Error(`There is no container ${name}.`);
    return id;
  }
}
