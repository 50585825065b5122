// The real engine as the simulator needs it: synchronous, one for all simulated nodes of a thread, compiling for the machine
// that simulates. Injected by the composition root. What a guest returns, and its fuel, are the same on every machine.
import type { Outcome } from '../../system/domain/outcome.ts';
import type { GuestOptions, GuestStep, HostAnswer, ModuleImport } from '../../system/ports/wasm.ts';

/** Both clocks of the simulated node at the start of a leg; the guest sees them advance with its fuel. */
export type LegClocks = { readonly monotonicMicros: number; readonly civilMicros: number };

export interface EngineGuest {
  /** Runs the next leg to its end. */
  resume(answer: HostAnswer | null, clocks: LegClocks): GuestStep;
  readonly fuelUsed: number;
  readonly memoryBytesPeak: number;
  stdout(): Uint8Array;
  stderr(): Uint8Array;
  close(): void;
}

export interface EngineModule {
  readonly imports: readonly ModuleImport[];
  /** WM_POOL_FULL here means that the simulating machine has no slot left: the run cannot go on. */
  start(options: GuestOptions, fuelPerMicro: number): Outcome<EngineGuest>;
}

export interface GuestEngine {
  /** WM_MODULE_INVALID, WM_MODULE_IMPORT. */
  inspect(bytes: Uint8Array): Outcome<readonly ModuleImport[]>;
  /** A module, or a native artefact where the engine takes those. Made ready once for each that a thread meets, and kept. */
  load(bytes: Uint8Array): Outcome<EngineModule>;
}
