// The embedded broker's shell: requests in, deliveries out, time and storage between. Decisions are in state.ts.
// Order: an event is delivered only when it is durable, an acknowledgement is answered only when it is durable.
// Fencing (R1.3): publishing, fetching and settling with an epoch below an instance's fence is refused and recorded.
import {
  CONSUMER_METHOD,
  FETCH_EVENTS_METHOD,
  PUBLISH_METHOD,
  SETTLE_METHOD,
  type ConsumerSpec,
  type DeliveredEvent,
  type FetchEventsRequest,
  type PublishRequest,
  type SettleRequest,
} from '../domain/broker.ts';
import { DEAD_LETTER_PREFIX, type BusEvent, type FailureReason, type FencingToken, type PublishAck } from '../domain/event.ts';
import type { ConsumerName, Epoch, EventId, InstanceId, Subject } from '../domain/identifiers.ts';
import { describeError, ok, rejected, unknown, type Outcome, type WmError } from '../domain/outcome.ts';
import { MICROS_PER_MS, type Timer } from '../ports/clock.ts';
import type { PeerIdentity } from '../ports/network.ts';
import type { Ports } from '../ports/ports.ts';
import { decodeConsumerRequest, decodeFetchEventsRequest, decodePublishRequest, decodeSettleRequest, encodeFetchEventsReply, encodePublishReply } from '../wire/codec/broker.ts';
import { BrokerLog } from './log.ts';
import { backoffMs, BrokerState, FAILURES_TOLD_MAX, type ConsumerState, type HeldEvent, type Outstanding } from './state.ts';

/** Bound: time a fetch is held open. */
const WAIT_MS_MAX = 30_000;
/** Bound: deliveries answered to one fetch, and bytes of their data, so that the reply stays one message. */
const FETCH_EVENTS_MAX = 256;
const FETCH_BYTES_MAX = 1024 * 1024;
/** Bound: fetches waiting at one consumer. */
const WAITING_FETCHES_MAX = 4_096;

export type BrokerConfig = {
  /** Bound: events held for consumers. A quarter is kept for what instances publish, so that full input never blocks output. */
  readonly queueEventsMax: number;
};

export type BrokerPorts = Pick<Ports, 'clock' | 'random' | 'storage' | 'telemetry'>;

type WaitingFetch = {
  readonly fence: FencingToken | null;
  readonly eventsMax: number;
  readonly answer: (outcome: Outcome<Uint8Array>) => void;
  readonly timer: Timer;
};

/** What is known of a consumer only until the process ends. */
type ConsumerShell = {
  readonly waiting: WaitingFetch[];
  /** Ack-wait or backoff timer by sequence. */
  readonly timers: Map<number, Timer>;
  readonly fences: Map<number, FencingToken | null>;
};

export class EmbeddedBroker {
  readonly #ports: BrokerPorts;
  readonly #config: BrokerConfig;
  readonly #fences = new Map<InstanceId, Epoch>();
  readonly #shells = new Map<ConsumerName, ConsumerShell>();
  /** Publications on their way to the disk, by event identifier. */
  readonly #publishing = new Map<EventId, Promise<Outcome<PublishAck>>>();
  #state = new BrokerState();
  /** Sequence of the next event to be journalled; ahead of the state's while events are on their way to the disk. */
  #nextSequence = 1;
  #log: BrokerLog | null = null;
  #depthTold = 0;
  #compacting = false;
  readonly ended: Promise<string>;
  #end: (cause: string) => void = () => {};

