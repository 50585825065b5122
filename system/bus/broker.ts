// The embedded broker's shell: requests in, deliveries out, time and storage between. The laws are in state.ts.
// Order: an entry is applied when it is appended; deliveries, answers and telemetry of it leave only when it is durable.
// Fencing (R1.3): publishing, fetching and settling with an epoch below an instance's fence is refused and recorded.
import type { ConsumerSpec, FetchEventsRequest, PublishRequest, SettleRequest } from '../domain/broker.ts';
import type { BusEvent, FailureReason, FencingToken, PublishAck } from '../domain/event.ts';
import type { ConsumerName, Epoch, InstanceId } from '../domain/identifiers.ts';
import { assert, describeError, failed, ok, rejected, unknown, type Outcome, type WmError } from '../domain/outcome.ts';
import { MICROS_PER_MS, MICROS_PER_S } from '../ports/clock.ts';
import type { Ports } from '../ports/ports.ts';
import { Desk, type Fetched } from './desk.ts';
import { backoffMs, bytesOf, isLetter } from '../domain/letter.ts';
import { BrokerLog } from './log.ts';
import { recover } from './recovery.ts';
import { BrokerState, type Entry, type HeldEvent } from './state.ts';

/** Bound: consumers of one broker. */
const CONSUMERS_MAX = 4_096;
/** Bound: memory of held events, when the configuration does not say. */
const QUEUE_BYTES_MAX = 64 * 1_024 * 1_024;
/** A process numbers its deliveries from its own start's multiple of this: no number is given twice. */
const DELIVERIES_PER_START = 4_294_967_296;
/** Bound: events between a copy of a broker's store and the day on which that is put back. */
const EVENTS_SINCE_COPY_MAX = 4_294_967_296;
/** A queue that gets shorter says so at most this often. */
const DEPTH_TOLD_MICROS = MICROS_PER_S;

export type BrokerConfig = {
  /** Bound: events held for consumers. A quarter is kept for what instances publish, so that full input never blocks output. */
  readonly queueEventsMax: number;
  /** Bound: bytes of them, divided in the same way; 64 MiB when absent. */
  readonly queueBytesMax?: number;
  /** Journal records after which a snapshot is made; 8,192 when absent. */
  readonly compactAfterRecords?: number;
  /** An older copy of its store was put in place: numbers that were given since are not given again. */
  readonly restored?: boolean;
};

export type BrokerPorts = Pick<Ports, 'clock' | 'random' | 'storage' | 'telemetry'>;

export class EmbeddedBroker {
  readonly #ports: BrokerPorts;
  readonly #config: BrokerConfig;
  readonly #fences = new Map<InstanceId, Epoch>();
  readonly #desks = new Map<ConsumerName, Desk>();
  #state = new BrokerState();
  /** Null before the start and after the end. */
  #log: BrokerLog | null = null;
  #nextDelivery = 0;
  #depthLevelTold = 0;
  #depthToldMicros = 0;
  readonly ended: Promise<string>;
  #end: (cause: string) => void = () => {};

