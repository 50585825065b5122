// From the broker to the bus. A message is acknowledged when the bus said that its event is durable, in the order in which
// messages came (MQTT 5, 4.6). While the bus is full or away nothing is acknowledged, and the receive maximum holds the broker
// back. Messages of one subject go one after the other, those of different subjects side by side.
import type { BusEvent } from '../../system/domain/event.ts';
import type { ErrorCode } from '../../system/domain/errors.ts';
import type { Subject } from '../../system/domain/identifiers.ts';
import { describeError, rejected, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { GatewayCounters } from './counters.ts';
import type { Arrival } from './link.ts';
import { eventOf, REASON, type ReasonCode, type Refusal } from './message.ts';
import { backoffMs, pause, type BackoffLaw } from './pause.ts';
import type { Receipts } from './receipts.ts';
import type { TopicMapping } from './route.ts';

/** Bound: time for the bus to answer one publication. */
const PUBLISH_MICROS = 10 * MICROS_PER_S;
/** Tries have no bound: the message stays at the broker as long as it is not accepted. */
const RETRY: BackoffLaw = { baseMs: 100, maxMs: 5_000 };
/** What no repetition mends: the event itself is at fault. All else is a matter of time. */
const NEVER: readonly ErrorCode[] = ['WM_EVENT_INVALID', 'WM_MESSAGE_TOO_LARGE', 'WM_MESSAGE_INVALID', 'WM_ARGUMENT'];

export type InboundPorts = Pick<Ports, 'bus' | 'clock' | 'random' | 'telemetry'>;

export type InboundOptions = {
  readonly gateway: string;
  readonly mappings: readonly TopicMapping[];
  readonly receipts: Receipts;
  /** Bound: messages that are not acknowledged. */
  readonly receiveMaximum: number;
  readonly counters: GatewayCounters;
  /** The bus takes nothing, with the reason; null: it does again. */
  readonly onHeld: (error: WmError | null) => void;
};

type Entry = { readonly receipt: Arrival['receipt']; code: ReasonCode | null };

/** What came over one connection and is not acknowledged yet. */
export class Inbound {
  readonly #ports: InboundPorts;
  readonly #options: InboundOptions;
  /** In order of arrival. Bound: the receive maximum, and one. */
  readonly #window: Entry[] = [];
  #whenRoom: (() => void) | null = null;
  readonly #lanes = new Map<Subject, Promise<void>>();
  readonly #over = new AbortController();

  constructor(ports: InboundPorts, options: InboundOptions) {
    this.#ports = ports;
    this.#options = options;
  }

  /**
   * Resolves, when it is not null, as soon as the next message may come. A broker that keeps to the receive maximum never sees
   * that; Mosquitto before 2.0.12 forgets it when a session is resumed, and is then held back by the connection itself.
   */
  take({ packet, receipt }: Arrival): Promise<void> | null {
    // What is not acknowledged comes again.
    if (this.#over.signal.aborted) return null;
    const { counters, receipts, receiveMaximum } = this.#options;
    counters.received++;
    if (receipt !== null && packet.dup) counters.redelivered++;
    if (receipt === null && this.#window.length >= receiveMaximum) {
      counters.dropped++;
      return null;
    }
    const entry: Entry = { receipt, code: null };
    this.#window.push(entry);
    const subject = this.#subjectOf(packet.topic);
    if (!subject.ok) {
      this.#refuse(entry, packet.topic, { reasonCode: REASON.topicInvalid, error: subject.error });
      return null;
    }
    const taken = eventOf({
      packet,
      subject: subject.value,
      nowMs: this.#ports.clock.civilMs(),
      identify: (fingerprint) => receipts.identify(receipt?.packetId ?? 0, receipt !== null && packet.dup, fingerprint),
    });
    if (taken.ok) this.#queue(entry, packet.topic, taken.event);
    else this.#refuse(entry, packet.topic, taken.refusal);
    return this.#window.length <= receiveMaximum ? null : new Promise((resolve) => (this.#whenRoom = resolve));
  }

  /** Takes nothing new, and leaves to the broker what waits to be tried again. Resolves when no call to the bus is open. */
  async end(): Promise<void> {
    this.#over.abort();
    this.#whenRoom?.();
    while (this.#lanes.size > 0) await Promise.all(this.#lanes.values());
  }

  #subjectOf(topic: string): Outcome<Subject> {
    const mapping = this.#options.mappings.find(({ matches }) => matches(topic));
    return (
      mapping?.subjectOf(topic) ??
      rejected('WM_EVENT_INVALID', {
        message: `No route takes the topic ${topic}.`,
        next: 'A subscription of an earlier configuration is still in the session: give the gateway a new client identifier, or bring the route back.',
      })
    );
  }

  #queue(entry: Entry, topic: string, event: BusEvent): void {
    const lane = (this.#lanes.get(event.subject) ?? Promise.resolve()).then(() => this.#store(entry, topic, event));
    this.#lanes.set(event.subject, lane);
    void lane.then(() => {
      if (this.#lanes.get(event.subject) === lane) this.#lanes.delete(event.subject);
    });
  }

  async #store(entry: Entry, topic: string, event: BusEvent): Promise<void> {
    const { bus, clock, random } = this.#ports;
    const { counters, onHeld } = this.#options;
    for (let attempt = 0; !this.#over.signal.aborted; attempt++) {
      const stored = await bus.publish(event, { fence: null, deadlineMicros: PUBLISH_MICROS });
      if (stored.ok) {
        onHeld(null);
        counters.published++;
        if (stored.value.duplicate) counters.duplicates++;
        return this.#settle(entry, REASON.success);
      }
      if (NEVER.includes(stored.error.code))
        return this.#refuse(entry, topic, { reasonCode: REASON.implementation, error: stored.error }, event.id);
      onHeld(stored.error);
      if (entry.receipt === null) {
        counters.dropped++;
        return this.#settle(entry, REASON.success);
      }
      counters.publishRetries++;
      await pause(clock, backoffMs(RETRY, attempt, random.stream('mqtt-retry')), this.#over.signal);
    }
  }

  /** It would be refused for ever: the broker is told, so that it does not come again, and the record keeps what happened. */
  #refuse(entry: Entry, topic: string, { reasonCode, error }: Refusal, event: string | null = null): void {
    const { counters, gateway } = this.#options;
    counters.refused++;
    this.#ports.telemetry.record('gateway.refused', {
      gateway,
      direction: 'in',
      topic,
      event,
      code: error.code,
      message: describeError(error),
    });
    this.#settle(entry, reasonCode);
  }

  #settle(entry: Entry, code: ReasonCode): void {
    entry.code = code;
    for (let head = this.#window[0]; head !== undefined && head.code !== null; head = this.#window[0]) {
      this.#window.shift();
      head.receipt?.acknowledge(head.code);
    }
    if (this.#window.length <= this.#options.receiveMaximum) this.#whenRoom?.();
  }
}
