// The real controller and real agents on simulated machines. Modules are scripts: the bytes of a module name a script, compiling
// adds the profile, so that suites of the controller need no engine. An operator drives through the API, as a user would.
import { createAgent, type Agent } from '../../../agents/agent.ts';
import { nodeCrypto } from '../../../hardware/keys/crypto.ts';
import type { RecordOf, RunRecord } from '../../../scenarios/record.ts';
import { createNodeHost } from '../../../sim/campaign/host.main.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { DISK_COSTS, NETWORK_COSTS } from '../../../sim/costs/costs.ts';
import { canonicalSeed, createKernel, type Kernel, type Machine } from '../../../sim/kernel/kernel.ts';
import { KeyRing } from '../../../sim/keys/keys.ts';
import { SimNetwork } from '../../../sim/network/network.ts';
import { createRandom } from '../../../sim/random/random.ts';
import { createDisk, SimStorage, type Disk } from '../../../sim/storage/storage.ts';
import { RecordSink } from '../../../sim/telemetry/telemetry.ts';
import { createBusClient, type ControllerBroker } from '../../../system/bus/bus.ts';
import {
  createController,
  DEFAULT_CONFIG,
  type Controller,
  type ControllerConfig,
  type ControllerPorts,
} from '../../../system/controller/controller.ts';
import type { DeploymentSpec, TriggerSpec } from '../../../system/domain/deployment.ts';
import type {
  CorrelationId,
  Endpoint,
  EventId,
  ModuleName,
  NodeId,
  ProfileId,
  Subject,
  ZonePath,
} from '../../../system/domain/identifiers.ts';
import { manifestText, type ModuleManifest } from '../../../system/domain/module.ts';
import type { GeoPoint, NodeFacts } from '../../../system/domain/node.ts';
import {
  EXECUTE_METHOD,
  QUERY_METHOD,
  type OperatorAnswer,
  type OperatorCommand,
  type OperatorQuery,
  type OperatorReply,
} from '../../../system/domain/operator.ts';
import { ok, rejected, type Err, type Outcome } from '../../../system/domain/outcome.ts';
import type { RecordKind } from '../../../system/domain/telemetry.ts';
import type { ByteStream } from '../../../system/ports/network.ts';
import type { Keys } from '../../../system/ports/keys.ts';
import type { Ports } from '../../../system/ports/ports.ts';
import type { CompileProfile, ModuleImport, Wasm } from '../../../system/ports/wasm.ts';
import { createStateClient } from '../../../system/state/state.ts';
import {
  decodeOperatorAnswer,
  decodeOperatorReply,
  encodeOperatorQuery,
  encodeOperatorRequest,
} from '../../../system/wire/codec/operator.ts';
import { PROFILE, ScriptedWasm, type Script } from '../agent/scripted-wasm.ts';

export const MS = 1_000;
export const S = 1_000_000;
export const ZONES = ['cloud/eu', 'cloud/us', 'fleet/a', 'fleet/b'] as readonly string[] as readonly ZonePath[];
const OPERATOR = 'operator';
const TOKEN = 'let-me-in';

/** Of nodes that can run no script whose name begins with `vectors`. */
export const WITHOUT_VECTORS: CompileProfile = {
  profile: 'profile-2' as ProfileId,
  target: 'riscv64gc-unknown-linux-gnu',
  level: 'rv64gc',
};

/** Compiles a script's name into an artefact of it. */
export class ScriptCompiler extends ScriptedWasm {
  override readonly profiles: readonly CompileProfile[] = [PROFILE, WITHOUT_VECTORS];
  readonly #trouble: () => Err | null;

  constructor(clock: Ports['clock'], scripts: ReadonlyMap<string, Script>, trouble: () => Err | null = () => null) {
    super(clock, scripts);
    this.#trouble = trouble;
  }

  override inspect(bytes?: Uint8Array): Outcome<never> {
    const text = new TextDecoder().decode(bytes);
    if (text.startsWith('bad')) return rejected('WM_MODULE_INVALID', { message: 'It is no module.', next: 'Build it again.' });
    return ok([] as readonly ModuleImport[]) as Outcome<never>;
  }

  override compile(bytes?: Uint8Array, profile?: ProfileId): Promise<Outcome<never>> {
    const text = new TextDecoder().decode(bytes);
    const trouble = this.#trouble();
    if (trouble !== null) return Promise.resolve(trouble);
    if (text.startsWith('vectors') && profile === WITHOUT_VECTORS.profile)
      return Promise.resolve(rejected('WM_MODULE_FEATURE', { message: 'The module uses vectors.', next: 'Build it without.' }));
    return Promise.resolve(ok({ artefact: new TextEncoder().encode(`${text} ${profile}`), micros: 1_234 }) as Outcome<never>);
  }
}

