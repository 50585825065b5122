// One agent on a simulated machine (clock, chance, network, disk, keys, record of the simulator), before a controller that says
// what a test tells it to, a broker in memory and guests that are scripts.
import { nodeCrypto } from '../../../hardware/keys/crypto.ts';
import type { RunRecord, RecordOf } from '../../../scenarios/record.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { DISK_COSTS } from '../../../sim/costs/costs.ts';
import type { Machine } from '../../../sim/kernel/kernel.ts';
import { KeyRing } from '../../../sim/keys/keys.ts';
import { createRandom } from '../../../sim/random/random.ts';
import { createDisk, SimStorage } from '../../../sim/storage/storage.ts';
import type { Disk } from '../../../sim/storage/storage.ts';
import { RecordSink } from '../../../sim/telemetry/telemetry.ts';
import { createAgent } from '../../../agents/agent.ts';
import type { Agent, AgentBounds } from '../../../agents/agent.ts';
import type { BusEvent } from '../../../system/domain/event.ts';
import type { ConsumerName, CorrelationId, Endpoint, EventId, NodeId, Subject } from '../../../system/domain/identifiers.ts';
import type { NodeFacts } from '../../../system/domain/node.ts';
import type { RecordKind } from '../../../system/domain/telemetry.ts';
import type { Ports } from '../../../system/ports/ports.ts';
import { CLOUD, FLEET, SimWorld } from '../../contract/sim-world.ts';
import { FakeController } from './fake-controller.ts';
import { MemoryBus } from './memory-bus.ts';
import { PROFILE, ScriptedWasm } from './scripted-wasm.ts';
import type { Script } from './scripted-wasm.ts';

export const NODE = 'truck-1';
export const MS = 1_000;
export const S = 1_000_000;

export const FACTS: NodeFacts = {
  node: NODE as NodeId,
  architecture: 'x86_64',
  isaFeatures: [],
  cores: 2,
  memoryBytes: 1_000_000,
  hardware: [],
  location: { latitude: 0, longitude: 0 },
  zone: FLEET,
  faultDomain: FLEET,
  profile: PROFILE.profile,
  target: PROFILE.target,
  agentVersion: '0.1.0',
  endpoint: `agent/${NODE}` as Endpoint,
};

export class AgentWorld {
  readonly sim = new SimWorld();
  readonly records: RunRecord[] = [];
  readonly controller: FakeController;
  readonly machine: Machine;
  readonly scripts = new Map<string, Script>();
  readonly bus: MemoryBus;
  readonly #controllerMachine: Machine;
  readonly #keyRing: KeyRing;
  readonly #sink: RecordSink;
  readonly #disk: Disk;
  readonly #bounds: Partial<AgentBounds>;
  wasm: ScriptedWasm;
  agent: Agent;

  constructor(options: { readonly bounds?: Partial<AgentBounds>; readonly slots?: number } = {}) {
    const { kernel } = this.sim;
    this.#bounds = options.bounds ?? {};
    this.#controllerMachine = this.sim.add('controller', CLOUD, 4);
    this.machine = this.sim.add(NODE, FLEET, 4);
    this.#keyRing = new KeyRing({ crypto: nodeCrypto, random: createRandom(kernel, null), onForgery: () => {} });
    this.#sink = new RecordSink(kernel);
    this.#sink.onRecord((record) => this.records.push(record));
    this.#disk = createDisk(kernel.stream('disk'), DISK_COSTS);
    this.controller = new FakeController(this.#keyRing.portOf('controller', () => Promise.resolve()));
    this.bus = new MemoryBus(createClock(kernel, this.machine));
    this.wasm = new ScriptedWasm(createClock(kernel, this.machine), this.scripts, options.slots);
    this.agent = createAgent(this.#ports(), this.#config());
  }

  /** Plays `body` as the driver; the controller listens, the agent has not been started. */
  play(body: () => Promise<void>): Promise<void> {
    return this.sim.play(null, async () => {
      await this.on(this.#controllerMachine, () => this.controller.listen(this.sim.network.portOf('controller')));
      this.controller.desired = { ...this.controller.desired, trust: [await this.controller.author('author')] };
      await body();
    });
  }

  on<T>(machine: Machine, act: () => Promise<T>): Promise<T> {
    return new Promise((resolve) => {
      this.sim.kernel.after(0, machine, 'test', () => this.sim.kernel.own('test', act().then(resolve)));
    });
  }

  async start(): Promise<void> {
    const started = await this.on(this.machine, () => this.agent.start());
    if (!started.ok) throw new Error(started.error.message);
  }

  /** Power loss, and another boot of the same node with what its disk kept. */
  async restart(): Promise<void> {
    this.sim.crash(NODE);
    this.#disk.losePower();
    await this.pass(10 * MS);
    this.machine.boot();
    this.bus.reboot(createClock(this.sim.kernel, this.machine));
    this.wasm = new ScriptedWasm(createClock(this.sim.kernel, this.machine), this.scripts);
    this.agent = createAgent(this.#ports(), this.#config());
    await this.start();
  }

  pass(micros: number): Promise<void> {
    return createClock(this.sim.kernel, null).sleep(micros);
  }

  /** Artefacts on its disk. */
  get stored(): number {
    return this.#disk.blobs.size;
  }

  of<K extends RecordKind>(kind: K): readonly RecordOf<K>[] {
    return this.records.filter((record): record is RecordOf<K> => record.kind === kind);
  }

  offer(consumer: ConsumerName, id: string, data = 'data', attempt = 1): void {
    this.bus.offer(consumer, eventOf(id, data), attempt);
  }

  #config(): Parameters<typeof createAgent>[1] {
    return { facts: FACTS, joinToken: 'token', controller: 'controller' as Endpoint, version: '0.1.0', bounds: this.#bounds };
  }

  #ports(): Ports {
    const { kernel } = this.sim;
    const { machine } = this;
    const { incarnation } = machine;
    const host = {
      nowMicros: () => kernel.now(),
      after: (delay: number, label: string, run: () => void) => void kernel.after(delay, machine, label, run),
    };
    return {
      clock: createClock(kernel, machine),
      random: createRandom(kernel, machine),
      network: this.sim.network.portOf(NODE),
      bus: this.bus,
      state: this.bus,
      storage: new SimStorage(this.#disk, host, DISK_COSTS),
      wasm: this.wasm,
      keys: this.#keyRing.portOf(NODE, () => Promise.resolve()),
      telemetry: this.#sink.portOf(NODE, incarnation, () => machine.lives(incarnation)),
    };
  }
}

export function eventOf(id: string, data: string): BusEvent {
  return {
    id: id as EventId,
    subject: 'sensor.a' as Subject,
    timeMs: 1,
    correlation: `c-${id}` as CorrelationId,
    headers: {},
    data: new TextEncoder().encode(data),
  };
}
