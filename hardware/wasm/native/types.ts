// Types of the engine addon: what callers give and get, and what the native library looks like from JavaScript.
import type { Guest } from './engine.ts';

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
  /**
   * False leaves a NaN as the processor computes it, which differs between architectures: for the test that would notice. True when
   * absent.
   */
  readonly canonicalNans?: boolean;
};

export type EngineOptions = {
  /** Threads for `Guest.resume` and `Engine.compileAsync`; null is the number of cores, at most 4. */
  readonly threads?: number | null;
};

export type ErrorCode =
  /** A setting of the profile is out of its range, unknown, or not supported by this machine. */
  | 'WM_ENGINE_PROFILE'
  /** Not a WebAssembly module or component that this profile accepts. */
  | 'WM_ENGINE_INVALID'
  /** A valid module of which the compiler cannot make code for this target. */
  | 'WM_ENGINE_UNSUPPORTED'
  /** This build of the addon has no compiler. */
  | 'WM_ENGINE_NO_COMPILER'
  /** Not an artefact, or a damaged one. */
  | 'WM_ENGINE_ARTEFACT'
  /** The artefact was compiled for another profile. */
  | 'WM_ENGINE_PROFILE_MISMATCH'
  /** The module imports something that no guest is given; the message names it. */
  | 'WM_ENGINE_IMPORT'
  /** No such entry, or it takes or gives what an entry does not. */
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

/** Of a component: `module` is the interface with its version, and what it holds is listed one by one. */
export type ModuleImport = {
  readonly module: string;
  readonly name: string;
  readonly kind: string;
  /** Whether guests are given it. */
  readonly offered: boolean;
};
/** A function of an instance that a component exports is called `<instance>#<function>`. */
export type ModuleExport = { readonly name: string; readonly kind: string };
export type ModuleDescription = {
  /** A component; otherwise a core module. */
  readonly component: boolean;
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
  /** At most the profile's; for memories, tables and what the host holds for handles. Growing past it ends the guest with `limit`. */
  readonly memoryBytesMax: number;
  readonly stdoutBytesMax: number;
  readonly stderrBytesMax: number;
  /** 32 bytes: everything that `random_get` gives follows from it. */
  readonly randomSeed: Uint8Array;
  /** Speed of the guest's clock: fuel used in one microsecond. More than 0. */
  readonly fuelPerMicro: number;
  /** A call without its grant becomes the request `wasi.denied`. */
  readonly granted: GuestGrants;
  /**
   * Export to call: `() -> ()` or `() -> i32` (the exit code) of a module, `func()`, `func() -> result` or `func() -> s32` of a component.
   * When absent, `_start` or `run` of `wasi:cli/run`. `_initialize` of a module without `_start` is called before.
   */
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
  /**
   * An import of `wasmmatrix`; or `wasi.sleep` (payload: 8 bytes, nanoseconds, little endian) or `wasi.denied` (function). A component
   * asks for `state_get`, `state_set`, `publish` and `wasi.log` (level, context and message, a line feed between them).
   */
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

export type NativeModule = {
  readonly id: number;
  readonly imports: readonly ModuleImport[];
  readonly exports: readonly ModuleExport[];
  /** Place among the exports of what is called when no entry is named. */
  readonly command: number | null;
  readonly operations: readonly string[];
};

export interface NativeEngine {
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
export type HotCalls = {
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
  readonly NativeEngine: new (profile: Required<EngineProfile>, threads: number | null, control: Uint8Array) => NativeEngine;
  readonly parseText?: (text: string) => Uint8Array;
  readonly buildInfo: () => BuildInfo;
}
