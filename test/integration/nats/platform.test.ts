// A whole platform whose events travel through NATS: a controller with its endpoint, two agents that use JetStream themselves, and
// an operator who knows the controller alone. Real network, store, clock and keys; modules are scripts.
import { mkdtempSync } from 'node:fs';
import { cp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createAgent, type Agent } from '../../../agents/agent.ts';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { FileKeys } from '../../../hardware/keys/keys.ts';
import { PROTOCOL_METHODS, type GrpcNetwork } from '../../../hardware/network/network.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { openStorage } from '../../../hardware/storage/storage.ts';
import { createBusClient, createBusGateway } from '../../../system/bus/bus.ts';
import { createController, DEFAULT_CONFIG } from '../../../system/controller/controller.ts';
import type { ConsumerName, Endpoint, ModuleName, NodeId, Subject, SubjectFilter, ZonePath } from '../../../system/domain/identifiers.ts';
import { manifestText, type ModuleManifest } from '../../../system/domain/module.ts';
import { EXECUTE_METHOD, QUERY_METHOD, type OperatorAnswer, type OperatorCommand } from '../../../system/domain/operator.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Bus } from '../../../system/ports/bus.ts';
import { createStateClient } from '../../../system/state/state.ts';
import {
  decodeOperatorAnswer,
  decodeOperatorReply,
  encodeOperatorQuery,
  encodeOperatorRequest,
} from '../../../system/wire/codec/operator.ts';
import { GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';
import { PROFILE, ScriptedWasm, type Script } from '../../support/agent/scripted-wasm.ts';
import { codeOf, consumerOf, eventOf, fenceOf, get } from '../../support/bus/site.ts';
import { deploymentOf, ScriptCompiler, triggerOf } from '../../support/controller/world.ts';
import { NATS, startNats, type NatsServer } from '../../support/nats/nats.ts';
import { NatsPlatform } from '../../support/nats/platform.ts';
import { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';

const S = 1_000_000;
const CONTROLLER = DEFAULT_CONFIG.endpoint;
const TOKEN = 'let-me-in';
const ANSWERS = 'answers' as ConsumerName;
/** Bound: how long a test waits for what has to happen. */
const WAIT_STEPS_MAX = 300;

const SCRIPTS = new Map<string, Script>([
  [
    'echo',
    function* (guest, write) {
      yield { kind: 'leg', micros: 10 };
      write(new TextDecoder().decode(guest.stdin));
      return 0;
    },
  ],
]);

async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let step = 0; step < WAIT_STEPS_MAX; step++) {
    if (await holds()) return;
    await new SystemClock().sleep(0.1 * S);
  }
  throw new Error(`it did not happen: ${what}`);
}

class Platform {
  readonly clock = new SystemClock();
  readonly random = new SystemRandom();
  readonly world = new GrpcWorld();
  readonly nats: NatsPlatform;
  readonly agents = new Map<string, { readonly agent: Agent; readonly telemetry: MemoryTelemetry }>();
  readonly telemetry = new MemoryTelemetry();
  readonly #folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-nats-platform-'));
  readonly #keys = new FileKeys(join(this.#folder, 'keys'));
  readonly #authority: TestAuthority;
  readonly #ends: (() => Promise<unknown>)[] = [];
  #operator: GrpcNetwork | null = null;
  #commands = 0;
  #stopController: () => Promise<unknown> = () => Promise.resolve();

  private constructor(server: NatsServer, authority: TestAuthority) {
    this.nats = new NatsPlatform(server.url);
    this.#authority = authority;
  }

  static async start(server: NatsServer): Promise<Platform> {
    const platform = new Platform(server, await TestAuthority.create());
    await platform.#startController();
    platform.#operator = await platform.#machine('operator/ops');
    return platform;
  }

