// Plays many runs in worker threads, never in the thread of its caller. It owns the workers, threads each one job after the
// other, and gives results in the order of the jobs whatever the order in which they end. A worker that dies takes one run
// with it: that run's verdict is bug, with what the worker said last, and another worker takes its place.
// A crew keeps its workers from one campaign to the next: who plays many short campaigns loads their modules once.
// Bounds: `workersMax` workers; SILENT_WALL_MS_MAX without a sign of life ends a worker.
import { availableParallelism } from 'node:os';
import type { Worker } from 'node:worker_threads';
import type { RunSummary } from '../../scenarios/record.ts';
import { assert } from '../../system/domain/outcome.ts';
import { Threads, type ThreadsOptions } from './threads.ts';
import { summaryOf } from './player.ts';
import type { FromWorker, PlayJob, ToWorker } from './player.ts';

export type { PlayJob, Player, RecordSink } from './player.ts';

/** Bound: wall time without progress after which a worker counts as stuck in one event. */
export const SILENT_WALL_MS_MAX = 120_000;
/** Bound: wall time that a worker has to stop after a cancellation. */
export const CANCEL_WALL_MS_MAX = 5_000;
const WATCH_WALL_MS = 250;

export type CampaignProgress = {
  readonly runsDone: number;
  readonly runsTotal: number;
  /** Virtual time played in all runs so far, first plays and verifying plays alike. */
  readonly simulatedMicros: number;
  readonly steps: number;
  readonly wallMs: number;
  /** Runs being played: index of the job, and how far its present play is. */
  readonly active: readonly { readonly index: number; readonly micros: number; readonly steps: number }[];
  /** Machines that play, where they are others than this one. */
  readonly workers?: number;
};

/** One campaign of a crew. */
export type PlayOptions = {
  readonly jobs: readonly PlayJob[];
  /** As many as processors when absent; never more than jobs. */
  readonly workersMax?: number;
  /** Ends all runs: those under way and those to come get the verdict cancelled. */
  readonly signal?: AbortSignal;
  /** SILENT_WALL_MS_MAX when absent. */
  readonly silentWallMsMax?: number;
  /** Called at most a few times a second, and after each run. */
  readonly onProgress?: (progress: CampaignProgress) => void;
  /** In the order of the jobs. */
  readonly onResult?: (summary: RunSummary, index: number) => void;
};

export type CampaignOptions = PlayOptions & ThreadsOptions;

/** One summary per job, in the order of the jobs. */
export async function runCampaign(options: CampaignOptions): Promise<readonly RunSummary[]> {
  const crew = new Crew(options);
  try {
    return await crew.play(options);
  } finally {
    await crew.close();
  }
}

export class Crew {
  readonly #threads: Threads;
  #playing = false;

  constructor(options: ThreadsOptions) {
    this.#threads = new Threads(options);
  }

