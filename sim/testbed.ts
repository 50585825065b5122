// The world that never existed, as a testbed: composes simulated computers, a controller and agents, breaks and heals them, and
// hands out every record. The product's code is what runs elsewhere; only its ports are simulated. The driver of the run is the
// world itself: its clock never stops and it never crashes.
// Surprising: engine, cryptography and example guests come from outside, since nothing here may reach for the machine.
import type { FaultSpec, GuestModelSpec, NodeSpec, Scenario } from '../scenarios/scenario.ts';
import type { RunRecord } from '../scenarios/record.ts';
import type { Testbed } from '../scenarios/testbed.ts';
import { createController, DEFAULT_CONFIG } from '../system/controller/controller.ts';
import type { ControllerConfig } from '../system/controller/controller.ts';
import type { Endpoint } from '../system/domain/identifiers.ts';
import { assert, ok, rejected } from '../system/domain/outcome.ts';
import type { Outcome } from '../system/domain/outcome.ts';
import type { Keys } from '../system/ports/keys.ts';
import { MICROS_PER_S } from '../system/ports/clock.ts';
import type { Telemetry } from '../system/ports/telemetry.ts';
import type { CompileProfile } from '../system/ports/wasm.ts';
import { createClock } from './clock/clock.ts';
import { CONTROLLER_CORES, CONTROLLER_FUEL_PER_MICRO, NETWORK_COSTS, ZONE_LATENCY } from './costs/costs.ts';
import { Faults, Rogue, ServiceFaults, SIM_FAULT_KINDS, SIM_FLEET_FEATURES } from './faults/faults.ts';
import type { Kernel } from './kernel/kernel.ts';
import { KeyRing } from './keys/keys.ts';
import type { CryptoPrimitives } from './keys/keys.ts';
import { SimNetwork } from './network/network.ts';
import { Power } from './power/power.ts';
import { createRandom } from './random/random.ts';
import { RecordSink } from './telemetry/telemetry.ts';
import { Computer } from './testbed/computer.ts';
import type { World } from './testbed/computer.ts';
import { Driver, OPERATOR_IDENTITY } from './testbed/driver.ts';
import { liesOf } from './testbed/lies.ts';
import { createNode } from './testbed/node.ts';
import { withVariant } from './testbed/variant.ts';
import { ModelledEngine, simulatedProfile } from './wasm/wasm.ts';
import type { GuestEngine } from './wasm/wasm.ts';

export type { CryptoPrimitives } from './keys/keys.ts';
export type { GuestEngine } from './wasm/wasm.ts';

export type SimExample = {
  readonly bytes: Uint8Array;
  readonly capabilities: readonly string[];
  readonly fuelMax: number;
  readonly memoryBytesMax: number;
  readonly outputBytesMax: number;
};

/** What the composition root brings into the simulated world. All of it is synchronous and keeps nothing of a run. */
export type SimInjected = {
  readonly engine: GuestEngine;
  readonly crypto: CryptoPrimitives;
  readonly examples: ReadonlyMap<string, SimExample>;
  readonly agentVersion: string;
};

const CONTROLLER = 'controller';
const CONTROLLER_ENDPOINT = 'controller' as Endpoint;
const JOIN_TOKEN = 'simulated-fleet';
/** Bound: how long the controller may take until it answers for the first time. */
const START_MICROS_MAX = 60 * MICROS_PER_S;
/** Small, so that runs of seconds cross it: recovery from a snapshot is exercised, not only from the whole journal. */
const SNAPSHOT_EVERY_ENTRIES = 50;

export function createSimTestbed(kernel: Kernel, injected: SimInjected): Testbed {
  return new SimTestbed(kernel, injected);
}

