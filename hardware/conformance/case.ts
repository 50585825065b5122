// What is run on every architecture, and what is noted of it. A module holds many cases: each is one export, called in a guest of its
// own. Data only: the set is made once on the host, and the same bytes are played everywhere.

export type ConformanceCase = {
  /** Unique in its module. */
  readonly name: string;
  /** Export that is called. */
  readonly entry: string;
  readonly args: readonly string[];
  readonly env: readonly (readonly [string, string])[];
  /** Base64. */
  readonly stdin: string;
  readonly fuelMax: number;
  /** Fuel of a leg; null for one leg. */
  readonly fuelSlice: number | null;
  readonly granted: { readonly clock: boolean; readonly random: boolean; readonly environment: boolean; readonly sleep: boolean };
  /** Quantities that may differ, and why; empty for almost all. */
  readonly mayDiffer: readonly { readonly quantity: Quantity; readonly why: string }[];
};

export type ConformanceModule = {
  /** Unique in the set. */
  readonly name: string;
  readonly group: string;
  /** File name in the folder of the set. */
  readonly wasm: string;
  /** Levels that may have no code for it; every other has. */
  readonly mayLackCode: readonly string[];
  readonly cases: readonly ConformanceCase[];
};

/** A set as it is written to `set.json`. */
export type ConformanceSet = { readonly modules: readonly ConformanceModule[] };

/** What a run of a case came to. Bytes are hexadecimal. */
export type CaseResult = {
  readonly outcome: string;
  readonly stdout: string;
  readonly stderr: string;
  /** What it asked its host for, in order. */
  readonly requests: string;
  readonly fuel: number;
  /** Legs that ended because their slice of fuel was used up. */
  readonly slices: number;
  readonly memoryBytesPeak: number;
};

export const QUANTITIES = [
  'outcome',
  'stdout',
  'stderr',
  'requests',
  'fuel',
  'slices',
  'memoryBytesPeak',
] as const satisfies readonly (keyof CaseResult)[];
export type Quantity = (typeof QUANTITIES)[number];

/** A line of what a player prints. */
export type PlayedLine =
  | { readonly kind: 'host'; readonly architecture: string; readonly node: string; readonly wasmtime: string; readonly compiler: boolean }
  /** Digest of the artefact that this host makes of a module for a target. */
  | {
      readonly kind: 'artefact';
      readonly module: string;
      readonly target: string;
      readonly level: string;
      /** Null: the compiler refused, and said why. */
      readonly sha256: string | null;
      readonly said: string;
    }
  /** Settings that a level is compiled with, a line each. */
  | { readonly kind: 'profile'; readonly level: string; readonly text: string }
  /** This machine cannot run code of a level of its own architecture. */
  | { readonly kind: 'left-out'; readonly level: string; readonly why: string }
  | { readonly kind: 'case'; readonly module: string; readonly level: string; readonly case: string; readonly result: CaseResult }
  | { readonly kind: 'run'; readonly scenario: string; readonly seed: string; readonly verdict: string; readonly digest: string | null }
  | { readonly kind: 'end' };

/** The commonest case: an export that only computes and writes. */
export function plain(name: string, entry: string, changes: Partial<ConformanceCase> = {}): ConformanceCase {
  return {
    name,
    entry,
    args: [],
    env: [],
    stdin: '',
    fuelMax: 10_000_000,
    fuelSlice: 10_000,
    granted: { clock: true, random: true, environment: true, sleep: true },
    mayDiffer: [],
    ...changes,
  };
}
