// One simulated computer with one process on it: boots, crashes, pauses, and starts its process again when that ends by
// itself, as a service manager would. What it stores and its keys survive; each boot gets ports of its own.
import { assert } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { ZonePath } from '../../system/domain/identifiers.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { Keys } from '../../system/ports/keys.ts';
import type { Network } from '../../system/ports/network.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { CompileProfile } from '../../system/ports/wasm.ts';
import { createClock } from '../clock/clock.ts';
import { DISK_COSTS, NODE_SLOTS, PROCESS_RESTART_MICROS, SIGN_MICROS, WASM_COSTS } from '../costs/costs.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';
import type { ServiceFaults } from '../faults/faults.ts';
import type { KeyRing } from '../keys/keys.ts';
import type { SimNetwork } from '../network/network.ts';
import { createRandom } from '../random/random.ts';
import { createDisk, SimStorage } from '../storage/storage.ts';
import type { Disk } from '../storage/storage.ts';
import type { RecordSink } from '../telemetry/telemetry.ts';
import { SimWasm } from '../wasm/wasm.ts';
import type { GuestEngine, SimWasmOptions } from '../wasm/wasm.ts';

/** What a world gives all its computers. */
export type World = {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly services: ServiceFaults;
  readonly keys: KeyRing;
  readonly engine: GuestEngine;
  readonly sink: RecordSink;
  /** A fault keeps it off; when the fault has ended, `start` is called. */
  readonly isKeptOff: (machine: string) => boolean;
  readonly recordMachine: {
    readonly started: (computer: Computer) => void;
    readonly stopped: (computer: Computer, cause: string) => void;
    readonly paused: (computer: Computer) => void;
    readonly resumed: (computer: Computer) => void;
  };
};

/** The product's program on a computer, for one boot. */
export type Program = {
  /** Not ok: it could not start, and the process ends. */
  start(): Promise<Outcome<void>>;
  stop(): Promise<void>;
  /** Resolves when the process ends by itself, with its cause; absent for programs that never do. */
  readonly ended?: Promise<string>;
};

export type ComputerPorts = Pick<Ports, 'clock' | 'random' | 'network' | 'storage' | 'wasm' | 'keys' | 'telemetry'>;

export type ComputerOptions = {
  readonly name: string;
  readonly role: 'controller' | 'node';
  readonly identity: string;
  readonly zone: ZonePath;
  readonly cores: number;
  readonly fuelPerMicro: number;
  readonly profile: CompileProfile;
  readonly profiles: readonly CompileProfile[];
  /** See `SimWasmOptions`. */
  readonly artefacts?: SimWasmOptions['artefacts'];
  readonly createProgram: (ports: ComputerPorts) => Program;
};

/** Bound: how long a process is given to stop in order. */
export const STOP_MICROS_MAX = 10_000_000;

export class Computer {
  readonly options: ComputerOptions;
  readonly machine: Machine;
  readonly #world: World;
  readonly disk: Disk;
  #program: Program | null = null;
  /** The end of an orderly stop that is under way; whoever asks for one meanwhile waits for it too. */
  #stopping: Promise<void> | null = null;
  #wasm: SimWasm | null = null;
  #memory: { readonly leavesBytes: number; readonly felt: () => void } | null = null;
  /** False before its first start and after the last stop: nothing restarts it then. */
  #wanted = false;
  readonly #slowness = { fault: 1, power: 1 };
  #slowedByFault: (() => void) | null = null;

  constructor(world: World, options: ComputerOptions) {
    this.#world = world;
    this.options = options;
    this.machine = world.kernel.machine(options.name, { cores: options.cores });
    this.disk = createDisk(world.kernel.stream(`disk ${options.name}`), DISK_COSTS);
    world.network.addMachine({ machine: this.machine, identity: options.identity, zone: options.zone });
  }

  /** Switched on for the first time. */
  commission(): void {
    this.#wanted = true;
    this.start();
  }

