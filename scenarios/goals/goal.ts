// What a goal is, and the ledger in which it keeps its checks and its first breach. Goals read records only; the first
// breach explains the run, so later ones are counted and not kept.
import type { RunRecord, GoalResult } from '../record.ts';
import type { GoalSpec, Scenario } from '../scenario.ts';

export interface Goal {
  readonly name: string;
  observe(record: RunRecord): void;
  /** Called once, after the last record. */
  finish(end: RunEnd): GoalResult;
  /** True as soon as it can not hold any more. */
  readonly broken: boolean;
}

export type RunEnd = { readonly micros: number };

export type GoalParameters = GoalSpec['parameters'];

/** `duration` values are written as `2s` in a scenario and arrive as microseconds; `fields` are a mapping of fields to values. */
export type ParameterKind = 'duration' | 'count' | 'name' | 'text' | 'percent' | 'fields';

export type GoalDefinition = {
  /** One sentence for the list of goals. */
  readonly meaning: string;
  readonly required: Readonly<Record<string, ParameterKind>>;
  readonly optional: Readonly<Record<string, ParameterKind>>;
  readonly create: (parameters: GoalParameters, scenario: Scenario, slackMicros: number) => Goal;
};

type Breach = { readonly because: string; readonly machine: string | null; readonly micros: number; readonly unconverged: boolean };

export class Ledger {
  readonly name: string;
  readonly claim: string;
  readonly figures: Record<string, number> = {};
  checks = 0;
  /** How often it happened: only of a goal that asks for reaching something in some run. */
  reached: number | null = null;
  #breach: Breach | null = null;

  constructor(name: string, claim: string) {
    this.name = name;
    this.claim = claim;
  }

  get broken(): boolean {
    return this.#breach !== null && !this.#breach.unconverged;
  }

  /**
   * Counts a check; keeps the first that fails for good, rather than one that time has run out on. `because` is built only when it is kept,
   * and `machine: null` leaves it to the source of the record.
   */
  expect(
    holds: boolean,
    record: { readonly source: string; readonly micros: number },
    because: () => string,
    machine: string | null = null,
  ): void {
    this.checks += 1;
    if (!holds && !this.broken) {
      this.#breach = { because: because(), machine: machine ?? record.source, micros: record.micros, unconverged: false };
    }
  }

  /** Counts a check that time has run out on. */
  expectByEnd(holds: boolean, end: RunEnd, because: () => string, machine: string | null = null): void {
    this.checks += 1;
    if (!holds && this.#breach === null) this.#breach = { because: because(), machine, micros: end.micros, unconverged: true };
  }

  result(): GoalResult {
    const breach = this.#breach;
    return {
      name: this.name,
      claim: this.claim,
      held: breach === null,
      unconverged: breach?.unconverged ?? false,
      because: breach?.because ?? '',
      machine: breach?.machine ?? null,
      micros: breach?.micros ?? null,
      checks: this.checks,
      figures: this.figures,
      ...(this.reached === null ? {} : { reached: this.reached }),
    };
  }
}

/** Cause of `machine.stopped` when nothing failed: the testbed ended the machine's process and waited for it. */
export const STOPPED_IN_ORDER = 'stopped';

/** A goal from its ledger and two functions. */
export function goalOf(ledger: Ledger, observe: (record: RunRecord) => void, finish: (end: RunEnd) => void = () => {}): Goal {
  return {
    name: ledger.name,
    get broken() {
      return ledger.broken;
    },
    observe,
    finish(end) {
      finish(end);
      return ledger.result();
    },
  };
}

/** The node that a record is about, or who says it. */
export function machineOf(record: RunRecord): string {
  return 'node' in record.fields && typeof record.fields.node === 'string' ? record.fields.node : record.source;
}

/** `1.250 s`, `3.1 ms`, `40 µs`. */
export function describeMicros(micros: number): string {
  if (micros >= 1_000_000) return `${(micros / 1_000_000).toFixed(3)} s`;
  if (micros >= 1_000) return `${(micros / 1_000).toFixed(1)} ms`;
  return `${micros} µs`;
}

/** A budget of time, and aloud what a world adds to it. */
export function describeBudget(micros: number, slackMicros: number): string {
  return `${describeMicros(micros)}${describeSlack(slackMicros)}`;
}

/** Empty in worlds without slack. */
export function describeSlack(slackMicros: number): string {
  return slackMicros === 0 ? '' : ` (+ ${slackMicros / 1_000_000} s of slack on real machines)`;
}

/** Nearest-rank percentile of whole numbers; null when there are none. Sorts a copy. */
export function percentile(values: readonly number[], percent: number): number | null {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const rank = Math.ceil((percent * sorted.length) / 100);
  return sorted[Math.max(0, Math.min(sorted.length, rank) - 1)] ?? null;
}

export function textOf(parameters: GoalParameters, name: string): string {
  return String(parameters[name]);
}

export function countOf(parameters: GoalParameters, name: string, fallback?: number): number {
  const value = parameters[name];
  return typeof value === 'number' ? value : (fallback ?? Number.NaN);
}