export type NodeOptions = {
  readonly zone?: string;
  readonly faultDomain?: string;
  readonly facts?: Partial<NodeFacts>;
  readonly locate?: () => GeoPoint | null;
  /** What its machine shows; the node's own when absent. */
  readonly identity?: string;
  /** Of this node alone; those of the world when absent. */
  readonly scripts?: ReadonlyMap<string, Script>;
};

type Computer = { readonly machine: Machine; readonly disk: Disk; readonly identity: string };

export class ControllerWorld {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly records: RunRecord[] = [];
  readonly scripts = new Map<string, Script>();
  readonly config: ControllerConfig;
  readonly #computers = new Map<string, Computer>();
  readonly #facts = new Map<string, NodeFacts>();
  readonly #keyRing: KeyRing;
  readonly #sink: RecordSink;
  readonly agents = new Map<string, Agent>();
  readonly #createBroker: ((ports: ControllerPorts) => ControllerBroker) | null;
  controller: Controller | null = null;
  /** What each attempt to compile ends with; null: what comes of it. */
  compilerTrouble: Err | null = null;
  readonly endings: string[] = [];
  #commands = 0;

  constructor(
    options: {
      readonly seed?: string;
      readonly config?: Partial<ControllerConfig>;
      /** Made anew for each start of the controller, on its ports; the embedded one when absent. */
      readonly broker?: (ports: ControllerPorts) => ControllerBroker;
    } = {},
  ) {
    this.#createBroker = options.broker ?? null;
    this.kernel = createKernel({ seed: canonicalSeed(options.seed ?? '1') ?? '0x1', host: createNodeHost() });
    this.network = new SimNetwork(this.kernel, NETWORK_COSTS);
    for (const a of ZONES) for (const b of ZONES) this.network.setLaw(a, b, { law: 'constant', micros: a === b ? 200 : 5_000 }, [0, 1]);
    this.#keyRing = new KeyRing({ crypto: nodeCrypto, random: createRandom(this.kernel, null), onForgery: () => {} });
    this.#sink = new RecordSink(this.kernel);
    this.#sink.onRecord((record) => this.records.push(record));
    this.config = { ...DEFAULT_CONFIG, joinToken: TOKEN, operators: [OPERATOR], assertRecovery: true, ...options.config };
    this.#add('controller', 'controller', 'cloud/eu', 4);
    this.#add(OPERATOR, OPERATOR, 'cloud/eu', 4);
    this.scripts.set('echo', function* (guest, write) {
      yield { kind: 'leg', micros: 10 };
      write(new TextDecoder().decode(guest.stdin));
      return 0;
    });
  }

  keys(name: string): Keys {
    return this.#keyRing.portOf(name, () => Promise.resolve());
  }

  /** Plays `body` as the driver, with the controller started. */
  async play(body: () => Promise<void>, microsMax = 600 * S): Promise<void> {
    let done = false;
    this.kernel.after(0, null, 'test', () =>
      this.kernel.own(
        'test',
        this.startController()
          .then(body)
          .then(() => void (done = true)),
      ),
    );
    const end = await this.kernel.play({ done: () => done, microsMax });
    if (end.reason === 'failed') throw end.error;
    if (!done) throw new Error(`the play ended (${end.reason}) at ${end.micros} µs before its body did`);
  }

