// An emulated machine in the fleet of a run: it boots, loses power (its QEMU is killed: what the kernel inside had not yet given to
// the disk is gone), stands still, loses the link of its network card, and boots again with the disk that it had. Its records
// leave through a port of their own, past the network that is being broken.
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { describeError, failed, ok, type Outcome } from '../../system/domain/outcome.ts';
import { machineMicros, type FleetMachine, type FleetMachineHooks } from '../local/local.ts';
import { wordsOf } from '../debian/debian.ts';
import { GuestClock } from './guest-clock.ts';
import type { MachineImage } from './images.ts';
import { breakMachine, orderMachine, setMachineClock, startMachine, stopMachine, type MachineFault } from './machine.ts';
import { RIGHT, type MachineClock, type MachineOrder } from './orders.ts';

const LOOK_MS = 200;
/** What an agent says when it is up; the console is read while it is being written, and half a line says nothing yet. */
const UP_LINE = /^(\{"agent":.*)\n/m;
/** Bound: boots in a row that did not come up. */
const STILLBORN_MAX = 3;
/** Bound: how long a machine may take from power to agent. */
const UP_MS_MAX = 300_000;
/** Bound: how long a machine may take to switch itself off once its agent was told to end. */
const SWITCH_OFF_MS_MAX = 60_000;
/** Bound: what is told of its console. */
const LAST_WORDS_MAX = 600;

export type EmulatedOptions = {
  readonly name: string;
  /** Folder of all machines of the run. */
  readonly folder: string;
  readonly image: MachineImage;
  readonly memoryMib: number;
  readonly joinToken: string;
  readonly zone: string;
  /** Settings of its agent. */
  readonly environment: Readonly<Record<string, string>>;
  readonly hooks: FleetMachineHooks;
};

export class EmulatedMachine implements FleetMachine {
  readonly name: string;
  readonly up: Promise<Outcome<unknown>>;
  /** Where its records arrive. */
  readonly records: string;
  readonly clock = new GuestClock();
  readonly #options: EmulatedOptions;
  #up: (outcome: Outcome<unknown>) => void = () => {};
  #pid: number | null = null;
  #port = 0;
  #boot = 0;
  #stillborn = 0;
  #wanted = false;
  /** It has power, or is about to. */
  #on = false;
  #isUp = false;
  #isFrozen = false;
  /** Whether its network card shall have a link. */
  #isLinked = true;
  /** What its disk is to be, and what it is. */
  #isFull = false;
  #isFilled = false;
  /** How wrong its clock is to be, and is: one that boots reads the right time. */
  #clockWanted = RIGHT;
  #clockIs = RIGHT;
  /** Why its power was taken; null: it was not, and an end is its own. */
  #taken: string | null = null;
  /** What it is told, one after the other. */
  #orders: Promise<void> = Promise.resolve();
  #looking: NodeJS.Timeout | null = null;

  constructor(options: EmulatedOptions) {
    this.#options = options;
    this.name = options.name;
    this.records = join(options.folder, `${options.name}.jsonl`);
    mkdirSync(options.folder, { recursive: true, mode: 0o700 });
    appendFileSync(this.records, '', { mode: 0o600 });
    this.up = new Promise((resolve) => (this.#up = resolve));
  }

  get pid(): number | null {
    return this.#pid;
  }

  get port(): number {
    return this.#port;
  }

  commission(): void {
    this.#wanted = true;
    this.start();
  }

  start(): void {
    const { hooks } = this.#options;
    if (!this.#wanted || this.#on || hooks.isKeptOff()) return;
    this.#on = true;
    this.#order(async () => {
      if (!this.#on || this.#pid !== null) return;
      this.#boot += 1;
      this.#isUp = false;
      this.#taken = null;
      this.clock.restarted();
      this.#clockIs = RIGHT;
      // The last boot may have ended within a line.
      appendFileSync(this.records, '\n');
      hooks.onStarted(this.#boot);
      const { name, folder, image, memoryMib, joinToken, zone, environment } = this.#options;
      const options = { name, folder, image, memoryMib, joinToken, zone, environment, records: this.records };
      const look = await startMachine({ ...options, endsOnReset: true });
      if (!look.ok || look.value.pid === null) return this.#gone(look.ok ? 'it ended at once' : describeError(look.error));
      this.#pid = look.value.pid;
      this.#port = Number(look.value.address.split(':').at(-1));
      hooks.began(this.#pid);
      // A machine that boots has a link, whatever it had when it lost power.
      if (!this.#isLinked) await this.#tellLink();
      const sinceMs = performance.now();
      this.#looking = setInterval(() => this.#look(sinceMs), LOOK_MS);
    });
  }

  crash(): void {
    this.#on = false;
    this.#order(() => this.#powerOff('power loss'));
  }

  /** Its agent ends in order, then the machine switches itself off. */
  shutDown(): void {
    this.#on = false;
    this.resume();
    this.#order(async () => {
      const pid = this.#pid;
      if (pid === null) return;
      this.#taken = 'shut down';
      if (await this.#obey('end')) await ended(pid, SWITCH_OFF_MS_MAX);
      if (this.#pid === pid) await this.#powerOff('shut down');
    });
  }

  /** No byte more fits on its disk, or there is room again. */
  setFull(isFull: boolean): void {
    this.#isFull = isFull;
    this.#order(() => this.#tellDisk());
  }

  setClock(clock: MachineClock): void {
    this.#clockWanted = clock;
    this.#order(() => this.#tellClock());
  }

  /** Its emulator is frozen, so that its clock goes on as that of a frozen process; QEMU's own `stop` would stop the clock too. */
  pause(): void {
    this.#order(() => {
      if (this.#pid === null || this.#isFrozen) return;
      signal(this.#pid, 'SIGSTOP');
      this.#isFrozen = true;
      this.#options.hooks.onPaused();
    });
  }

  resume(): void {
    this.#order(async () => {
      if (!this.#isFrozen) return;
      this.#isFrozen = false;
      this.#options.hooks.onResumed();
      if (this.#pid !== null) signal(this.#pid, 'SIGCONT');
      await this.#tellLink();
      await this.#tellDisk();
      await this.#tellClock();
    });
  }

  setLink(isUp: boolean): void {
    if (this.#isLinked === isUp) return;
    this.#isLinked = isUp;
    this.#order(() => this.#tellLink());
  }

  /** Nothing of an emulated machine outlives the run: its power goes, as that of its store may at any time. */
  async stop(): Promise<void> {
    this.#wanted = false;
    this.#on = false;
    this.resume();
    this.#order(async () => {
      this.#taken ??= 'stopped';
      await stopMachine(this.#options.folder, this.name);
      if (this.#pid !== null) this.#gone('stopped');
    });
    await this.#orders;
  }

  lastWords(): string {
    return this.#console().slice(-LAST_WORDS_MAX).trim();
  }

  #order(act: () => Promise<void> | void): void {
    // One that fails in a way nobody foresaw is told, and what comes after it is done all the same.
    this.#orders = this.#orders.then(act).catch((error: unknown) => this.#options.hooks.onTrouble(wordsOf(error)));
  }

  /** A frozen emulator takes no orders: it is told when it goes on. */
  async #tellLink(): Promise<void> {
    if (this.#pid !== null && !this.#isFrozen) await this.#break(this.#isLinked ? 'mend' : 'cut');
  }

  /** One that is off, frozen or still booting takes no orders: it is told when it can obey, and its disk keeps what it has. */
  async #tellDisk(): Promise<void> {
    if (this.#pid === null || this.#isFrozen || !this.#isUp || this.#isFull === this.#isFilled) return;
    const isFull = this.#isFull;
    if (await this.#obey(isFull ? 'fill' : 'free')) this.#isFilled = isFull;
  }

  /** As its disk. Civil time is set when it is to be another, and when a drift is over, which has moved it. */
  async #tellClock(): Promise<void> {
    const [is, wanted] = [this.#clockIs, this.#clockWanted];
    if (this.#pid === null || this.#isFrozen || !this.#isUp || is === wanted) return;
    const rate = is.ppm !== wanted.ppm;
    const civil = is.byMicros !== wanted.byMicros || (rate && wanted.ppm === 0);
    const { folder, hooks } = this.#options;
    const atMicros = machineMicros();
    const onRate = (): void => {
      this.clock.runs(wanted.ppm, atMicros);
      this.#clockIs = { ...is, ppm: wanted.ppm };
    };
    const done = await setMachineClock(folder, this.name, wanted, { civil, rate, onRate });
    if (done.ok) this.#clockIs = wanted;
    else if (this.#pid !== null) hooks.onTrouble(describeError(done.error));
  }

  async #break(fault: MachineFault): Promise<boolean> {
    const done = await breakMachine(this.#options.folder, this.name, fault);
    // A machine that has just ended takes no orders; that it ended is told by itself.
    if (!done.ok && this.#pid !== null) this.#options.hooks.onTrouble(describeError(done.error));
    return done.ok;
  }

  async #obey(order: MachineOrder): Promise<boolean> {
    if (this.#pid === null || this.#isFrozen) return false;
    const done = await orderMachine(this.#options.folder, this.name, order);
    if (!done.ok && this.#pid !== null) this.#options.hooks.onTrouble(describeError(done.error));
    return done.ok;
  }

  async #powerOff(cause: string): Promise<void> {
    const pid = this.#pid;
    if (pid === null) return;
    this.#taken = cause;
    signal(pid, 'SIGKILL');
    await ended(pid, Number.POSITIVE_INFINITY);
    if (this.#pid === pid) this.#gone(cause);
  }

  #look(sinceMs: number): void {
    const pid = this.#pid;
    if (pid === null) return;
    if (!isThere(pid)) return this.#gone('the emulator ended by itself');
    if (this.#isUp) return;
    const said = saidOf(UP_LINE.exec(this.#console())?.[1]);
    if (said !== null) {
      this.#isUp = true;
      this.#stillborn = 0;
      this.#up(ok(said));
      this.#order(() => this.#tellDisk());
      this.#order(() => this.#tellClock());
    } else if (performance.now() - sinceMs > UP_MS_MAX) {
      if (this.#looking !== null) clearInterval(this.#looking);
      this.#looking = null;
      this.#order(async () => {
        if (this.#pid !== pid) return;
        await this.#powerOff(`not up after ${UP_MS_MAX} ms`);
        this.#again('it was not up in time');
      });
    }
  }

  #gone(cause: string): void {
    if (this.#looking !== null) clearInterval(this.#looking);
    this.#looking = null;
    const { hooks } = this.#options;
    if (this.#pid !== null) hooks.ended(this.#pid);
    this.#pid = null;
    this.#isFrozen = false;
    hooks.onStopped(this.#taken ?? cause);
    // Whoever took its power says when it is back, and may have said so already.
    if (this.#taken === null) this.#again(cause);
  }

  /** Nobody took its power: it boots again, unless it never came up. */
  #again(cause: string): void {
    if (!this.#on) return;
    this.#on = false;
    if (!this.#isUp) this.#stillborn += 1;
    if (this.#stillborn < STILLBORN_MAX) return this.start();
    this.#wanted = false;
    this.#up(
      failed('WM_MACHINE', {
        message: `The machine ${this.name} ended ${STILLBORN_MAX} times before its agent was up: ${cause}. Its console said: ${this.lastWords()}`,
        next: 'Correct what it names.',
      }),
    );
  }

  #console(): string {
    try {
      return readFileSync(join(this.#options.folder, this.name, 'console.log'), 'utf8');
    } catch {
      return '';
    }
  }
}

/** Null: nothing yet. What the kernel writes to the same console may stand within a line, which is then none of the agent's. */
function saidOf(line: string | undefined): unknown {
  try {
    return line === undefined ? null : (JSON.parse(line) as unknown);
  } catch {
    return null;
  }
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** Resolves when it has ended, or after `msMax`. */
async function ended(pid: number, msMax: number): Promise<void> {
  const endMs = performance.now() + msMax;
  while (isThere(pid) && performance.now() < endMs) await new Promise((resolve) => setTimeout(resolve, LOOK_MS / 4));
}

/** A process that ended and waits for its parent is not there any more. */
function isThere(pid: number): boolean {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat[stat.lastIndexOf(')') + 2] !== 'Z';
  } catch {
    return false;
  }
}
