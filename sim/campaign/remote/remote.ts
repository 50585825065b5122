// Plays the runs of a campaign on other machines, over a queue, and gives what a crew of threads here would give: one summary per run,
// in the order of the jobs, with its record. It owns what is offered and what has come back; a run counts once, however often it was
// played, and none is lost: what the queue knows nothing of any more is offered again.
// Bounds: AHEAD_MAX runs offered at once; DEATHS_MAX workers that die of one run.
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { ACK_WAIT_MS, type CampaignQueue, type Part } from '../../../hardware/queue/queue.ts';
import type { RunSummary, Verdict } from '../../../scenarios/record.ts';
import { assert, describeError } from '../../../system/domain/outcome.ts';
import type { PlayOptions } from '../campaign.ts';
import { summaryOf, type PlayJob } from '../player.ts';
import { Assembly } from './assembly.ts';
import type { Build } from './build.ts';
import { decodeMeta, decodeSummary, encodeCall, encodeRun, type PartMeta } from './messages.ts';
import { Workforce } from './workforce.ts';

/** Bound: runs that are offered and not played yet; workers take from it, and it is filled again as they do. */
const AHEAD_MAX = 512;
/** A run that so many workers took and died of is told as trouble of that run. */
export const DEATHS_MAX = 3;
const CALL_MS = 1_000;
/** How often it is asked whether the queue still has what is missing, and for how long nothing must have come meanwhile. */
const LOOK_MS = 10_000;
const SILENT_MS = 2 * ACK_WAIT_MS;
const RETRY_MS = 500;

export type RemoteCrewOptions = {
  readonly queue: CampaignQueue;
  readonly build: Build;
  /** Where workers have to connect to, for people. */
  readonly servers: string;
  /** What people should know although they want no progress. */
  readonly warn: (text: string) => void;
  readonly tell: (text: string) => void;
};

export class RemoteCrew {
  readonly #options: RemoteCrewOptions;
  readonly #workforce: Workforce;
  readonly #timer: NodeJS.Timeout;
  readonly #parts: Promise<void>;
  #playing: RemoteCampaign | null = null;
  /** Number of the next run: runs of one crew have one each. */
  #next = 0;
  #broken: unknown = null;
  #closed = false;

