// The bus on JetStream: requests in, deliveries out. What a delivery is worth (its attempt, its history, its end) is decided here,
// what is stored and handed out by the server.
import type { Msg } from '@nats-io/transport-node';
import type { ConsumerSpec, DeliveredEvent, Settlement } from '../../system/domain/broker.ts';
import type { BusEvent, FailureReason, FencingToken, PublishAck } from '../../system/domain/event.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { addFailure, backoffMs, isLetter, letterOf, type Failures } from '../../system/domain/letter.ts';
import { failed, ok, rejected, type Err, type Outcome } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Bus } from '../../system/ports/bus.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { NatsLink } from '../nats/nats.ts';
import { Consumers } from './consumers.ts';
import { failuresOf, Histories, NO_HISTORY, ranOut, withFailure, type History } from './failures.ts';
import { Fences } from './fences.ts';
import { HeldDeliveries, type Held } from './held.ts';
import { decodeEvent, placeOf, type Place } from './message.ts';
import type { Names } from './names.ts';
import { Publisher } from './publishing.ts';
import { pull, type Pull, type PullRequest } from './pull.ts';
import type { StreamLimits } from './streams.ts';

/** Bound: deliveries answered to one fetch. */
const FETCH_EVENTS_MAX = 256;
/** Bound: time a fetch is held open. */
const WAIT_MS_MAX = 30_000;
/** How long a look lasts at what is there; for the rest of the wait only the first event is asked for. */
const LOOK_MS_MIN = 50;
const LOOK_MS_MAX = 200;
/** Bound: the settlement of a delivery. */
const SETTLE_MS_MAX = 5_000;
const NANOS_PER_MS = 1_000_000;

export type JetStreamBusTools = {
  readonly link: NatsLink;
  readonly ports: Pick<Ports, 'clock' | 'random' | 'telemetry'>;
  readonly names: Names;
  readonly limits: StreamLimits;
};

export type NatsBus = Bus & {
  /** Resolves when effects of this instance with a lower epoch are refused. It lasts: also over restarts of everything. */
  fence(token: FencingToken): Promise<Outcome<void>>;
  /** Names of all consumers of events. */
  listConsumers(): Promise<Outcome<readonly ConsumerName[]>>;
  /** Events that were held when this process last looked, and how many may be; null when it never did. */
  backlog(): { readonly depth: number; readonly bound: number } | null;
};

type Named = Pick<DeliveredEvent, 'sequence' | 'delivery'>;
type Options = { readonly fence: FencingToken | null };

/** A fetch, and the pull that it waits for; null between two of them. */
type Asking = { readonly consumer: ConsumerName; readonly fence: FencingToken | null; pull: Pull | null; isWithdrawn: boolean };

export class JetStreamBus implements NatsBus {
  readonly #tools: JetStreamBusTools;
  readonly #consumers: Consumers;
  readonly #fences: Fences;
  readonly #histories: Histories;
  readonly #held: HeldDeliveries;
  readonly #publisher: Publisher;
  /** Fetches that wait. Bound: those of this process. */
  readonly #asking = new Set<Asking>();
  #closed = false;

  constructor(tools: JetStreamBusTools) {
    this.#tools = tools;
    const { link, names, ports, limits } = tools;
    this.#consumers = new Consumers(link, names, ports);
    this.#histories = new Histories(link, names);
    this.#held = new HeldDeliveries(ports.clock);
    this.#fences = new Fences({ link, names, limits, telemetry: ports.telemetry });
    this.#publisher = new Publisher({ link, names, telemetry: ports.telemetry, fences: this.#fences });
  }

  fence(token: FencingToken): Promise<Outcome<void>> {
    return this.#fences.raise(token);
  }

  publish(event: BusEvent, options: Options & { readonly deadlineMicros: number }): Promise<Outcome<PublishAck>> {
    return this.#closed ? Promise.resolve(isClosed()) : this.#publisher.publish(event, options);
  }

  backlog(): { readonly depth: number; readonly bound: number } | null {
    return this.#publisher.backlog();
  }

  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>> {
    return this.#closed ? Promise.resolve(isClosed()) : this.#consumers.create(spec);
  }