  /** One summary per job, in the order of the jobs. One campaign at a time. */
  async play(options: PlayOptions): Promise<readonly RunSummary[]> {
    assert(!this.#playing, 'a crew plays one campaign at a time');
    this.#playing = true;
    this.#threads.setCancelled(false);
    try {
      return await new Campaign(options, this.#threads).run();
    } finally {
      this.#playing = false;
    }
  }

  /** Ends its threads. */
  close(): Promise<void> {
    return this.#threads.close();
  }
}

type Seat = {
  readonly worker: Worker;
  /** It has said that it can play. */
  ready: boolean;
  /** The job being played; null while it starts or waits. */
  index: number | null;
  /** How far the present play is. */
  micros: number;
  steps: number;
  /** What progress told about the present run, all plays together. */
  toldMicros: number;
  toldSteps: number;
  startMs: number;
  heardMs: number;
  /** Why the campaign ended it; null when it did not. */
  ended: string | null;
};

class Campaign {
  readonly #options: PlayOptions;
  readonly #threads: Threads;
  readonly #summaries: (RunSummary | undefined)[];
  /** Of the largest fleet that it plays. */
  readonly #machines: number;
  readonly #seats = new Set<Seat>();
  readonly #startMs = performance.now();
  #next = 0;
  #delivered = 0;
  #done = 0;
  #simulatedMicros = 0;
  #steps = 0;
  #over = false;
  #cancelledMs: number | null = null;
  #finish: (summaries: readonly RunSummary[]) => void = () => {};
  #refuse: (error: unknown) => void = () => {};

  constructor(options: PlayOptions, threads: Threads) {
    this.#options = options;
    this.#threads = threads;
    this.#summaries = options.jobs.map(() => undefined);
    this.#machines = options.jobs.reduce((most, { scenario }) => Math.max(most, scenario.fleet.nodes.length), 0);
  }

  async run(): Promise<readonly RunSummary[]> {
    const { jobs, signal } = this.#options;
    if (jobs.length === 0) return [];
    const workers = Math.max(1, Math.min(this.#options.workersMax ?? availableParallelism(), jobs.length));
    const cancel = (): void => this.#giveUp();
    const watch = setInterval(() => this.#watch(), WATCH_WALL_MS);
    try {
      return await new Promise((resolve, reject) => {
        this.#finish = resolve;
        this.#refuse = reject;
        signal?.addEventListener('abort', cancel, { once: true });
        if (signal?.aborted === true) return this.#giveUp();
        for (let seat = 0; seat < workers; seat++) this.#open();
      });
    } finally {
      this.#over = true;
      clearInterval(watch);
      signal?.removeEventListener('abort', cancel);
      await Promise.all(
        [...this.#seats].map(({ worker, ready, index, ended }) =>
          ready && index === null && ended === null ? this.#threads.give(worker) : worker.terminate(),
        ),
      );
    }
  }

  #open(): void {
    const { worker, ready } = this.#threads.take(this.#machines);
    const nowMs = performance.now();
    const seat: Seat = {
      worker,
      ready,
      index: null,
      micros: 0,
      steps: 0,
      toldMicros: 0,
      toldSteps: 0,
      startMs: nowMs,
      heardMs: nowMs,
      ended: null,
    };
    let trouble: unknown = null;
    this.#seats.add(seat);
    worker.on('message', (message: FromWorker) => {
      seat.heardMs = performance.now();
      if (message.kind === 'progress') return this.#advance(seat, message.micros, message.steps);
      if (message.kind === 'ready') seat.ready = true;
      else this.#settle(message.index, message.summary, seat);
      this.#assign(seat);
    });
    worker.on('error', (error) => {
      trouble = error;
    });
    worker.on('exit', (code) => {
      this.#seats.delete(seat);
      if (this.#over) return;
      if (!seat.ready && seat.ended === null)
        return this.#refuse(trouble ?? new Error(`A simulation worker ended with ${code} before it was ready`));
      if (seat.index !== null) this.#lose(seat, trouble, code);
      if (this.#next < this.#options.jobs.length) this.#open();
    });
    if (ready) this.#assign(seat);
  }

  #assign(seat: Seat): void {
    const index = this.#next;
    const job = this.#options.jobs[index];
    if (job === undefined || this.#cancelledMs !== null) {
      seat.index = null;
      return;
    }
    this.#next++;
    seat.index = index;
    seat.micros = 0;
    seat.steps = 0;
    seat.toldMicros = 0;
    seat.toldSteps = 0;
    seat.startMs = performance.now();
    const message: ToWorker = { kind: 'play', index, job };
    seat.worker.postMessage(message);
  }

  /** A play of a run got further; a smaller time than before is the beginning of the second play. */
  #advance(seat: Seat, micros: number, steps: number): void {
    const moreMicros = micros >= seat.micros ? micros - seat.micros : micros;
    const moreSteps = steps >= seat.steps ? steps - seat.steps : steps;
    this.#simulatedMicros += moreMicros;
    this.#steps += moreSteps;
    seat.toldMicros += moreMicros;
    seat.toldSteps += moreSteps;
    seat.micros = micros;
    seat.steps = steps;
    this.#report();
  }

  #settle(index: number, summary: RunSummary, seat: Seat): void {
    const job = this.#options.jobs[index] as PlayJob;
    const plays = job.verify && summary.verdict !== 'cancelled' ? 2 : 1;
    // What progress told about this run is replaced by what it came to.
    this.#simulatedMicros += Math.max(0, summary.simulatedMicros * plays - seat.toldMicros);
    this.#steps += Math.max(0, summary.steps * plays - seat.toldSteps);
    seat.index = null;
    this.#conclude(index, summary);
  }

  /** The worker died while it played. */
  #lose(seat: Seat, trouble: unknown, code: number): void {
    const index = seat.index as number;
    const job = this.#options.jobs[index] as PlayJob;
    const cancelled = this.#cancelledMs !== null && seat.ended !== null;
    const said =
      trouble instanceof Error ? (trouble.stack ?? trouble.message) : trouble === null ? `it exited with ${code}` : String(trouble);
    const text = seat.ended ?? `The worker that played this run died: ${said}`;
    this.#conclude(
      index,
      summaryOf(job, {
        verdict: cancelled ? 'cancelled' : 'bug',
        trouble: text,
        simulatedMicros: seat.micros,
        wallMs: performance.now() - seat.startMs,
        steps: seat.steps,
      }),
    );
  }

  #conclude(jobIndex: number, summary: RunSummary): void {
    this.#summaries[jobIndex] = summary;
    this.#done++;
    for (let ready = this.#summaries[this.#delivered]; ready !== undefined; ready = this.#summaries[this.#delivered]) {
      const index = this.#delivered++;
      this.#options.onResult?.(ready, index);
    }
    this.#report();
    if (this.#done === this.#options.jobs.length) this.#finish(this.#summaries as readonly RunSummary[]);
  }

  #giveUp(): void {
    if (this.#cancelledMs !== null) return;
    this.#cancelledMs = performance.now();
    this.#threads.setCancelled(true);
    for (; this.#next < this.#options.jobs.length; this.#next++) {
      const job = this.#options.jobs[this.#next] as PlayJob;
      this.#conclude(
        this.#next,
        summaryOf(job, { verdict: 'cancelled', trouble: 'Stopped by the user before it began.', simulatedMicros: 0, wallMs: 0, steps: 0 }),
      );
    }
  }