  constructor(ports: BrokerPorts, config: BrokerConfig) {
    this.#ports = ports;
    this.#config = config;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  async start(): Promise<Outcome<void>> {
    const opened = await BrokerLog.open(this.#ports, (error) => this.#lost(error));
    if (!opened.ok) return opened;
    this.#log = opened.value.log;
    this.#state = opened.value.state;
    this.#nextSequence = this.#state.nextSequence;
    return ok();
  }

  async stop(): Promise<void> {
    if (this.#log === null) return;
    await this.#log.durable();
    for (const shell of this.#shells.values()) {
      for (const timer of shell.timers.values()) timer.cancel();
      for (const waiting of shell.waiting) this.#answerWaiting(waiting, cancelled());
      shell.waiting.length = 0;
    }
    this.#log = null;
  }

  fence({ instance, epoch }: FencingToken): void {
    if (epoch <= (this.#fences.get(instance) ?? 0)) return;
    this.#fences.set(instance, epoch);
    this.#ports.telemetry.record('fence.raised', { instance, epoch });
    for (const shell of this.#shells.values()) {
      for (const waiting of shell.waiting.filter((candidate) => candidate.fence?.instance === instance)) {
        const stale = this.#checkFence('fetch', waiting.fence);
        if (stale.ok) continue;
        shell.waiting.splice(shell.waiting.indexOf(waiting), 1);
        this.#answerWaiting(waiting, stale);
      }
    }
  }

  async handleCall(method: string, _peer: PeerIdentity, bytes: Uint8Array): Promise<Outcome<Uint8Array>> {
    switch (method) {
      case PUBLISH_METHOD: {
        const request = decodePublishRequest(bytes);
        if (!request.ok) return request;
        const ack = await this.publish(request.value);
        return ack.ok ? ok(encodePublishReply(ack.value)) : ack;
      }
      case FETCH_EVENTS_METHOD: {
        const request = decodeFetchEventsRequest(bytes);
        return request.ok ? this.#fetch(request.value) : request;
      }
      case SETTLE_METHOD: {
        const request = decodeSettleRequest(bytes);
        if (!request.ok) return request;
        const settled = await this.#settle(request.value);
        return settled.ok ? ok(new Uint8Array()) : settled;
      }
      case CONSUMER_METHOD: {
        const request = decodeConsumerRequest(bytes);
        if (!request.ok) return request;
        const changed = request.value.kind === 'create' ? await this.createConsumer(request.value.spec) : await this.deleteConsumer(request.value.name);
        return changed.ok ? ok(new Uint8Array()) : changed;
      }
      default:
        return rejected('WM_MESSAGE_INVALID', { message: `The broker has no method ${method}.`, next: 'Use Publish, Fetch, Settle or Consumer.' });
    }
  }

  publish(request: PublishRequest): Promise<Outcome<PublishAck>> {
    const { event, fence } = request;
    const fenced = this.#checkFence(`event ${event.id}`, fence);
    if (!fenced.ok) return Promise.resolve(fenced);
    const sequence = this.#state.known.get(event.id);
    if (sequence !== undefined) {
      this.#ports.telemetry.record('event.duplicate', { event: event.id, subject: event.subject, sequence }, event.correlation);
      return Promise.resolve(ok({ sequence, duplicate: true }));
    }
    const under = this.#publishing.get(event.id);
    if (under !== undefined) return under.then((ack) => (ack.ok ? ok({ ...ack.value, duplicate: true }) : ack));
    const room = this.#checkRoom(event, fence);
    if (!room.ok) return Promise.resolve(room);
    const publishing = this.#accept(event, fence);
    this.#publishing.set(event.id, publishing);
    return publishing;
  }

  #checkRoom(event: BusEvent, fence: FencingToken | null): Outcome<void> {
    const held = this.#state.events.size + this.#publishing.size;
    const bound = fence === null ? this.#config.queueEventsMax - Math.floor(this.#config.queueEventsMax / 4) : this.#config.queueEventsMax;
    if (held < bound) return ok();
    this.#ports.telemetry.record('event.refused', { event: event.id, subject: event.subject, code: 'WM_BUS_FULL' }, event.correlation);
    return rejected('WM_BUS_FULL', {
      message: `The broker holds ${held} unprocessed events; the bound is ${bound}. Event ${event.id} was not stored.`,
      next: 'Publish again later; consumers must catch up first.',
      detail: { held, bound },
    });
  }

  async #accept(event: BusEvent, fence: FencingToken | null): Promise<Outcome<PublishAck>> {
    const log = this.#log;
    if (log === null) return cancelled();
    const sequence = this.#nextSequence;
    this.#nextSequence += 1;
    const appended = log.append({ kind: 'event', sequence, event });
    const durable = appended.ok && (await log.durable());
    this.#publishing.delete(event.id);
    if (!durable) return notKnown(event.id);
    this.#state.apply({ kind: 'event', sequence, event });
    this.#ports.telemetry.record(
      'event.accepted',
      { event: event.id, subject: event.subject, sequence, bytes: event.data.length, instance: fence?.instance ?? null, epoch: fence?.epoch ?? null },
      event.correlation,
    );
    this.#tellDepth();
    const held = this.#state.events.get(sequence);
    if (held !== undefined) for (const name of [...held.waiting]) this.#serve(name);
    this.#compactWhenDue();
    return ok({ sequence, duplicate: false });
  }

  async createConsumer(spec: ConsumerSpec): Promise<Outcome<void>> {
    const log = this.#log;
    if (log === null) return cancelled();
    const existing = this.#state.consumers.get(spec.name);
    const from = existing?.from ?? this.#nextSequence;
    const entry = { kind: 'consumer', spec, from } as const;
    const appended = log.append(entry);
    if (!appended.ok) return appended;
    // Applied at once: an event accepted from here on is delivered to it, as its `from` says.
    this.#state.apply(entry);
    if (!(await log.durable())) return notKnown(spec.name);
    if (existing === undefined) this.#ports.telemetry.record('consumer.created', { consumer: spec.name, filter: spec.filter, next: from });
    return ok();
  }

  async deleteConsumer(name: ConsumerName): Promise<Outcome<void>> {
    const log = this.#log;
    if (log === null) return cancelled();
    if (!this.#state.consumers.has(name)) return ok();
    const appended = log.append({ kind: 'consumer-deleted', name });
    if (!appended.ok) return appended;
    const shell = this.#shells.get(name);
    this.#state.apply({ kind: 'consumer-deleted', name });
    this.#shells.delete(name);
    for (const timer of shell?.timers.values() ?? []) timer.cancel();
    for (const waiting of shell?.waiting ?? []) this.#answerWaiting(waiting, noConsumer(name));
    return (await log.durable()) ? ok() : notKnown(name);
  }

  async #fetch(request: FetchEventsRequest): Promise<Outcome<Uint8Array>> {
    const fenced = this.#checkFence('fetch', request.fence);
    if (!fenced.ok) return fenced;
    const consumer = this.#state.consumers.get(request.consumer);
    if (consumer === undefined) return noConsumer(request.consumer);
    const eventsMax = Math.min(request.eventsMax, FETCH_EVENTS_MAX);
    const shell = this.#shellOf(request.consumer);
    // First come, first served: whoever waits already has the right to the next event.
    const deliveries = shell.waiting.length === 0 ? this.#deliver(request.consumer, consumer, eventsMax, request.fence) : [];
    if (deliveries.length > 0 || request.waitMs === 0 || shell.waiting.length >= WAITING_FETCHES_MAX) return ok(encodeFetchEventsReply({ deliveries }));
    return new Promise((answer) => {
      const timer = this.#ports.clock.after(Math.min(request.waitMs, WAIT_MS_MAX) * MICROS_PER_MS, () => {
        const i = shell.waiting.indexOf(waiting);
        if (i >= 0) shell.waiting.splice(i, 1);
        answer(ok(encodeFetchEventsReply({ deliveries: [] })));
      });
      const waiting: WaitingFetch = { fence: request.fence, eventsMax, answer, timer };
      shell.waiting.push(waiting);
    });
  }

  /** Hands ready events to the fetches that wait for them. */
  #serve(name: ConsumerName): void {
    const consumer = this.#state.consumers.get(name);
    const shell = this.#shellOf(name);
    while (consumer !== undefined && shell.waiting.length > 0) {
      const waiting = shell.waiting[0];
      if (waiting === undefined) return;
      const deliveries = this.#deliver(name, consumer, waiting.eventsMax, waiting.fence);
      if (deliveries.length === 0) return;
      shell.waiting.shift();
      this.#answerWaiting(waiting, ok(encodeFetchEventsReply({ deliveries })));
    }
  }

  #answerWaiting(waiting: WaitingFetch, outcome: Outcome<Uint8Array>): void {
    waiting.timer.cancel();
    waiting.answer(outcome);
  }

  #deliver(name: ConsumerName, consumer: ConsumerState, eventsMax: number, fence: FencingToken | null): readonly DeliveredEvent[] {
    const shell = this.#shellOf(name);
    const deliveries: DeliveredEvent[] = [];
    let bytes = 0;
    while (deliveries.length < eventsMax && bytes < FETCH_BYTES_MAX) {
      const [taken] = this.#state.take(consumer, 1);
      if (taken === undefined) break;
      const { held, outstanding } = taken;
      bytes += held.event.data.length;
      shell.fences.set(held.sequence, fence);
      shell.timers.set(
        held.sequence,
        this.#ports.clock.after(consumer.spec.ackWaitMs * MICROS_PER_MS, () =>
          this.#failDelivery(name, consumer, held, outstanding, { code: 'WM_DEADLINE', message: `not settled within ${consumer.spec.ackWaitMs} ms` }, true),
        ),
      );
      this.#ports.telemetry.record(
        'event.delivered',
        { consumer: name, event: held.event.id, sequence: held.sequence, attempt: outstanding.attempt, instance: fence?.instance ?? null, epoch: fence?.epoch ?? null },
        held.event.correlation,
      );
      deliveries.push({ event: held.event, sequence: held.sequence, delivery: outstanding.delivery, attempt: outstanding.attempt });
    }
    return deliveries;
  }

  async #settle(request: SettleRequest): Promise<Outcome<void>> {
    const fenced = this.#checkFence(`settlement of ${request.consumer} ${request.sequence}`, request.fence);
    if (!fenced.ok) return fenced;
    const consumer = this.#state.consumers.get(request.consumer);
    if (consumer === undefined) return noConsumer(request.consumer);
    const held = this.#state.events.get(request.sequence);
    const outstanding = consumer.outstanding.get(request.sequence);
    if (held === undefined || outstanding?.delivery !== request.delivery) {
      const settled = held === undefined || !held.waiting.has(request.consumer);
      // The answer to an earlier settlement may have been lost: saying it again changes nothing.
      if (settled && request.settlement.kind === 'ack') return ok();
      return rejected('WM_NOT_FOUND', {
        message: `Delivery ${request.delivery} of event ${request.sequence} for ${request.consumer} ran out, and was given to another.`,
        next: 'Nothing: whoever holds the newer delivery settles it.',
      });
    }
    switch (request.settlement.kind) {
      case 'ack':
        return this.#acknowledge(request, held, outstanding);
      case 'nak':
        this.#failDelivery(request.consumer, consumer, held, outstanding, request.settlement.reason, false);
        return ok();
      case 'term':
        return this.#bury(request.consumer, consumer, held, outstanding.attempt, request.settlement.reason);
    }
  }

  async #acknowledge(request: SettleRequest, held: HeldEvent, outstanding: Outstanding): Promise<Outcome<void>> {
    const { consumer, sequence, fence } = request;
    const log = this.#log;
    if (log === null) return cancelled();
    const appended = log.append({ kind: 'settled', consumer, sequence });
    if (!appended.ok) return appended;
    this.#stopTimer(consumer, sequence);
    this.#state.apply({ kind: 'settled', consumer, sequence });
    this.#serve(consumer);
    if (!(await log.durable())) return notKnown(held.event.id);
    this.#ports.telemetry.record(
      'event.acknowledged',
      { consumer, event: held.event.id, sequence, attempt: outstanding.attempt, instance: fence?.instance ?? null, epoch: fence?.epoch ?? null },
      held.event.correlation,
    );
    this.#tellDepth();
    this.#compactWhenDue();
    return ok();
  }

  /** A delivery was refused or ran out: again after the backoff, or dead-lettered when it was the last. */
  #failDelivery(name: ConsumerName, consumer: ConsumerState, held: HeldEvent, outstanding: Outstanding, reason: FailureReason, ranOut: boolean): void {
    const { sequence } = held;
    if (consumer.outstanding.get(sequence)?.delivery !== outstanding.delivery) return;
    this.#stopTimer(name, sequence);
    consumer.outstanding.delete(sequence);
    const failure = { kind: 'failed', consumer: name, sequence, attempt: outstanding.attempt, reason } as const;
    if (this.#log?.append(failure).ok !== true) return;
    this.#state.apply(failure);
    if (outstanding.attempt >= consumer.spec.deliveriesMax) {
      void this.#bury(name, consumer, held, outstanding.attempt, reason);
      return;
    }
    // What ran out has waited long enough; what was refused is given time to get well.
    const delayMs = ranOut ? 0 : backoffMs(consumer.spec, outstanding.attempt, (bound) => this.#ports.random.stream('backoff').below(bound));
    this.#ports.telemetry.record(
      'event.retried',
      { consumer: name, event: held.event.id, sequence, attempt: outstanding.attempt, delayMs, code: reason.code },
      held.event.correlation,
    );
    this.#shellOf(name).timers.set(
      sequence,
      this.#ports.clock.after(delayMs * MICROS_PER_MS, () => {
        this.#stopTimer(name, sequence);
        if (!held.waiting.has(name) || this.#state.consumers.get(name) !== consumer) return;
        consumer.ready.push(sequence);
        this.#serve(name);
      }),
    );
    this.#serve(name);
  }

  /** R9.3: dead-lettered with its history. The letter is durable before the event is let go. */
  async #bury(name: ConsumerName, consumer: ConsumerState, held: HeldEvent, attempts: number, last: FailureReason): Promise<Outcome<void>> {
    const { event, sequence } = held;
    this.#stopTimer(name, sequence);
    consumer.outstanding.delete(sequence);
    const history = (consumer.failures.get(sequence) ?? [last]).slice(-FAILURES_TOLD_MAX);
    const letter: BusEvent = {
      ...event,
      id: `${event.id}/dead/${name}` as EventId,
      subject: `${DEAD_LETTER_PREFIX}.${name}` as Subject,
      headers: { ...event.headers, source: event.id, subject: event.subject, attempts: String(attempts), code: last.code, history: history.map((failure) => failure.code).join(' ') },
    };
    const log = this.#log;
    if (log === null) return cancelled();
    const lettered = this.#state.known.has(letter.id) ? ok() : await this.#accept(letter, null);
    if (!lettered.ok) return lettered;
    const appended = log.append({ kind: 'settled', consumer: name, sequence });
    if (!appended.ok) return appended;
    this.#state.apply({ kind: 'settled', consumer: name, sequence });
    if (!(await log.durable())) return notKnown(event.id);
    this.#ports.telemetry.record('event.deadlettered', { consumer: name, event: event.id, sequence, attempts, code: last.code }, event.correlation);
    this.#tellDepth();
    return ok();
  }

  #checkFence(what: string, fence: FencingToken | null): Outcome<void> {
    const current = fence === null ? undefined : this.#fences.get(fence.instance);
    if (fence === null || current === undefined || fence.epoch >= current) return ok();
    this.#ports.telemetry.record('effect.fenced', { what, instance: fence.instance, epoch: fence.epoch, current });
    return rejected('WM_FENCED', {
      message: `Instance ${fence.instance} was placed elsewhere (epoch ${current}); its ${what} in epoch ${fence.epoch} is refused.`,
      next: 'Nothing: the successor handles the event.',
    });
  }

  #shellOf(name: ConsumerName): ConsumerShell {
    const shell = this.#shells.get(name) ?? { waiting: [], timers: new Map(), fences: new Map() };
    this.#shells.set(name, shell);
    return shell;
  }

  #stopTimer(name: ConsumerName, sequence: number): void {
    const shell = this.#shells.get(name);
    shell?.timers.get(sequence)?.cancel();
    shell?.timers.delete(sequence);
    shell?.fences.delete(sequence);
  }

  /** Told when the depth crosses a power of two, up or down, and at the bound: enough to see every storm, cheap in calm. */
  #tellDepth(): void {
    const depth = this.#state.events.size;
    const level = depth === 0 ? 0 : 32 - Math.clz32(depth);
    if (level === this.#depthTold && depth < this.#config.queueEventsMax) return;
    this.#depthTold = level;
    this.#ports.telemetry.record('queue.depth', { queue: 'broker', depth, bound: this.#config.queueEventsMax });
  }

  #compactWhenDue(): void {
    const log = this.#log;
    if (log === null || !log.wantsCompaction || this.#compacting || this.#nextSequence !== this.#state.nextSequence) return;
    this.#compacting = true;
    void log.compact(this.#state).then(() => (this.#compacting = false));
  }

  #lost(error: WmError): void {
    this.#end(`the broker's journal failed: ${describeError(error)}`);
  }
}

function noConsumer(name: ConsumerName): Outcome<never> {
  return rejected('WM_BUS_CONSUMER_UNKNOWN', { message: `There is no consumer ${name}.`, next: 'Create the consumer first.' });
}

function cancelled(): Outcome<never> {
  return unknown('WM_CONNECTION_LOST', { message: 'The broker is stopping.', next: 'Connect again, observe, repeat.' });
}

function notKnown(what: string): Outcome<never> {
  return unknown('WM_STORAGE_FAILED', { message: `It is not known whether ${what} was stored: the broker's journal failed.`, next: 'Repeat it under the same identifier.' });
}