  async deleteConsumer(name: ConsumerName): Promise<Outcome<void>> {
    if (this.#closed) return isClosed();
    const deleted = await this.#consumers.delete(name);
    return deleted.ok ? this.#histories.forget(name) : deleted;
  }

  listConsumers(): Promise<Outcome<readonly ConsumerName[]>> {
    return this.#closed ? Promise.resolve(isClosed()) : this.#consumers.list();
  }

  async fetch(
    consumer: ConsumerName,
    options: Options & { readonly eventsMax: number; readonly waitMs: number },
  ): Promise<Outcome<readonly DeliveredEvent[]>> {
    const asking: Asking = { consumer, fence: options.fence, pull: null, isWithdrawn: false };
    this.#asking.add(asking);
    const fetched = await this.#ask(asking, options);
    this.#asking.delete(asking);
    return fetched;
  }

  async #ask(
    asking: Asking,
    { eventsMax, waitMs }: { readonly eventsMax: number; readonly waitMs: number },
  ): Promise<Outcome<readonly DeliveredEvent[]>> {
    const { consumer, fence } = asking;
    const { clock } = this.#tools.ports;
    const endMicros = clock.monotonicMicros() + Math.min(waitMs, WAIT_MS_MAX) * MICROS_PER_MS;
    const batch = Math.max(1, Math.min(eventsMax, FETCH_EVENTS_MAX));
    for (;;) {
      if (this.#closed) return isClosed();
      if (asking.isWithdrawn) return ok([]);
      const fenced = fence === null ? ok() : await this.#fences.check('fetch', fence);
      if (!fenced.ok) return fenced;
      const spec = await this.#consumers.get(consumer);
      if (!spec.ok) return spec;
      const leftMs = Math.floor((endMicros - clock.monotonicMicros()) / MICROS_PER_MS);
      const pulled = await this.#pull(spec.value, batch, Math.max(0, leftMs), asking);
      if (!pulled.ok) {
        if (asking.isWithdrawn) return ok([]);
        return pulled.error.code === 'WM_BUS_CONSUMER_UNKNOWN' ? this.#lookFor(consumer) : pulled;
      }
      const taken = await this.#take(spec.value, pulled.value, fence);
      // What was pulled may all have been buried.
      if (!taken.ok || taken.value.length > 0 || clock.monotonicMicros() >= endMicros || asking.isWithdrawn) return taken;
    }
  }

  withdraw(consumer: ConsumerName, { fence: { instance, epoch } }: { readonly fence: FencingToken }): Promise<Outcome<void>> {
    for (const asking of this.#asking) {
      if (asking.consumer !== consumer || asking.fence?.instance !== instance || asking.fence.epoch !== epoch) continue;
      asking.isWithdrawn = true;
      asking.pull?.abandon(isWithdrawn());
    }
    return Promise.resolve(ok());
  }

  /** Nobody answers for a consumer that was deleted, and for one whose leader is being chosen. */
  async #lookFor(consumer: ConsumerName): Promise<Err> {
    this.#consumers.forget(consumer);
    const spec = await this.#consumers.get(consumer);
    if (!spec.ok) return spec;
    return failed('WM_UNREACHABLE', {
      message: `NATS: nobody hands out the events of consumer ${consumer} now.`,
      next: 'Try again with backoff; in a cluster a leader is being chosen.',
    });
  }

