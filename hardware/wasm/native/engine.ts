// The engine as JavaScript sees it: an engine of one profile compiles, loads and starts guests; a guest runs in legs.
// A leg ends when the guest returns, traps, reaches a limit, uses up its fuel slice, or asks the host for something.
// Guests are closed explicitly (`close`, or `using`); a finalizer is only a net, and comes far too late for a busy pool.
// The surprising part: options, answers and steps pass through one block of memory that both sides read and write, so a
// leg costs one call with two integers. The layout is repeated in `src/lib.rs`; the two change together.

/** What decides the bytes and results of compiled code. Sizes in bytes, whole, memory in multiples of 65536. */
export type EngineProfile = {
  /** Address space of one slot, at least `memoryBytesMax`; 4 GiB spares bounds checks, small values fit small machines. */
  readonly memoryReservationBytes: number;
  readonly memoryGuardBytes: number;
  readonly memoryBytesMax: number;
  readonly tableElementsMax: number;
  /** Guests that can exist at once. */
  readonly poolSlots: number;
  /** Full triple such as `aarch64-unknown-linux-gnu`; null is this machine's. */
  readonly target: string | null;
  /** Cranelift's names, such as `has_avx2`; never inferred from the machine. */
  readonly cpuFeatures: readonly string[];
  readonly optimise: 'speed' | 'none';
};

export type EngineOptions = {
  /** Threads for `Guest.resume` and `Engine.compileAsync`; null is the number of cores, at most 4. */
  readonly threads?: number | null;
};

export type ErrorCode =
  /** A setting of the profile is out of its range, unknown, or not supported by this machine. */
  | 'WM_ENGINE_PROFILE'
  /** Not a WebAssembly module that this profile accepts. */
  | 'WM_ENGINE_INVALID'
  /** This build of the addon has no compiler. */
  | 'WM_ENGINE_NO_COMPILER'
  /** Not an artefact, or a damaged one. */
  | 'WM_ENGINE_ARTEFACT'
  /** The artefact was compiled for another profile. */
  | 'WM_ENGINE_PROFILE_MISMATCH'
  /** The module imports something that no guest is given; the message names it. */
  | 'WM_ENGINE_IMPORT'
  /** No such entry, or its type is neither `() -> ()` nor `() -> i32`. */
  | 'WM_ENGINE_ENTRY'
  /** An option or an answer is out of its range. */
  | 'WM_ENGINE_OPTIONS'
  /** Every slot of the pool is in use. */
  | 'WM_ENGINE_POOL_FULL'
  /** The engine, module or guest was closed. */
  | 'WM_ENGINE_CLOSED'
  /** A leg of this guest is running. */
  | 'WM_ENGINE_BUSY'
  /** The guest has ended, or an answer was given or left out where the guest did not expect it. */
  | 'WM_ENGINE_STATE'
  /** An invariant of the addon broke. */
  | 'WM_ENGINE_BUG';

/** Thrown (or rejected with) by everything in this file. */
export type EngineError = Error & { readonly code: ErrorCode };

export type ModuleImport = { readonly module: string; readonly name: string; readonly kind: string };
export type ModuleExport = { readonly name: string; readonly kind: string };
export type ModuleDescription = {
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly ModuleExport[];
};

export type GuestGrants = {
  readonly clock: boolean;
  readonly random: boolean;
  readonly environment: boolean;
  readonly sleep: boolean;
};

export type GuestOptions = {
  readonly args: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  readonly stdin: Uint8Array;
  /** All the fuel the guest will ever get; 1 or more. */
  readonly fuelMax: number;
  /** Fuel of one leg, after which it ends as `sliced`; null for no slices. */
  readonly fuelSlice: number | null;
  /** At most the profile's. Growing past it ends the guest with `limit`. */
  readonly memoryBytesMax: number;
  readonly stdoutBytesMax: number;
  readonly stderrBytesMax: number;
  /** 32 bytes: everything that `random_get` gives follows from it. */
  readonly randomSeed: Uint8Array;
  /** Speed of the guest's clock: fuel used in one microsecond. More than 0. */
  readonly fuelPerMicro: number;
  /** A call without its grant becomes the request `wasi.denied`. */
  readonly granted: GuestGrants;
  /** Export to call, `() -> ()` or `() -> i32` (the exit code); `_start` when absent. `_initialize` is called before. */
  readonly entry?: string;
};

