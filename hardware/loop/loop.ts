// The simulated nodes of a run with hardware in the loop, as its fleet sees them: machines that start, crash and pause like any other,
// all of them in one process whose clock is the simulator's, held to the wall's. Faults of their machines and links are done there.
// Says when that process could not keep pace: what was late by more than `LATENESS_MS_MAX` was not real time, and judges nobody.
import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { describeError, failed, ok, type Outcome } from '../../system/domain/outcome.ts';
import type { FleetMachine, FleetMachineHooks, ForeignContext, ForeignNode, ForeignNodes, LinkFault } from '../local/local.ts';
import type { FromLoop, LoopLateness, LoopOrder, ToLoop } from './messages.ts';

export { chooseRoles } from './choose.ts';

const PROGRAM = fileURLToPath(new URL('loop.main.ts', import.meta.url));
/** Bound: how late an event of a simulated node may come, of the run's own time: a third of what a busy machine may add to any budget. */
const LATENESS_MS_MAX = 1_000;
/** Bound: how long the nodes may take to join, each; and to stop, all of them. */
const JOIN_MS_MAX = 2_000;
const STOP_MS_MAX = 20_000;
const MICROS_PER_MS = 1_000;
const RECORDS = 'simulated.jsonl';

export type SimulatedNodesOptions = {
  readonly simulated: ReadonlySet<string>;
  readonly seed: string;
  /** Library of the engine addon. */
  readonly engine: string;
  readonly agentVersion: string;
};

export class SimulatedNodes implements ForeignNodes {
  readonly what = 'simulated nodes';
  readonly paceFactor = 1;
  readonly #options: SimulatedNodesOptions;
  readonly #machines = new Map<string, SimulatedMachine>();
  #child: ChildProcess | null = null;
  #ended: Promise<void> = Promise.resolve();
  #ready: (outcome: Outcome<void>) => void = () => {};
  #lateness: LoopLateness = { microsMax: 0, events: 0, overdue: 0 };
  #isReady = false;
  /** The times of the scenario count. */
  #isMeasured = false;
  #stopping = false;
  #latenessMsMax = LATENESS_MS_MAX;
  #broken: string | null = null;

  constructor(options: SimulatedNodesOptions) {
    this.#options = options;
  }

  get lateness(): LoopLateness {
    return this.#lateness;
  }

