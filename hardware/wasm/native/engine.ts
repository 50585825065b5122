// The engine as JavaScript sees it: an engine of one profile compiles, loads and starts guests; a guest runs in legs.
// A leg ends when the guest returns, traps, reaches a limit, uses up its fuel slice, or asks the host for something.
// Guests are closed explicitly (`close`, or `using`); a finalizer is only a net, and comes far too late for a busy pool.
import {
  Control,
  DETAIL,
  EMPTY,
  FUEL_USED,
  HANDLE,
  KIND,
  LARGE,
  MEMORY_BYTES,
  MEMORY_BYTES_PEAK,
  SUBJECT,
  engineError,
} from './control.ts';
import type {
  EngineOptions,
  EngineProfile,
  EngineStats,
  GuestOptions,
  LegInput,
  ModuleDescription,
  ModuleExport,
  ModuleImport,
  NativeAddon,
  NativeEngine,
  NativeModule,
  RunResult,
  Step,
} from './types.ts';

/** Net for guests that were forgotten: gives their slots back when they are collected. */
const forgotten = new FinalizationRegistry<{ readonly control: Control; readonly handle: number }>(({ control, handle }) =>
  control.closeGuest(handle),
);

/** One run of a module. Made by `EngineModule.start` and `run`. */
export class Guest {
  readonly #control: Control;
  readonly #operations: readonly string[];
  readonly #handle: number;
  #closed = false;
  #running = false;
  readonly #netted: boolean;
  #fuelUsed = 0;
  #memoryBytes = 0;
  #memoryBytesPeak = 0;

