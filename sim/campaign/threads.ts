// The worker threads of a crew: those that have no run at present wait here, with their modules loaded, for the next campaign.
// It starts and ends threads; what they play, and what becomes of a run whose thread dies, is the campaign's business.
// Bound: as many threads as the widest campaign of the crew had at once.
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
/** Room for what events leave behind: in Node's own 48 MiB the objects of a fleet of thousands are copied over and over. */
export const YOUNG_MIB = 192;

export class Threads {
  readonly #options: ThreadsOptions;
  readonly #cancel = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #idle = new Set<Worker>();
  #closed = false;

  constructor(options: ThreadsOptions) {
    this.#options = options;
  }

  /** All threads see it, between two events of a run. */
  setCancelled(cancelled: boolean): void {
    Atomics.store(new Int32Array(this.#cancel), 0, cancelled ? 1 : 0);
  }

  take(): Thread {
    const [waiting] = this.#idle;
    if (waiting !== undefined) {
      this.#idle.delete(waiting);
      silence(waiting);
      return { worker: waiting, ready: true };
    }
    const { player, settings, worker } = this.#options;
    const setup: WorkerSetup = { player: player.href, settings: settings ?? null, cancel: this.#cancel };
    const resourceLimits = { maxYoungGenerationSizeMb: YOUNG_MIB };
    return { worker: new Worker(worker ?? WORKER, { workerData: setup, execArgv: [], resourceLimits }), ready: false };
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