  /** What is there; when nothing is, the first that comes, and what has come with it. */
  async #pull(spec: ConsumerSpec, batch: number, waitMs: number, asking: Asking): Promise<Outcome<readonly Msg[]>> {
    const { clock } = this.#tools.ports;
    const endMicros = clock.monotonicMicros() + waitMs * MICROS_PER_MS;
    const now = await this.#pullOnce(
      spec,
      { batch, takesFewer: true, waitMs: Math.max(LOOK_MS_MIN, Math.min(waitMs, LOOK_MS_MAX)) },
      asking,
    );
    const leftMs = Math.floor((endMicros - clock.monotonicMicros()) / MICROS_PER_MS);
    if (!now.ok || now.value.length > 0 || leftMs < LOOK_MS_MIN || asking.isWithdrawn) return now;
    const first = await this.#pullOnce(spec, { batch: 1, takesFewer: false, waitMs: leftMs }, asking);
    if (!first.ok || first.value.length === 0 || batch === 1 || asking.isWithdrawn) return first;
    const rest = await this.#pullOnce(spec, { batch: batch - 1, takesFewer: true, waitMs: LOOK_MS_MIN }, asking);
    return ok([...first.value, ...(rest.ok ? rest.value : [])]);
  }

  async #pullOnce(
    spec: ConsumerSpec,
    request: Pick<PullRequest, 'batch' | 'takesFewer' | 'waitMs'>,
    asking: Asking,
  ): Promise<Outcome<readonly Msg[]>> {
    const { fence } = asking;
    const { link, names, ports } = this.#tools;
    // Asked while there is no server, a pull would be queued in the client and answered to nobody.
    const state = link.state();
    if (state !== 'connected') return link.ask('the fetch', () => Promise.resolve([]));
    const pulling = pull(
      link,
      ports.clock,
      { stream: names.events, consumer: spec.name, ...request },
      (stray) => void this.#release(spec, stray),
    );
    asking.pull = pulling;
    const unwatch =
      fence === null
        ? () => {}
        : this.#fences.watch((token, epoch) => {
            if (token !== names.instanceToken(fence.instance) || epoch <= fence.epoch) return;
            void this.#fences.check('fetch', fence).then((checked) => (checked.ok ? undefined : pulling.abandon(checked)));
          });
    const messages = await pulling.messages;
    unwatch();
    asking.pull = null;
    return messages;
  }

  /** Turns what was pulled into deliveries: those that were one too many are buried, those that are none of ours ended. */
  async #take(spec: ConsumerSpec, messages: readonly Msg[], fence: FencingToken | null): Promise<Outcome<readonly DeliveredEvent[]>> {
    const taken = await Promise.all(messages.map((message) => this.#takeOne(spec, message)));
    const deliveries = taken.flatMap((held) => (held === null ? [] : [held]));
    for (const held of deliveries) {
      const { event, sequence, attempt } = held.delivered;
      this.#held.add(held);
      const { instance, epoch } = fence ?? { instance: null, epoch: null };
      const fields = { consumer: spec.name, event: event.id, sequence, attempt, instance, epoch };
      this.#tools.ports.telemetry.record('event.delivered', fields, event.correlation);
    }
    return ok(deliveries.map(({ delivered }) => delivered));
  }

  /** Null: nothing to hand out. */
  async #takeOne(spec: ConsumerSpec, message: Msg): Promise<Held | null> {
    const { names, ports } = this.#tools;
    const reply = message.reply ?? '';
    const place = placeOf(reply);
    if (place === null) return null;
    const event = decodeEvent(message, names.subjectOf(message.subject), place);
    if (event === null) {
      ports.telemetry.log('warn', `Message ${place.sequence} on ${message.subject} is no event and is let go (WM_EVENT_INVALID).`);
      await this.#end(reply, '+TERM no event of WasmMatrix');
      return null;
    }
    const history = await this.#historyOf(spec.name, place);
    // Not known now: it comes again after its ack wait.
    if (!history.ok) return null;
    const attempt = Math.max(1, place.deliveries - history.value.released);
    const delivered = { event, sequence: place.sequence, delivery: place.delivery, attempt };
    const held = { spec, delivered, reply, history: history.value };
    if (attempt <= spec.deliveriesMax) return held;
    const attempts = attempt - 1;
    const failures = failuresOf(history.value, attempts, spec);
    const buried = await this.#bury(held, { attempts, failures, reason: failures.reasons.at(-1) ?? ranOut(spec) });
    if (!buried.ok) ports.telemetry.log('warn', `Event ${event.id} of ${spec.name} is not dead-lettered yet: ${buried.error.message}`);
    return null;
  }

  #historyOf(consumer: ConsumerName, { deliveries, sequence }: Place): Promise<Outcome<History>> {
    return deliveries === 1 ? Promise.resolve(ok(NO_HISTORY)) : this.#histories.read(consumer, sequence);
  }

  async settle(consumer: ConsumerName, delivery: Named, settlement: Settlement, { fence }: Options): Promise<Outcome<void>> {
    if (this.#closed) return isClosed();
    const fenced = fence === null ? ok() : await this.#fences.check(`settlement of event ${delivery.sequence} for ${consumer}`, fence);
    if (!fenced.ok) return fenced;
    const held = this.#held.find(consumer, delivery);
    if (held === null) {
      // The answer to an earlier settlement may have been lost: saying it again changes nothing.
      return settlement.kind === 'ack' && this.#held.wasAcknowledged(consumer, delivery) ? ok() : noDelivery(consumer, delivery);
    }
    switch (settlement.kind) {
      case 'ack':
        return this.#acknowledge(held, fence);
      case 'nak':
        return this.#retry(held, settlement.reason);
      case 'term':
        return this.#buryHeld(held, settlement.reason);
      case 'release':
        return this.#giveBack(held);
    }
  }

  async #acknowledge(held: Held, fence: FencingToken | null): Promise<Outcome<void>> {
    const acknowledged = await this.#end(held.reply, '+ACK');
    if (!acknowledged.ok) return acknowledged;
    this.#held.drop(held, true);
    const { event, sequence, attempt } = held.delivered;
    const { instance, epoch } = fence ?? { instance: null, epoch: null };
    const fields = { consumer: held.spec.name, event: event.id, sequence, attempt, instance, epoch };
    this.#tools.ports.telemetry.record('event.acknowledged', fields, event.correlation);
    return ok();
  }

  /** R9.3: again after the backoff, or dead-lettered when it was the last. */
  async #retry(held: Held, reason: FailureReason): Promise<Outcome<void>> {
    const { spec, delivered, history } = held;
    const { event, sequence, attempt } = delivered;
    if (attempt >= spec.deliveriesMax) return this.#buryHeld(held, reason);
    const written = await this.#histories.write(spec.name, sequence, withFailure(history, attempt, reason));
    if (!written.ok) return written;
    const { random, telemetry } = this.#tools.ports;
    const stream = random.stream(`broker/backoff/${spec.name}`);
    const delayMs = backoffMs(spec, attempt, (bound) => stream.below(bound));
    const given = await this.#end(held.reply, `-NAK ${JSON.stringify({ delay: delayMs * NANOS_PER_MS })}`);
    if (!given.ok) return given;
    this.#held.drop(held);
    telemetry.record(
      'event.retried',
      { consumer: spec.name, event: event.id, sequence, attempt, delayMs, code: reason.code },
      event.correlation,
    );
    return ok();
  }

  async #buryHeld(held: Held, reason: FailureReason): Promise<Outcome<void>> {
    const { spec, delivered, history } = held;
    const failures = addFailure(failuresOf(history, delivered.attempt - 1, spec), delivered.attempt, reason);
    const buried = await this.#bury(held, { attempts: delivered.attempt, failures, reason });
    if (buried.ok) this.#held.drop(held);
    return buried;
  }

  /** The letter first: when this ends in between, the event comes once more and its letter is known already. */
  async #bury(
    { spec, delivered, reply }: Held,
    { attempts, failures, reason }: { readonly attempts: number; readonly failures: Failures; readonly reason: FailureReason },
  ): Promise<Outcome<void>> {
    const { event, sequence } = delivered;
    const consumer = spec.name;
    if (!isLetter(event)) {
      const stored = await this.#publisher.store(letterOf(event, { consumer, sequence, failures }), null, SETTLE_MS_MAX * MICROS_PER_MS);
      if (!stored.ok) return stored;
    }
    const ended = await this.#end(reply, `+TERM ${reason.code}`);
    if (!ended.ok) return ended;
    const fields = { consumer, event: event.id, sequence, attempts, code: reason.code };
    this.#tools.ports.telemetry.record('event.deadlettered', fields, event.correlation);
    return ok();
  }

  /** Untried: it is not counted, and the next who asks may have it at once. */
  async #giveBack({ spec, delivered, reply, history }: Held): Promise<Outcome<void>> {
    const { sequence } = delivered;
    const written = await this.#histories.write(spec.name, sequence, { ...history, released: history.released + 1 });
    if (!written.ok) return written;
    const given = await this.#end(reply, '-NAK');
    if (given.ok) this.#held.drop({ spec, delivered, reply, history });
    return given;
  }

  /** A delivery that came when nobody waited for it any more. */
  async #release(spec: ConsumerSpec, message: Msg): Promise<void> {
    const held = await this.#takeOne(spec, message);
    if (held !== null) await this.#giveBack(held);
  }

  async #end(reply: string, how: string): Promise<Outcome<void>> {
    const { link } = this.#tools;
    const ended = await link.ask('the settlement', () => link.connection.request(reply, how, { timeout: SETTLE_MS_MAX }));
    // Nobody listens there any more: the consumer was deleted, and the event was let go with it.
    if (!ended.ok && ended.error.code === 'WM_UNREACHABLE' && link.state() === 'connected')
      return rejected('WM_NOT_FOUND', {
        message: 'The consumer of this delivery is gone.',
        next: 'Nothing: the event was let go with it.',
      });
    return ended.ok ? ok() : ended;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const { pull: pulling } of this.#asking) pulling?.abandon(isClosed());
    this.#fences.stop();
    this.#held.clear();
  }
}

function isWithdrawn(): Err {
  return failed('WM_CANCELLED', { message: 'The fetch was withdrawn.', next: 'Fetch again when there is room.' });
}

function isClosed(): Err {
  return failed('WM_CANCELLED', { message: 'This bus was closed.', next: 'Open a new one.' });
}

function noDelivery(consumer: ConsumerName, { sequence, delivery }: Named): Err {
  return rejected('WM_NOT_FOUND', {
    message: `Delivery ${delivery} of event ${sequence} for ${consumer} ran out, or never was.`,
    next: 'Nothing: whoever holds the newer delivery settles it.',
  });
}
