// What a campaign of drawn runs came to, and how it is told to people.
import { sometimesLines } from '../../reports/reporters/terminal.ts';
import type { SometimesSummary, Verdict } from '../../scenarios/record.ts';
import { describePath } from './library.main.ts';
import { paint, say } from './teller.main.ts';

/** Bound: failures that are kept; a campaign with more is told to stop and look at these first. */
export const FAILURES_MAX = 50;
const MICROS_PER_MINUTE = 60_000_000;

export type FuzzFailure = {
  readonly seed: string;
  readonly verdict: Verdict;
  /** Goal or invariant; null when it was none. */
  readonly goal: string | null;
  readonly because: string;
  readonly scenario: string;
  readonly reproduce: string;
};

/** Why a campaign ended. quiet: as many runs as were asked for met nothing new. */
export type Ending = 'runs' | 'time' | 'quiet' | 'failures' | 'interrupt';

export type FuzzSummary = {
  readonly schema: 1;
  readonly seed: string;
  readonly runs: number;
  readonly held: number;
  readonly simulatedMicros: number;
  readonly wallMs: number;
  readonly cpuMs: number;
  readonly runsPerCoreHour: number;
  readonly interrupted: boolean;
  readonly ended: Ending;
  readonly permute: boolean;
  /** Whether faults might take the last good copy. */
  readonly unrepairable: boolean;
  readonly guided: boolean;
  /** Pairs of (transition, state or invariant) and kind of fault; `quietRuns`: runs at the end that met none for the first time. */
  readonly coverage: { readonly met: number; readonly of: number; readonly quietRuns: number };
  /** Named states of all runs: runs that reached each, how often, and the seed of the first. */
  readonly states: readonly (Pick<SometimesSummary, 'reached' | 'times' | 'firstSeed'> & { readonly state: string })[];
  /** Goals of the scenarios that were named. */
  readonly sometimes: readonly SometimesSummary[];
  readonly failures: readonly FuzzFailure[];
};

/** `never`: one line on what no run met; `plans`: the file of what was drawn. */
export function tellSummary(summary: FuzzSummary, never: string, plans: string): void {
  const { runs, held, failures, runsPerCoreHour, simulatedMicros, wallMs, coverage, states, ended } = summary;
  say('');
  say(
    `${runs} runs, ${held} held, ${failures.length} failed; ${Math.round(simulatedMicros / MICROS_PER_MINUTE)} simulated minutes in ${Math.round(wallMs / 1_000)} s; ${runsPerCoreHour} runs per core-hour.`,
  );
  for (const failure of failures) {
    say(`  ${failure.seed}  ${failure.verdict}  ${failure.goal ?? ''}  ${firstLine(failure.because)}`);
    say(`  reproduce: ${failure.reproduce}`);
  }
  if (ended === 'failures') say(`  stopped at ${failures.length === 1 ? 'the first failure' : `${failures.length} failures`}.`);
  if (ended === 'interrupt') say('  interrupted.');
  for (const line of sometimesLines(summary.sometimes, paint())) say(line === '' ? line : `  ${line}`);
  const { met, of, quietRuns } = coverage;
  say(
    `  coverage: ${met} of ${of} pairs with a kind of fault; ${quietRuns === 0 ? 'the last run met something new' : `nothing new in the last ${quietRuns} runs`}.`,
  );
  const reached = states.filter((state) => state.reached > 0);
  say(
    `  states: ${reached.length} of ${states.length}: ${reached.map((one) => `${one.state} ${one.reached} (${one.firstSeed})`).join(', ')}.`,
  );
  say(`  ${never}`);
  say(`  what was drawn: ${describePath(plans)}`);
}

export function firstLine(text: string): string {
  return text.split('\n')[0] ?? '';
}
