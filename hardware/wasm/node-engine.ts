// The engine settings of every real node, and the engine of one process over them. All nodes share one profile for each target,
// so that a module is compiled once for an architecture: reservation and pool are part of what an artefact is made for.
import type { Architecture } from '../../system/domain/node.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { EngineAddon, EngineProfile } from './native/native.ts';
import { EngineWasm } from './wasm.ts';

const MIB = 1024 * 1024;
/** Bound: memory of one guest. */
export const GUEST_MEMORY_BYTES_MAX = 64 * MIB;
/** Bound: guests of one node at a time; 64 MiB of address space each, of memory only what they touch. */
const SLOTS = 1_000;
/** Fuel of one leg: about 10 ms, after which another guest has its turn on the thread. */
const FUEL_SLICE = 10_000_000;
const SLICE_MICROS = 10_000;
/** Speed of the guests' clock. Assumption until a node's own speed is fitted (H6.2): a billion simple instructions a second. */
const FUEL_PER_MICRO = 1_000;

const PROFILE: EngineProfile = {
  memoryReservationBytes: GUEST_MEMORY_BYTES_MAX,
  memoryGuardBytes: 64 * 1024,
  memoryBytesMax: GUEST_MEMORY_BYTES_MAX,
  tableElementsMax: 10_000,
  poolSlots: SLOTS,
  target: null,
  cpuFeatures: [],
  optimise: 'speed',
};

export const TARGETS: Readonly<Record<Architecture, string>> = {
  x86_64: 'x86_64-unknown-linux-gnu',
  aarch64: 'aarch64-unknown-linux-gnu',
  riscv64: 'riscv64gc-unknown-linux-gnu',
};

/** Architecture of a triple; null for one that no node may have. */
export function architectureOf(target: string): Architecture | null {
  for (const architecture of ['x86_64', 'aarch64', 'riscv64'] as const) if (target.startsWith(architecture)) return architecture;
  return null;
}

export type NodeWasmOptions = {
  readonly clock: Clock;
  /** Also for every other architecture, as the controller does. */
  readonly compiles: boolean;
  /** Fuel that one guest may use in a microsecond; null or absent: as much as the machine has. */
  readonly speed?: number | null;
};

/** Guests of a node. */
export function createNodeWasm(addon: EngineAddon, { clock, compiles, speed = null }: NodeWasmOptions): EngineWasm {
  const engine = addon.createEngine(PROFILE);
  const foreign = compiles && addon.build.compiler ? Object.values(TARGETS).filter((target) => target !== engine.target) : [];
  return new EngineWasm({
    engine,
    compilers: foreign.map((target) => addon.createEngine({ ...PROFILE, target }, { threads: 1 })),
    compiles: compiles && addon.build.compiler,
    clock,
    legs: 'worker',
    // A slow guest is looked after as often as a fast one.
    fuelSlice: speed === null ? FUEL_SLICE : Math.min(FUEL_SLICE, speed * SLICE_MICROS),
    fuelPerMicro: speed === null ? FUEL_PER_MICRO : Math.min(FUEL_PER_MICRO, speed),
    fuelPerMicroMax: speed,
  });
}
