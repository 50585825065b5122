// The worker threads of a crew: those that have no run at present wait here, with their modules loaded, for the next campaign.
// It starts and ends threads; what they play, and what becomes of a run whose thread dies, is the campaign's business.
// Bound: as many threads as the widest campaign of the crew had at once.
import { setFlagsFromString } from 'node:v8';
import { Worker } from 'node:worker_threads';
import type { WorkerSetup } from './player.ts';

export type ThreadsOptions = {
  /** URL of a module that exports `createPlayer` (`PlayerModule` of player.ts). */
  readonly player: URL;
  /** Handed to `createPlayer`; plain data. */
  readonly settings?: unknown;
  /** Module that each thread runs: this checkout's when absent, another's to play with what stands there. */
  readonly worker?: URL;
};

/** A thread and whether it is ready to be told what to play. */
export type Thread = { readonly worker: Worker; readonly ready: boolean };

const WORKER = new URL(import.meta.url.endsWith('.ts') ? './worker.main.ts' : './worker.main.js', import.meta.url);
/** Room for what events leave behind: in Node's own 48 MiB the objects of a fleet are copied over and over. */
const YOUNG_MIB = 192;
const YOUNG_MIB_MAX = 768;
/** What each machine keeps until its next heartbeat must be little beside what all of them leave behind. */
const MACHINES_PER_MIB = 10;

/** Of a thread that plays fleets of so many machines. It is taken when it is needed, and not given back. */
export function youngMibOf(machines: number): number {
  return Math.min(YOUNG_MIB_MAX, Math.max(YOUNG_MIB, Math.ceil(machines / MACHINES_PER_MIB)));
}

let isYoungKept = false;

/**
 * For this process, before its first thread. While a fleet starts everything lives, and V8 concludes that the objects made at a
 * place will live, and from then on puts them where only a full collection looks: the result of every receive for the rest of the run,
 * and with it the message that it holds. A thousand nodes take a fifth longer for it.
 */
export function keepYoung(): void {
  if (isYoungKept) return;
  isYoungKept = true;
  setFlagsFromString('--no-allocation-site-pretenuring');
}

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #cancel = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #idle = new Set<Worker>();
  /** In MiB, of each thread that lives. */
  readonly #young = new WeakMap<Worker, number>();
  #closed = false;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /** All threads see it, between two events of a run. */
  setCancelled(cancelled: boolean): void {
    Atomics.store(new Int32Array(this.#cancel), 0, cancelled ? 1 : 0);
  }

  /** One with room for fleets of so many machines. */
  take(machines: number): Thread {
    const youngMib = youngMibOf(machines);
    for (const waiting of this.#idle) {
      if ((this.#young.get(waiting) ?? 0) < youngMib) continue;
      this.#idle.delete(waiting);
      silence(waiting);
      return { worker: waiting, ready: true };
    }
    const { player, settings, worker } = this.#options;
    const setup: WorkerSetup = { player: player.href, settings: settings ?? null, cancel: this.#cancel };
    const resourceLimits = { maxYoungGenerationSizeMb: youngMib };
    keepYoung();
    const made = new Worker(worker ?? WORKER, { workerData: setup, execArgv: [], resourceLimits });
    this.#young.set(made, youngMib);
    return { worker: made, ready: false };
  }

  /** It has no run, and was ready. */
  async give(worker: Worker): Promise<void> {
    silence(worker);
    if (this.#closed) return void (await worker.terminate());
    this.#idle.add(worker);
    const gone = (): void => void this.#idle.delete(worker);
    worker.once('exit', gone).once('error', gone);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const idle = [...this.#idle];
    this.#idle.clear();
    await Promise.all(idle.map((worker) => worker.terminate()));
  }
}

function silence(worker: Worker): void {
  for (const event of ['message', 'error', 'exit']) worker.removeAllListeners(event);
}
