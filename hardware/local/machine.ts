// One machine of a run: a process of ours with a folder of its own. It starts, loses power (SIGKILL), freezes (SIGSTOP), goes on,
// and is started again when its process ends by itself, as a service manager would. What it stored survives all of it. What the
// system itself had cached for the disk survives too: a kill is not a power cut, and only storage tests can tell the difference.
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import process from 'node:process';
import { failed, ok, type Outcome } from '../../system/domain/outcome.ts';

/** How long a service manager waits before it starts a process again (systemd's RestartSec, 100 ms); longer each time it fails at once. */
const RESTART_MS = 100;
const RESTART_MS_MAX = 1_600;
/** Bound: how long a process is given to stop in order. */
export const STOP_MS_MAX = 10_000;
/** Bound: how long a process may take until it says that it is up. */
export const START_MS_MAX = 90_000;
/** Bound: attempts of a process that was never up before the machine is given up. */
const STILLBORN_MAX = 3;
/** Bound: what is told of the last words of a process. */
const LAST_WORDS_MAX = 600;

export type MachineOptions = {
  readonly name: string;
  readonly port: number;
  /** The command line of the process, after the executable. */
  readonly command: () => readonly string[];
  readonly environment: Readonly<Record<string, string>>;
  /** Its stderr goes here. */
  readonly log: string;
  readonly hooks: FleetMachineHooks;
};

/** A machine of a run, whatever it is made of. */
export type FleetMachine = {
  readonly name: string;
  /** The process of this machine that it is; null while it has no power. */
  readonly pid: number | null;
  /** What it said when its part of the product was up for the first time, or why it never came up. */
  readonly up: Promise<Outcome<unknown>>;
  /** Port of loopback under which its node listens; 0 while it has none. */
  readonly port: number;
  /** Switched on for the first time. */
  commission(): void;
  /** Power is back. */
  start(): void;
  /** Power loss. */
  crash(): void;
  /** In order, within `STOP_MS_MAX`; it stays off until `start`. */
  shutDown(): void;
  pause(): void;
  resume(): void;
  /** Whether its network card has a link, where it has one of its own. */
  setLink(isUp: boolean): void;
  /** Whether its disk is full, where that is not done by a volume under it. */
  setFull?(isFull: boolean): void;
  /** How wrong its clock is, where it has one of its own. */
  setClock?(clock: { readonly byMicros: number; readonly ppm: number }): void;
  /** In order; then it stays off. */
  stop(): Promise<void>;
  /** What it wrote last, for whoever asks why it is not there. */
  lastWords(): string;
};

/** What a machine tells the fleet; `atMicros` is when, by the clock of this machine, where it was told later. */
export type FleetMachineHooks = {
  /** A fault keeps it off; when the fault has ended, `start` is called. */
  readonly isKeptOff: () => boolean;
  /** `incarnation` counts its starts, from 1. */
  readonly onStarted: (incarnation: number, atMicros?: number) => void;
  readonly onStopped: (cause: string, atMicros?: number) => void;
  readonly onPaused: (atMicros?: number) => void;
  readonly onResumed: (atMicros?: number) => void;
  /** A process that must not outlive the run, and its end. */
  readonly began: (pid: number) => void;
  readonly ended: (pid: number) => void;
  /** A sentence about what the machine did not do. */
  readonly onTrouble: (sentence: string) => void;
};

type Running = { readonly child: ChildProcess; readonly pid: number; readonly ended: Promise<void>; cause: string | null };

export class Machine implements FleetMachine {
  readonly options: MachineOptions;
  #running: Running | null = null;
  #incarnation = 0;
  /** False before its first start and after the last stop: nothing starts it then. */
  #wanted = false;
  #paused = false;
  #wasEverUp = false;
  /** Starts in a row that did not come up. */
  #stillborn = 0;
  #restart: NodeJS.Timeout | null = null;
  #up: (outcome: Outcome<unknown>) => void = () => {};
  /** What its process said when it was up for the first time: one JSON line. */
  readonly up: Promise<Outcome<unknown>>;