  on<T>(name: string, act: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.kernel.after(0, this.#get(name).machine, 'test', () =>
        this.kernel.own(
          'test',
          act().then((value) => void this.kernel.after(0, null, 'test', () => resolve(value))),
        ),
      );
    });
  }

  pass(micros: number): Promise<void> {
    return createClock(this.kernel, null).sleep(micros);
  }

  async startController(): Promise<void> {
    const started = await this.on('controller', () => {
      const ports = this.#ports('controller', new ScriptCompiler(this.#clock('controller'), this.scripts, () => this.compilerTrouble));
      const controller = createController(ports, this.config, this.#createBroker === null ? {} : { broker: this.#createBroker(ports) });
      this.controller = controller;
      this.kernel.own(
        'ended',
        controller.ended.then((cause) => void this.endings.push(cause)),
      );
      return controller.start();
    });
    if (!started.ok) throw new Error(`${started.error.code}: ${started.error.message}`);
  }

  diskOf(name: string): Disk {
    return this.#get(name).disk;
  }

  /** Power loss. */
  crash(name: string): void {
    const { machine, disk } = this.#get(name);
    machine.crash();
    this.network.leave(name, 'power');
    disk.losePower();
  }

  async restartController(downMicros = 100 * MS): Promise<void> {
    this.crash('controller');
    await this.pass(downMicros);
    this.#get('controller').machine.boot();
    await this.startController();
  }

  async startNode(name: string, options: NodeOptions = {}): Promise<void> {
    const zone = (options.zone ?? 'cloud/eu') as ZonePath;
    if (!this.#computers.has(name)) this.#add(name, options.identity ?? `node/${name}`, zone, 4);
    this.#facts.set(name, {
      node: name as NodeId,
      architecture: 'x86_64',
      isaFeatures: [],
      cores: 2,
      memoryBytes: 1_000_000,
      hardware: [],
      location: { latitude: 0, longitude: ZONES.indexOf(zone) * 10 },
      zone,
      faultDomain: (options.faultDomain ?? `${zone}/${name}`) as ZonePath,
      profile: PROFILE.profile,
      target: PROFILE.target,
      agentVersion: '0.1.0',
      endpoint: `agent/${name}` as Endpoint,
      ...options.facts,
    });
    await this.#startAgent(name, options.locate, options.scripts);
  }

  async restartNode(name: string, options: NodeOptions = {}): Promise<void> {
    const facts = this.#facts.get(name);
    if (facts !== undefined) this.#facts.set(name, { ...facts, ...options.facts });
    this.#get(name).machine.boot();
    await this.#startAgent(name);
  }

  async #startAgent(name: string, locate?: NodeOptions['locate'], scripts: ReadonlyMap<string, Script> = this.scripts): Promise<void> {
    const started = await this.on(name, () => {
      const ports = this.#ports(name, new ScriptedWasm(this.#clock(name), scripts));
      const facts = this.#facts.get(name);
      if (facts === undefined) throw new Error(`node ${name} has facts`);
      const agent = createAgent(ports, {
        facts,
        joinToken: TOKEN,
        controller: this.config.endpoint,
        version: '0.1.0',
        ...(locate === undefined ? {} : { locate }),
      });
      this.agents.set(name, agent);
      return agent.start();
    });
    if (!started.ok) throw new Error(started.error.message);
  }

  async execute(command: OperatorCommand, id = `c${++this.#commands}`): Promise<Outcome<OperatorReply>> {
    const answered = await this.call(OPERATOR, EXECUTE_METHOD, encodeOperatorRequest({ id, command }));
    return answered.ok ? decodeOperatorReply(answered.value) : answered;
  }

  async ask(query: OperatorQuery): Promise<Outcome<OperatorAnswer>> {
    const answered = await this.call(OPERATOR, QUERY_METHOD, encodeOperatorQuery(query));
    return answered.ok ? decodeOperatorAnswer(answered.value) : answered;
  }

  async query<K extends Exclude<OperatorQuery['kind'], 'plan'>>(kind: K): Promise<Extract<OperatorAnswer, { readonly kind: K }>> {
    const answer = await this.ask({ kind });
    if (!answer.ok) throw new Error(`${answer.error.code}: ${answer.error.message}`);
    return answer.value as Extract<OperatorAnswer, { readonly kind: K }>;
  }

  /** Another operator, somewhere else. */
  addOperator(name: string, zone: string): void {
    this.#add(name, OPERATOR, zone, 4);
  }

  /** A machine without an agent of ours, whose connections show `identity`. */
  addMachine(name: string, identity: string, zone = 'cloud/eu'): void {
    this.#add(name, identity, zone, 4);
  }

  /** What a client on this machine stands on. */
  portsOf(name: string): Pick<Ports, 'clock' | 'network' | 'random'> {
    const { machine } = this.#get(name);
    return { clock: this.#clock(name), network: this.network.portOf(name), random: createRandom(this.kernel, machine) };
  }

  /** A stream from the machine `from`, in its own turns; what `talk` returns comes back when it is over. */
  stream<T>(from: string, method: string, talk: (stream: Outcome<ByteStream>) => Promise<T>): Promise<T> {
    return this.on(from, async () => {
      const connected = await this.network.portOf(from).connect(this.config.endpoint, { deadlineMicros: S });
      if (!connected.ok) return talk(connected);
      const said = await talk(await connected.value.open(method));
      connected.value.close();
      return said;
    });
  }

  call(from: string, method: string, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    return this.on(from, async () => {
      const connected = await this.network.portOf(from).connect(this.config.endpoint, { deadlineMicros: S });
      if (!connected.ok) return connected;
      const answer = await connected.value.call(method, request, { deadlineMicros: 5 * S });
      connected.value.close();
      return answer;
    });
  }

  /** What its clock shows from now on, and not how fast it goes. */
  stepClock(name: string, byMicros: number): void {
    this.#get(name).machine.time.step(byMicros);
  }

  async trust(mayGrant: readonly string[] = [], forMs: number | null = null): Promise<void> {
    const key = await this.keys(OPERATOR).open('ops');
    if (!key.ok) throw new Error(key.error.message);
    const until = forMs === null ? {} : { notAfterMs: this.#clock('controller').civilMs() + forMs };
    await this.must({ kind: 'trust-add', publicKey: key.value.publicKey, mayGrant, ...until });
  }

  async push(
    module: string,
    text: string,
    options: { readonly key?: string | null; readonly capabilities?: readonly string[]; readonly outputBytesMax?: number } = {},
  ): Promise<Outcome<OperatorReply>> {
    const keys = this.keys(OPERATOR);
    const bytes = new TextEncoder().encode(text);
    const manifest: ModuleManifest = {
      name: module as ModuleName,
      digest: keys.digest(bytes),
      capabilities: options.capabilities ?? [],
      limits: { fuelMax: 1_000_000, memoryBytesMax: 1_000_000, outputBytesMax: options.outputBytesMax ?? 10_000 },
    };
    const name = options.key === undefined ? 'ops' : options.key;
    if (name === null) return this.execute({ kind: 'module-push', manifest, signature: null, bytes });
    const key = await keys.open(name);
    const signed = await keys.sign(name, new TextEncoder().encode(manifestText(manifest)));
    if (!key.ok || !signed.ok) throw new Error('the keys of the test work');
    return this.execute({ kind: 'module-push', manifest, signature: { key: key.value.key, bytes: signed.value }, bytes });
  }

  async must(command: OperatorCommand): Promise<OperatorReply> {
    const reply = await this.execute(command);
    if (!reply.ok) throw new Error(`${command.kind}: ${reply.error.code}: ${reply.error.message}`);
    return reply.value;
  }

  publish(id: string, subject: string, data: string): ReturnType<Ports['bus']['publish']> {
    return this.on(OPERATOR, async () => {
      const bus = createBusClient({ network: this.network.portOf(OPERATOR) }, { broker: this.config.endpoint });
      const event = {
        id: id as EventId,
        subject: subject as Subject,
        timeMs: 1,
        correlation: id as CorrelationId,
        headers: {},
        data: new TextEncoder().encode(data),
      };
      const ack = await bus.publish(event, { fence: null, deadlineMicros: 5 * S });
      bus.close();
      return ack;
    });
  }

  of<K extends RecordKind>(kind: K): readonly RecordOf<K>[] {
    return this.records.filter((record): record is RecordOf<K> => record.kind === kind);
  }

  #get(name: string): Computer {
    const computer = this.#computers.get(name);
    if (computer === undefined) throw new Error(`machine ${name} exists`);
    return computer;
  }

  #clock(name: string): Ports['clock'] {
    return createClock(this.kernel, this.#get(name).machine);
  }

  #add(name: string, identity: string, zone: string, cores: number): void {
    const machine = this.kernel.machine(name, { cores });
    this.#computers.set(name, { machine, identity, disk: createDisk(this.kernel.stream(`disk ${name}`), DISK_COSTS) });
    this.network.addMachine({ machine, identity, zone: zone as ZonePath });
    machine.boot();
  }

  #ports(name: string, wasm: Wasm): Ports {
    const { machine, disk } = this.#get(name);
    const { incarnation } = machine;
    const clock = this.#clock(name);
    const network = this.network.portOf(name);
    const host = {
      nowMicros: () => this.kernel.now(),
      after: (delay: number, label: string, run: () => void) => void this.kernel.after(delay, machine, label, run),
    };
    return {
      clock,
      network,
      random: createRandom(this.kernel, machine),
      bus: createBusClient({ network }, { broker: this.config.endpoint }),
      state: createStateClient({ network }, { store: this.config.endpoint }),
      storage: new SimStorage(disk, host, DISK_COSTS),
      wasm,
      keys: this.keys(name),
      telemetry: this.#sink.portOf(name, incarnation, () => machine.lives(incarnation)),
    };
  }
}

export function deploymentOf(overrides: Partial<DeploymentSpec> = {}): DeploymentSpec {
  return {
    name: 'echo' as DeploymentSpec['name'],
    module: 'echo' as ModuleName,
    version: null,
    replicas: 1,
    origin: 'cloud/eu' as ZonePath,
    requirements: { architectures: [], isaFeatures: [], hardware: [], within: null, memoryBytes: 1_000, cpuMillis: 100 },
    spread: 0,
    whenUnreachable: 'move',
    concurrency: 4,
    ...overrides,
  };
}

export function triggerOf(overrides: Partial<TriggerSpec> = {}): TriggerSpec {
  return {
    name: 'on-ping' as TriggerSpec['name'],
    subject: 'ping.>' as TriggerSpec['subject'],
    deployment: 'echo' as TriggerSpec['deployment'],
    result: 'pong' as Subject,
    deliveriesMax: 5,
    ackWaitMs: 1_000,
    backoffMs: 50,
    backoffMsMax: 1_000,
    ...overrides,
  };
}