  #watch(): void {
    const nowMs = performance.now();
    const silentMsMax = this.#options.silentWallMsMax ?? SILENT_WALL_MS_MAX;
    for (const seat of this.#seats) {
      if (seat.index === null || seat.ended !== null) continue;
      if (this.#cancelledMs !== null && nowMs - this.#cancelledMs > CANCEL_WALL_MS_MAX) {
        this.#end(seat, `Stopped by the user; it was still in one event after ${CANCEL_WALL_MS_MAX} ms.`);
      } else if (nowMs - Math.max(seat.heardMs, seat.startMs) > silentMsMax) {
        this.#end(
          seat,
          `No event ended for ${silentMsMax} ms of wall time (an endless loop?), after event ${seat.steps} at ${seat.micros} µs.`,
        );
      }
    }
  }

  #end(seat: Seat, why: string): void {
    seat.ended = why;
    seat.worker.terminate().catch(this.#refuse);
  }

  #report(): void {
    this.#options.onProgress?.({
      runsDone: this.#done,
      runsTotal: this.#options.jobs.length,
      simulatedMicros: this.#simulatedMicros,
      steps: this.#steps,
      wallMs: performance.now() - this.#startMs,
      active: [...this.#seats].flatMap((seat) =>
        seat.index === null ? [] : [{ index: seat.index, micros: seat.micros, steps: seat.steps }],
      ),
    });
  }
}