  constructor(options: RemoteCrewOptions) {
    this.#options = options;
    this.#workforce = new Workforce(options);
    options.queue.listen({
      answered: (data) => {
        this.#workforce.hear(data);
        this.#playing?.report();
      },
      asked: () => this.call(),
    });
    this.#timer = setInterval(() => {
      this.call();
      this.#workforce.look(this.#playing !== null);
      this.#playing?.report();
    }, CALL_MS);
    this.#parts = this.#hear();
  }

  /** One summary per job, in the order of the jobs. One campaign at a time. */
  async play(options: PlayOptions): Promise<readonly RunSummary[]> {
    assert(this.#playing === null, 'a crew plays one campaign at a time');
    if (this.#broken !== null) throw this.#broken;
    const campaign = new RemoteCampaign(options, this.#options, this.#workforce, this.#next, () => this.call());
    this.#playing = campaign;
    this.#next += options.jobs.length;
    this.call();
    try {
      return await campaign.run(() => this.call(this.#next));
    } finally {
      this.#playing = null;
    }
  }

  /** Why nothing was played, for people. */
  whyNothing(): string {
    return this.#workforce.whyNothing();
  }

  /** Tells workers that this campaign is there, and which of its runs are wanted. */
  call(from = this.#playing?.from ?? this.#next): void {
    const by = `${hostname()}, process ${process.pid}`;
    this.#options.queue.call(encodeCall({ build: this.#options.build, by, from, over: this.#closed }));
  }

  /** Takes what is left of it from the queue, and lets the workers go. */
  async close(): Promise<void> {
    this.#closed = true;
    clearInterval(this.#timer);
    this.call();
    await this.#options.queue.close();
    await this.#parts;
  }

  async #hear(): Promise<void> {
    try {
      for await (const part of this.#options.queue.parts()) {
        const { run } = part;
        if (this.#playing?.has(run) !== true) await this.#options.queue.forget(run);
        else if (await this.#playing.take(part)) await this.#options.queue.forget(run);
      }
    } catch (error) {
      if (this.#closed) return;
      this.#broken = error;
      this.#playing?.refuse(error);
    }
  }
}

/** A run that is not settled. */
type Open = {
  readonly job: PlayJob;
  readonly assembly: Assembly;
  /** How often it was offered; 0: not yet. */
  issue: number;
  /** Workers that gave the present issue back. */
  backs: number;
  deaths: number;
};

class RemoteCampaign {
  /** Number of its first run. */
  readonly from: number;
  readonly #options: PlayOptions;
  readonly #crew: RemoteCrewOptions;
  readonly #workforce: Workforce;
  readonly #offeredFirst: () => void;
  readonly #summaries: (RunSummary | undefined)[];
  readonly #open = new Map<number, Open>();
  readonly #startMs = performance.now();
  readonly #unoffered: number[];
  #offered = 0;
  #pumping = false;
  #delivered = 0;
  #simulatedMicros = 0;
  #toldMicros = 0;
  #steps = 0;
  #heardMs = performance.now();
  #over = false;
  #finish: (summaries: readonly RunSummary[]) => void = () => {};
  #refuse: (error: unknown) => void = () => {};

  /** `offeredFirst`: told when there is something to take again. */
  constructor(options: PlayOptions, crew: RemoteCrewOptions, workforce: Workforce, from: number, offeredFirst: () => void) {
    this.#options = options;
    this.#offeredFirst = offeredFirst;
    this.#crew = crew;
    this.#workforce = workforce;
    this.from = from;
    this.#summaries = options.jobs.map(() => undefined);
    this.#unoffered = options.jobs.map((_, index) => index);
    for (const [index, job] of options.jobs.entries())
      this.#open.set(index, { job, assembly: new Assembly(job.recordFile), issue: 0, backs: 0, deaths: 0 });
  }

  /** `withdrawn` is called when the user gave up and the runs were taken back. */
  async run(withdrawn: () => void): Promise<readonly RunSummary[]> {
    const { jobs, signal } = this.#options;
    if (jobs.length === 0) return [];
    const cancel = (): void => {
      try {
        this.#giveUp();
      } catch (error) {
        this.#refuse(error);
      }
    };
    const look = setInterval(() => void this.#look().catch(this.#refuse), LOOK_MS);
    try {
      return await new Promise((resolve, reject) => {
        this.#finish = resolve;
        this.#refuse = reject;
        signal?.addEventListener('abort', cancel, { once: true });
        if (signal?.aborted === true) cancel();
        else this.#pump();
      });
    } finally {
      this.#over = true;
      clearInterval(look);
      signal?.removeEventListener('abort', cancel);
      for (const { assembly } of this.#open.values()) assembly.close();
      if (signal?.aborted === true) {
        await this.#crew.queue.withdraw();
        withdrawn();
      }
    }
  }

  refuse(error: unknown): void {
    this.#refuse(error);
  }

  /** Whether what comes of this run is still wanted. */
  has(run: number): boolean {
    return !this.#over && this.#open.has(run - this.from);
  }

  /** True when nothing of the run is wanted any more. */
  async take({ run, meta: text, data }: Part): Promise<boolean> {
    const index = run - this.from;
    const open = this.#open.get(index);
    const meta = decodeMeta(text);
    if (open === undefined || meta === null) return open === undefined;
    this.#heardMs = performance.now();
    await this.#apply(index, open, meta, data);
    return !this.#open.has(index);
  }

  async #apply(index: number, open: Open, meta: PartMeta, data: Uint8Array): Promise<void> {
    switch (meta.kind) {
      case 'record':
        await this.#write(index, open, () => open.assembly.add(meta.attempt, meta.n, data));
        return;
      case 'back':
        if (meta.issue === open.issue) open.backs += 1;
        return this.#crew.tell(`${meta.worker} gave ${open.job.scenario.name} ${open.job.seed} back.`);
      case 'worn':
        if (meta.issue === open.issue) this.#wear(index, open, meta.deliveries - 1 - open.backs);
        return;
      case 'end': {
        const summary = decodeSummary(data, open.job);
        const isWhole =
          summary !== null && (await this.#write(index, open, () => open.assembly.finish(meta.attempt, meta.pieces, meta.sha256)));
        if (!this.#open.has(index)) return;
        if (isWhole === true) this.#conclude(index, open, summary);
        else this.#wear(index, open, 1);
      }
    }
  }

  /** Of what `write` throws, and of nothing else, the run has its trouble; null then. */
  async #write<T>(index: number, open: Open, write: () => T | Promise<T>): Promise<T | null> {
    let trouble: string;
    try {
      return await write();
    } catch (error) {
      trouble = `The record of this run could not be written: ${error instanceof Error ? error.message : String(error)}`;
    }
    // A disk that is full, and its like: nothing that another worker could mend. It may have been cancelled meanwhile.
    if (this.#open.has(index)) this.#trouble(index, open, 'bug', trouble);
    return null;
  }

  /** So many workers more took it and came to nothing. */
  #wear(index: number, open: Open, deaths: number): void {
    open.deaths += deaths;
    if (open.deaths < DEATHS_MAX) return this.#offerAgain(index, open);
    this.#trouble(
      index,
      open,
      'bug',
      `${open.deaths} workers took this run, and each died, or lost the queue for longer than ${ACK_WAIT_MS / 1_000} s, before it came to a verdict. The command plays it on this machine alone.`,
    );
  }

  #offerAgain(index: number, open: Open): void {
    if (open.issue === 0 || this.#unoffered.includes(index)) return;
    open.backs = 0;
    this.#offered -= 1;
    this.#unoffered.unshift(index);
    this.#pump();
  }

  #trouble(index: number, open: Open, verdict: Verdict, trouble: string): void {
    // Whoever reads records finds one, as of a run here whose thread died.
    if (open.job.recordFile !== null && verdict !== 'cancelled') {
      try {
        writeFileSync(open.job.recordFile, '');
      } catch {
        // It is what the trouble is about.
      }
    }
    this.#conclude(index, open, summaryOf(open.job, { verdict, trouble, simulatedMicros: 0, wallMs: 0, steps: 0 }));
  }

  #conclude(index: number, open: Open, summary: RunSummary): void {
    const plays = open.job.verify && summary.verdict !== 'cancelled' ? 2 : 1;
    this.#simulatedMicros += summary.simulatedMicros * plays;
    this.#steps += summary.steps * plays;
    if (open.issue > 0 && !this.#unoffered.includes(index)) this.#offered -= 1;
    open.assembly.close();
    this.#open.delete(index);
    this.#summaries[index] = summary;
    for (let ready = this.#summaries[this.#delivered]; ready !== undefined; ready = this.#summaries[this.#delivered]) {
      const at = this.#delivered++;
      this.#options.onResult?.(ready, at);
    }
    this.report();
    if (this.#open.size === 0) this.#finish([...this.#summaries] as readonly RunSummary[]);
    else this.#pump();
  }

  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    this.#fill().catch((error: unknown) => this.#refuse(error));
  }

  async #fill(): Promise<void> {
    const isFirst = this.#offered === 0;
    for (let index = this.#nextUnoffered(); index !== null; index = this.#nextUnoffered()) {
      const open = this.#open.get(index);
      if (open === undefined) continue;
      open.issue += 1;
      this.#offered += 1;
      await this.#offer(index, open);
      // Who is idle looks now and then; who is called looks at once.
      if (isFirst && this.#offered === 1) this.#offeredFirst();
    }
    // In the same turn as the last look for one: who pumps afterwards is heard.
    this.#pumping = false;
  }

  #nextUnoffered(): number | null {
    return this.#isEnded() || this.#offered >= AHEAD_MAX ? null : (this.#unoffered.shift() ?? null);
  }

  #isEnded(): boolean {
    return this.#over || this.#options.signal?.aborted === true;
  }

  async #offer(index: number, open: Open): Promise<void> {
    const run = this.from + index;
    const { recordFile, ...job } = open.job;
    const bytes = encodeRun({ build: this.#crew.build.id, issue: open.issue, job: { ...job, keepsRecord: recordFile !== null } });
    for (let isTold = false; !this.#isEnded(); isTold = true) {
      const offered = await this.#crew.queue.offer(run, `${run}.${open.issue}`, bytes);
      if (offered.ok) return;
      if (offered.error.kind === 'rejected') {
        if (this.#open.has(index)) this.#trouble(index, open, 'rejected', describeError(offered.error));
        return;
      }
      if (!isTold) this.#crew.warn(`${describeError(offered.error)} Trying again until it goes.`);
      await sleep(RETRY_MS);
    }
  }

  /** What the queue knows nothing of, and no worker either, is offered again. */
  async #look(): Promise<void> {
    if (this.#over || this.#offered === 0) return;
    const left = await this.#crew.queue.left();
    if (!left.ok || this.#over) return;
    if (left.value === null) {
      const restored = await this.#crew.queue.restore();
      if (!restored.ok) return this.#crew.warn(describeError(restored.error));
    } else if (left.value > 0 || performance.now() - this.#heardMs < SILENT_MS) return;
    const playing = new Set(this.#workforce.playing().map(({ run }) => run - this.from));
    const lost = [...this.#open].filter(([index, open]) => open.issue > 0 && !this.#unoffered.includes(index) && !playing.has(index));
    if (lost.length === 0) return;
    this.#crew.warn(
      lost.length === 1
        ? 'The queue has lost a run; it is offered again.'
        : `The queue has lost ${lost.length} runs; they are offered again.`,
    );
    this.#heardMs = performance.now();
    for (const [index, open] of lost.toReversed()) this.#offerAgain(index, open);
  }

  #giveUp(): void {
    const active = new Map(this.#workforce.playing().map((one) => [one.run - this.from, one]));
    for (const [index, { job, assembly }] of [...this.#open]) {
      const { micros = 0, steps = 0 } = active.get(index) ?? {};
      const trouble = active.has(index) ? 'Stopped by the user.' : 'Stopped by the user before it began.';
      assembly.close();
      this.#open.delete(index);
      this.#summaries[index] = summaryOf(job, { verdict: 'cancelled', trouble, simulatedMicros: micros, wallMs: 0, steps });
    }
    for (; this.#delivered < this.#summaries.length; this.#delivered++)
      this.#options.onResult?.(this.#summaries[this.#delivered] as RunSummary, this.#delivered);
    this.#finish([...this.#summaries] as readonly RunSummary[]);
  }

  report(): void {
    if (this.#over) return;
    const active = this.#workforce
      .playing()
      .map(({ run, micros, steps }) => ({ index: run - this.from, micros, steps }))
      .filter(({ index }) => this.#open.has(index));
    // What a worker that died had played is played again: it is not taken back, as if it had not been told.
    this.#toldMicros = Math.max(this.#toldMicros, this.#simulatedMicros + active.reduce((sum, { micros }) => sum + micros, 0));
    this.#options.onProgress?.({
      runsDone: this.#options.jobs.length - this.#open.size,
      runsTotal: this.#options.jobs.length,
      simulatedMicros: this.#toldMicros,
      steps: this.#steps,
      wallMs: performance.now() - this.#startMs,
      active,
      workers: this.#workforce.count(),
    });
  }
}

/** Of a campaign that nobody else has. */
export function campaignName(): string {
  return `c${randomBytes(8).toString('hex')}`;
}
