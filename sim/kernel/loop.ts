// The kernel itself: take the first event, deliver it, let every microtask run, take the next. Determinism: the only
// things outside that it depends on are the seed and what the run does; the wall clock decides when the thread is given
// back and nothing else.
import { Bug, assert } from '../../system/domain/outcome.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import { hashText, RollingDigest } from './digest.ts';
import { Divergence } from './divergence.ts';
import { Event, QUIET } from './event.ts';
import type { Action, Ledger } from './event.ts';
import { InstantOrder } from './instant-order.ts';
import { History } from './history.ts';
import type { EndReason, Kernel, KernelEnd, KernelHost, KernelOptions, MachineOptions, ScheduledEvent } from './kernel.ts';
import { SimMachine } from './machine.ts';
import type { Machine, MachineKernel } from './machine.ts';
import type { Observer } from './observer.ts';
import type { Pace } from './pace.ts';
import { EventQueue } from './queue.ts';
import { createStream } from './stream.ts';

/** 2030-01-01T00:00:00Z, in milliseconds: when every run begins that has no wall beside it. */
export const CIVIL_START_MS = 1_893_456_000_000;
/** Bound: wall time for which the thread is kept. */
export const SLICE_WALL_MS_MAX = 20;
/** Bound: events for which the thread is kept. Node.js reports floating rejections only when it is given back. */
export const SLICE_STEPS_MAX = 1_024;
/** The wall clock is read once in so many events. */
const WALL_CHECK_STEPS = 16;
/** Bound: events at one instant; more is a loop that never lets time pass. */
export const INSTANT_STEPS_MAX = 2_000_000;
/** Bound: streams of one run. */
export const STREAMS_MAX = 1_000_000;
/** Entries that will never be delivered are swept out when they are the larger half of a queue and more than this. */
const SWEEP_MIN = 1_024;
/** Events named when a run fails. */
const RECENT_EVENTS = 32;
const WORLD = 'world';
const WORLD_HASH = hashText(WORLD);

type Until = { readonly done: () => boolean; readonly microsMax: number };

export class SimKernel implements Kernel, MachineKernel {
  readonly ledger: Ledger = { dead: 0 };
  readonly civilStartMs: number;
  steps = 0;
  readonly #seed: string;
  readonly #host: KernelHost;
  readonly #observer: Observer | null;
  readonly #queue = new EventQueue<Event>();
  readonly #digest = new RollingDigest();
  readonly #history = new History();
  readonly #streams = new Map<string, RandomStream>();
  readonly #machines = new Map<string, SimMachine>();
  /** Null: in the order of the calls. */
  readonly #order: InstantOrder | null;
  /** Null: nothing but the run itself decides when an event is delivered. */
  readonly #pace: Pace | null;
  #now = 0;
  #sequence = 0;
  #instantSteps = 0;
  #playing = false;
  #failed = false;
  #error: unknown = null;

  constructor(options: KernelOptions) {
    this.#seed = options.seed;
    this.#host = options.host;
    this.#observer = options.observer ?? null;
    this.#order = options.permute === true ? new InstantOrder(options.seed) : null;
    this.#pace = options.pace ?? null;
    this.civilStartMs = options.civilStartMs ?? CIVIL_START_MS;
  }

  now(): number {
    return this.#now;
  }

