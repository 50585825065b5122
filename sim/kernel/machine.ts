// A simulated computer: what is scheduled for it dies with it. A machine is created once and boots many times; each boot
// is an incarnation, and whatever an earlier incarnation scheduled is dropped, so that its promises never settle.
// Its processor costs time: `execute` queues work on `cores`. It does not know what the computer runs.
import { Bug, assert } from '../../system/domain/outcome.ts';
import { hashText } from './digest.ts';
import type { TextHash } from './digest.ts';
import type { Action, Event, Ledger, Owner } from './event.ts';
import { Fifo } from './fifo.ts';
import type { MachineOptions, ScheduledEvent } from './kernel.ts';
import { MachineTime } from './machine-time.ts';

export interface Machine {
  readonly name: string;
  /** 0 before the first boot; grows by one with each. */
  readonly incarnation: number;
  readonly alive: boolean;
  readonly paused: boolean;
  /** True while the incarnation of that number lives: adapters of a dead one must do nothing. */
  lives(incarnation: number): boolean;
  /** Power loss: everything scheduled for this incarnation is dropped. Idempotent. */
  crash(): void;
  /** Starts a new incarnation. A bug on a machine that is alive, and in the event that crashed it. */
  boot(): void;
  /** Frozen as by SIGSTOP: events that come due are held, work on the processor stands still. Idempotent. */
  pause(): void;
  /** What was held is delivered one by one, in the order in which it came due, before anything that comes due later. */
  resume(): void;
  /** Work that costs processor time: starts when a core is free, first come first served; `run` is called when it is done. */
  execute(costMicros: number, label: string, run: Action): ScheduledEvent;
  /** Its clocks; they survive a boot. */
  readonly time: MachineTime;
  /** All work takes longer than it costs. */
  readonly slow: boolean;
  /** Time that its cores have worked so far, all together. What a power loss interrupts is not in it. */
  busyMicros(): number;
  /**
   * From here on all work takes `slowness` times as long as it costs (whole, 1: full speed), what is under way included. `felt` is
   * called whenever work begins, or goes on, that takes longer for it.
   */
  throttle(slowness: number, felt?: () => void): void;
}

/** Bound: events that come due while a machine is paused. */
export const HELD_EVENTS_MAX = 1_000_000;
/** Bound: work that waits for a core of one machine. */
export const EXECUTE_QUEUE_MAX = 1_000_000;

/** What a machine needs of the kernel. */
export interface MachineKernel {
  readonly ledger: Ledger;
  readonly steps: number;
  now(): number;
  after(delayMicros: number, machine: Machine | null, label: string, run: Action): ScheduledEvent;
  /** Queues a delivery of the first held event of the machine for this instant. */
  release(machine: SimMachine): void;
}

export class SimMachine implements Machine, Owner {
  readonly name: string;
  readonly hash: TextHash;
  readonly cores: number;
  incarnation = 0;
  alive = false;
  paused = false;
  queued = 0;
  readonly time: MachineTime;
  /** True from a resume until everything held was delivered: what comes due meanwhile queues behind it. */
  releasing = false;
  /** The event in the queue that stands for the first one held. */
  ticket: Event | null = null;
  readonly held = new Fifo<Event>();
  readonly #kernel: MachineKernel;
  readonly #waiting = new Fifo<Work>();
  #running: Work[] = [];
  #slowness = 1;
  #slowed: () => void = () => {};
  #busyMicros = 0;
  #crashedAtStep = -1;

  constructor(kernel: MachineKernel, name: string, options: MachineOptions) {
    const cores = options.cores ?? 1;
    assert(Number.isInteger(cores) && cores >= 1, `machine ${name} has whole cores, not ${cores}`);
    this.#kernel = kernel;
    this.name = name;
    this.hash = hashText(name);
    this.cores = cores;
    this.time = new MachineTime(kernel);
  }

  lives(incarnation: number): boolean {
    return this.alive && this.incarnation === incarnation;
  }

  crash(): void {
    if (!this.alive) return;
    this.alive = false;
    this.paused = false;
    this.releasing = false;
    this.#kernel.ledger.dead += this.queued;
    this.queued = 0;
    this.ticket = null;
    this.held.clear();
    this.#waiting.clear();
    this.#running = [];
    this.#crashedAtStep = this.#kernel.steps;
  }

  boot(): void {
    if (this.alive) throw new Bug(`Invariant broken: machine ${this.name} boots while it is running`);
    // The microtasks of the old incarnation run until the end of this event and must find their machine dead.
    if (this.incarnation > 0 && this.#crashedAtStep === this.#kernel.steps) {
      throw new Bug(`Invariant broken: machine ${this.name} boots in the event that crashed it`);
    }
    this.incarnation++;
    this.alive = true;
  }

