// `wasmmatrix worker`: plays runs that campaigns on other machines put into a queue at NATS. A composition root.
import { rmSync } from 'node:fs';
import { availableParallelism, hostname } from 'node:os';
import process from 'node:process';
import type { Command } from 'commander';
import { WorkerQueue } from '../../../hardware/queue/queue.ts';
import type { RunSummary } from '../../../scenarios/record.ts';
import { describeError } from '../../../system/domain/outcome.ts';
import { count } from '../arguments.main.ts';
import { diskFull } from '../output.main.ts';
import { prepare } from '../prepare.main.ts';
import { EXIT_REJECTED, onInterrupt, print, refuse } from '../teller.main.ts';
import { buildOf } from './build.ts';
import { makeWorkerFolder } from './folder.main.ts';
import { addNatsOptions, connectQueue, watchLink, type NatsFlags } from './nats.main.ts';
import { DiskFull, Refused, Worker } from './work.ts';

const PLAYER = new URL('../scenario.main.ts', import.meta.url);
const MS_PER_S = 1_000;

type WorkerFlags = NatsFlags & { readonly jobs?: number; readonly name?: string; readonly json?: true; readonly quiet?: true };

export function addWorker(program: Command): void {
  const command = program
    .command('worker')
    .summary('play runs that campaigns on other machines ask for')
    .description(
      'Takes runs of `wasmmatrix run --nats` and `wasmmatrix fuzz --nats` from a queue at NATS, plays them in the simulator, and sends back what they came to. Any number of workers on any number of machines share all campaigns that there are. It plays only what is of its own build, so that every digest is the same as anywhere. Ctrl-C lets what it plays end, a second one gives it back to the others.',
    );
  addNatsOptions(command, 'servers with the queue; required')
    .option('--jobs <n>', 'worker threads, each with one run at a time (default: as many as processors)', count(256))
    .option('--name <name>', "what campaigns call this worker (default: the machine's host name)")
    .option('--json', 'print a line of JSON for each run, and nothing else on stdout')
    .option('-q, --quiet', 'no line for a run')
    .action(async (flags: WorkerFlags) => {
      process.exitCode = await work(flags);
    });
}

async function work(flags: WorkerFlags): Promise<number> {
  if (flags.nats === undefined)
    return refuse(['WM_ARGUMENT (rejected): A worker needs servers that runs come from. Name them with --nats nats://host:4222.']);
  const name = flags.name ?? hostname();
  // Before anything is built: who names the wrong servers should not wait for that.
  const link = await connectQueue(flags, `wasmmatrix worker ${name}`);
  if (!link.ok) return refuse([describeError(link.error)]);
  const settings = await prepare(flags.quiet === true);
  if (settings === null) {
    await link.value.close();
    return EXIT_REJECTED;
  }
  const warn = (text: string): void => void process.stderr.write(`${text}\n`);
  const folder = makeWorkerFolder();
  const remove = (): void => rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
  process.on('exit', remove);
  try {
    const queue = WorkerQueue.open(link.value, flags.natsPrefix);
    if (!queue.ok) return refuse([describeError(queue.error)]);
    watchLink(link.value, warn);
    const threads = flags.jobs ?? availableParallelism();
    const worker = new Worker({
      queue: queue.value,
      build: buildOf(settings),
      name,
      threads,
      player: { player: PLAYER, settings },
      folder,
      warn,
      onRun: (summary, by) => tell(flags, summary, by),
    });
    const release = onInterrupt((again) => {
      if (again) {
        warn(`Giving ${describeRuns(worker.playing)} back.`);
        worker.giveBack();
        return;
      }
      warn(
        worker.playing === 0
          ? 'Stopping; nothing is being played.'
          : `Stopping; ${describeRuns(worker.playing)} under way will end first. Interrupt again to give back what has not.`,
      );
      worker.leave();
    });
    if (flags.quiet !== true)
      warn(
        `Worker ${name} plays with ${threads} ${threads === 1 ? 'thread' : 'threads'} what comes from ${flags.nats.join(', ')}. Ctrl-C stops it.`,
      );
    await worker.run();
    release();
    return 0;
  } catch (error) {
    if (error instanceof DiskFull) return refuse([`${describeError(diskFull(folder))} The run was given back.`]);
    if (error instanceof Refused) return refuse([error.message]);
    throw error;
  } finally {
    await link.value.close();
    process.off('exit', remove);
    remove();
  }
}

function describeRuns(runs: number): string {
  return runs === 1 ? '1 run' : `${runs} runs`;
}

function tell(flags: WorkerFlags, summary: RunSummary, by: string): void {
  const { scenario, seed, verdict, digest, simulatedMicros, wallMs } = summary;
  if (flags.json === true)
    return print(JSON.stringify({ by, scenario, seed, verdict, digest, simulatedMicros, wallMs: Math.round(wallMs) }));
  if (flags.quiet !== true) print(`${verdict.padEnd(11)} ${scenario} ${seed}  ${(wallMs / MS_PER_S).toFixed(2)} s  for ${by}`);
}