  start(): void {
    const { kernel, recordMachine, isKeptOff } = this.#world;
    if (!this.#wanted || this.machine.alive || isKeptOff(this.options.name)) return;
    this.machine.boot();
    recordMachine.started(this);
    const ports = this.#createPorts();
    const { incarnation } = this.machine;
    kernel.after(0, this.machine, 'process starts', () => {
      const program = this.options.createProgram(ports);
      this.#program = program;
      kernel.own(
        `${this.options.name} starting`,
        program.start().then((outcome) => {
          if (!outcome.ok) this.#exit(incarnation, `${outcome.error.code}: ${outcome.error.message}`);
        }),
      );
      if (program.ended !== undefined)
        kernel.own(
          `${this.options.name} running`,
          program.ended.then((cause) => this.#exit(incarnation, cause)),
        );
    });
  }

  /** Of several reasons to be slow (faults; heat and battery) all count. */
  throttle(reason: 'fault' | 'power', factor: number, felt: (() => void) | null = null): void {
    this.#slowness[reason] = factor;
    if (reason === 'fault') this.#slowedByFault = felt;
    this.machine.throttle(this.#slowness.fault * this.#slowness.power, () => {
      if (this.#slowness.fault > 1) this.#slowedByFault?.();
    });
  }

  crash(cause = 'power loss'): void {
    if (this.machine.alive) this.#down('power', cause);
  }

  pause(): void {
    if (!this.machine.alive || this.machine.paused) return;
    this.machine.pause();
    this.#world.recordMachine.paused(this);
  }

  resume(): void {
    if (!this.machine.paused) return;
    this.machine.resume();
    this.#world.recordMachine.resumed(this);
  }

  /** No room on its disk, or room again. */
  setFull(full: boolean): void {
    this.disk.full = full;
  }

  /**
   * Its guests are left so much memory; null: all that they are let have. When they hold more the system ends their process, which is
   * the largest, as Linux does it; what it had written stays, and its service manager starts it again.
   */
  squeeze(leavesBytes: number | null, felt: () => void): void {
    this.#memory = leavesBytes === null ? null : { leavesBytes, felt };
    this.#limitMemory();
  }

  #limitMemory(): void {
    const { incarnation } = this.machine;
    const { kernel } = this.#world;
    const memory = this.#memory;
    let ending = false;
    this.#wasm?.limitMemory(memory?.leavesBytes ?? null, () => {
      if (ending) return;
      ending = true;
      memory?.felt();
      // An event of its own: the guest that took it is in the middle of a step.
      kernel.after(0, null, 'out of memory', () => this.#exit(incarnation, 'out of memory'));
    });
  }

  /** In order, within `STOP_MICROS_MAX`; then it stays off until whatever keeps it off has ended. */
  shutDown(): void {
    if (!this.machine.alive) return;
    const { kernel } = this.#world;
    const { incarnation } = this.machine;
    const off = (): void => {
      if (this.machine.lives(incarnation)) this.#down('process', 'shut down');
      kernel.after(0, null, 'power returns', () => this.start());
    };
    kernel.own(`${this.options.name} shutting down`, this.#stopProgram().then(off));
  }

  /** In order, within `STOP_MICROS_MAX`; then it stays off. Called by the driver. */
  async stop(): Promise<void> {
    this.#wanted = false;
    if (!this.machine.alive) return;
    await this.#stopProgram();
    if (this.machine.alive) this.#down('process', 'stopped');
  }

  /** Resolves in an event of its own. */
  #stopProgram(): Promise<void> {
    const program = this.#program;
    if (program === null) return Promise.resolve();
    return (this.#stopping ??= this.#stopInOrder(program));
  }

  #stopInOrder(program: Program): Promise<void> {
    const { kernel } = this.#world;
    return new Promise<void>((resolve) => {
      const overdue = kernel.after(STOP_MICROS_MAX, null, 'stop overdue', resolve);
      kernel.after(0, this.machine, 'process stops', () => {
        kernel.own(
          `${this.options.name} stopping`,
          program.stop().then(() => {
            overdue.cancel();
            kernel.after(0, null, 'process stopped', resolve);
          }),
        );
      });
    });
  }

  #exit(incarnation: number, cause: string): void {
    if (!this.#wanted || !this.machine.lives(incarnation)) return;
    this.#down('process', cause);
    this.#world.kernel.after(PROCESS_RESTART_MICROS, null, 'service manager', () => this.start());
  }

  #down(how: 'power' | 'process', cause: string): void {
    const { network, recordMachine } = this.#world;
    assert(this.machine.alive, `${this.options.name} goes down once`);
    recordMachine.stopped(this, cause);
    this.machine.crash();
    network.leave(this.options.name, how);
    this.#wasm?.abandon();
    if (how === 'power') this.disk.losePower();
    else this.disk.flush();
    this.#program = null;
    this.#stopping = null;
    this.#wasm = null;
  }

  #createPorts(): ComputerPorts {
    const { kernel, network, services, sink, engine } = this.#world;
    const { machine, options } = this;
    const { name } = options;
    const { incarnation } = machine;
    const clock: Clock = createClock(kernel, machine);
    const portNetwork: Network = options.role === 'controller' ? services.wrap(network.portOf(name), clock) : network.portOf(name);
    const keys: Keys = this.#world.keys.portOf(name, () => new Promise((resolve) => machine.execute(SIGN_MICROS, 'sign', resolve)));
    this.#wasm = new SimWasm({
      engine,
      kernel,
      machine,
      clock,
      costs: WASM_COSTS,
      profile: options.profile,
      profiles: options.profiles,
      fuelPerMicro: options.fuelPerMicro,
      slots: NODE_SLOTS,
      artefacts: options.artefacts ?? 'envelopes',
    });
    this.#limitMemory();
    const host = {
      nowMicros: () => kernel.now(),
      after: (delayMicros: number, label: string, fn: () => void) => void kernel.after(delayMicros, machine, label, fn),
    };
    return {
      clock,
      random: createRandom(kernel, machine),
      network: portNetwork,
      storage: new SimStorage(this.disk, host, DISK_COSTS),
      wasm: this.#wasm,
      keys,
      telemetry: sink.portOf(name, incarnation, () => machine.lives(incarnation)),
    };
  }
}
