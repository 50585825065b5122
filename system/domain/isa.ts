// ISA feature levels: the closed set of instruction sets that modules are compiled for, a few for each architecture, each with all
// of the one below it (R11.3). A machine's level is the highest of which it has every feature; what it has beyond is not used.
// The first of each architecture has no features of its own: every machine of the architecture is at least that.
import { ARCHITECTURES, type Architecture } from './node.ts';

export type IsaLevel = {
  readonly name: string;
  /** Everything that code of this level may use beyond the baseline, as nodes report it; sorted. */
  readonly features: readonly string[];
};

const X86_64_V2: readonly string[] = ['cmpxchg16b', 'popcnt', 'sse3', 'sse4.1', 'sse4.2', 'ssse3'];
const RV64GC_B: readonly string[] = ['zba', 'zbb', 'zbs'];

/** Lowest first. The x86-64 levels are those of its psABI, as far as generated code makes use of them. */
export const ISA_LEVELS: Readonly<Record<Architecture, readonly IsaLevel[]>> = {
  x86_64: [
    { name: 'x86-64', features: [] },
    { name: 'x86-64-v2', features: X86_64_V2 },
    { name: 'x86-64-v3', features: ['avx', 'avx2', 'bmi1', 'bmi2', 'fma', 'lzcnt', ...X86_64_V2].sort() },
  ],
  aarch64: [
    { name: 'armv8-a', features: [] },
    { name: 'armv8.1-a', features: ['lse'] },
  ],
  riscv64: [
    { name: 'rv64gc', features: [] },
    { name: 'rv64gcb', features: RV64GC_B },
    { name: 'rv64gcbv', features: ['v', ...RV64GC_B] },
  ],
};

export const ISA_LEVEL_NAMES: readonly string[] = ARCHITECTURES.flatMap((architecture) => ISA_LEVELS[architecture].map(({ name }) => name));

/** Setting of an agent: as high as its machine is. */
export const ISA_AUTO = 'auto';

/** The features that nodes of an architecture report. */
export function knownFeatures(architecture: Architecture): readonly string[] {
  return [...new Set(ISA_LEVELS[architecture].flatMap(({ features }) => features))].sort();
}

/** The highest level of which `features` has everything. */
export function levelOf(architecture: Architecture, features: readonly string[]): IsaLevel {
  const [baseline, ...higher] = ISA_LEVELS[architecture] as readonly [IsaLevel, ...IsaLevel[]];
  return higher.reduce((best, level) => (level.features.every((feature) => features.includes(feature)) ? level : best), baseline);
}

/** Null: no level of this architecture is called so. */
export function findLevel(architecture: Architecture, name: string): IsaLevel | null {
  return ISA_LEVELS[architecture].find((level) => level.name === name) ?? null;
}
