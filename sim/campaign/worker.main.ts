// A simulation worker: the guard first, then the player, then one job after the other. Nothing passes from run to run: each
// play has a kernel of its own, and with `verify` the second play is compared with the first as it goes.
// A rejection that nobody handles ends the run it happened in; an exception outside any event ends the worker, and the
// campaign says so.
import { armGuard, disarmGuard, forgetGuard, lastArmedBy } from './guard.main.ts';
import { createNodeHost } from './host.main.ts';
import { parentPort, workerData } from 'node:worker_threads';
import { modelNotes } from '../../scenarios/guest-model.ts';
import type { RunSummary } from '../../scenarios/record.ts';
import type { PlayResult } from '../../scenarios/run.ts';
import { compareWith, createKernel, createRecording, Divergence } from '../kernel/kernel.ts';
import type { Kernel, KernelEnd, Observer } from '../kernel/kernel.ts';
import { summaryOf } from './player.ts';
import type { FromWorker, PlayJob, Player, PlayerModule, ToWorker, WorkerSetup } from './player.ts';
import { FileSink } from './sink.main.ts';

/** Bound: virtual time that a run may go on after its last phase before it counts as not converged. */
const OVERTIME_MICROS_MAX = 600_000_000;
const PROGRESS_WALL_MS = 100;

type Played = { readonly kernel: Kernel; readonly end: KernelEnd; readonly result: PlayResult | null; readonly sink: FileSink };

const setup = workerData as WorkerSetup;
const cancel = new Int32Array(setup.cancel);
const port = parentPort;
if (port === null) throw new Error('worker.main.ts runs in a worker thread of a campaign');
const say = (message: FromWorker): void => port.postMessage(message);

process.on('unhandledRejection', (reason) => {
  const fail = lastArmedBy();
  if (fail === null) throw reason;
  const cause = reason instanceof Error ? reason : new Error(String(reason));
  fail(new Error(`A promise was rejected and nobody handles it: ${cause.message}`, { cause }));
});

async function play(player: Player, index: number, job: PlayJob, observer: Observer | null, file: string | null): Promise<Played> {
  const sink = new FileSink(file);
  let saidMs = performance.now();
  const host = createNodeHost({
    enter: armGuard,
    leave: () => {
      disarmGuard();
      sink.flush();
      const nowMs = performance.now();
      if (nowMs - saidMs < PROGRESS_WALL_MS) return;
      saidMs = nowMs;
      say({ kind: 'progress', index, micros: kernel.now(), steps: kernel.steps });
    },
    cancelled: () => Atomics.load(cancel, 0) !== 0,
  });
  const kernel = createKernel({ seed: job.seed, host, observer, permute: job.permute === true });
  let result: PlayResult | null = null;
  kernel.after(0, null, 'driver', () => {
    const driven = player.drive(kernel, job, sink).then((value) => {
      result = value;
    });
    kernel.own('the driver of the run', driven);
  });
  const microsMax = job.scenario.durationMicros + job.scenario.quietMicros + OVERTIME_MICROS_MAX;
  const end = await kernel.play({ done: () => result !== null, microsMax });
  forgetGuard();
  sink.close();
  return { kernel, end, result, sink };
}

function textOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // A stack was taken when the error was made; the message may have grown since (a divergence is explained later).
  if (error instanceof Divergence) return error.message;
  const stack = error.stack?.includes(error.message) === true ? error.stack : `${error.message}\n${error.stack ?? ''}`;
  return error.cause instanceof Error ? `${stack}\ncaused by ${textOf(error.cause)}` : stack;
}

/** Verdict and trouble of a play that came to no result. */
function troubleOf(played: Played): Pick<RunSummary, 'verdict' | 'trouble'> {
  const { end, kernel } = played;
  const lead = `the last events:\n${kernel
    .recent()
    .map((line) => `  ${line}`)
    .join('\n')}`;
  switch (end.reason) {
    case 'cancelled':
      return { verdict: 'cancelled', trouble: 'Stopped by the user.' };
    case 'failed':
      if (end.error instanceof Divergence) return { verdict: 'nondeterministic', trouble: textOf(end.error) };
      return { verdict: 'bug', trouble: `${textOf(end.error)}\n${lead}` };
    case 'quiet':
      return {
        verdict: 'bug',
        trouble: `The run stood still at ${end.micros} µs: nothing was left to happen, and the driver still waited. ${lead}`,
      };
    case 'time':
    case 'done':
      return {
        verdict: 'unconverged',
        trouble: `The driver had not ended at ${end.micros} µs, ${OVERTIME_MICROS_MAX} µs after its last phase. ${lead}`,
      };
  }
}

function summarise(job: PlayJob, played: Played, startMs: number): RunSummary {
  const { end, result, sink } = played;
  const { verdict, trouble } = result !== null && end.reason === 'done' ? result : troubleOf(played);
  const notes = modelNotes(job.scenario, true);
  return {
    ...summaryOf(job, { verdict, trouble, simulatedMicros: end.micros, wallMs: performance.now() - startMs, steps: end.steps }),
    goals: result?.goals ?? [],
    digest: end.digest,
    records: sink.records,
    ...(notes.length === 0 ? {} : { notes }),
    lastRecords: result?.lastRecords ?? (verdict === 'cancelled' ? [] : sink.last),
  };
}

async function playJob(player: Player, index: number, job: PlayJob): Promise<RunSummary> {
  const startMs = performance.now();
  await player.prepare?.(job);
  if (!job.verify) return summarise(job, await play(player, index, job, null, job.recordFile), startMs);
  const recording = createRecording();
  const first = await play(player, index, job, recording, job.recordFile);
  if (first.end.reason === 'cancelled') return summarise(job, first, startMs);
  const second = await play(player, index, job, compareWith(recording), null);
  const summary = summarise(job, first, startMs);
  // What ended as a bug is no bug that can be reproduced unless it ends so again.
  if (second.end.reason === first.end.reason && second.end.digest === first.end.digest) return summary;
  if (second.end.reason === first.end.reason && second.end.reason === 'done') {
    const trouble = `WM_NOT_DETERMINISTIC: two plays of this seed have the digests ${first.end.digest} and ${second.end.digest}; they differ past the bound of the comparison.`;
    return { ...summary, verdict: 'nondeterministic', trouble };
  }
  // A bug in one play alone is a difference too, and the stack says more than "it ended earlier".
  const { verdict, trouble } = troubleOf(second);
  if (verdict === 'cancelled' || verdict === 'nondeterministic') return { ...summary, verdict, trouble };
  const ended =
    first.end.reason === 'done'
      ? 'well, the second did not'
      : second.end.reason === 'done'
        ? 'in a bug, the second did not'
        : 'otherwise than the second';
  return {
    ...summary,
    verdict: 'nondeterministic',
    trouble: `WM_NOT_DETERMINISTIC: the first play of this seed ended ${ended}. ${second.end.reason === 'done' ? (summary.trouble ?? '') : trouble}`,
  };
}

const module = (await import(setup.player)) as PlayerModule;
const player = await module.createPlayer(setup.settings);

port.on('message', (message: ToWorker) => {
  const { index, job } = message;
  playJob(player, index, job).then(
    (summary) => say({ kind: 'done', index, summary }),
    // What a play could not contain (a player that cannot prepare, a full disk) ends the worker: the campaign reports it.
    (error: unknown) =>
      queueMicrotask(() => {
        throw error;
      }),
  );
});
say({ kind: 'ready' });
