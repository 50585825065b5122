// Where one consumer's events are handed out: those that are ready, those that somebody holds and until when, and the fetches
// that wait. Nothing here outlives the process: what was handed out is then simply handed out again.
// Order: ready events leave oldest first, fetches are served first come first served.
import type { ConsumerSpec, DeliveredEvent } from '../domain/broker.ts';
import type { FencingToken } from '../domain/event.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import { MICROS_PER_MS, type Timer } from '../ports/clock.ts';
import type { Ports } from '../ports/ports.ts';
import { Fifo } from './fifo.ts';
import type { HeldEvent } from './state.ts';

/** Bound: time a fetch is held open. */
const WAIT_MS_MAX = 30_000;
/** Bound: deliveries answered to one fetch, and bytes of them, so that the reply stays one message. */
const FETCH_EVENTS_MAX = 256;
const FETCH_BYTES_MAX = 1_024 * 1_024;
/** Bound: fetches waiting at one consumer; whoever comes later is answered at once. */
const WAITING_FETCHES_MAX = 4_096;

export type Fetched = Outcome<readonly DeliveredEvent[]>;

export type Fetch = { readonly eventsMax: number; readonly waitMs: number; readonly fence: FencingToken | null };

type WaitingFetch = { readonly fetch: Fetch; readonly answer: (fetched: Fetched) => void; readonly timer: Timer; isAnswered: boolean };

/** A delivery that somebody holds. */
export type Outstanding = { readonly delivery: number; readonly attempt: number; readonly timer: Timer };

export type DeskTools = {
  readonly ports: Pick<Ports, 'clock' | 'telemetry'>;
  readonly spec: () => ConsumerSpec;
  readonly find: (sequence: number) => HeldEvent | undefined;
  /** A number that no delivery ever had. */
  readonly nextDelivery: () => number;
  readonly ranOut: (sequence: number) => void;
  /** Nobody fetched for as long as the consumer allows. */
  readonly fellIdle: () => void;
};

export class Desk {
  readonly #tools: DeskTools;
  readonly #ready = new Fifo<number>();
  readonly #outstanding = new Map<number, Outstanding>();
  /** Waiting for their next attempt. */
  readonly #resting = new Map<number, Timer>();
  #waiting = new Fifo<WaitingFetch>();
  #waitingCount = 0;
  #usedMicros: number;
  #idle: Timer | null = null;

  constructor(tools: DeskTools) {
    this.#tools = tools;
    this.#usedMicros = tools.ports.clock.monotonicMicros();
    this.watchIdle();
  }