  after(delayMicros: number, machine: Machine | null, label: string, run: Action, lane: object | null = null): ScheduledEvent {
    if (!(Number.isSafeInteger(delayMicros) && delayMicros >= 0)) {
      throw new Bug(`Invariant broken: "${label}" comes due after whole microseconds, not ${delayMicros}`);
    }
    const event = new Event(this.#now + delayMicros, machine as SimMachine | null, label, this.steps, run, this.ledger);
    if (this.#observer?.wantsOrigins === true) event.origin = new Error('set here');
    if (event.owner !== null && !event.owner.alive) event.run = null;
    else this.#push(event, lane);
    return event;
  }

  outside(machine: Machine | null, label: string, run: () => void): void {
    assert(this.#pace !== null, `"${label}" comes from outside, which only a paced run has`);
    // The wall may have moved on while events before this one wait for their turn: they stay before it.
    this.after(Math.max(0, this.#pace.nowMicros() - this.#now), machine, label, run);
    this.#pace.rouse();
  }

  stream(name: string): RandomStream {
    const known = this.#streams.get(name);
    if (known !== undefined) return known;
    assert(this.#streams.size < STREAMS_MAX, `a run has at most ${STREAMS_MAX} streams of chance (STREAMS_MAX)`);
    const stream = createStream(this.#seed, name);
    this.#streams.set(name, stream);
    return stream;
  }

  machine(name: string, options: MachineOptions = {}): Machine {
    assert(!this.#machines.has(name) && name !== WORLD, `there is one machine called ${name}`);
    const machine = new SimMachine(this, name, options);
    this.#machines.set(name, machine);
    return machine;
  }

  note(machine: string, text: string): void {
    this.#digest.note(this.#now, machine, text);
    if (this.#observer !== null) this.#watch(machine, 'note', text);
  }

  own(what: string, promise: Promise<unknown>): void {
    promise.then(undefined, (error: unknown) => {
      if (error instanceof Error) this.fail(error);
      else this.fail(new Bug(`Invariant broken: ${what} was rejected with ${String(error)}`));
    });
  }

  fail(error: unknown): void {
    if (this.#failed) return;
    this.#failed = true;
    this.#error = error;
    this.#pace?.rouse();
  }

  digest(): string {
    return this.#digest.text();
  }

  recent(): readonly string[] {
    return this.#history.recent(RECENT_EVENTS);
  }

  release(machine: SimMachine): void {
    const ticket = new Event(this.#now, machine, 'release', this.steps, () => {}, this.ledger);
    machine.ticket = ticket;
    this.#push(ticket, null);
  }

  play(until: Until): Promise<KernelEnd> {
    assert(!this.#playing, 'a kernel plays one thing at a time');
    assert(Number.isSafeInteger(until.microsMax) && until.microsMax >= this.#now, 'a play ends at a whole microsecond to come');
    this.#playing = true;
    return new Promise((resolve) => this.#run(until, resolve));
  }

  #run(until: Until, resolve: (end: KernelEnd) => void): void {
    const host = this.#host;
    let sliceEndsMs = 0;
    let sliceEndsStep = 0;
    let wallCheckStep = 0;
    let drains = false;
    const fail = (error: unknown): void => this.fail(error);

    const end = (reason: EndReason): void => {
      host.leave();
      // Once more around the event loop, so that a promise rejected by the last events is still found.
      host.giveBack(() => {
        this.#playing = false;
        if (reason !== 'cancelled' && !this.#failed) this.#checkEnd();
        resolve({
          reason: this.#failed ? 'failed' : reason,
          error: this.#error,
          micros: this.#now,
          steps: this.steps,
          digest: this.digest(),
        });
      });
    };
    const next = (): void => {
      do {
        if (this.#failed) return end('failed');
        if (until.done()) return end('done');
        const dueMicros = Math.min(this.#queue.firstMicros, until.microsMax);
        if (this.#pace !== null && dueMicros > this.#pace.nowMicros()) {
          host.leave();
          return this.#pace.rest(dueMicros, slice);
        }
        if (this.steps >= sliceEndsStep || isSliceOver()) {
          host.leave();
          return host.giveBack(slice);
        }
        const reason = step();
        if (reason !== null) return end(reason);
        if (drains) host.drain();
      } while (drains);
      host.afterMicrotasks(next);
    };
    const isSliceOver = (): boolean => {
      if (this.steps < wallCheckStep) return false;
      wallCheckStep = this.steps + WALL_CHECK_STEPS;
      return host.wallMs() >= sliceEndsMs;
    };
    const step = (): EndReason | null => {
      try {
        let reason: EndReason | null | typeof QUIET;
        do reason = this.#deliver(until.microsMax);
        while (reason === QUIET && this.steps < wallCheckStep && this.#goesOnAtOnce() && !until.done());
        return reason === QUIET ? null : reason;
      } catch (error) {
        this.fail(error);
        return null;
      }
    };
    const slice = (): void => {
      if (host.cancelled()) return end('cancelled');
      sliceEndsMs = host.wallMs() + SLICE_WALL_MS_MAX;
      sliceEndsStep = this.steps + SLICE_STEPS_MAX;
      wallCheckStep = this.steps + WALL_CHECK_STEPS;
      drains = host.drains();
      host.enter(fail);
      next();
    };
    host.giveBack(slice);
  }

  /** Delivers the next event that is to be delivered; says why there is none. */
  #deliver(microsMax: number): EndReason | null | typeof QUIET {
    for (;;) {
      if (this.#queue.firstMicros > microsMax) {
        if (this.#queue.size === 0 && this.#pace === null) return 'quiet';
        this.#now = microsMax;
        return 'time';
      }
      const event = this.#queue.pop() as Event;
      event.inQueue = false;
      if (!event.pending) {
        this.ledger.dead--;
        continue;
      }
      const machine = event.owner as SimMachine | null;
      if (machine === null) return this.#call(event, event.micros);
      machine.queued--;
      if (machine.ticket === event) {
        const held = this.#takeHeld(machine);
        if (held !== null) return this.#call(held, event.micros);
      } else if (machine.paused || machine.releasing) {
        machine.hold(event);
      } else {
        return this.#call(event, event.micros);
      }
    }
  }

  #takeHeld(machine: SimMachine): Event | null {
    machine.ticket = null;
    let held: Event | undefined;
    if (!machine.paused) {
      do held = machine.held.shift();
      while (held !== undefined && !held.pending);
    }
    if (!machine.paused && machine.held.size > 0) this.release(machine);
    else machine.releasing = false;
    return held ?? null;
  }

  #call(event: Event, micros: number): null | typeof QUIET {
    const run = event.run as Action;
    event.run = null;
    const machine = event.owner === null ? WORLD : event.owner.name;
    if (micros !== this.#now) {
      this.#now = micros;
      this.#instantSteps = 0;
    } else if (++this.#instantSteps > INSTANT_STEPS_MAX) {
      throw new Bug(
        `Invariant broken: more than ${INSTANT_STEPS_MAX} events at ${micros} µs (INSTANT_STEPS_MAX), the last on ${machine}: ${event.label}`,
      );
    }
    this.#pace?.delivered(micros);
    this.steps++;
    this.#digest.event(micros, event.owner === null ? WORLD_HASH : event.owner.hash, event.label);
    this.#history.add(this.steps, micros, machine, event.label, event.cause, event.origin);
    if (this.#observer !== null) this.#watch(machine, 'event', event.label);
    if (this.#failed) return null;
    return (typeof run === 'function' ? run() : run.act()) === QUIET ? QUIET : null;
  }

  /** Whether what follows a quiet event may follow it without a look at microtasks, at the wall and at who compares. */
  #goesOnAtOnce(): boolean {
    return this.#pace === null && this.#observer?.wantsOrigins !== true && !this.#failed;
  }

  #push(event: Event, lane: object | null): void {
    if (this.ledger.dead > SWEEP_MIN && this.ledger.dead * 2 > this.#queue.size) {
      this.#queue.retain((entry) => entry.pending);
      this.ledger.dead = 0;
    }
    event.inQueue = true;
    if (event.owner !== null) event.owner.queued++;
    const sequence = this.#sequence++;
    this.#queue.push(
      event.micros,
      this.#order === null ? sequence : this.#order.placeOf(event.micros, event.owner ?? lane, sequence),
      event,
    );
  }

  #watch(machine: string, kind: 'event' | 'note', text: string): void {
    if (this.#failed) return;
    const observer = this.#observer as Observer;
    this.#diverge(observer.observe(this.steps, this.#now, machine, kind, text, this.#digest.word));
  }

  #checkEnd(): void {
    if (this.#observer !== null) this.#diverge(this.#observer.ended(this.steps, this.#now));
  }

  #diverge(error: Error | null): void {
    if (error === null) return;
    if (error instanceof Divergence) error.explain(this.#history);
    this.fail(error);
  }
}