  async end(): Promise<void> {
    for (const end of this.#ends.toReversed()) await end();
    await this.#stopController();
    await this.nats.leave();
    await this.world.close();
    await rm(this.#folder, { recursive: true, force: true });
  }

  async #machine(name: string): Promise<GrpcNetwork> {
    return this.world.machine((await this.#authority.issue(name)).identity, { methods: PROTOCOL_METHODS });
  }

  async #storage(name: string) {
    const storage = get(await openStorage({ folder: join(this.#folder, name) }));
    this.#ends.push(() => storage.close());
    return storage;
  }

  async #startController(restored = false): Promise<void> {
    const { clock, random, telemetry } = this;
    const { bus } = await this.nats.join('platform');
    const network = await this.#machine('controller');
    const storage = get(await openStorage({ folder: this.#controllerFolder }));
    const ports = {
      clock,
      random,
      telemetry,
      network,
      storage,
      keys: this.#keys,
      wasm: new ScriptCompiler(clock, SCRIPTS),
    };
    const config = { ...DEFAULT_CONFIG, joinToken: TOKEN, restored };
    const controller = createController(ports, config, { broker: createBusGateway(ports, bus) });
    get(await controller.start());
    this.#stopController = async () => {
      await controller.stop();
      await network.close();
      bus.close();
      await storage.close();
    };
  }

  get #controllerFolder(): string {
    return join(this.#folder, 'controller');
  }

  /** As docs/howto/backup.md says: stop the process, copy the whole folder, start the process. */
  async backUp(): Promise<void> {
    await this.#stopController();
    await rm(join(this.#folder, 'copy'), { recursive: true, force: true });
    await cp(this.#controllerFolder, join(this.#folder, 'copy'), { recursive: true });
    await this.#startController();
  }

  /** Puts the whole copy in place of the folder, and tells the controller so. */
  async restore(): Promise<void> {
    await this.#stopController();
    await rm(this.#controllerFolder, { recursive: true });
    await cp(join(this.#folder, 'copy'), this.#controllerFolder, { recursive: true });
    await this.#startController(true);
  }

  async startAgent(name: string): Promise<void> {
    const { clock, random } = this;
    const { bus, telemetry } = await this.nats.join('agent');
    const network = await this.#machine(`node/${name}`);
    const storage = await this.#storage(name);
    const state = createStateClient({ network }, { store: CONTROLLER });
    const agent = createAgent(
      { clock, random, telemetry, network, bus, state, storage, keys: this.#keys, wasm: new ScriptedWasm(clock, SCRIPTS) },
      {
        facts: {
          node: name as NodeId,
          architecture: 'x86_64',
          isaFeatures: [],
          cores: 2,
          memoryBytes: 1_000_000,
          hardware: [],
          location: { latitude: 0, longitude: 0 },
          zone: 'cloud/eu' as ZonePath,
          faultDomain: `cloud/eu/${name}` as ZonePath,
          profile: PROFILE.profile,
          target: PROFILE.target,
          agentVersion: '0.1.0',
          endpoint: `agent/${name}` as Endpoint,
        },
        joinToken: TOKEN,
        controller: CONTROLLER,
        version: '0.1.0',
      },
    );
    get(await agent.start());
    this.#ends.push(() => agent.stop());
    this.agents.set(name, { agent, telemetry });
  }

  async #call(method: string, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    const connection = get(await this.#operator!.connect(CONTROLLER, { deadlineMicros: 5 * S }));
    const answer = await connection.call(method, request, { deadlineMicros: 20 * S });
    connection.close();
    return answer;
  }

  async execute(command: OperatorCommand): Promise<void> {
    const answer = await this.#call(EXECUTE_METHOD, encodeOperatorRequest({ id: `c${(this.#commands += 1)}`, command }));
    get(decodeOperatorReply(get(answer)));
  }

  async instances() {
    const answer = get(decodeOperatorAnswer(get(await this.#call(QUERY_METHOD, encodeOperatorQuery({ kind: 'instances' })))));
    return (answer as Extract<OperatorAnswer, { readonly kind: 'instances' }>).instances;
  }

  /** A bus as an operator has it: through the controller's endpoint. */
  bus(): Bus {
    const bus = createBusClient({ network: this.#operator! }, { broker: CONTROLLER });
    this.#ends.push(() => Promise.resolve(bus.close()));
    return bus;
  }

  async deployEcho(): Promise<void> {
    const key = get(await this.#keys.open('ops'));
    await this.execute({ kind: 'trust-add', publicKey: key.publicKey, mayGrant: [] });
    const bytes = new TextEncoder().encode('echo 1');
    const manifest: ModuleManifest = {
      name: 'echo' as ModuleName,
      digest: this.#keys.digest(bytes),
      capabilities: [],
      limits: { fuelMax: 1_000_000, memoryBytesMax: 1_000_000, outputBytesMax: 10_000 },
    };
    const signature = { key: key.key, bytes: get(await this.#keys.sign('ops', new TextEncoder().encode(manifestText(manifest)))) };
    await this.execute({ kind: 'module-push', manifest, signature, bytes });
    await this.execute({ kind: 'deployment-apply', spec: deploymentOf() });
    await this.execute({ kind: 'trigger-apply', spec: triggerOf() });
    await until('the instance serves', async () => (await this.instances())[0]?.state === 'running');
  }
}

const pingOf = (id: string) => eventOf(id, { subject: 'ping.a' as Subject, data: new TextEncoder().encode(id) });

type Instances = Awaited<ReturnType<Platform['instances']>>;

function isServed([instance]: Instances, node: NodeId): boolean {
  return instance?.state === 'running' && instance.node === node;
}

async function answersOf(bus: Bus): Promise<readonly string[]> {
  const fetched = get(await bus.fetch(ANSWERS, { eventsMax: 10, waitMs: 10_000, fence: null }));
  for (const delivery of fetched) get(await bus.settle(ANSWERS, delivery, { kind: 'ack' }, { fence: null }));
  return fetched.map(({ event }) => new TextDecoder().decode(event.data));
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`a platform on NATS JetStream (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  test('answers events, moves work under a new fence, and goes on after the server was away', async () => {
    const server = await startNats();
    const platform = await Platform.start(server);
    try {
      for (const name of ['n1', 'n2']) await platform.startAgent(name);
      await platform.deployEcho();
      const bus = platform.bus();
      get(await bus.createConsumer(consumerOf('answers', { filter: 'pong' as SubjectFilter })));
      get(await bus.publish(pingOf('one'), { fence: null, deadlineMicros: 5 * S }));
      expect(await answersOf(bus)).toEqual(['one']);

      // The agent itself published the answer, under its fence.
      const [first] = await platform.instances();
      const { telemetry } = platform.agents.get(first?.node ?? '')!;
      expect(telemetry.of('event.accepted')).toMatchObject([{ subject: 'pong', instance: 'echo/0', epoch: 1 }]);

      await platform.execute({ kind: 'node-drain', node: first!.node! });
      await until('the instance moved', async () => {
        const [moved] = await platform.instances();
        return moved?.state === 'running' && moved.node !== first?.node;
      });
      get(await bus.publish(pingOf('two'), { fence: null, deadlineMicros: 5 * S }));
      expect(await answersOf(bus)).toEqual(['two']);
      const other = [...platform.agents].find(([name]) => name !== first?.node)![1];
      expect(other.telemetry.of('event.accepted')).toMatchObject([{ subject: 'pong', instance: 'echo/0', epoch: 2 }]);

      await server.kill();
      const refused = await bus.publish(pingOf('lost'), { fence: null, deadlineMicros: 5 * S });
      expect(['WM_UNREACHABLE', 'WM_CONNECTION_LOST']).toContain(codeOf(refused));
      await server.restart();
      await until('NATS takes events again', async () => (await bus.publish(pingOf('three'), { fence: null, deadlineMicros: 5 * S })).ok);
      const answers = new Set<string>();
      await until('the answer after the outage', async () => {
        const fetched = await bus.fetch(ANSWERS, { eventsMax: 10, waitMs: 1_000, fence: null });
        if (fetched.ok) for (const { event } of fetched.value) answers.add(new TextDecoder().decode(event.data));
        return answers.has('three');
      });
    } finally {
      await platform.end();
      await server.stop();
    }
  });

  test('serves again above every fence when an older copy of the controller is put back while agents and NATS go on', async () => {
    const server = await startNats();
    const platform = await Platform.start(server);
    try {
      for (const name of ['n1', 'n2']) await platform.startAgent(name);
      await platform.deployEcho();
      const [copied] = await platform.instances();
      expect(copied?.epoch).toBe(1);
      await platform.backUp();

      // Two moves that the copy knows nothing of: away from its node, and back to it.
      const nodes = { here: copied!.node!, there: (copied!.node === 'n1' ? 'n2' : 'n1') as NodeId };
      await platform.execute({ kind: 'node-drain', node: nodes.here });
      await until('it moved away', async () => isServed(await platform.instances(), nodes.there));
      await platform.execute({ kind: 'node-undrain', node: nodes.here });
      await platform.execute({ kind: 'node-drain', node: nodes.there });
      await until('it moved back', async () => isServed(await platform.instances(), nodes.here));
      expect(await platform.instances()).toMatchObject([{ epoch: 3 }]);

      // A node that NATS reaches, and no controller.
      const { bus: holder } = await platform.nats.join('agent');
      const said = (id: string) => eventOf(id, { subject: 'said' as Subject });
      get(await holder.publish(said('before'), { fence: fenceOf('echo/0', 3), deadlineMicros: 5 * S }));

      await platform.restore();
      const { telemetry } = platform.agents.get(nodes.here)!;
      const { term } = platform.telemetry.of('controller.started').at(-1)!;
      await until('its node follows the copy', () => telemetry.of('agent.desired').some((told) => told.term === term));
      await until('it serves again', async () => isServed(await platform.instances(), nodes.here));
      const bus = platform.bus();
      get(await bus.createConsumer(consumerOf('answers', { filter: 'pong' as SubjectFilter })));
      get(await bus.publish(pingOf('four'), { fence: null, deadlineMicros: 5 * S }));
      expect(await answersOf(bus)).toEqual(['four']);
      const [restored] = await platform.instances();
      expect(restored?.epoch).toBeGreaterThan(3);
      expect(telemetry.of('event.accepted')).toMatchObject([{ subject: 'pong', instance: 'echo/0', epoch: restored?.epoch }]);
      const late = await holder.publish(said('after'), { fence: fenceOf('echo/0', 3), deadlineMicros: 5 * S });
      expect(codeOf(late)).toBe('WM_FENCED');

      // What is placed from here on is above the floor too, also after a start that is told of no copy.
      await platform.backUp();
      await platform.execute({ kind: 'node-drain', node: nodes.here });
      await until('it moves again', async () => isServed(await platform.instances(), nodes.there));
      expect(await platform.instances()).toMatchObject([{ epoch: (restored?.epoch ?? 0) + 1 }]);
    } finally {
      await platform.end();
      await server.stop();
    }
  });
});
