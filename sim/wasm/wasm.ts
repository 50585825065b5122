// Guests of simulated nodes: the real engine runs them, virtual time is made of their fuel. A leg is run for real at once and
// ends on the node after fuel / speed, in time slices on its cores, so that other work gets its turn. Slots belong to the node
// and vanish with its incarnation, however many the real pool has.
import type { ProfileId } from '../../system/domain/identifiers.ts';
import { assert, failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type {
  Compiled,
  CompileProfile,
  Guest,
  GuestOptions,
  GuestStep,
  HostAnswer,
  LoadedModule,
  ModuleImport,
  Wasm,
} from '../../system/ports/wasm.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';
import type { EngineGuest, EngineModule, GuestEngine } from './engine.ts';
import { decodeEnvelope, encodeEnvelope } from './envelope.ts';
import type { Envelope } from './envelope.ts';

export type { EngineModule, GuestEngine, LegClocks } from './engine.ts';
export { ModelledEngine } from './modelled.ts';
export { simulatedProfile } from './profile.ts';

export type WasmCosts = {
  /** Compiling: once, and for each full KiB of the module. */
  readonly compileMicros: number;
  readonly compileKiBMicros: number;
  readonly loadMicros: number;
  /** Added to the first leg of a guest, and to every leg. */
  readonly startMicros: number;
  readonly resumeMicros: number;
  /** Longest time for which a guest keeps a core while others wait for it. */
  readonly sliceMicros: number;
};

export type SimWasmOptions = {
  readonly engine: GuestEngine;
  readonly kernel: Kernel;
  /** Alive: the port belongs to this incarnation. */
  readonly machine: Machine;
  readonly clock: Pick<Clock, 'monotonicMicros' | 'civilMs'>;
  readonly costs: WasmCosts;
  readonly profile: CompileProfile;
  readonly profiles: readonly CompileProfile[];
  readonly fuelPerMicro: number;
  readonly slots: number;
  /** `envelopes` of simulated controllers (also when absent), or what a real one compiled, which the engine loads as it is and checks by itself. */
  readonly artefacts?: 'envelopes' | 'native';
};

const MICROS_PER_MS = 1_000;

export class SimWasm implements Wasm {
  readonly profile: CompileProfile;
  readonly profiles: readonly CompileProfile[];
  readonly #options: SimWasmOptions;
  readonly #open = new Set<SimGuest>();
  /** Null: all that guests are let hold is there. */
  #memory: { readonly leftBytes: number; readonly exhausted: () => void } | null = null;

  constructor(options: SimWasmOptions) {
    this.#options = options;
    this.profile = options.profile;
    this.profiles = options.profiles;
  }

  inspect(bytes: Uint8Array): Outcome<readonly ModuleImport[]> {
    return this.#options.engine.inspect(bytes);
  }

  async compile(bytes: Uint8Array, profile: ProfileId): Promise<Outcome<Compiled>> {
    const target = this.profiles.find((one) => one.profile === profile);
    if (target === undefined) {
      return rejected('WM_PROFILE_MISMATCH', {
        message: `This machine cannot compile for profile ${profile}.`,
        next: 'Ask a machine that can, or enrol nodes of profiles that this one knows.',
      });
    }
    const inspected = this.#options.engine.inspect(bytes);
    if (!inspected.ok) return inspected;
    const copy = bytes.slice();
    const { costs } = this.#options;
    await this.#work('compile', costs.compileMicros + (copy.length >>> 10) * costs.compileKiBMicros);
    return ok({ artefact: encodeEnvelope(target, copy), micros: null });
  }

  async load(artefact: Uint8Array): Promise<Outcome<LoadedModule>> {
    const envelope = this.#decode(artefact);
    if (!envelope.ok) return envelope;
    if (envelope.value.profile !== this.profile.profile) {
      return rejected('WM_PROFILE_MISMATCH', {
        message: `The artefact was compiled for ${envelope.value.profile}; this node runs ${this.profile.profile}.`,
        next: 'Compile the module for the profile of this node.',
      });
    }
    const module = this.#options.engine.load(envelope.value.module.slice());
    if (!module.ok) return module;
    await this.#work('load', this.#options.costs.loadMicros);
    return ok(this.#loaded(module.value));
  }

  #decode(artefact: Uint8Array): Outcome<Envelope> {
    if (this.#options.artefacts !== 'native') return decodeEnvelope(artefact);
    return ok({ profile: this.profile.profile, target: this.profile.target, module: artefact });
  }

  guests(): { readonly open: number; readonly max: number } {
    return { open: this.#open.size, max: this.#options.slots };
  }

  /** From here on `exhausted` is called when open guests together hold more than `leftBytes`; null: no more. */
  limitMemory(leftBytes: number | null, exhausted: () => void): void {
    this.#memory = leftBytes === null ? null : { leftBytes, exhausted };
    this.#checkMemory();
  }

  #checkMemory(): void {
    if (this.#memory === null) return;
    let heldBytes = 0;
    for (const guest of this.#open) heldBytes += guest.memoryBytesPeak;
    if (heldBytes > this.#memory.leftBytes) this.#memory.exhausted();
  }

  /** The incarnation has ended: its guests give the real slots back at once. */
  abandon(): void {
    for (const guest of [...this.#open]) guest.abandon();
    this.#open.clear();
  }

  #loaded(module: EngineModule): LoadedModule {
    let closed = false;
    return {
      imports: module.imports,
      start: (options) => {
        if (closed) return rejected('WM_GUEST_CLOSED', { message: 'The module is closed.', next: 'Load it again.' });
        return this.#start(module, options);
      },
      close: () => {
        closed = true;
      },
    };
  }

  #start(module: EngineModule, options: GuestOptions): Outcome<Guest> {
    const { slots, fuelPerMicro, machine } = this.#options;
    // The last microtasks of a machine that dies in this event.
    if (!machine.alive) return rejected('WM_GUEST_CLOSED', { message: 'The machine is off.', next: 'Start it again.' });
    if (this.#open.size >= slots) {
      return failed('WM_POOL_FULL', {
        message: `All ${slots} slots of the node are in use.`,
        next: 'Close guests, or lower the concurrency.',
        detail: { slots },
      });
    }
    const started = module.start(options, fuelPerMicro);
    if (!started.ok) {
      // Determinism: how many slots the simulating machine has must not decide what happens in the run.
      assert(
        started.error.code !== 'WM_POOL_FULL',
        `the simulating machine has a slot for every simulated guest (${started.error.message})`,
      );
      return started;
    }
    const guest = new SimGuest(
      started.value,
      this.#options,
      () => this.#open.delete(guest),
      () => this.#checkMemory(),
    );
    this.#open.add(guest);
    this.#checkMemory();
    return ok<Guest>(guest);
  }

  #work(label: string, micros: number): Promise<void> {
    return new Promise((resolve) => {
      this.#options.machine.execute(micros, label, resolve);
    });
  }
}

class SimGuest implements Guest {
  readonly #guest: EngineGuest;
  readonly #options: SimWasmOptions;
  readonly #freed: () => void;
  /** Called when it may hold more memory. */
  readonly #grown: () => void;
  #legs = 0;
  #running = false;
  #closed = false;
  #abandoned = false;

  constructor(guest: EngineGuest, options: SimWasmOptions, freed: () => void, grown: () => void) {
    this.#guest = guest;
    this.#options = options;
    this.#freed = freed;
    this.#grown = grown;
  }

  get fuelUsed(): number {
    return this.#guest.fuelUsed;
  }

  get memoryBytesPeak(): number {
    return this.#guest.memoryBytesPeak;
  }

  // The last microtasks of a machine that dies may still ask; nobody reads what they are told.
  stdout(): Uint8Array {
    return this.#abandoned ? new Uint8Array(0) : this.#guest.stdout();
  }

  stderr(): Uint8Array {
    return this.#abandoned ? new Uint8Array(0) : this.#guest.stderr();
  }

  resume(answer: HostAnswer | null): Promise<GuestStep> {
    if (this.#abandoned) return new Promise(() => {});
    assert(!this.#running && !this.#closed, 'a guest is resumed when no leg of it runs and it is open');
    const { clock, costs, fuelPerMicro } = this.#options;
    const fuelBefore = this.#guest.fuelUsed;
    const step = this.#guest.resume(answer, { monotonicMicros: clock.monotonicMicros(), civilMicros: clock.civilMs() * MICROS_PER_MS });
    this.#grown();
    const fuelMicros = Math.ceil((this.#guest.fuelUsed - fuelBefore) / fuelPerMicro);
    this.#running = true;
    return new Promise((resolve) => {
      this.#spend(fuelMicros + costs.resumeMicros + (this.#legs++ === 0 ? costs.startMicros : 0), () => {
        this.#running = false;
        if (this.#closed) this.#free();
        resolve(step);
      });
    });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#running) this.#free();
  }

  /** Its machine died. */
  abandon(): void {
    this.#closed = true;
    this.#abandoned = true;
    this.#guest.close();
  }

  #free(): void {
    this.#guest.close();
    this.#freed();
  }

  #spend(micros: number, done: () => void): void {
    const slice = Math.min(micros, this.#options.costs.sliceMicros);
    this.#options.machine.execute(slice, 'guest', () => {
      if (micros > slice) this.#spend(micros - slice, done);
      else done();
    });
  }
}