  constructor(ports: BrokerPorts, config: BrokerConfig) {
    this.#ports = ports;
    this.#config = config;
    this.ended = new Promise((resolve) => (this.#end = resolve));
  }

  async start(): Promise<Outcome<void>> {
    const opened = await this.#ports.storage.journal('broker');
    if (!opened.ok) return opened;
    const recovered = await recover(opened.value);
    if (!recovered.ok) return recovered;
    const { state, records, bytes, untold } = recovered.value;
    const log = new BrokerLog(opened.value, {
      records,
      bytes,
      compactAfterRecords: this.#config.compactAfterRecords ?? null,
      onLost: (error) => this.#lose(error),
    });
    const started = this.#config.restored === true ? this.#goesBeyond(state) : ({ kind: 'started', start: state.starts + 1 } as const);
    const appended = log.append(started);
    if (!appended.ok) return appended;
    state.apply(started);
    // What was read is durable from here on, whoever wrote it.
    if (!(await log.durable())) return notKnown('the start');
    this.#state = state;
    this.#log = log;
    this.#nextDelivery = state.starts * DELIVERIES_PER_START;
    for (const { fact, correlation } of untold) this.#ports.telemetry.record(fact.kind, fact.fields, correlation);
    for (const name of state.consumers.keys()) this.#openDesk(name);
    for (const { sequence, awaited } of state.events.values()) for (const name of awaited.keys()) this.#desks.get(name)?.offer(sequence);
    for (const name of state.consumers.keys()) this.#buryExhausted(name);
    return ok();
  }

  /**
   * Safety: whoever holds a delivery of after the copy must not settle another event by its numbers. Microseconds besides, so
   * that the same copy that is put back twice does not number new events alike; starts by them alone (one in 72 minutes), or a process
   * that is always started so would run out of numbers. Put back twice within that, deliveries of what the copy itself holds may have
   * the same numbers again: those of instances are told apart by their fences.
   */
  #goesBeyond({ starts, nextSequence }: BrokerState): Entry & { readonly kind: 'started' } {
    const micros = Math.floor(this.#ports.clock.civilMs() * MICROS_PER_MS);
    return {
      kind: 'started',
      start: Math.max(starts + 1, Math.ceil(micros / DELIVERIES_PER_START)),
      nextSequence: Math.max(nextSequence + EVENTS_SINCE_COPY_MAX, micros),
    };
  }

  async stop(): Promise<void> {
    const log = this.#log;
    this.#close();
    await log?.durable();
  }

  /** Nothing is taken or handed out any more. */
  #close(): void {
    this.#log = null;
    for (const desk of this.#desks.values()) desk.close(notRunning());
    this.#desks.clear();
  }

  #lose(error: WmError): void {
    this.#close();
    this.#end(`the broker's journal failed: ${describeError(error)}`);
  }

  backlog(): { readonly depth: number; readonly bound: number } {
    return { depth: this.#state.events.size, bound: this.#config.queueEventsMax };
  }

  fence({ instance, epoch }: FencingToken): void {
    if (epoch <= (this.#fences.get(instance) ?? 0)) return;
    this.#fences.set(instance, epoch);
    this.#ports.telemetry.record('fence.raised', { instance, epoch });
    const why = (fence: FencingToken | null): Fetched | null => {
      const checked = fence?.instance === instance ? this.#checkFence('fetch', fence) : ok();
      return checked.ok ? null : checked;
    };
    for (const desk of this.#desks.values()) desk.dismiss(why);
  }

  async publish({ event, fence }: PublishRequest): Promise<Outcome<PublishAck>> {
    const log = this.#log;
    if (log === null) return notRunning();
    const fenced = this.#checkFence(`event ${event.id}`, fence);
    if (!fenced.ok) return fenced;
    const first = this.#state.known.find(event.id);
    if (first !== undefined) {
      if (!(await log.durable())) return notKnown(`event ${event.id}`);
      this.#ports.telemetry.record('event.duplicate', { event: event.id, subject: event.subject, sequence: first }, event.correlation);
      return ok({ sequence: first, duplicate: true });
    }
    const room = this.#checkRoom(event, fence);
    if (!room.ok) return room;
    const sequence = this.#state.nextSequence;
    const committed = this.#commit(log, { kind: 'event', sequence, event });
    if (!committed.ok) return committed;
    if (!(await log.durable())) return notKnown(`event ${event.id}`);
    this.#accepted(sequence, event, fence);
    return ok({ sequence, duplicate: false });
  }

  /** An event is durable: it is told, and delivered. */
  #accepted(sequence: number, event: BusEvent, fence: FencingToken | null): void {
    this.#ports.telemetry.record(
      'event.accepted',
      {
        event: event.id,
        subject: event.subject,
        sequence,
        bytes: event.data.length,
        instance: fence?.instance ?? null,
        epoch: fence?.epoch ?? null,
      },
      event.correlation,
    );
    this.#tellDepth();
    for (const name of this.#state.events.get(sequence)?.awaited.keys() ?? []) {
      const desk = this.#desks.get(name);
      desk?.offer(sequence);
      desk?.serve();
    }
  }

  /** Dead letters are not asked: they take the place of what they tell of. */
  #checkRoom(event: BusEvent, fence: FencingToken | null): Outcome<void> {
    const { queueEventsMax, queueBytesMax = QUEUE_BYTES_MAX } = this.#config;
    const share = (bound: number): number => (fence === null ? bound - Math.floor(bound / 4) : bound);
    const { events, bytesHeld } = this.#state;
    if (events.size < share(queueEventsMax) && bytesHeld + bytesOf(event) <= share(queueBytesMax)) return ok();
    this.#ports.telemetry.record('event.refused', { event: event.id, subject: event.subject, code: 'WM_BUS_FULL' }, event.correlation);
    this.#tellDepth();
    return rejected('WM_BUS_FULL', {
      message: `The broker holds ${events.size} unprocessed events of ${bytesHeld} bytes; the bounds are ${share(queueEventsMax)} and ${share(queueBytesMax)}. Event ${event.id} was not stored.`,
      next: 'Publish again later; consumers must catch up first.',
      detail: { events: events.size, eventsMax: share(queueEventsMax), bytes: bytesHeld, bytesMax: share(queueBytesMax) },
    });
  }

  async createConsumer(spec: ConsumerSpec): Promise<Outcome<void>> {
    const log = this.#log;
    if (log === null) return notRunning();
    const existing = this.#state.consumers.get(spec.name);
    if (existing === undefined && this.#state.consumers.size >= CONSUMERS_MAX) {
      return rejected('WM_ARGUMENT', {
        message: `The broker has ${CONSUMERS_MAX} consumers; ${spec.name} would be one more than its bound.`,
        next: 'Delete consumers that nobody uses.',
        detail: { consumersMax: CONSUMERS_MAX },
      });
    }
    const from = existing?.from ?? this.#state.nextSequence;
    const committed = this.#commit(log, { kind: 'consumer', spec, from });
    if (!committed.ok) return committed;
    const desk = this.#desks.get(spec.name) ?? this.#openDesk(spec.name);
    if (existing !== undefined) {
      desk.watchIdle();
      this.#buryExhausted(spec.name);
      desk.serve();
    }
    if (!(await log.durable())) return notKnown(`consumer ${spec.name}`);
    if (existing === undefined) this.#ports.telemetry.record('consumer.created', { consumer: spec.name, filter: spec.filter, next: from });
    return ok();
  }

  async deleteConsumer(name: ConsumerName): Promise<Outcome<void>> {
    const log = this.#log;
    if (log === null) return notRunning();
    if (this.#state.consumers.has(name)) {
      const committed = this.#commit(log, { kind: 'consumer-deleted', name });
      if (!committed.ok) return committed;
      this.#desks.get(name)?.close(noConsumer(name));
      this.#desks.delete(name);
      this.#tellDepth();
    }
    return (await log.durable()) ? ok() : notKnown(`the end of consumer ${name}`);
  }

  listConsumers(): Promise<Outcome<readonly ConsumerName[]>> {
    return Promise.resolve(this.#log === null ? notRunning() : ok([...this.#state.consumers.keys()]));
  }

  #openDesk(name: ConsumerName): Desk {
    const { clock, telemetry } = this.#ports;
    let { spec } = this.#consumer(name);
    const desk = new Desk({
      ports: { clock, telemetry },
      spec: () => (spec = this.#state.consumers.get(name)?.spec ?? spec),
      find: (sequence) => this.#state.events.get(sequence),
      nextDelivery: () => (this.#nextDelivery += 1),
      ranOut: (sequence) => {
        const { ackWaitMs } = this.#consumer(name).spec;
        void this.#fail(name, sequence, { code: 'WM_DEADLINE', message: `It was not settled within ${ackWaitMs} ms.` });
      },
      // A crash before the deletion is durable gives it a full time again.
      fellIdle: () => void this.deleteConsumer(name),
    });
    this.#desks.set(name, desk);
    return desk;
  }

  async fetch(request: FetchEventsRequest): Promise<Fetched> {
    if (this.#log === null) return notRunning();
    const fenced = this.#checkFence('fetch', request.fence);
    if (!fenced.ok) return fenced;
    const desk = this.#desks.get(request.consumer);
    return desk === undefined ? noConsumer(request.consumer) : desk.fetch(request);
  }

  withdraw(consumer: ConsumerName, { instance, epoch }: FencingToken): Promise<Outcome<void>> {
    this.#desks.get(consumer)?.dismiss((fence) => (fence?.instance === instance && fence.epoch === epoch ? ok([]) : null));
    return Promise.resolve(ok());
  }

  async settle(request: SettleRequest): Promise<Outcome<void>> {
    const { consumer, sequence, settlement, fence } = request;
    const log = this.#log;
    if (log === null) return notRunning();
    const fenced = this.#checkFence(`settlement of event ${sequence} for ${consumer}`, fence);
    if (!fenced.ok) return fenced;
    const desk = this.#desks.get(consumer);
    if (desk === undefined) return noConsumer(consumer);
    const held = this.#state.events.get(sequence);
    const outstanding = desk.findOutstanding(sequence);
    if (held === undefined || outstanding?.delivery !== request.delivery) {
      // The answer to an earlier settlement may have been lost: saying it again changes nothing.
      const isSettled = sequence < this.#state.nextSequence && held?.awaited.has(consumer) !== true;
      if (isSettled && settlement.kind === 'ack') return (await log.durable()) ? ok() : notKnown(`the end of event ${sequence}`);
      return noDelivery(request);
    }
    switch (settlement.kind) {
      case 'ack':
        return this.#acknowledge(request, held, outstanding.attempt);
      case 'nak':
        return this.#fail(consumer, sequence, settlement.reason);
      case 'term':
        return this.#bury(consumer, held, { attempt: outstanding.attempt, reason: settlement.reason });
      case 'release':
        // Not journalled: a broker that forgets it hands the event out again all the same.
        desk.release(sequence);
        desk.offer(sequence);
        desk.serve();
        return ok();
    }
  }

  async #acknowledge({ consumer, sequence, fence }: SettleRequest, { event }: HeldEvent, attempt: number): Promise<Outcome<void>> {
    const log = this.#log;
    if (log === null) return notRunning();
    const committed = this.#commit(log, { kind: 'settled', consumer, sequence, attempt });
    if (!committed.ok) return committed;
    const desk = this.#desks.get(consumer);
    desk?.release(sequence);
    desk?.serve();
    if (!(await log.durable())) return notKnown(`the end of event ${event.id}`);
    this.#ports.telemetry.record(
      'event.acknowledged',
      { consumer, event: event.id, sequence, attempt, instance: fence?.instance ?? null, epoch: fence?.epoch ?? null },
      event.correlation,
    );
    this.#tellDepth();
    return ok();
  }

  /** A delivery was refused or ran out: again after the backoff, or dead-lettered when it was the last (R9.3). */
  async #fail(consumer: ConsumerName, sequence: number, reason: FailureReason): Promise<Outcome<void>> {
    const log = this.#log;
    const desk = this.#desks.get(consumer);
    const held = this.#state.events.get(sequence);
    const attempt = desk?.findOutstanding(sequence)?.attempt;
    if (log === null || desk === undefined || held === undefined || attempt === undefined) return ok();
    const { spec } = this.#consumer(consumer);
    if (attempt >= spec.deliveriesMax) return this.#bury(consumer, held, { attempt, reason });
    const committed = this.#commit(log, { kind: 'failed', consumer, sequence, attempt, reason });
    if (!committed.ok) return committed;
    desk.release(sequence);
    desk.serve();
    // Before the next attempt, or an event that ends the broker each time would have its first attempt for ever.
    if (!(await log.durable())) return notKnown(`the failure of event ${held.event.id}`);
    const stream = this.#ports.random.stream(`broker/backoff/${consumer}`);
    const delayMs = backoffMs(spec, attempt, (bound) => stream.below(bound));
    this.#ports.telemetry.record(
      'event.retried',
      { consumer, event: held.event.id, sequence, attempt, delayMs, code: reason.code },
      held.event.correlation,
    );
    // The consumer may have been deleted meanwhile, and one of its name made again.
    if (this.#desks.get(consumer) === desk) desk.offerAfter(delayMs, sequence);
    return ok();
  }

  /** R9.3: let go, with a letter that tells its history. Both are one record, so that neither is ever alone. */
  async #bury(
    consumer: ConsumerName,
    { event, sequence }: HeldEvent,
    last: { readonly attempt: number; readonly reason: FailureReason },
  ): Promise<Outcome<void>> {
    const log = this.#log;
    if (log === null) return notRunning();
    const { attempt, reason } = last;
    const entry: Entry = { kind: 'dead', consumer, sequence, attempt, reason, letter: isLetter(event) ? null : this.#state.nextSequence };
    const letter = this.#state.letter(entry);
    const committed = this.#commit(log, entry);
    if (!committed.ok) return committed;
    const desk = this.#desks.get(consumer);
    desk?.release(sequence);
    desk?.serve();
    if (!(await log.durable())) return notKnown(`the end of event ${event.id}`);
    this.#ports.telemetry.record(
      'event.deadlettered',
      { consumer, event: event.id, sequence, attempts: attempt, code: reason.code },
      event.correlation,
    );
    if (letter !== null && entry.letter !== null) this.#accepted(entry.letter, letter, null);
    return ok();
  }

  /** Fewer deliveries are allowed than before: what has had as many, and is with nobody, is over. */
  #buryExhausted(consumer: ConsumerName): void {
    const { deliveriesMax } = this.#consumer(consumer).spec;
    for (const held of [...this.#state.events.values()]) {
      const failures = held.awaited.get(consumer);
      const reason = failures?.reasons.at(-1);
      if (failures === undefined || reason === undefined || failures.attempts < deliveriesMax) continue;
      if (this.#desks.get(consumer)?.findOutstanding(held.sequence) === undefined)
        void this.#bury(consumer, held, { attempt: failures.attempts, reason });
    }
  }

  #consumer(name: ConsumerName): { readonly spec: ConsumerSpec } {
    const consumer = this.#state.consumers.get(name);
    assert(consumer !== undefined, `consumer ${name} exists as long as its desk`);
    return consumer;
  }

  #commit(log: BrokerLog, entry: Entry): Outcome<void> {
    const appended = log.append(entry);
    if (!appended.ok) return appended;
    this.#state.apply(entry);
    void log.compactWhenDue(this.#state);
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

  /** When the queue grows past a power of two, and when it has shrunk past one, at a bounded rate: enough to see every storm. */
  #tellDepth(): void {
    const depth = this.#state.events.size;
    const level = depth === 0 ? 0 : 32 - Math.clz32(depth);
    const now = this.#ports.clock.monotonicMicros();
    const told = this.#depthLevelTold;
    const isStormOver = level === 0 && told > 2;
    const isShorter = level < told && now - this.#depthToldMicros >= DEPTH_TOLD_MICROS;
    if (level <= told && !isStormOver && !isShorter) return;
    this.#depthLevelTold = level;
    this.#depthToldMicros = now;
    this.#ports.telemetry.record('queue.depth', { queue: 'broker', depth, bound: this.#config.queueEventsMax });
  }
}

function noConsumer(name: ConsumerName): Outcome<never> {
  return rejected('WM_BUS_CONSUMER_UNKNOWN', { message: `There is no consumer ${name}.`, next: 'Create the consumer first.' });
}

function noDelivery({ consumer, sequence, delivery }: SettleRequest): Outcome<never> {
  return rejected('WM_NOT_FOUND', {
    message: `Delivery ${delivery} of event ${sequence} for ${consumer} ran out, or never was.`,
    next: 'Nothing: whoever holds the newer delivery settles it.',
  });
}

function notRunning(): Outcome<never> {
  return failed('WM_CANCELLED', { message: 'The broker is not running.', next: 'Try again when it has started.' });
}

function notKnown(what: string): Outcome<never> {
  return unknown('WM_STORAGE_FAILED', {
    message: `It is not known whether ${what} was stored: the broker's journal failed.`,
    next: 'Repeat it under the same identifier when the broker has recovered.',
  });
}