  /** Why nothing can be said of the run, whatever its goals say; null while that is not so. */
  trouble(): { readonly verdict: 'bug' | 'rejected'; readonly trouble: string } | null {
    if (this.#broken !== null) return { verdict: 'bug', trouble: this.#broken };
    const { microsMax, events, overdue } = this.#lateness;
    if (overdue === 0) return null;
    const { error } = failed('WM_PACE_LOST', {
      message: `The simulated nodes could not keep pace: ${overdue} of ${events} events came too late, the latest by ${Math.round(microsMax / MICROS_PER_MS)} ms, and up to ${this.#latenessMsMax} ms count as real time.`,
      next: 'Play it with a larger --pace or with fewer nodes, or give this machine less to do.',
    });
    return { verdict: 'rejected', trouble: describeError(error) };
  }

  has(node: string): boolean {
    return this.#options.simulated.has(node);
  }

  /** Resolves when every node has joined, which is before any of them is switched on. */
  async open({ fleet, folder, joinToken, ways, paceFactor, environment, began, ended }: ForeignContext): Promise<Outcome<void>> {
    const { simulated, seed, engine, agentVersion } = this.#options;
    this.#latenessMsMax = LATENESS_MS_MAX * paceFactor;
    const child = spawn(process.execPath, [PROGRAM], {
      // A session of its own: the interrupt of a terminal is the runner's business.
      detached: true,
      env: environment,
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    this.#child = child;
    const pid = child.pid ?? 0;
    if (pid > 0) began(pid);
    const ready = new Promise<Outcome<void>>((resolve) => (this.#ready = resolve));
    const overdue = setTimeout(() => this.#refuse('they did not join in time'), JOIN_MS_MAX * paceFactor * simulated.size + STOP_MS_MAX);
    this.#ended = new Promise((resolve) =>
      child.once('close', (code, signal) => {
        ended(pid);
        if (!this.#stopping) this.#refuse(`their process ended with ${signal ?? code ?? 'nothing'}`);
        resolve();
      }),
    );
    child.once('error', (error) => this.#refuse(error.message));
    child.on('message', (message) => this.#hear(message as FromLoop));
    this.#tell({
      kind: 'setup',
      setup: {
        seed,
        fleet,
        simulated: [...simulated],
        joinToken,
        ways,
        engine,
        agentVersion,
        records: join(folder, RECORDS),
        latenessMicrosMax: this.#latenessMsMax * MICROS_PER_MS,
      },
    });
    const outcome = await ready;
    clearTimeout(overdue);
    return outcome;
  }

  records(folder: string): string {
    return join(folder, RECORDS);
  }

  create({ node, hooks }: Parameters<ForeignNodes['create']>[0]): ForeignNode {
    const machine = new SimulatedMachine(node.node, hooks, (order) => this.#order(order));
    this.#machines.set(node.node, machine);
    return machine;
  }

  begin(fault: string, link: LinkFault): void {
    this.#order({ kind: 'begin', fault, link });
  }

  end(fault: string): void {
    this.#order({ kind: 'end', fault });
  }

  measure(): void {
    this.#tell({ kind: 'measure' });
  }

  async close(): Promise<void> {
    const child = this.#child;
    if (child === null) return;
    this.#stopping = true;
    this.#tell({ kind: 'stop' });
    const overdue = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX);
    await this.#ended;
    clearTimeout(overdue);
    this.#child = null;
  }

  #order(order: LoopOrder): void {
    this.#tell({ kind: 'order', order });
  }

  #tell(message: ToLoop): void {
    // One that has just ended is told nothing; that it ended is told by itself.
    if (this.#child?.connected === true) this.#child.send(message, () => {});
  }

  #hear(message: FromLoop): void {
    switch (message.kind) {
      case 'ready':
        this.#isReady = true;
        return this.#ready(ok());
      case 'refused':
        return this.#refuse(message.why);
      case 'failed':
        return this.#refuse(message.why);
      case 'lateness':
        if (this.#isMeasured) this.#lateness = message.lateness;
        return undefined;
      case 'measured':
        this.#isMeasured = true;
        return undefined;
      default:
        return this.#machines.get(message.node)?.hear(message);
    }
  }

  #refuse(why: string): void {
    this.#ready(
      failed('WM_MACHINE', { message: `The simulated nodes did not start: ${why}.`, next: 'Correct what it names, or report it.' }),
    );
    if (this.#isReady) this.#broken ??= `The simulated nodes are gone: ${why}`;
  }
}

type Told = Extract<FromLoop, { readonly node: string }>;

/** A simulated node. What it was ordered to do has happened when its process says so. */
class SimulatedMachine implements FleetMachine {
  readonly name: string;
  readonly pid = null;
  readonly port = 0;
  readonly records = null;
  readonly clock = null;
  readonly up: Promise<Outcome<unknown>>;
  readonly #hooks: FleetMachineHooks;
  readonly #order: (order: LoopOrder) => void;
  #up: (outcome: Outcome<unknown>) => void = () => {};

  constructor(name: string, hooks: FleetMachineHooks, order: (order: LoopOrder) => void) {
    this.name = name;
    this.#hooks = hooks;
    this.#order = order;
    this.up = new Promise((resolve) => (this.#up = resolve));
  }

  commission(): void {
    this.#order({ kind: 'commission', node: this.name });
  }

  start(): void {
    this.#order({ kind: 'start', node: this.name });
  }

  crash(): void {
    this.#order({ kind: 'crash', node: this.name });
  }

  shutDown(): void {
    this.#order({ kind: 'shut-down', node: this.name });
  }

  pause(): void {
    this.#order({ kind: 'pause', node: this.name });
  }

  resume(): void {
    this.#order({ kind: 'resume', node: this.name });
  }

  setFull(isFull: boolean): void {
    this.#order({ kind: 'disk', node: this.name, isFull });
  }

  /** Its links are simulated, and have their faults there. */
  setLink(): void {}

  /** All of them stop together, with their process. */
  stop(): Promise<void> {
    return Promise.resolve();
  }

  lastWords(): string {
    return '';
  }

  hear(told: Told): void {
    switch (told.kind) {
      case 'started':
        this.#up(ok(null));
        return this.#hooks.onStarted(told.incarnation, told.micros);
      case 'stopped':
        return this.#hooks.onStopped(told.cause, told.micros);
      case 'paused':
        return this.#hooks.onPaused(told.micros);
      case 'resumed':
        return this.#hooks.onResumed(told.micros);
    }
  }
}