  /** Begins anew with what the consumer allows now. */
  watchIdle(): void {
    const { spec, ports, fellIdle } = this.#tools;
    this.#idle?.cancel();
    this.#idle = null;
    const { idleMsMax } = spec();
    // A journal of an earlier version has none.
    if (typeof idleMsMax !== 'number') return;
    const leftMicros = this.#usedMicros + idleMsMax * MICROS_PER_MS - ports.clock.monotonicMicros();
    this.#idle = ports.clock.after(Math.max(1, leftMicros), () => {
      if (this.#waitingCount > 0) this.#usedMicros = ports.clock.monotonicMicros();
      const isIdle = ports.clock.monotonicMicros() - this.#usedMicros >= idleMsMax * MICROS_PER_MS;
      if (isIdle) fellIdle();
      else this.watchIdle();
    });
  }

  /** Puts an event among those to be delivered now. */
  offer(sequence: number): void {
    this.#ready.push(sequence);
  }

  /** Puts it there after a while. */
  offerAfter(delayMs: number, sequence: number): void {
    const timer = this.#tools.ports.clock.after(delayMs * MICROS_PER_MS, () => {
      this.#resting.delete(sequence);
      this.#ready.push(sequence);
      this.serve();
    });
    this.#resting.set(sequence, timer);
  }

  findOutstanding(sequence: number): Outstanding | undefined {
    return this.#outstanding.get(sequence);
  }

  /** The event is handed out to nobody any more. */
  release(sequence: number): void {
    this.#outstanding.get(sequence)?.timer.cancel();
    this.#outstanding.delete(sequence);
    this.#resting.get(sequence)?.cancel();
    this.#resting.delete(sequence);
  }

  fetch(fetch: Fetch): Promise<Fetched> {
    this.#skipAnswered();
    this.#usedMicros = this.#tools.ports.clock.monotonicMicros();
    // Whoever waits already has the right to the next event.
    const deliveries = this.#waiting.peek() === undefined ? this.#deliver(fetch) : [];
    if (deliveries.length > 0 || fetch.waitMs === 0 || this.#waitingCount >= WAITING_FETCHES_MAX) return Promise.resolve(ok(deliveries));
    return new Promise((answer) => {
      const timer = this.#tools.ports.clock.after(Math.min(fetch.waitMs, WAIT_MS_MAX) * MICROS_PER_MS, () => this.#answer(waiting, ok([])));
      const waiting: WaitingFetch = { fetch, answer, timer, isAnswered: false };
      this.#waiting.push(waiting);
      this.#waitingCount += 1;
    });
  }

  /** Hands ready events to the fetches that wait for them. */
  serve(): void {
    for (;;) {
      this.#skipAnswered();
      const waiting = this.#waiting.peek();
      const deliveries = waiting === undefined ? [] : this.#deliver(waiting.fetch);
      if (waiting === undefined || deliveries.length === 0) return;
      this.#answer(waiting, ok(deliveries));
    }
  }

  /** Ends the waiting fetches for which `why` gives an answer. */
  dismiss(why: (fence: FencingToken | null) => Fetched | null): void {
    const staying = new Fifo<WaitingFetch>();
    for (let waiting = this.#waiting.shift(); waiting !== undefined; waiting = this.#waiting.shift()) {
      if (waiting.isAnswered) continue;
      const answer = why(waiting.fetch.fence);
      if (answer === null) staying.push(waiting);
      else this.#answer(waiting, answer);
    }
    this.#waiting = staying;
  }

  /** Ends everything that waits. */
  close(why: Fetched): void {
    this.dismiss(() => why);
    this.#idle?.cancel();
    this.#idle = null;
    for (const { timer } of this.#outstanding.values()) timer.cancel();
    for (const timer of this.#resting.values()) timer.cancel();
    this.#outstanding.clear();
    this.#resting.clear();
  }

  #deliver({ eventsMax, fence }: Fetch): readonly DeliveredEvent[] {
    const { name, pendingMax } = this.#tools.spec();
    const deliveries: DeliveredEvent[] = [];
    const most = Math.min(eventsMax, FETCH_EVENTS_MAX);
    let bytes = 0;
    while (deliveries.length < most && this.#outstanding.size < pendingMax) {
      const sequence = this.#ready.peek();
      if (sequence === undefined) break;
      const held = this.#tools.find(sequence);
      const failures = held?.awaited.get(name);
      if (held !== undefined && failures !== undefined) {
        // One event always fits.
        if (deliveries.length > 0 && bytes + held.bytes > FETCH_BYTES_MAX) break;
        bytes += held.bytes;
        deliveries.push(this.#handOut(held, failures.attempts + 1, fence));
      }
      this.#ready.shift();
    }
    return deliveries;
  }

  #handOut({ sequence, event }: HeldEvent, attempt: number, fence: FencingToken | null): DeliveredEvent {
    const { ports, spec, nextDelivery, ranOut } = this.#tools;
    const { name, ackWaitMs } = spec();
    const delivery = nextDelivery();
    const timer = ports.clock.after(ackWaitMs * MICROS_PER_MS, () => ranOut(sequence));
    this.#outstanding.set(sequence, { delivery, attempt, timer });
    ports.telemetry.record(
      'event.delivered',
      { consumer: name, event: event.id, sequence, attempt, instance: fence?.instance ?? null, epoch: fence?.epoch ?? null },
      event.correlation,
    );
    return { event, sequence, delivery, attempt };
  }

  #answer(waiting: WaitingFetch, fetched: Fetched): void {
    if (waiting.isAnswered) return;
    waiting.isAnswered = true;
    waiting.timer.cancel();
    this.#waitingCount -= 1;
    waiting.answer(fetched);
  }

  #skipAnswered(): void {
    while (this.#waiting.peek()?.isAnswered === true) this.#waiting.shift();
  }
}
