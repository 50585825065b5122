// Simulated nodes of a fleet that is otherwise real (H5.5): computers with agents, as in any simulated run, whose controller and whose
// other nodes are outside. Each machine that is outside has a stand-in here, in its zone, so that links have their law and their faults
// on the simulated side; beyond it everything goes through a real network. Needs a paced kernel; whoever gives orders does so
// in events of it (`Kernel.outside`).
import type { RunRecord } from '../../scenarios/record.ts';
import type { FleetSpec } from '../../scenarios/scenario.ts';
import type { Endpoint, ZonePath } from '../../system/domain/identifiers.ts';
import { assert } from '../../system/domain/outcome.ts';
import type { CompileProfile } from '../../system/ports/wasm.ts';
import { ZONE_LATENCY, NETWORK_COSTS } from '../costs/costs.ts';
import { ServiceFaults } from '../faults/faults.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { KeyRing } from '../keys/keys.ts';
import type { CryptoPrimitives } from '../keys/keys.ts';
import { SimNetwork } from '../network/network.ts';
import type { Dial, LinkFault } from '../network/network.ts';
import { createRandom } from '../random/random.ts';
import { RecordSink } from '../telemetry/telemetry.ts';
import type { GuestEngine } from '../wasm/wasm.ts';
import type { Computer, World } from './computer.ts';
import { OPERATOR_IDENTITY } from './driver.ts';
import { createNode } from './node.ts';

const CONTROLLER = 'controller';
const CONTROLLER_ENDPOINT = 'controller' as Endpoint;
/** Of a stand-in: the machine that it stands for does the work, and on its own processor. */
const STAND_IN_CORES = 64;

/** Machines are switched on so far apart: the handshakes of all at once would take a real controller longer than an agent waits. */
const COMMISSION_EVERY_MICROS = 50_000;

/** What happened to a simulated node, told in the event in which it did. */
export type NodeEvent =
  | { readonly kind: 'started'; readonly node: string; readonly incarnation: number }
  | { readonly kind: 'stopped'; readonly node: string; readonly cause: string }
  | { readonly kind: 'paused'; readonly node: string }
  | { readonly kind: 'resumed'; readonly node: string };

export type NodeOrder =
  /** Switched on for the first time; power is back; power loss; frozen; unfrozen. */
  | { readonly kind: 'commission' | 'start' | 'crash' | 'shut-down' | 'pause' | 'resume'; readonly node: string }
  | { readonly kind: 'disk'; readonly node: string; readonly isFull: boolean }
  | { readonly kind: 'begin'; readonly fault: string; readonly link: LinkFault }
  | { readonly kind: 'end'; readonly fault: string };

export type LoopedNodesOptions = {
  readonly kernel: Kernel;
  /** The whole fleet: those who are not simulated are outside. */
  readonly fleet: FleetSpec;
  readonly simulated: ReadonlySet<string>;
  /** Takes what the real controller compiles for `profile`. */
  readonly engine: GuestEngine;
  readonly profile: CompileProfile;
  readonly crypto: CryptoPrimitives;
  readonly agentVersion: string;
  readonly dial: Dial;
  readonly onRecord: (record: RunRecord) => void;
  readonly onEvent: (event: NodeEvent) => void;
};

export class LoopedNodes {
  readonly #options: LoopedNodesOptions;
  readonly #network: SimNetwork;
  readonly #computers = new Map<string, Computer>();
  /** Kept off by a fault. */
  readonly #off = new Set<string>();
  /** When the next machine may be switched on for the first time. */
  #nextCommissionMicros = 0;

  constructor(options: LoopedNodesOptions) {
    const { kernel, fleet, simulated, profile, agentVersion } = options;
    this.#options = options;
    this.#network = new SimNetwork(kernel, NETWORK_COSTS);
    for (const { zone } of fleet.zones) this.#network.setLaw(zone, zone, ZONE_LATENCY, [0, 1]);
    for (const { a, b, latency, loss } of fleet.links) this.#network.setLaw(a, b, latency, loss);
    this.#standIn(CONTROLLER, CONTROLLER, fleet.controller.zone, (endpoint) => endpoint === CONTROLLER_ENDPOINT);
    const world = this.#createWorld();
    for (const node of fleet.nodes) {
      if (!simulated.has(node.node)) {
        this.#standIn(node.node, `node/${node.node}`, node.zone, (endpoint) => endpoint.startsWith(`agent/${node.node}@`));
        continue;
      }
      const computer = createNode(world, {
        node,
        profile,
        artefacts: 'native',
        controller: CONTROLLER_ENDPOINT,
        // Who a node is, its certificate says.
        joinToken: '',
        version: () => agentVersion,
      });
      this.#computers.set(node.node, computer);
    }
  }

  obey(order: NodeOrder): void {
    switch (order.kind) {
      case 'commission':
        return this.#commission(this.#computerOf(order.node));
      case 'start':
        this.#off.delete(order.node);
        return this.#computerOf(order.node).start();
      case 'crash':
        this.#off.add(order.node);
        return this.#computerOf(order.node).crash();
      case 'shut-down':
        this.#off.add(order.node);
        return this.#computerOf(order.node).shutDown();
      case 'pause':
        return this.#computerOf(order.node).pause();
      case 'resume':
        return this.#computerOf(order.node).resume();
      case 'disk':
        return this.#computerOf(order.node).setFull(order.isFull);
      case 'begin':
        return this.#network.begin(order.fault, order.link);
      case 'end':
        return this.#network.end(order.fault);
    }
  }

  /** All at the same time, in order. */
  async stop(): Promise<void> {
    await Promise.all([...this.#computers.values()].map((computer) => computer.stop()));
  }

  #commission(computer: Computer): void {
    const { kernel } = this.#options;
    const whenMicros = Math.max(kernel.now(), this.#nextCommissionMicros);
    this.#nextCommissionMicros = whenMicros + COMMISSION_EVERY_MICROS;
    kernel.after(whenMicros - kernel.now(), null, 'commissioned', () => computer.commission());
  }

  #standIn(name: string, identity: string, zone: ZonePath, serves: (endpoint: Endpoint) => boolean): void {
    const machine = this.#options.kernel.machine(name, { cores: STAND_IN_CORES });
    this.#network.addMachine({ machine, identity, zone });
    machine.boot();
    this.#network.bridge(name, serves, this.#options.dial);
  }

  #createWorld(): World {
    const { kernel, crypto, engine, onEvent, onRecord } = this.#options;
    const sink = new RecordSink(kernel);
    sink.onRecord(onRecord);
    return {
      kernel,
      network: this.#network,
      // Of the controller's services, which are not here.
      services: new ServiceFaults(kernel, OPERATOR_IDENTITY),
      keys: new KeyRing({ crypto, random: createRandom(kernel, null), onForgery: () => {} }),
      engine,
      sink,
      isKeptOff: (machine) => this.#off.has(machine),
      recordMachine: {
        started: ({ options, machine }) => onEvent({ kind: 'started', node: options.name, incarnation: machine.incarnation }),
        stopped: ({ options }, cause) => onEvent({ kind: 'stopped', node: options.name, cause }),
        paused: ({ options }) => onEvent({ kind: 'paused', node: options.name }),
        resumed: ({ options }) => onEvent({ kind: 'resumed', node: options.name }),
      },
    };
  }

  #computerOf(name: string): Computer {
    const computer = this.#computers.get(name);
    assert(computer !== undefined, `${name} is a simulated node`);
    return computer;
  }
}
