// What caught the planted bugs, as data: `test/mutants/caught.json`, of which the page is made. Whoever plays them writes it.
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const FILE = fileURLToPath(new URL('../../mutants/caught.json', import.meta.url));

/** The scenario that caught it, and how many seeds that took, from `0x1` on. */
export type ByCatalogue = { readonly scenario: string; readonly seeds: number };

/** The run of a campaign that caught it: the how manieth it was, and what it broke. `goal` is null for an assertion of the product. */
export type ByFuzzing = { readonly runs: number; readonly verdict: string; readonly goal: string | null; readonly because: string };

export type CaughtFile = {
  readonly catalogue: Readonly<Record<string, ByCatalogue>>;
  readonly fuzzing: {
    /** Of the first run. */
    readonly seed: string;
    /** So many were played at most. */
    readonly runsMax: number;
    /** Null: not within so many. */
    readonly caught: Readonly<Record<string, ByFuzzing | null>>;
  };
};

export function readCaught(): CaughtFile {
  return JSON.parse(readFileSync(FILE, 'utf8')) as CaughtFile;
}

/** In the order of names, so that a change shows as what it is. */
export function writeCaught({ catalogue, fuzzing }: CaughtFile): void {
  const caught: CaughtFile = { catalogue: sorted(catalogue), fuzzing: { ...fuzzing, caught: sorted(fuzzing.caught) } };
  writeFileSync(FILE, `${JSON.stringify(caught, null, 2)}\n`);
}

function sorted<T>(table: Readonly<Record<string, T>>): Readonly<Record<string, T>> {
  return Object.fromEntries(Object.entries(table).sort(([a], [b]) => (a < b ? -1 : 1)));
}