  /** Not for callers: `EngineModule` makes guests. */
  constructor(control: Control, operations: readonly string[], handle: number) {
    this.#control = control;
    this.#operations = operations;
    this.#handle = handle;
    control.guestsOpen++;
    // A registered object survives young collections: at full speed that is hundreds of megabytes of heap (measured). So
    // the net is spread only when more than half of the pool is taken, which is where forgotten guests would show.
    this.#netted = control.guestsOpen * 2 > control.slotsMax;
    if (this.#netted) forgotten.register(this, { control, handle }, this);
  }

  /** Not for callers: reads the step that the engine has just written. */
  takeStep(kind: number): Step {
    const control = this.#control;
    const slots = control.slots;
    this.#running = false;
    this.#fuelUsed = slots[FUEL_USED]!;
    this.#memoryBytes = slots[MEMORY_BYTES]!;
    this.#memoryBytesPeak = slots[MEMORY_BYTES_PEAK]!;
    return control.step(kind, this.#operations, slots[LARGE] === 0 ? null : control.native.takeLarge());
  }

  #open(): void {
    if (this.#closed || this.#control.closed) throw engineError('WM_ENGINE_CLOSED', 'the guest is closed');
  }

  /** Runs the next leg on this thread. WM_ENGINE_CLOSED, WM_ENGINE_BUSY, WM_ENGINE_STATE. */
  resumeInline(input: LegInput): Step {
    this.#open();
    const control = this.#control;
    control.putInput(input);
    control.slots[SUBJECT] = this.#handle;
    control.hot.resumeInline();
    return this.takeStep(control.slots[KIND]!);
  }

  /**
   * Runs the next leg on a thread of the engine. Rejects with WM_ENGINE_CLOSED, WM_ENGINE_BUSY or WM_ENGINE_STATE; with
   * WM_ENGINE_CLOSED also when the guest is closed before the leg has ended.
   */
  resume(input: LegInput): Promise<Step> {
    const control = this.#control;
    try {
      this.#open();
    } catch (error) {
      return Promise.reject(error);
    }
    return control.away<Step>(this, (ticket) => {
      control.putInput(input);
      control.slots[SUBJECT] = this.#handle;
      control.slots[DETAIL] = ticket;
      control.hot.resumeAway();
      this.#running = true;
    });
  }

  /** A leg runs on a thread now. */
  get running(): boolean {
    return this.#running;
  }

  /** Fuel used until the end of the last leg. */
  get fuelUsed(): number {
    return this.#fuelUsed;
  }

  /** Size of the guest's memory at the end of the last leg. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  get memoryBytesPeak(): number {
    return this.#memoryBytesPeak;
  }

  /** What the guest has written so far. WM_ENGINE_CLOSED; WM_ENGINE_BUSY while a leg runs on a thread. */
  stdout(): Uint8Array {
    this.#open();
    return this.#control.native.output(this.#handle, 1);
  }

  stderr(): Uint8Array {
    this.#open();
    return this.#control.native.output(this.#handle, 2);
  }

  /** Gives the slot back: at once, or when the leg that runs on a thread has ended. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#netted) forgotten.unregister(this);
    this.#control.closeGuest(this.#handle);
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** A module or component that was loaded and linked. Closing it refuses new guests; running ones go on. */
export class EngineModule {
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly ModuleExport[];
  readonly #control: Control;
  readonly #native: NativeModule;
  readonly #command: number;
  #closed = false;

  /** Not for callers: `Engine.load` makes modules. */
  constructor(control: Control, native: NativeModule) {
    this.#control = control;
    this.#native = native;
    this.imports = native.imports;
    this.exports = native.exports;
    this.#command = native.command ?? -1;
  }

  #entry(name: string | undefined): number {
    if (this.#closed || this.#control.closed) throw engineError('WM_ENGINE_CLOSED', 'the module is closed');
    const index =
      name === undefined || name === '_start'
        ? this.#command
        : this.exports.findIndex((one) => one.name === name && one.kind === 'function');
    if (index < 0) {
      throw engineError(
        'WM_ENGINE_ENTRY',
        `it exports ${name === undefined ? "neither '_start' nor 'wasi:cli/run'" : `no function '${name}'`}`,
      );
    }
    return index;
  }

  /**
   * Takes a slot and makes a guest; its code runs in the first leg.
   * WM_ENGINE_POOL_FULL, WM_ENGINE_OPTIONS, WM_ENGINE_ENTRY, WM_ENGINE_CLOSED.
   */
  start(options: GuestOptions): Guest {
    const entry = this.#entry(options.entry);
    const control = this.#control;
    control.putOptions(options);
    control.slots[SUBJECT] = this.#native.id;
    control.slots[DETAIL] = entry;
    control.hot.start();
    return new Guest(control, this.#native.operations, control.slots[HANDLE]!);
  }

  /** `start` and the first leg on this thread in one call; a guest that ends in it needs no `close`. Errors as `start`. */
  run(options: GuestOptions, clocks: { readonly monotonicMicros: number; readonly civilMicros: number }): RunResult {
    const entry = this.#entry(options.entry);
    const control = this.#control;
    control.putOptions(options);
    control.putClocks(clocks.monotonicMicros, clocks.civilMicros);
    const slots = control.slots;
    slots[SUBJECT] = this.#native.id;
    slots[DETAIL] = entry;
    control.hot.run();
    const kind = slots[KIND]!;
    const handle = slots[HANDLE]!;
    const memoryBytesPeak = slots[MEMORY_BYTES_PEAK]!;
    if (handle !== 0) {
      const guest = new Guest(control, this.#native.operations, handle);
      return { step: guest.takeStep(kind), guest, stdout: EMPTY, stderr: EMPTY, memoryBytesPeak };
    }
    const large = control.large();
    return {
      step: control.step(kind, this.#native.operations, large),
      guest: null,
      stdout: control.stdout(large),
      stderr: control.stderr(large),
      memoryBytesPeak,
    };
  }

  /** Refuses new guests. Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    if (!this.#control.closed) this.#control.native.closeModule(this.#native.id);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Nanoseconds per run of the same engine calls without the bridge; for benches. The module may import nothing. */
  benchFloor(runs: number): number {
    return this.#control.native.benchFloor(this.#native.id, runs);
  }

  /** Nanoseconds per request of a guest that asks for ever (export `empty`, import `ask`), without the bridge; for benches. */
  benchRequestsFloor(runs: number): number {
    return this.#control.native.benchRequestsFloor(this.#native.id, runs);
  }
}

/** One profile's compiler, linker and pool of slots. Belongs to the thread that made it. */
export class Engine {
  /** SHA-256 (hexadecimal) over everything that decides the bytes and results of compiled code. */
  readonly profileId: string;
  /** What the digest was taken over, one setting a line. */
  readonly profileText: string;
  /** Full triple that it compiles for; only an engine of this machine's triple loads artefacts. */
  readonly target: string;
  readonly #control: Control;

  /** WM_ENGINE_PROFILE. Use `EngineAddon.createEngine`. */
  constructor(addon: NativeAddon, profile: EngineProfile, options: EngineOptions) {
    this.#control = new Control(addon, profile, options.threads ?? null);
    const native = this.#control.native;
    this.profileId = native.profileId;
    this.profileText = native.profileText;
    this.target = native.target;
  }

  #native(): NativeEngine {
    if (this.#control.closed) throw engineError('WM_ENGINE_CLOSED', 'the engine is closed');
    return this.#control.native;
  }

  /** Machine code for the profile's target, the same bytes on every host. WM_ENGINE_INVALID, WM_ENGINE_NO_COMPILER. */
  compile(wasm: Uint8Array): Uint8Array {
    return this.#native().compile(wasm);
  }

  /** As `compile`, on a thread of the engine. */
  compileAsync(wasm: Uint8Array): Promise<Uint8Array> {
    try {
      const native = this.#native();
      return this.#control.away<Uint8Array>(null, (ticket) => native.compileAway(wasm, ticket));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Validates a module or component and lists what it wants and offers, without compiling it. WM_ENGINE_INVALID. */
  describe(wasm: Uint8Array): ModuleDescription {
    return this.#native().describe(wasm);
  }

  /**
   * Loads an artefact. It is machine code: verify who signed it before. WM_ENGINE_ARTEFACT, WM_ENGINE_PROFILE_MISMATCH,
   * WM_ENGINE_IMPORT.
   */
  load(artefact: Uint8Array): EngineModule {
    return new EngineModule(this.#control, this.#native().load(artefact));
  }

  /** As `load`, mapping the file: it must not change while the module or a guest of it is open. */
  loadFile(path: string): EngineModule {
    return new EngineModule(this.#control, this.#native().loadFile(path));
  }

  stats(): EngineStats {
    return this.#native().stats();
  }

  /** Closes guests and modules; legs that run on threads end first. Idempotent. */
  close(): void {
    const control = this.#control;
    if (control.closed) return;
    control.closed = true;
    control.native.close();
    control.abandon();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