class SimTestbed implements Testbed {
  readonly world = 'sim';
  readonly faultKinds = SIM_FAULT_KINDS;
  readonly fleetFeatures = SIM_FLEET_FEATURES;
  readonly slackMicros = 0;
  readonly clock: Testbed['clock'];
  readonly random: Testbed['random'];
  readonly keys: Testbed['keys'];
  readonly record: Testbed['record'];
  readonly #kernel: Kernel;
  readonly #injected: SimInjected;
  readonly #sink: RecordSink;
  readonly #network: SimNetwork;
  readonly #keyRing: KeyRing;
  readonly #engine: ModelledEngine;
  readonly #services: ServiceFaults;
  readonly #power: Power;
  readonly #faults: Faults;
  /** Bound: nodes. */
  readonly #rogues = new Map<string, Rogue>();
  readonly #computers = new Map<string, Computer>();
  /** Nodes that run another version of the agent than the one they began with. */
  readonly #versions = new Map<string, string>();
  #driver: Driver | null = null;
  #scenario: Scenario | null = null;
  /** No controller has started from an older copy yet that was put back. */
  #isRestored = false;

  constructor(kernel: Kernel, injected: SimInjected) {
    this.#kernel = kernel;
    this.#injected = injected;
    this.#sink = new RecordSink(kernel);
    const telemetry = this.#sink.portOf('testbed', 1, () => true);
    this.record = (kind, fields) => telemetry.record(kind, fields);
    this.clock = createClock(kernel, null);
    this.random = createRandom(kernel, null);
    this.#network = new SimNetwork(kernel, NETWORK_COSTS);
    this.#keyRing = new KeyRing({
      crypto: injected.crypto,
      random: createRandom(kernel, null),
      onForgery: (digest, key) => {
        this.#faults.forged();
        this.record('forgery.made', { what: 'artefact', digest, detail: `signed with ${key} instead of the controller's key` });
      },
    });
    this.keys = this.#personalKeys();
    this.#engine = new ModelledEngine({ engine: injected.engine, kernel, digest: (bytes) => this.keys.digest(bytes) });
    this.#services = new ServiceFaults(kernel, OPERATOR_IDENTITY);
    this.#power = new Power(kernel);
    this.#faults = new Faults({
      services: this.#services,
      kernel,
      network: this.#network,
      keys: this.#keyRing,
      telemetry,
      machines: {
        knows: (machine) => this.#computers.has(machine),
        crash: (machine) => this.#computers.get(machine)?.crash(),
        start: (machine) => this.#computers.get(machine)?.start(),
        pause: (machine) => this.#computers.get(machine)?.pause(),
        resume: (machine) => this.#computers.get(machine)?.resume(),
        shutDown: (machine) => this.#computers.get(machine)?.shutDown(),
        install: (machine, version) => void this.#versions.set(machine, version),
        babble: (machine, lasting, felt) => this.#babble(machine, lasting, felt),
        runs: (machine) => this.#runs(machine),
        disk: (machine) => this.#computerOf(machine).disk,
        throttle: (machine, slowness, felt) => this.#computers.get(machine)?.throttle('fault', slowness, felt),
        squeeze: (machine, leavesBytes, felt) => this.#computers.get(machine)?.squeeze(leavesBytes, felt),
        clocks: (machine) => this.#computerOf(machine).machine.time,
        restored: (machine) => void (this.#isRestored ||= machine === CONTROLLER),
        fill: (machine) => this.#computers.get(machine)?.setFull(true),
        free: (machine) => this.#computers.get(machine)?.setFull(false),
      },
    });
  }

  async start(scenario: Scenario): Promise<Outcome<void>> {
    assert(this.#driver === null, 'a testbed plays one scenario');
    this.#scenario = scenario;
    const { fleet } = scenario;
    for (const { zone } of fleet.zones) this.#network.setLaw(zone, zone, ZONE_LATENCY, [0, 1]);
    for (const { a, b, latency, loss, impairments } of fleet.links) this.#network.setLaw(a, b, latency, loss, impairments);
    if (fleet.vehicles.length > 0)
      this.#network.drive(fleet.cells, fleet.vehicles, {
        moved: (vehicle, place) => this.record('vehicle.moved', { vehicle, ...place }),
        attached: (vehicle, from, to) =>
          this.record('vehicle.attached', { vehicle, from: from?.cell ?? null, to: to?.cell ?? null, zone: to?.zone ?? null }),
      });
    const world = this.#createWorld();
    const controller = this.#createController(world, scenario);
    this.#computers.set(CONTROLLER, controller);
    this.#network.assignEndpoint(CONTROLLER_ENDPOINT, CONTROLLER);
    for (const node of fleet.nodes) this.#computers.set(node.node, this.#powered(node, this.#createNode(world, node)));
    this.#driver = new Driver({
      kernel: this.#kernel,
      network: this.#network,
      clock: createClock(this.#kernel, null),
      random: createRandom(this.#kernel, null),
      controller: CONTROLLER_ENDPOINT,
      controllerZone: fleet.controller.zone,
      zones: fleet.zones.map(({ zone }) => zone),
    });
    controller.commission();
    for (const { node, startMicros } of fleet.nodes) {
      this.#kernel.after(startMicros, null, 'commissioned', () => this.#computers.get(node)?.commission());
    }
    const answered = await this.#driver.query({ kind: 'nodes' }, START_MICROS_MAX);
    return answered.ok ? ok() : answered;
  }

  async stop(): Promise<void> {
    this.#driver?.close();
    const controller = this.#computers.get(CONTROLLER);
    const nodes = [...this.#computers.values()].filter((computer) => computer !== controller);
    await Promise.all(nodes.map((node) => node.stop()));
    await controller?.stop();
  }

  exampleModule(name: string, variant: number, model: GuestModelSpec | null): Outcome<SimExample> {
    const example = this.#injected.examples.get(name);
    if (example === undefined) {
      return rejected('WM_SCENARIO_INVALID', {
        message: `There is no example module ${name}.`,
        next: `Use one of ${[...this.#injected.examples.keys()].sort().join(', ')}.`,
      });
    }
    const bytes = withVariant(example.bytes, variant);
    if (model !== null) this.record('guests.modelled', { digest: this.#engine.declare(bytes, model), model: JSON.stringify(model) });
    return ok({ ...example, bytes });
  }

  execute: Testbed['execute'] = (id, command, { deadlineMicros }) => this.#driving().execute(id, command, deadlineMicros);
  query: Testbed['query'] = (query, { deadlineMicros }) => this.#driving().query(query, deadlineMicros);
  publish: Testbed['publish'] = (zone, event, { deadlineMicros }) => this.#driving().publish(zone, event, deadlineMicros);
  subscribe: Testbed['subscribe'] = (filter, handle) => this.#driving().subscribe(filter, handle);
  readState: Testbed['readState'] = (key) => this.#driving().readState(key);

  inject(id: string, fault: FaultSpec): Outcome<void> {
    return this.#faults.inject(id, fault);
  }

  healAll(): void {
    this.#faults.healAll();
    this.#power.chargeAll();
  }

  onRecord(listener: (record: RunRecord) => void): void {
    this.#sink.onRecord(listener);
  }

  /** Records are handed over as they are written. */
  settle(): Promise<void> {
    return Promise.resolve();
  }

  #driving(): Driver {
    assert(this.#driver !== null, 'a testbed is started before it is used');
    return this.#driver;
  }

  #runs(name: string): boolean {
    const { machine } = this.#computerOf(name);
    return machine.alive && !machine.paused;
  }

  #babble(name: string, lasting: boolean, felt: () => void): void {
    this.#rogues.get(name)?.stop();
    this.#rogues.delete(name);
    if (!lasting) return;
    const { machine } = this.#computerOf(name);
    const lies = this.#scenario === null ? [] : liesOf(this.#scenario, this.#network.portOf(name), CONTROLLER_ENDPOINT);
    const rogue = new Rogue({ kernel: this.#kernel, network: this.#network, machine, controller: CONTROLLER_ENDPOINT, felt, lies });
    this.#rogues.set(name, rogue);
    rogue.start();
  }

  #computerOf(machine: string): Computer {
    const computer = this.#computers.get(machine);
    assert(computer !== undefined, `there is a machine ${machine}`);
    return computer;
  }

  #personalKeys(): Testbed['keys'] {
    const port: Keys = this.#keyRing.portOf('people', () => Promise.resolve());
    return {
      digest: (bytes) => port.digest(bytes),
      open: (person) => port.open(person),
      sign: (person, message) => port.sign(person, message),
    };
  }

  #createWorld(): World {
    return {
      kernel: this.#kernel,
      network: this.#network,
      services: this.#services,
      keys: this.#keyRing,
      engine: this.#engine,
      sink: this.#sink,
      isKeptOff: (machine) => this.#faults.keepsOff(machine) || this.#power.keepsOff(machine),
      recordMachine: {
        started: ({ options, machine }) =>
          this.record('machine.started', {
            machine: options.name,
            role: options.role,
            zone: options.zone,
            incarnation: machine.incarnation,
          }),
        stopped: ({ options }, cause) => this.record('machine.stopped', { machine: options.name, role: options.role, cause }),
        paused: ({ options }) => this.record('machine.paused', { machine: options.name }),
        resumed: ({ options }) => this.record('machine.resumed', { machine: options.name }),
      },
    };
  }

  #createController(world: World, { fleet, platform }: Scenario): Computer {
    const profiles = new Map<string, CompileProfile>();
    for (const { architecture, isaFeatures } of fleet.nodes) {
      const profile = simulatedProfile(architecture, isaFeatures);
      profiles.set(profile.profile, profile);
    }
    const config: ControllerConfig = {
      ...DEFAULT_CONFIG,
      ...platform,
      endpoint: CONTROLLER_ENDPOINT,
      joinToken: JOIN_TOKEN,
      snapshotEveryEntries: SNAPSHOT_EVERY_ENTRIES,
      assertRecovery: true,
    };
    return new Computer(world, {
      name: CONTROLLER,
      role: 'controller',
      identity: 'controller',
      zone: fleet.controller.zone,
      cores: CONTROLLER_CORES,
      fuelPerMicro: CONTROLLER_FUEL_PER_MICRO,
      profile: simulatedProfile('x86_64', []),
      profiles: [...profiles.values()],
      createProgram: ({ telemetry, ...ports }) => {
        // An operator says it until one has started: what a start that fails has written of its number is not enough to rely on.
        const record: Telemetry['record'] = (kind, fields, correlation) => {
          if (kind === 'controller.started') this.#isRestored = false;
          telemetry.record(kind, fields, correlation);
        };
        return createController({ ...ports, telemetry: { ...telemetry, record } }, { ...config, restored: this.#isRestored });
      },
    });
  }

  #powered({ node, cores, thermal, battery, clock }: NodeSpec, computer: Computer): Computer {
    if (clock !== null) computer.machine.time.isWrong(clock.offsetMicros, clock.driftPpm);
    this.#power.add({
      machine: computer.machine,
      cores,
      thermal,
      battery,
      throttle: (factor, cause) => {
        computer.throttle('power', factor);
        this.record('machine.throttled', { machine: node, factor, cause });
      },
      off: () => computer.crash('battery empty'),
      // An event of its own: a machine does not boot in the event that crashed it.
      on: () => void this.#kernel.after(0, null, 'power returns', () => computer.start()),
    });
    return computer;
  }

  #createNode(world: World, node: NodeSpec): Computer {
    return createNode(world, {
      node,
      profile: simulatedProfile(node.architecture, node.isaFeatures),
      artefacts: 'envelopes',
      controller: CONTROLLER_ENDPOINT,
      joinToken: JOIN_TOKEN,
      version: () => this.#versions.get(node.node) ?? this.#injected.agentVersion,
      locate: () => this.#network.placeOf(node.zone),
    });
  }
}