/** A negative status goes to the guest as it is; otherwise the guest gets `bytes` (null: none) and their length. */
export type GuestAnswer = { readonly status: number; readonly bytes: Uint8Array | null };

export type LegInput = {
  /** Answer to the request that the last leg ended with, else null. */
  readonly answer: GuestAnswer | null;
  /** Both clocks at the start of the leg, whole microseconds; the guest sees them advance with its fuel. */
  readonly monotonicMicros: number;
  readonly civilMicros: number;
};

/** How a leg ended. `fuelUsed` is the total since the guest started. */
export type Step =
  | { readonly kind: 'returned'; readonly exitCode: number; readonly fuelUsed: number }
  | { readonly kind: 'trapped'; readonly trap: string; readonly message: string; readonly fuelUsed: number }
  /** `fuelMax` is used up. */
  | { readonly kind: 'exhausted'; readonly fuelUsed: number }
  | { readonly kind: 'limit'; readonly limit: 'memory' | 'stdout' | 'stderr' | 'pool'; readonly fuelUsed: number }
  | { readonly kind: 'sliced'; readonly fuelUsed: number }
  /** An import of `wasmmatrix`; or `wasi.sleep` (payload: 8 bytes, nanoseconds, little endian) or `wasi.denied` (function). */
  | {
      readonly kind: 'request';
      readonly operation: string;
      readonly payload: Uint8Array;
      readonly fuelUsed: number;
    };

/** What `EngineModule.run` gives. `guest` is null when the guest ended in its first leg; then the pipes are here. */
export type RunResult = {
  readonly step: Step;
  readonly guest: Guest | null;
  readonly stdout: Uint8Array;
  readonly stderr: Uint8Array;
  readonly memoryBytesPeak: number;
};

export type EngineStats = {
  readonly slotsInUse: number;
  readonly slotsMax: number;
  readonly modulesLoaded: number;
};

export type BuildInfo = {
  readonly version: string;
  readonly wasmtime: string;
  readonly host: string;
  readonly compiler: boolean;
};

type NativeModule = {
  readonly id: number;
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly ModuleExport[];
  readonly operations: readonly string[];
};

interface NativeEngine {
  readonly profileId: string;
  readonly profileText: string;
  readonly target: string;
  compile(wasm: Uint8Array): Uint8Array;
  compileAway(wasm: Uint8Array, ticket: number): void;
  describe(wasm: Uint8Array): ModuleDescription;
  load(artefact: Uint8Array): NativeModule;
  loadFile(path: string): NativeModule;
  closeModule(module: number): void;
  giveLarge(bytes: Uint8Array): void;
  takeLarge(): Uint8Array;
  hot(target: object): void;
  listen(callback: (ticket: number, kind: number, value: unknown) => void): void;
  output(handle: number, pipe: number): Uint8Array;
  stats(): EngineStats;
  close(): void;
  benchFloor(module: number, runs: number): number;
  benchRequestsFloor(module: number, runs: number): number;
}

/** What happens for every leg: plain functions that take and give everything through the control block (src/hot.rs). */
type HotCalls = {
  /** Subject: module; detail: entry. Gives the handle. */
  start(): void;
  /** As `start`, then the first leg; gives a step, and a handle unless the guest has ended. */
  run(): void;
  /** Subject: guest. Gives a step. */
  resumeInline(): void;
  /** Subject: guest; detail: ticket. */
  resumeAway(): void;
  /** Subject: guest. */
  closeGuest(): void;
};