  constructor(options: MachineOptions) {
    this.options = options;
    this.up = new Promise((resolve) => (this.#up = resolve));
  }

  get name(): string {
    return this.options.name;
  }

  get port(): number {
    return this.options.port;
  }

  get pid(): number | null {
    return this.#running?.pid ?? null;
  }

  commission(): void {
    this.#wanted = true;
    this.start();
  }

  start(): void {
    if (this.#restart !== null) clearTimeout(this.#restart);
    this.#restart = null;
    if (!this.#wanted || this.#running !== null || this.options.hooks.isKeptOff()) return;
    this.#incarnation += 1;
    this.options.hooks.onStarted(this.#incarnation);
    const log = openSync(this.options.log, 'a', 0o600);
    const child = spawn(process.execPath, [...this.options.command()], {
      // A session of its own: the interrupt of a terminal is the runner's business.
      detached: true,
      env: this.options.environment,
      stdio: ['ignore', 'pipe', log],
    });
    closeSync(log);
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    const running: Running = { child, pid: child.pid ?? 0, ended, cause: null };
    this.#running = running;
    if (running.pid > 0) this.options.hooks.began(running.pid);
    let isUp = false;
    const overdue = setTimeout(() => this.#kill(running, `not up after ${START_MS_MAX} ms`), START_MS_MAX);
    createInterface({ input: child.stdout! }).on('line', (line) => {
      if (isUp) return;
      isUp = true;
      this.#wasEverUp = true;
      this.#stillborn = 0;
      clearTimeout(overdue);
      this.#up(parse(line));
    });
    child.once('error', (error) => this.#gone(running, isUp, error.message));
    child.once('exit', (code, signal) => {
      clearTimeout(overdue);
      this.#gone(running, isUp, `the process ended by itself with ${signal ?? code ?? 'nothing'}`);
    });
  }

  crash(): void {
    if (this.#running !== null) this.#kill(this.#running, 'power loss');
  }

  shutDown(): void {
    if (this.#running !== null) void this.#end(this.#running, 'shut down');
  }

  pause(): void {
    if (this.#running === null || this.#paused) return;
    this.#signal(this.#running, 'SIGSTOP');
    this.#paused = true;
    this.options.hooks.onPaused();
  }

  resume(): void {
    if (!this.#paused) return;
    this.#paused = false;
    this.options.hooks.onResumed();
    if (this.#running !== null) this.#signal(this.#running, 'SIGCONT');
  }

  /** A process has no network card of its own: its links are the proxy's alone. */
  setLink(): void {}

  /** Within `STOP_MS_MAX`. */
  async stop(): Promise<void> {
    this.#wanted = false;
    if (this.#restart !== null) clearTimeout(this.#restart);
    const running = this.#running;
    if (running === null) return;
    await this.#end(running, 'stopped');
  }

  lastWords(): string {
    try {
      return readFileSync(this.options.log, 'utf8').slice(-LAST_WORDS_MAX).trim();
    } catch {
      return '';
    }
  }

  async #end(running: Running, cause: string): Promise<void> {
    this.resume();
    running.cause ??= cause;
    this.#signal(running, 'SIGTERM');
    const overdue = setTimeout(() => this.#signal(running, 'SIGKILL'), STOP_MS_MAX);
    await running.ended;
    clearTimeout(overdue);
  }

  #kill(running: Running, cause: string): void {
    running.cause ??= cause;
    this.#signal(running, 'SIGKILL');
  }

  #signal({ pid }: Running, signal: NodeJS.Signals): void {
    try {
      if (pid > 0) process.kill(pid, signal);
    } catch {
      // It has ended meanwhile.
    }
  }

  #gone(running: Running, wasUp: boolean, cause: string): void {
    if (this.#running !== running) return;
    this.#running = null;
    this.#paused = false;
    this.options.hooks.ended(running.pid);
    this.options.hooks.onStopped(running.cause ?? cause);
    if (!wasUp && running.cause === null) this.#stillborn += 1;
    if (this.#stillborn >= STILLBORN_MAX && !this.#wasEverUp) {
      this.#wanted = false;
      this.#up(
        failed('WM_UNREACHABLE', {
          message: `The process of ${this.options.name} ended ${STILLBORN_MAX} times before it was up. It said: ${this.lastWords()}`,
          next: 'Correct what it names.',
        }),
      );
    }
    if (this.#wanted && !this.options.hooks.isKeptOff()) {
      this.#restart = setTimeout(() => this.start(), Math.min(RESTART_MS * 2 ** this.#stillborn, RESTART_MS_MAX));
    }
  }
}

function parse(line: string): Outcome<unknown> {
  try {
    return ok(JSON.parse(line) as unknown);
  } catch {
    return failed('WM_MESSAGE_INVALID', { message: `The process said '${line}', which is no JSON.`, next: 'Report this.' });
  }
}
