// What a campaign plays: a module that turns (kernel, scenario) into a verdict. The worker loads it after the guard, by its
// URL, and knows nothing else about worlds, engines or controllers. Everything that crosses the thread is plain data.
import type { RunHeader, RunRecord, RunSummary } from '../../scenarios/record.ts';
import type { PlayResult } from '../../scenarios/run.ts';
import type { Scenario } from '../../scenarios/scenario.ts';
import type { Kernel } from '../kernel/kernel.ts';

/** One run to be played. */
export type PlayJob = {
  readonly scenario: Scenario;
  /** Canonical (`canonicalSeed`). */
  readonly seed: string;
  /** Play it twice and compare. */
  readonly verify: boolean;
  /** Events of one instant in an order drawn from the seed (`KernelOptions.permute`). */
  readonly permute?: boolean;
  /** File that the record lines are written to; null: nowhere. */
  readonly recordFile: string | null;
  /** The one command that reproduces this run. */
  readonly reproduce: string;
};

/** Where records go, in the order of the run. */
export interface RecordSink {
  header(header: RunHeader): void;
  record(record: RunRecord): void;
}

export interface Player {
  /** Outside the run, before each job: whatever needs files, threads or the network. Absent: nothing. */
  readonly prepare?: (job: PlayJob) => Promise<void>;
  /** The driver of one run, begun inside its first event; the run is over when the promise settles. Played twice to verify. */
  drive(kernel: Kernel, job: PlayJob, sink: RecordSink): Promise<PlayResult>;
}

/** The module that `CampaignOptions.player` points at. */
export type PlayerModule = {
  /** Once in each worker, outside any run. `settings` is what the campaign was given. */
  readonly createPlayer: (settings: unknown) => Promise<Player>;
};

export type WorkerSetup = {
  readonly player: string;
  readonly settings: unknown;
  /** One Int32: not 0 when the user gave up. */
  readonly cancel: SharedArrayBuffer;
};

export type ToWorker = { readonly kind: 'play'; readonly index: number; readonly job: PlayJob };

export type FromWorker =
  | { readonly kind: 'ready' }
  | { readonly kind: 'progress'; readonly index: number; readonly micros: number; readonly steps: number }
  | { readonly kind: 'done'; readonly index: number; readonly summary: RunSummary };

/** What is the same in every summary of a job, for runs that came to no result of their own. */
export function summaryOf(
  job: PlayJob,
  rest: Pick<RunSummary, 'verdict' | 'trouble' | 'simulatedMicros' | 'wallMs' | 'steps'>,
): RunSummary {
  return {
    scenario: job.scenario.name,
    question: job.scenario.question,
    requirements: job.scenario.requirements,
    tags: job.scenario.tags,
    world: 'sim',
    seed: job.seed,
    goals: [],
    digest: null,
    records: 0,
    reproduce: job.reproduce,
    lastRecords: [],
    ...rest,
  };
}
