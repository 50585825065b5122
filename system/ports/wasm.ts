// Guests. A module, which may be a component, is compiled for a profile, loaded from an artefact, started as a guest; a guest is a coroutine that runs
// in legs: until it returns, traps, uses up its fuel or slice, or asks the host for something.
// Bounds: slots of the pool (WM_POOL_FULL), fuel, memory and output of each guest. A guest holds its slot until `close`.
import type { ProfileId } from '../domain/identifiers.ts';
import type { Outcome } from '../domain/outcome.ts';

/** What decides the bytes and results of compiled code; hashed into the artefact (architecture §7). */
export type CompileProfile = {
  readonly profile: ProfileId;
  /** Full triple, such as `aarch64-unknown-linux-gnu`. */
  readonly target: string;
  /** Name of the ISA feature level (system/domain/isa.ts): what of the machine the code makes use of. */
  readonly level: string;
};

/** Machine code, and how long making it took; null where time is only modelled. */
export type Compiled = { readonly artefact: Uint8Array; readonly micros: number | null };

export type ModuleImport = { readonly module: string; readonly name: string };

export type GuestOptions = {
  readonly args: readonly string[];
  readonly environment: readonly (readonly [string, string])[];
  readonly stdin: Uint8Array;
  readonly fuelMax: number;
  readonly memoryBytesMax: number;
  readonly outputBytesMax: number;
  /** 32 bytes: everything the guest draws follows from it. */
  readonly randomSeed: Uint8Array;
  readonly granted: { readonly clock: boolean; readonly random: boolean; readonly sleep: boolean };
};

/** Answer to a host request: a negative status is an errno of the guest ABI, otherwise `bytes` is the response. */
export type HostAnswer = { readonly status: number; readonly bytes: Uint8Array | null };

export type GuestStep =
  | { readonly kind: 'returned'; readonly exitCode: number }
  | { readonly kind: 'trapped'; readonly trap: string; readonly message: string }
  /** Fuel or another quota used up; `limit` is fuel, memory or output. */
  | { readonly kind: 'exhausted'; readonly limit: string }
  | { readonly kind: 'sliced' }
  /**
   * An operation of the guest ABI; or `wasi.sleep` (payload: 8 bytes, nanoseconds, little endian), `wasi.denied` (function), `wasi.log`
   * (level, context and message of `wasi:logging`, a line feed between them).
   */
  | { readonly kind: 'request'; readonly operation: string; readonly payload: Uint8Array };

export interface Guest {
  /** Runs the next leg. `answer` is null at the start and after a slice. Must not be called while a leg runs. */
  resume(answer: HostAnswer | null): Promise<GuestStep>;
  readonly fuelUsed: number;
  readonly memoryBytesPeak: number;
  stdout(): Uint8Array;
  stderr(): Uint8Array;
  /** Gives the slot back; a leg that runs ends first. Idempotent. */
  close(): void;
}

export interface LoadedModule {
  readonly imports: readonly ModuleImport[];
  start(options: GuestOptions): Outcome<Guest>;
  /** Refuses new guests; running ones go on. Idempotent. */
  close(): void;
}

export interface Wasm {
  /** Profile of the node this port belongs to. */
  readonly profile: CompileProfile;
  /** Profiles that `compile` can produce; empty on nodes without a compiler. */
  readonly profiles: readonly CompileProfile[];
  /** Imports of a module without compiling it; WM_MODULE_INVALID, WM_MODULE_IMPORT. */
  inspect(bytes: Uint8Array): Outcome<readonly ModuleImport[]>;
  /** Machine code of a module for a profile, the same bytes on every host. WM_MODULE_FEATURE when its level lacks what the module uses. */
  compile(bytes: Uint8Array, profile: ProfileId): Promise<Outcome<Compiled>>;
  /** Maps an artefact whose signatures the caller has verified. WM_PROFILE_MISMATCH when it was made for another profile. */
  load(artefact: Uint8Array): Promise<Outcome<LoadedModule>>;
  /** Guests that exist now, and slots there are. */
  guests(): { readonly open: number; readonly max: number };
}