  pause(): void {
    if (!this.alive || this.paused) return;
    this.paused = true;
    for (const work of this.#running) this.#suspend(work);
  }

  resume(): void {
    if (!this.alive || !this.paused) return;
    this.paused = false;
    if (this.held.size > 0 && !this.releasing) {
      this.releasing = true;
      this.#kernel.release(this);
    }
    for (const work of this.#running) this.#begin(work);
    this.#dispatch();
  }

  throttle(slowness: number, felt: () => void = () => {}): void {
    assert(Number.isInteger(slowness) && slowness >= 1, `machine ${this.name} gets slower by a whole factor, not ${slowness}`);
    this.#slowed = felt;
    if (slowness === this.#slowness) return;
    for (const work of this.#running) this.#suspend(work);
    this.#slowness = slowness;
    if (!this.paused) for (const work of this.#running) this.#begin(work);
  }

  get slow(): boolean {
    return this.#slowness > 1;
  }

  busyMicros(): number {
    const now = this.#kernel.now();
    return this.#running.reduce((sum, work) => sum + work.workedMicros(now), this.#busyMicros);
  }

  #suspend(work: Work): void {
    const now = this.#kernel.now();
    this.#busyMicros += work.workedMicros(now);
    work.suspend(now, this.#slowness);
  }

  hold(event: Event): void {
    if (this.held.size >= HELD_EVENTS_MAX) {
      throw new Bug(`Invariant broken: more than ${HELD_EVENTS_MAX} events are held for ${this.name} (HELD_EVENTS_MAX)`);
    }
    this.held.push(event);
  }

  execute(costMicros: number, label: string, run: Action): ScheduledEvent {
    assert(Number.isSafeInteger(costMicros) && costMicros >= 0, `work "${label}" costs whole microseconds, not ${costMicros}`);
    if (this.#waiting.size >= EXECUTE_QUEUE_MAX) {
      throw new Bug(`Invariant broken: more than ${EXECUTE_QUEUE_MAX} pieces of work wait for a core of ${this.name} (EXECUTE_QUEUE_MAX)`);
    }
    const work = new Work(this, costMicros, label, run);
    if (!this.alive) return work;
    if (!this.paused && this.#running.length < this.cores && this.#waiting.size === 0) {
      this.#running.push(work);
      this.#begin(work);
      return work;
    }
    this.#waiting.push(work);
    this.#dispatch();
    return work;
  }

  #dispatch(): void {
    while (!this.paused && this.#running.length < this.cores) {
      const work = this.#waiting.shift();
      if (work === undefined) return;
      if (work.run === null) continue;
      this.#running.push(work);
      this.#begin(work);
    }
  }

  #begin(work: Work): void {
    work.begunMicros = this.#kernel.now();
    if (this.#slowness > 1 && work.costMicros > 0) this.#slowed();
    work.event = this.#kernel.after(work.costMicros * this.#slowness, this, work.label, work);
  }

  /** Done or cancelled: its core is free. */
  drop(work: Work): void {
    const running = this.#running;
    const index = running.indexOf(work);
    if (index < 0) return;
    // Keeps its room for the next, which setting a length of 0 would give up.
    if (running.length === 1) running.pop();
    else running.splice(index, 1);
    this.#busyMicros += work.workedMicros(this.#kernel.now());
    if (this.#waiting.size > 0) this.#dispatch();
  }
}

class Work implements ScheduledEvent {
  /** What is left of it when it is begun (again). */
  costMicros: number;
  readonly label: string;
  run: Action | null;
  event: ScheduledEvent | null = null;
  begunMicros = 0;
  readonly #machine: SimMachine;
  readonly #incarnation: number;

  constructor(machine: SimMachine, costMicros: number, label: string, run: Action) {
    this.#machine = machine;
    this.#incarnation = machine.alive ? machine.incarnation : -1;
    this.costMicros = costMicros;
    this.label = label;
    this.run = run;
  }

  /** Infinity while it waits for a core. */
  get micros(): number {
    return this.event === null ? Infinity : this.event.micros;
  }

  get pending(): boolean {
    return this.run !== null && this.#machine.lives(this.#incarnation);
  }

  /** It is done: its core is free for the next before anybody is told. */
  act(): void {
    const run = this.run;
    this.run = null;
    this.#machine.drop(this);
    if (typeof run === 'function') run();
    else run?.act();
  }

  cancel(): void {
    if (this.run === null) return;
    this.run = null;
    this.event?.cancel();
    this.#machine.drop(this);
  }

  /** Since it was begun (again); 0 while it stands still. */
  workedMicros(now: number): number {
    return this.event === null ? 0 : Math.min(now, this.event.micros) - this.begunMicros;
  }

  suspend(now: number, slowness: number): void {
    if (this.event === null) return;
    this.costMicros = this.event.micros > now ? Math.ceil((this.event.micros - now) / slowness) : 0;
    this.event.cancel();
    this.event = null;
  }
}
