// What a `sometimes` came to over a campaign: it holds in every run, and says something only of all of them. Pure; reads what
// goals said of runs. Bound: as many entries as scenarios have such goals.
import type { GoalResult, RunSummary, SometimesSummary } from '../scenarios/record.ts';

type Entry = Pick<SometimesSummary, 'scenario' | 'world' | 'claim'> & {
  runs: number;
  reached: number;
  times: number;
  firstSeed: string | null;
};

/** What of a run counts. */
export type Watched = Pick<RunSummary, 'world' | 'seed'> & { readonly goals: readonly Pick<GoalResult, 'claim' | 'reached'>[] };

export class SometimesTally {
  readonly #entries = new Map<string, Entry>();

  /** Runs come in the order of the campaign. `scenario`: under which name it counts. */
  add({ goals, world, seed }: Watched, scenario: string): void {
    for (const { claim, reached } of goals) {
      if (reached === undefined) continue;
      const key = `${scenario} ${world} ${claim}`;
      const entry = this.#entries.get(key) ?? { scenario, world, claim, runs: 0, reached: 0, times: 0, firstSeed: null };
      this.#entries.set(key, entry);
      entry.runs += 1;
      if (reached === 0) continue;
      entry.reached += 1;
      entry.times += reached;
      entry.firstSeed ??= seed;
    }
  }

  summary(): readonly SometimesSummary[] {
    return [...this.#entries.values()].map((entry) => ({ ...entry }));
  }
}

export function sometimesOf(runs: readonly RunSummary[]): readonly SometimesSummary[] {
  const tally = new SometimesTally();
  for (const run of runs) tally.add(run, run.scenario);
  return tally.summary();
}

/** `in 2 of 3 runs, 5 times, first with seed 0x1`, or `never, in 3 runs`. */
export function describeReach({ runs, reached, times, firstSeed }: SometimesSummary): string {
  const plural = (n: number, what: string): string => `${n} ${what}${n === 1 ? '' : 's'}`;
  if (reached === 0) return `never, in ${plural(runs, 'run')}`;
  return `in ${reached} of ${plural(runs, 'run')}, ${plural(times, 'time')}, first with seed ${firstSeed}`;
}