/** The addon as `process.dlopen` gives it. */
export interface NativeAddon {
  readonly NativeEngine: new (profile: EngineProfile, threads: number | null, control: Uint8Array) => NativeEngine;
  readonly parseText?: (text: string) => Uint8Array;
  readonly buildInfo: () => BuildInfo;
}

// Slots of the control block (doubles); `mod at` of src/lib.rs.
const FUEL_MAX = 0;
const FUEL_SLICE = 1;
const MEMORY_BYTES_MAX = 2;
const STDOUT_BYTES_MAX = 3;
const STDERR_BYTES_MAX = 4;
const FUEL_PER_MICRO = 5;
const GRANTED = 6;
const MONOTONIC_MICROS = 7;
const CIVIL_MICROS = 8;
const ANSWERED = 9;
const STATUS = 10;
const ARGS_BYTES = 11;
const ENVIRONMENT_BYTES = 12;
const INPUT_BYTES = 13;
const SUBJECT = 14;
const DETAIL = 15;
const KIND = 16;
const FUEL_USED = 17;
const MEMORY_BYTES = 18;
const MEMORY_BYTES_PEAK = 19;
const VALUE = 20;
const TEXT_BYTES = 21;
const STDOUT_BYTES = 22;
const STDERR_BYTES = 23;
const HANDLE = 24;
const LARGE = 25;
const SLOTS = 32;
const SEED_AT = 256;
const SEED_BYTES = 32;
const DATA_AT = 512;
const DATA_BYTES = 65_536;

const KIND_RETURNED = 0;
const KIND_TRAPPED = 1;
const KIND_EXHAUSTED = 2;
const KIND_SLICED = 3;
const KIND_REQUEST = 4;
const KIND_LIMIT = 5;
const KIND_CLOSED = -1;
const KIND_BYTES = -2;

const GRANT_CLOCK = 1;
const GRANT_RANDOM = 2;
const GRANT_ENVIRONMENT = 4;
const GRANT_SLEEP = 8;

const LIMITS = ['memory', 'stdout', 'stderr', 'pool'] as const;
const EMPTY = new Uint8Array(0);
const encoder = new TextEncoder();
const decoder = new TextDecoder();

function engineError(code: ErrorCode, message: string): EngineError {
  return Object.assign(new Error(message), { code });
}

/** Strings as a C program sees them: each ended by a zero byte. */
function encodeStrings(strings: readonly string[]): Uint8Array {
  if (strings.length === 0) return EMPTY;
  for (const text of strings) {
    if (text.includes('\0')) throw engineError('WM_ENGINE_OPTIONS', 'an argument or environment variable holds a zero byte');
  }
  return encoder.encode(`${strings.join('\0')}\0`);
}

type Waiting = {
  readonly guest: Guest | null;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
};

/** The block of memory of one engine, and what is read from and written to it. */
class Control {
  readonly native: NativeEngine;
  readonly hot: HotCalls;
  readonly slots: Float64Array;
  readonly #seed: Uint8Array;
  readonly #data: Uint8Array;
  readonly #waiting = new Map<number, Waiting>();
  #ticket = 0;
  #listening = false;
  readonly slotsMax: number;
  /** Guests that were made and not closed. */
  guestsOpen = 0;
  closed = false;

  constructor(addon: NativeAddon, profile: EngineProfile, threads: number | null) {
    const block = new ArrayBuffer(DATA_AT + DATA_BYTES);
    this.slots = new Float64Array(block, 0, SLOTS);
    this.#seed = new Uint8Array(block, SEED_AT, SEED_BYTES);
    this.#data = new Uint8Array(block, DATA_AT, DATA_BYTES);
    this.native = new addon.NativeEngine({ ...profile, cpuFeatures: [...profile.cpuFeatures] }, threads, new Uint8Array(block));
    const hot = {} as HotCalls;
    this.native.hot(hot);
    this.hot = hot;
    this.slotsMax = profile.poolSlots;
  }

