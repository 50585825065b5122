// A worker: hears which campaigns there are, takes their runs in turn, plays each in a thread of its own, and sends back what came of
// it. It takes no more than it has threads. A campaign of another build gets a refusal with the reason, and none of its runs is touched.
// Bounds: CAMPAIGNS_MAX campaigns; as many runs as threads; DELIVERIES_MAX times that a run is played before its campaign is asked.
import { createHash, randomBytes } from 'node:crypto';
import { createReadStream, existsSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createGzip } from 'node:zlib';
import type { Call, Taken, WorkerQueue } from '../../../hardware/queue/queue.ts';
import type { RunSummary } from '../../../scenarios/record.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { describeError } from '../../../system/domain/outcome.ts';
import { Crew } from '../campaign.ts';
import { isDiskFull } from '../output.main.ts';
import type { ThreadsOptions } from '../threads.ts';
import { RECORD_BYTES_MAX, UNPACKED_BYTES_MAX } from './assembly.ts';
import { whyRefused, type Build } from './build.ts';
import { decodeCall, decodeRun, encodeAnswer, encodeMeta, encodeSummary, sha256Of, type PartMeta, type RunMessage } from './messages.ts';
import { DEATHS_MAX } from './remote.ts';

/** Bound: campaigns that are known at once; the one that has been silent for longest is forgotten. */
const CAMPAIGNS_MAX = 256;
/** A campaign that is silent for so long is given nothing more; after the longer time what is played of it is given back. */
const CALLS_LOST_MS = 10_000;
const CAMPAIGN_LOST_MS = 60_000;
/** A run that was handed out more often is not played: whoever plays it dies. */
const DELIVERIES_MAX = DEATHS_MAX;
const LOOK_MS = 1_000;
const IDLE_MS = 200;
const RETRY_MS = 500;
/** Bound: bytes of one piece of a record, where the server takes as many. */
const PIECE_BYTES_MAX = 256 * 1_024;

export type WorkerOptions = {
  readonly queue: WorkerQueue;
  readonly build: Build;
  /** For people. */
  readonly name: string;
  readonly threads: number;
  readonly player: ThreadsOptions;
  /** Records are kept here while they are made. */
  readonly folder: string;
  readonly onRun: (summary: RunSummary, by: string) => void;
  readonly warn: (text: string) => void;
};

/** unwanted: its campaign has ended, or gave it up. lost: nobody knows. back: this worker leaves. */
type Why = 'unwanted' | 'lost' | 'back';

type Known = { heardMs: number; readonly refuses: string | null; readonly by: string; from: number };

type Seat = { readonly crew: Crew; playing: Playing | null };

type Playing = {
  readonly campaign: string;
  readonly taken: Taken;
  readonly stop: AbortController;
  why: Why | null;
  micros: number;
  steps: number;
};

export class Worker {
  readonly #options: WorkerOptions;
  readonly #id = randomBytes(8).toString('hex');
  readonly #campaigns = new Map<string, Known>();
  readonly #seats: readonly Seat[];
  readonly #busy = new Set<Promise<void>>();
  #attempts = 0;
  #isLeaving = false;
  #isGivingBack = false;
  #failure: unknown = null;
  /** Wakes whoever waits for something to do. */
  #wake: () => void = () => {};

  constructor(options: WorkerOptions) {
    this.#options = options;
    this.#seats = Array.from({ length: options.threads }, () => ({ crew: new Crew(options.player), playing: null }));
  }

  /** Runs under way. */
  get playing(): number {
    return this.#seats.filter(({ playing }) => playing !== null).length;
  }

