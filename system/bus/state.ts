// The broker's state and the laws by which it changes. Pure: no waiting, no clock, no storage. What must outlive the
// process is an `Entry`; applying the same entries in the same order gives the same state (recovery is that and no more).
// What may be forgotten (who holds which delivery until when) is kept beside it and is simply delivered again after a crash.
import type { ConsumerSpec } from '../domain/broker.ts';
import type { BusEvent, FailureReason } from '../domain/event.ts';
import type { ConsumerName, EventId } from '../domain/identifiers.ts';
import { assert } from '../domain/outcome.ts';
import { matchesSubject } from '../domain/subject.ts';

/** Bound: identifiers remembered to recognise an event that is published again. */
export const DEDUPLICATION_MAX = 16_384;
/** Bound: failures told in a dead letter. */
export const FAILURES_TOLD_MAX = 16;

export type Entry =
  | { readonly kind: 'event'; readonly sequence: number; readonly event: BusEvent }
  | { readonly kind: 'consumer'; readonly spec: ConsumerSpec; readonly from: number }
  | { readonly kind: 'consumer-deleted'; readonly name: ConsumerName }
  /** A delivery failed or ran out; counted over restarts. */
  | { readonly kind: 'failed'; readonly consumer: ConsumerName; readonly sequence: number; readonly attempt: number; readonly reason: FailureReason }
  | { readonly kind: 'settled'; readonly consumer: ConsumerName; readonly sequence: number };

export type HeldEvent = {
  readonly sequence: number;
  readonly event: BusEvent;
  /** Consumers that have not settled it. */
  readonly waiting: Set<ConsumerName>;
};

export type Outstanding = { readonly delivery: number; readonly attempt: number };

export type ConsumerState = {
  spec: ConsumerSpec;
  /** First sequence it gets. */
  readonly from: number;
  /** Sequences to be delivered now, oldest first. */
  readonly ready: number[];
  readonly outstanding: Map<number, Outstanding>;
  /** Failed deliveries by sequence, for the next attempt's number and the dead letter's history. */
  readonly failures: Map<number, FailureReason[]>;
  nextDelivery: number;
};

export class BrokerState {
  nextSequence = 1;
  /** Events that some consumer has not settled, by sequence. */
  readonly events = new Map<number, HeldEvent>();
  readonly consumers = new Map<ConsumerName, ConsumerState>();
  /** The newest identifiers, oldest first. */
  readonly known = new Map<EventId, number>();

  apply(entry: Entry): void {
    switch (entry.kind) {
      case 'event':
        return this.#accept(entry.sequence, entry.event);
      case 'consumer': {
        const existing = this.consumers.get(entry.spec.name);
        if (existing !== undefined) existing.spec = entry.spec;
        else this.consumers.set(entry.spec.name, { spec: entry.spec, from: entry.from, ready: [], outstanding: new Map(), failures: new Map(), nextDelivery: 1 });
        return undefined;
      }
      case 'consumer-deleted':
        this.consumers.delete(entry.name);
        for (const held of this.events.values()) this.#release(held, entry.name);
        return undefined;
      case 'failed': {
        const consumer = this.consumers.get(entry.consumer);
        if (consumer === undefined || !this.events.has(entry.sequence)) return undefined;
        const failures = consumer.failures.get(entry.sequence) ?? [];
        while (failures.length < entry.attempt - 1) failures.push(entry.reason);
        failures.push(entry.reason);
        consumer.failures.set(entry.sequence, failures);
        return undefined;
      }
      case 'settled': {
        const held = this.events.get(entry.sequence);
        if (held !== undefined) this.#release(held, entry.consumer);
        return undefined;
      }
    }
  }

  #accept(sequence: number, event: BusEvent): void {
    assert(sequence >= this.nextSequence, 'sequences of events grow');
    this.nextSequence = sequence + 1;
    this.remember(event.id, sequence);
    const waiting = new Set<ConsumerName>();
    for (const [name, consumer] of this.consumers) {
      if (sequence >= consumer.from && matchesSubject(consumer.spec.filter, event.subject)) {
        waiting.add(name);
        consumer.ready.push(sequence);
      }
    }
    // An event that nobody asked for is accepted and dropped: it is known by its identifier, and nothing else.
    if (waiting.size > 0) this.events.set(sequence, { sequence, event, waiting });
  }

  remember(id: EventId, sequence: number): void {
    this.known.delete(id);
    this.known.set(id, sequence);
    if (this.known.size <= DEDUPLICATION_MAX) return;
    for (const oldest of this.known.keys()) {
      this.known.delete(oldest);
      return;
    }
  }

  #release(held: HeldEvent, name: ConsumerName): void {
    held.waiting.delete(name);
    const consumer = this.consumers.get(name);
    if (consumer !== undefined) {
      consumer.outstanding.delete(held.sequence);
      consumer.failures.delete(held.sequence);
      const i = consumer.ready.indexOf(held.sequence);
      if (i >= 0) consumer.ready.splice(i, 1);
    }
    if (held.waiting.size === 0) this.events.delete(held.sequence);
  }

  /** Takes up to `max` ready events out to be delivered, within the consumer's bound of outstanding deliveries. */
  take(consumer: ConsumerState, max: number): readonly { readonly held: HeldEvent; readonly outstanding: Outstanding }[] {
    const taken: { held: HeldEvent; outstanding: Outstanding }[] = [];
    while (taken.length < max && consumer.outstanding.size < consumer.spec.pendingMax) {
      const sequence = consumer.ready.shift();
      if (sequence === undefined) break;
      const held = this.events.get(sequence);
      if (held === undefined) continue;
      const outstanding = { delivery: consumer.nextDelivery, attempt: (consumer.failures.get(sequence)?.length ?? 0) + 1 };
      consumer.nextDelivery += 1;
      consumer.outstanding.set(sequence, outstanding);
      taken.push({ held, outstanding });
    }
    return taken;
  }

  /** Everything needed to make this state again, in order: for compaction. */
  *entries(): Generator<Entry> {
    for (const { spec, from } of this.consumers.values()) yield { kind: 'consumer', spec, from };
    for (const { sequence, event, waiting } of this.events.values()) {
      yield { kind: 'event', sequence, event };
      for (const [name, consumer] of this.consumers) {
        if (sequence >= consumer.from && matchesSubject(consumer.spec.filter, event.subject) && !waiting.has(name)) yield { kind: 'settled', consumer: name, sequence };
        for (const [i, reason] of (consumer.failures.get(sequence) ?? []).entries()) yield { kind: 'failed', consumer: name, sequence, attempt: i + 1, reason };
      }
    }
  }
}

/** R9.3: full jitter over an exponentially growing bound. `draw(n)` gives 0 to n - 1. */
export function backoffMs(spec: ConsumerSpec, attempt: number, draw: (bound: number) => number): number {
  let most = Math.min(spec.backoffMs, spec.backoffMsMax);
  for (let i = 1; i < attempt && most < spec.backoffMsMax; i++) most = Math.min(most * 2, spec.backoffMsMax);
  return draw(most + 1);
}