  #put(parts: readonly Uint8Array[], bytes: number): void {
    if (bytes > DATA_BYTES) {
      const large = new Uint8Array(bytes);
      let offset = 0;
      for (const part of parts) {
        large.set(part, offset);
        offset += part.length;
      }
      this.native.giveLarge(large);
      return;
    }
    let offset = 0;
    for (const part of parts) {
      if (part.length > 0) this.#data.set(part, offset);
      offset += part.length;
    }
  }

  putOptions(options: GuestOptions): void {
    const slots = this.slots;
    const seed = options.randomSeed;
    if (seed.length !== SEED_BYTES) {
      throw engineError('WM_ENGINE_OPTIONS', `randomSeed has ${seed.length} bytes; 32 are expected`);
    }
    this.#seed.set(seed);
    const granted = options.granted;
    slots[FUEL_MAX] = options.fuelMax;
    slots[FUEL_SLICE] = options.fuelSlice ?? 0;
    slots[MEMORY_BYTES_MAX] = options.memoryBytesMax;
    slots[STDOUT_BYTES_MAX] = options.stdoutBytesMax;
    slots[STDERR_BYTES_MAX] = options.stderrBytesMax;
    slots[FUEL_PER_MICRO] = options.fuelPerMicro;
    slots[GRANTED] =
      (granted.clock ? GRANT_CLOCK : 0) |
      (granted.random ? GRANT_RANDOM : 0) |
      (granted.environment ? GRANT_ENVIRONMENT : 0) |
      (granted.sleep ? GRANT_SLEEP : 0);
    const { args, env, stdin } = options;
    if (args.length === 0 && env.length === 0 && stdin.length === 0) {
      slots[ARGS_BYTES] = 0;
      slots[ENVIRONMENT_BYTES] = 0;
      slots[INPUT_BYTES] = 0;
      return;
    }
    const argsText = encodeStrings(args);
    const envText = encodeStrings(env.map(([name, value]) => `${name}=${value}`));
    slots[ARGS_BYTES] = argsText.length;
    slots[ENVIRONMENT_BYTES] = envText.length;
    slots[INPUT_BYTES] = stdin.length;
    this.#put([argsText, envText, stdin], argsText.length + envText.length + stdin.length);
  }

  putClocks(monotonicMicros: number, civilMicros: number): void {
    this.slots[MONOTONIC_MICROS] = monotonicMicros;
    this.slots[CIVIL_MICROS] = civilMicros;
  }

  putInput(input: LegInput): void {
    const slots = this.slots;
    slots[MONOTONIC_MICROS] = input.monotonicMicros;
    slots[CIVIL_MICROS] = input.civilMicros;
    const answer = input.answer;
    if (answer === null) {
      slots[ANSWERED] = 0;
      slots[INPUT_BYTES] = 0;
      return;
    }
    slots[ANSWERED] = 1;
    slots[STATUS] = answer.status;
    const bytes = answer.bytes;
    if (bytes === null || bytes.length === 0) {
      slots[INPUT_BYTES] = 0;
    } else {
      slots[INPUT_BYTES] = bytes.length;
      if (bytes.length <= DATA_BYTES) this.#data.set(bytes);
      else this.native.giveLarge(bytes);
    }
  }

  #bytes(offset: number, length: number, large: Uint8Array | null): Uint8Array {
    if (length === 0) return EMPTY;
    return (large ?? this.#data).slice(offset, offset + length);
  }

  /** Data of the last call when they did not fit into the block. */
  large(): Uint8Array | null {
    return this.slots[LARGE] === 0 ? null : this.native.takeLarge();
  }

  stdout(large: Uint8Array | null): Uint8Array {
    return this.#bytes(this.slots[TEXT_BYTES]!, this.slots[STDOUT_BYTES]!, large);
  }

  stderr(large: Uint8Array | null): Uint8Array {
    return this.#bytes(this.slots[TEXT_BYTES]! + this.slots[STDOUT_BYTES]!, this.slots[STDERR_BYTES]!, large);
  }

  step(kind: number, operations: readonly string[], large: Uint8Array | null): Step {
    const slots = this.slots;
    const fuelUsed = slots[FUEL_USED]!;
    switch (kind) {
      case KIND_RETURNED:
        return { kind: 'returned', exitCode: slots[VALUE]!, fuelUsed };
      case KIND_REQUEST: {
        const operation = operations[slots[VALUE]!]!;
        return { kind: 'request', operation, payload: this.#bytes(0, slots[TEXT_BYTES]!, large), fuelUsed };
      }
      case KIND_SLICED:
        return { kind: 'sliced', fuelUsed };
      case KIND_EXHAUSTED:
        return { kind: 'exhausted', fuelUsed };
      case KIND_LIMIT:
        return { kind: 'limit', limit: LIMITS[slots[VALUE]!]!, fuelUsed };
      case KIND_TRAPPED: {
        const text = decoder.decode(this.#bytes(0, slots[TEXT_BYTES]!, large));
        const end = text.indexOf('\n');
        return { kind: 'trapped', trap: text.slice(0, end), message: text.slice(end + 1), fuelUsed };
      }
      default:
        throw engineError('WM_ENGINE_BUG', `a leg ended in an unknown way (${kind})`);
    }
  }

  closeGuest(handle: number): void {
    this.guestsOpen--;
    if (this.closed) return;
    this.slots[SUBJECT] = handle;
    this.hot.closeGuest();
  }

  /** Runs `submit` with a new ticket; the promise settles when the job is done. */
  away<T>(guest: Guest | null, submit: (ticket: number) => void): Promise<T> {
    if (!this.#listening) {
      this.native.listen((ticket, kind, value) => this.#settle(ticket, kind, value));
      this.#listening = true;
    }
    this.#ticket = (this.#ticket + 1) >>> 0;
    const ticket = this.#ticket;
    return new Promise<T>((resolve, reject) => {
      submit(ticket);
      this.#waiting.set(ticket, { guest, resolve, reject });
    });
  }

  #settle(ticket: number, kind: number, value: unknown): void {
    const waiting = this.#waiting.get(ticket);
    if (waiting === undefined) return;
    this.#waiting.delete(ticket);
    if (waiting.guest === null) {
      if (kind === KIND_BYTES) waiting.resolve(value as never);
      else waiting.reject(value);
      return;
    }
    if (kind === KIND_CLOSED) {
      waiting.reject(engineError('WM_ENGINE_CLOSED', 'the guest was closed while its leg ran'));
      return;
    }
    try {
      waiting.resolve(waiting.guest[takeStep](kind) as never);
    } catch (error) {
      waiting.reject(error);
    }
  }

  /** Legs and compilations that were still waiting when the engine was closed. */
  abandon(): void {
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const one of waiting) one.reject(engineError('WM_ENGINE_CLOSED', 'the engine was closed'));
  }
}

const takeStep = Symbol('takeStep');

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
  [takeStep](kind: number): Step {
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
    return this[takeStep](control.slots[KIND]!);
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

/** A module that was loaded and linked. Closing it refuses new guests; running ones go on. */
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
    this.#command = native.exports.findIndex((one) => one.name === '_start' && one.kind === 'function');
  }

  #entry(name: string | undefined): number {
    if (this.#closed || this.#control.closed) throw engineError('WM_ENGINE_CLOSED', 'the module is closed');
    const index =
      name === undefined || name === '_start'
        ? this.#command
        : this.exports.findIndex((one) => one.name === name && one.kind === 'function');
    if (index < 0) throw engineError('WM_ENGINE_ENTRY', `the module exports no function '${name ?? '_start'}'`);
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
      return { step: guest[takeStep](kind), guest, stdout: EMPTY, stderr: EMPTY, memoryBytesPeak };
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

  /** Validates a module and lists what it wants and offers, without compiling it. WM_ENGINE_INVALID. */
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