  /** Until `leave`, and then until what it plays has ended. Rejects when it can play nothing. */
  async run(): Promise<void> {
    const { queue } = this.#options;
    const unlisten = queue.listen((call) => this.#hear(call));
    const timer = setInterval(() => this.#look(), LOOK_MS);
    queue.hello();
    try {
      while (!this.#isLeaving) {
        const seat = this.#seats.find(({ playing }) => playing === null);
        const found = seat === undefined ? null : await this.#takeNext();
        if (seat === undefined || found === null) await this.#pause();
        else this.#begin(seat, found.campaign, found.taken);
      }
      await Promise.all(this.#busy);
    } finally {
      clearInterval(timer);
      unlisten();
      await Promise.all(this.#seats.map(({ crew }) => crew.close()));
    }
    if (this.#failure !== null) throw this.#failure;
  }

  /** It takes no more; what it plays it plays to its end. */
  leave(): void {
    this.#isLeaving = true;
    this.#wake();
  }

  /** It leaves now: what it plays is for others. */
  giveBack(): void {
    this.#isGivingBack = true;
    this.leave();
    for (const { playing } of this.#seats) if (playing !== null) stop(playing, 'back');
  }

  #fail(error: unknown): void {
    this.#failure ??= error;
    this.giveBack();
  }

  #hear({ campaign, data, answer }: Call): void {
    const call = decodeCall(data);
    const known = this.#campaigns.get(campaign);
    const refuses =
      call === null ? 'its messages are of another version of wasmmatrix' : (known?.refuses ?? whyRefused(this.#options.build, call.build));
    const by = call?.by ?? campaign;
    if (known === undefined && refuses !== null) this.#options.warn(`The runs of ${by} are not played: ${refuses}.`);
    const from = call === null ? 0 : call.over ? Infinity : call.from;
    if (call?.over === true) this.#campaigns.delete(campaign);
    else if (known === undefined) this.#campaigns.set(campaign, { heardMs: performance.now(), refuses, by, from });
    else Object.assign(known, { heardMs: performance.now(), from });
    const mine = this.#seats.flatMap(({ playing }) => (playing?.campaign === campaign ? [playing] : []));
    for (const playing of mine) if (playing.taken.run < from) stop(playing, 'unwanted');
    if (this.#campaigns.size > CAMPAIGNS_MAX) {
      const [silent] = [...this.#campaigns].sort(([, a], [, b]) => a.heardMs - b.heardMs);
      if (silent !== undefined) this.#campaigns.delete(silent[0]);
    }
    if (call?.over === true || this.#isLeaving) return;
    const { name, threads } = this.#options;
    const playing = mine.filter(({ why }) => why === null).map(({ taken, micros, steps }) => ({ run: taken.run, micros, steps }));
    answer(encodeAnswer({ worker: this.#id, name, threads, refuses, playing }));
    this.#wake();
  }

  #look(): void {
    const nowMs = performance.now();
    for (const [campaign, { heardMs }] of this.#campaigns) {
      if (nowMs - heardMs < CAMPAIGN_LOST_MS) continue;
      this.#campaigns.delete(campaign);
      for (const { playing } of this.#seats) if (playing?.campaign === campaign) stop(playing, 'lost');
    }
  }

  #pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, IDLE_MS);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
      if (this.#isLeaving) this.#wake();
    });
  }

  /** Campaigns in turn, so that a long one starves no other: whichever gave a run is asked last the next time. */
  async #takeNext(): Promise<{ readonly campaign: string; readonly taken: Taken } | null> {
    const nowMs = performance.now();
    for (const [campaign, known] of [...this.#campaigns]) {
      if (known.refuses !== null || nowMs - known.heardMs > CALLS_LOST_MS) continue;
      const taken = await this.#options.queue.take(campaign);
      if (!taken.ok && taken.error.kind === 'rejected') this.#fail(new Refused(describeError(taken.error)));
      if (!taken.ok || taken.value === null) continue;
      if (this.#campaigns.delete(campaign)) this.#campaigns.set(campaign, known);
      return { campaign, taken: taken.value };
    }
    return null;
  }

  #begin(seat: Seat, campaign: string, taken: Taken): void {
    const playing: Playing = { campaign, taken, stop: new AbortController(), why: null, micros: 0, steps: 0 };
    seat.playing = playing;
    if (this.#isGivingBack) stop(playing, 'back');
    // It was taken back while it was on its way.
    if (taken.run < (this.#campaigns.get(campaign)?.from ?? 0)) stop(playing, 'unwanted');
    const played = this.#play(seat.crew, playing)
      .catch((error: unknown) => {
        taken.abandon();
        this.#fail(error);
      })
      .then(() => {
        seat.playing = null;
        this.#busy.delete(played);
        this.#wake();
      });
    this.#busy.add(played);
  }

  async #play(crew: Crew, playing: Playing): Promise<void> {
    const { campaign, taken } = playing;
    const message = decodeRun(taken.data);
    if (message === null || message.build !== this.#options.build.id) {
      const known = this.#campaigns.get(campaign);
      const refuses = 'one of its runs is of another build, or cannot be read';
      if (known !== undefined) this.#campaigns.set(campaign, { ...known, refuses });
      this.#options.warn(`The runs of ${known?.by ?? campaign} are not played: ${refuses}.`);
      return void (await taken.back());
    }
    if (taken.deliveries > DELIVERIES_MAX) {
      const meta: PartMeta = { kind: 'worn', issue: message.issue, deliveries: taken.deliveries };
      if (await this.#tell(playing, `${taken.run}.${message.issue}.worn`, meta)) await taken.done();
      else taken.abandon();
      return;
    }
    const attempt = `${this.#id}-${(this.#attempts += 1)}`;
    const { keepsRecord, ...job } = message.job;
    const recordFile = keepsRecord ? join(this.#options.folder, `${attempt}.jsonl`) : null;
    try {
      const [summary] = await crew.play({
        jobs: [{ ...job, recordFile }],
        workersMax: 1,
        signal: playing.stop.signal,
        onProgress: ({ active: [now] }) => {
          if (now !== undefined) Object.assign(playing, { micros: now.micros, steps: now.steps });
        },
      });
      if (playing.why !== null || summary === undefined) return await this.#release(playing, message);
      if (isDiskFull(summary)) {
        this.#fail(new DiskFull(this.#options.folder));
        return await this.#release(playing, message);
      }
      if (!(await this.#send(playing, attempt, recordFile, summary))) return await this.#release(playing, message);
      await taken.done();
      this.#options.onRun(summary, this.#campaigns.get(campaign)?.by ?? campaign);
    } finally {
      if (recordFile !== null) rmSync(recordFile, { force: true });
    }
  }

  /** It did not come to its end here. */
  async #release({ why, taken, campaign }: Playing, { issue }: RunMessage): Promise<void> {
    if (why === 'unwanted') return void (await taken.done());
    const meta = encodeMeta({ kind: 'back', issue, worker: this.#options.name });
    // Without it, it counts as if this worker had died of it.
    await this.#options.queue.tell(campaign, taken.run, `${taken.run}.${issue}.${taken.deliveries}.back`, meta, new Uint8Array());
    await taken.back();
  }

  async #send(playing: Playing, attempt: string, recordFile: string | null, summary: RunSummary): Promise<boolean> {
    const hash = createHash('sha256');
    const sizeMax = Math.min(PIECE_BYTES_MAX, this.#options.queue.bytesMax);
    let pieces = 0;
    let bytes = 0;
    if (recordFile !== null && existsSync(recordFile)) {
      if (statSync(recordFile).size > UNPACKED_BYTES_MAX) return this.#endWithout(playing, attempt, summary, `${UNPACKED_BYTES_MAX} bytes`);
      for await (const piece of piecesOf(createReadStream(recordFile).pipe(createGzip()), sizeMax)) {
        bytes += piece.length;
        if (bytes > RECORD_BYTES_MAX) return this.#endWithout(playing, attempt, summary, `${RECORD_BYTES_MAX} bytes, packed`);
        hash.update(piece);
        if (!(await this.#tell(playing, `${attempt}.${pieces}`, { kind: 'record', attempt, n: pieces }, piece))) return false;
        pieces += 1;
      }
    }
    return this.#end(playing, attempt, pieces, hash.digest('hex'), summary);
  }

  /** As another play, to which the pieces that were sent do not belong. */
  #endWithout(playing: Playing, attempt: string, summary: RunSummary, bound: string): Promise<boolean> {
    const without = tooLarge(summary, `Its record is larger than ${bound}`);
    return this.#end(playing, `${attempt}-without`, 0, sha256Of([]), without);
  }

  #end(playing: Playing, attempt: string, pieces: number, sha256: string, summary: RunSummary): Promise<boolean> {
    const packed = encodeSummary(summary);
    const isFit = packed.length <= this.#options.queue.bytesMax;
    const data = isFit
      ? packed
      : encodeSummary(tooLarge({ ...summary, goals: [], lastRecords: [] }, 'What it came to is larger than a message may be'));
    return this.#tell(playing, `${attempt}.end`, { kind: 'end', attempt, pieces, sha256, worker: this.#options.name }, data);
  }

  /** Until it is stored. False: nobody waits for it any more, or it cannot be. */
  async #tell(playing: Playing, id: string, meta: PartMeta, data: Uint8Array = new Uint8Array()): Promise<boolean> {
    const { campaign, taken } = playing;
    for (let isWarned = false; ;) {
      const told: Outcome<void> = await this.#options.queue.tell(campaign, taken.run, id, encodeMeta(meta), data);
      if (told.ok) return true;
      if (told.error.kind === 'rejected') this.#fail(new Refused(describeError(told.error)));
      if (playing.why !== null) return false;
      if (!isWarned) this.#options.warn(`${describeError(told.error)} Trying again until it goes.`);
      isWarned = true;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** The disk of this worker: another machine may do better. */
export class DiskFull extends Error {
  override readonly name = 'DiskFull';
}

/** The servers do not let this worker do what it has to. */
export class Refused extends Error {
  override readonly name = 'Refused';
}

function stop(playing: Playing, why: Why): void {
  playing.why ??= why;
  playing.stop.abort();
}

function tooLarge(summary: RunSummary, what: string): RunSummary {
  return { ...summary, verdict: 'rejected', trouble: `${what}, so it cannot be sent. Play it with --jobs on one machine.` };
}

async function* piecesOf(packed: AsyncIterable<Buffer>, sizeMax: number): AsyncGenerator<Uint8Array> {
  let waiting: Buffer[] = [];
  let size = 0;
  for await (const chunk of packed) {
    waiting.push(chunk);
    size += chunk.length;
    if (size < sizeMax) continue;
    const all = Buffer.concat(waiting);
    let from = 0;
    for (; all.length - from >= sizeMax; from += sizeMax) yield all.subarray(from, from + sizeMax);
    waiting = [all.subarray(from)];
    size = all.length - from;
  }
  if (size > 0) yield Buffer.concat(waiting);
}
