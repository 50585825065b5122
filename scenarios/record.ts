// The record of a run: what product and testbed said, line by line, and the summary that is made of it. Goals, reports and
// comparisons read nothing else, in every world (architecture §10).
import type { RecordKind, RecordKinds } from '../system/domain/telemetry.ts';

/**
 * One line of `run.jsonl`. `source` is the machine (`controller`, `truck-7`) or `testbed`; `sequence` counts from 1 within
 * (source, incarnation); `micros` is the testbed's monotonic time since the start of the run.
 */
export type RunRecord = {
  [K in RecordKind]: {
    readonly source: string;
    readonly incarnation: number;
    readonly sequence: number;
    readonly micros: number;
    readonly kind: K;
    readonly correlation: string | null;
    readonly fields: Readonly<RecordKinds[K]>;
  };
}[RecordKind];

export type RecordOf<K extends RecordKind> = Extract<RunRecord, { readonly kind: K }>;

/**
 * held: every goal and invariant. violated: one did not. unconverged: the quiet phase ended before everything settled.
 * nondeterministic: two plays differed. bug: an invariant of our own code broke. rejected: the scenario cannot be played here.
 * cancelled: stopped by the user.
 */
export type Verdict = 'held' | 'violated' | 'unconverged' | 'nondeterministic' | 'bug' | 'rejected' | 'cancelled';

/** The outcome of one goal or invariant in one run. */
export type GoalResult = {
  /** `P3` or the goal's name in the scenario. */
  readonly name: string;
  /** The claim in words, with its parameters. */
  readonly claim: string;
  readonly held: boolean;
  /** Not met when time ran out, rather than broken. With `held`: not judged, because the run ended before its time came. */
  readonly unconverged: boolean;
  /** One sentence: what happened, to what, when. Empty when held. */
  readonly because: string;
  /** Machine whose last events explain it; null when none in particular. */
  readonly machine: string | null;
  /** When it broke; null when held. */
  readonly micros: number | null;
  /** How much was checked, so that a goal that never looked at anything shows (0). */
  readonly checks: number;
  /** Measured figures by name with unit, such as `p99Micros`. */
  readonly figures: Readonly<Record<string, number>>;
  /**
   * How often it happened in this run: only of a `sometimes`, which holds in every run and is judged over a campaign. 0 is no
   * failure of the run.
   */
  readonly reached?: number;
};

export type RunSummary = {
  readonly scenario: string;
  readonly question: string;
  readonly requirements: readonly string[];
  readonly tags: readonly string[];
  readonly world: string;
  /** `0x…` */
  readonly seed: string;
  readonly verdict: Verdict;
  readonly goals: readonly GoalResult[];
  /** What stopped the run, when not a goal: a bug's stack, a divergence, a rejection; null otherwise. */
  readonly trouble: string | null;
  /** 16 hexadecimal digits; null in worlds that do not replay. */
  readonly digest: string | null;
  readonly simulatedMicros: number;
  readonly wallMs: number;
  /** Events the kernel delivered. */
  readonly steps: number;
  readonly records: number;
  /** The one command that reproduces this run. */
  readonly reproduce: string;
  /** What this world did differently from the file, one sentence each; absent where nothing was. */
  readonly notes?: readonly string[];
  /** Last records of the machine concerned (or of all) before the failure; empty when held. */
  readonly lastRecords: readonly RunRecord[];
};

/** What a machine of the fleet is, for reports. */
export type MachineSummary = {
  readonly machine: string;
  readonly role: 'controller' | 'node';
  readonly zone: string;
  readonly architecture: string;
  readonly latitude: number;
  readonly longitude: number;
};

/** What a `sometimes` came to over all runs of a scenario in a world. */
export type SometimesSummary = {
  readonly scenario: string;
  readonly world: string;
  readonly claim: string;
  /** Runs that were watched for it. */
  readonly runs: number;
  /** Runs in which it happened; 0: it never did. */
  readonly reached: number;
  /** How often it happened in all of them. */
  readonly times: number;
  /** Seed of the first run in which it happened, in the order of the campaign; null when there was none. */
  readonly firstSeed: string | null;
};

export type SuiteSummary = {
  /** Version of this shape. */
  readonly schema: 1;
  readonly tool: string;
  readonly commit: string | null;
  /** Civil time of the start, ISO 8601, UTC. */
  readonly startedAt: string;
  readonly wallMs: number;
  readonly verify: boolean;
  readonly sometimes: readonly SometimesSummary[];
  /** A `sometimes` that never happened is a failure of the suite (`--require-sometimes`). */
  readonly requireSometimes: boolean;
  readonly runs: readonly RunSummary[];
};

/** First line of `run.jsonl` of each run: which run the following records belong to, until the next such line. */
export type RunHeader = {
  readonly run: { readonly scenario: string; readonly seed: string; readonly world: string; readonly fleet: readonly MachineSummary[] };
};
