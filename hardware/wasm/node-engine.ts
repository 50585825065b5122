// The engine settings of every real node, and the engine of one process over them. Nodes of an architecture and ISA feature level
// share one profile, so that a module is compiled once for them all: reservation and pool are part of what an artefact is made for.
import type { ProfileId } from '../../system/domain/identifiers.ts';
import { ISA_LEVELS, type IsaLevel } from '../../system/domain/isa.ts';
import { ARCHITECTURES, type Architecture } from '../../system/domain/node.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { CompileProfile } from '../../system/ports/wasm.ts';
import type { Engine, EngineAddon, EngineProfile } from './native/native.ts';
import { EngineWasm, type ProfileCompiler } from './wasm.ts';

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
  return ARCHITECTURES.find((architecture) => target.startsWith(architecture)) ?? null;
}

/** Settings of nodes of a level; `target` null is this machine's. */
export function levelProfile(target: string | null, level: IsaLevel): EngineProfile {
  // The engine's names are ours without dots: `sse4.1` is `has_sse41`.
  return { ...PROFILE, target, cpuFeatures: level.features.map((feature) => `has_${feature.replaceAll('.', '')}`) };
}

function compileProfileOf(engine: Engine, level: IsaLevel): CompileProfile {
  return { profile: engine.profileId as ProfileId, target: engine.target, level: level.name };
}

/** R11.3: one for each architecture and level. Bound: the levels there are. */
function compilersOf(addon: EngineAddon): readonly ProfileCompiler[] {
  return ARCHITECTURES.flatMap((architecture) =>
    ISA_LEVELS[architecture].map((level) => {
      const open = (): Engine => addon.createEngine(levelProfile(TARGETS[architecture], level), { threads: 1 });
      const engine = open();
      const profile = compileProfileOf(engine, level);
      engine.close();
      return { profile, takesVectors: architecture !== 'riscv64' || level.features.includes('v'), open };
    }),
  );
}

export type NodeWasmOptions = {
  readonly clock: Clock;
  /** What its guests may use of this machine, which must have it. */
  readonly level: IsaLevel;
  /** Fuel that one guest may use in a microsecond; null or absent: as much as the machine has. */
  readonly speed?: number | null;
};

/** Runs what controllers compile for nodes of this level, one leg at a time on the thread of the caller. */
export function openNodeEngine(addon: EngineAddon, level: IsaLevel): { readonly engine: Engine; readonly profile: CompileProfile } {
  const engine = addon.createEngine(levelProfile(null, level), { threads: 1 });
  return { engine, profile: compileProfileOf(engine, level) };
}

/** Guests of a node. */
export function createNodeWasm(addon: EngineAddon, options: NodeWasmOptions): EngineWasm {
  return createWasm(addon, options, []);
}

/** Compiles for nodes of every architecture and level, and runs nothing. */
export function createControllerWasm(addon: EngineAddon, clock: Clock): EngineWasm {
  const [level] = ISA_LEVELS[architectureOf(addon.build.host) ?? 'x86_64'] as readonly [IsaLevel];
  return createWasm(addon, { clock, level }, addon.build.compiler ? compilersOf(addon) : []);
}

function createWasm(
  addon: EngineAddon,
  { clock, level, speed = null }: NodeWasmOptions,
  compilers: readonly ProfileCompiler[],
): EngineWasm {
  const engine = addon.createEngine(levelProfile(null, level));
  return new EngineWasm({
    engine,
    profile: compileProfileOf(engine, level),
    compilers,
    clock,
    legs: 'worker',
    // A slow guest is looked after as often as a fast one.
    fuelSlice: speed === null ? FUEL_SLICE : Math.min(FUEL_SLICE, speed * SLICE_MICROS),
    fuelPerMicro: speed === null ? FUEL_PER_MICRO : Math.min(FUEL_PER_MICRO, speed),
    fuelPerMicroMax: speed,
  });
}
