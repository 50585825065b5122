// The broker's state and the laws by which it changes. Pure: no waiting, no clock, no storage. It is the fold of the journal:
// the same entries in the same order give the same state, and recovery is that and no more. An entry is applied when it is
// appended; what may leave before it is durable (nothing) is the shell's care. Who holds which delivery until when is not
// here: it may be forgotten, and is simply delivered again.
import type { ConsumerSpec } from '../domain/broker.ts';
import { SOURCE_HEADER, type BusEvent, type FailureReason } from '../domain/event.ts';
import type { ConsumerName, EventId, Subject } from '../domain/identifiers.ts';
import { assert } from '../domain/outcome.ts';
import { matchesSubject } from '../domain/subject.ts';
import { addFailure, bytesOf, letterOf, NO_FAILURES, type Failures } from '../domain/letter.ts';
import { Identifiers } from './identifiers.ts';

/** Bound: identifiers remembered to recognise an event that is published again, beside those of held events. */
export const DEDUPLICATION_MAX = 16_384;
/** Bound: subjects whose consumers are remembered. */
const ROUTES_MAX = 4_096;

type Failed = { readonly consumer: ConsumerName; readonly sequence: number; readonly attempt: number; readonly reason: FailureReason };

/** What happened. */
export type Entry =
  /** `nextSequence`: no event has a lower one from here on. */
  | { readonly kind: 'started'; readonly start: number; readonly nextSequence?: number }
  | { readonly kind: 'event'; readonly sequence: number; readonly event: BusEvent }
  | { readonly kind: 'consumer'; readonly spec: ConsumerSpec; readonly from: number }
  | { readonly kind: 'consumer-deleted'; readonly name: ConsumerName }
  /** A delivery failed or ran out, and is tried again. */
  | ({ readonly kind: 'failed' } & Failed)
  /** The last one did: the event is let go and its letter stored, in one. `letter` null: it was a letter itself. */
  | ({ readonly kind: 'dead'; readonly letter: number | null } & Failed)
  | { readonly kind: 'settled'; readonly consumer: ConsumerName; readonly sequence: number; readonly attempt: number };

/** What there is, in the order in which it is told. */
export type SnapshotEntry =
  | { readonly kind: 'snapshot-begin'; readonly starts: number; readonly nextSequence: number }
  | { readonly kind: 'known'; readonly known: readonly (readonly [EventId, number])[] }
  | { readonly kind: 'held'; readonly sequence: number; readonly event: BusEvent }
  /** What came of a held event while it was held. */
  | { readonly kind: 'effects'; readonly sequence: number; readonly effects: readonly (readonly [EventId, number])[] }
  | { readonly kind: 'awaited'; readonly sequence: number; readonly consumer: ConsumerName; readonly failures: Failures };

export type HeldEvent = {
  readonly sequence: number;
  readonly event: BusEvent;
  readonly bytes: number;
  /** Consumers that have not settled it. */
  readonly awaited: Map<ConsumerName, Failures>;
};

export type ConsumerState = {
  readonly spec: ConsumerSpec;
  /** Sequence of the first event it was there for. */
  readonly from: number;
};

/** Bound: characters of identifiers in one entry of a snapshot: each may take six bytes of its record. */
const KNOWN_CHARACTERS_MAX = 65_536;

export class BrokerState {
  starts = 0;
  nextSequence = 1;
  bytesHeld = 0;
  /** Events that some consumer has not settled, oldest first. */
  readonly events = new Map<number, HeldEvent>();
  readonly consumers = new Map<ConsumerName, ConsumerState>();
  readonly known: Identifiers;
  readonly #routes = new Map<Subject, readonly ConsumerName[]>();

  constructor(deduplicationMax = DEDUPLICATION_MAX) {
    this.known = new Identifiers(deduplicationMax);
  }

  apply(entry: Entry | SnapshotEntry): void {
    switch (entry.kind) {
      case 'started':
        this.starts = entry.start;
        this.nextSequence = Math.max(this.nextSequence, entry.nextSequence ?? 0);
        return;
      case 'event':
        this.known.add(entry.event.id, entry.sequence);
        this.#store(entry.sequence, entry.event);
        this.#tie(entry.sequence, entry.event);
        return;
      case 'consumer':
        this.consumers.set(entry.spec.name, { spec: entry.spec, from: entry.from });
        this.#routes.clear();
        return;
      case 'consumer-deleted':
        this.consumers.delete(entry.name);
        this.#routes.clear();
        for (const held of this.events.values()) this.#release(held, entry.name);
        return;
      case 'failed': {
        const held = this.events.get(entry.sequence);
        const failures = held?.awaited.get(entry.consumer);
        if (failures !== undefined) held?.awaited.set(entry.consumer, addFailure(failures, entry.attempt, entry.reason));
        return;
      }
      case 'dead': {
        const held = this.events.get(entry.sequence);
        const letter = this.letter(entry);
        if (held !== undefined) this.#release(held, entry.consumer);
        if (letter !== null && entry.letter !== null) this.#store(entry.letter, letter);
        return;
      }
      case 'settled': {
        const held = this.events.get(entry.sequence);
        if (held !== undefined) this.#release(held, entry.consumer);
        return;
      }
      case 'snapshot-begin':
        this.starts = entry.starts;
        this.nextSequence = entry.nextSequence;
        return;
      case 'known':
        for (const [id, sequence] of entry.known) this.known.add(id, sequence);
        return;
      case 'held':
        this.#hold(entry.sequence, entry.event, []);
        return;
      case 'effects': {
        const source = this.events.get(entry.sequence)?.event.id;
        if (source !== undefined) for (const [id, sequence] of entry.effects) this.known.tie(source, id, sequence);
        return;
      }
      case 'awaited':
        this.events.get(entry.sequence)?.awaited.set(entry.consumer, entry.failures);
        return;
    }
  }

  /** The letter that a `dead` entry makes, before it is applied. */
  letter(entry: Failed): BusEvent | null {
    const { consumer, sequence, attempt, reason } = entry;
    const held = this.events.get(sequence);
    const failures = held?.awaited.get(consumer);
    if (held === undefined || failures === undefined) return null;
    return letterOf(held.event, { consumer, sequence, failures: addFailure(failures, attempt, reason) });
  }

  #store(sequence: number, event: BusEvent): void {
    assert(sequence >= this.nextSequence, 'sequences of events grow');
    this.nextSequence = sequence + 1;
    const wanting = this.#route(event.subject);
    // An event that nobody asked for is accepted and dropped: it is known by its identifier, and nothing else.
    if (wanting.length > 0) this.#hold(sequence, event, wanting);
  }

  #tie(sequence: number, { id, headers }: BusEvent): void {
    const source = headers[SOURCE_HEADER];
    if (source !== undefined) this.known.tie(source as EventId, id, sequence);
  }

  #hold(sequence: number, event: BusEvent, wanting: readonly ConsumerName[]): void {
    const bytes = bytesOf(event);
    this.bytesHeld += bytes;
    this.known.hold(event.id, sequence);
    this.events.set(sequence, { sequence, event, bytes, awaited: new Map(wanting.map((name) => [name, NO_FAILURES])) });
  }

  #route(subject: Subject): readonly ConsumerName[] {
    const known = this.#routes.get(subject);
    if (known !== undefined) return known;
    const wanting: ConsumerName[] = [];
    for (const [name, { spec }] of this.consumers) if (matchesSubject(spec.filter, subject)) wanting.push(name);
    if (this.#routes.size >= ROUTES_MAX) this.#routes.clear();
    this.#routes.set(subject, wanting);
    return wanting;
  }

  #release(held: HeldEvent, name: ConsumerName): void {
    held.awaited.delete(name);
    if (held.awaited.size > 0 || !this.events.delete(held.sequence)) return;
    this.bytesHeld -= held.bytes;
    this.known.release(held.event.id, held.sequence);
  }

  /** Everything needed to make this state again, in order. Who awaits an event is told, not derived: filters may have changed. */
  *snapshot(): Generator<Entry | SnapshotEntry> {
    yield { kind: 'snapshot-begin', starts: this.starts, nextSequence: this.nextSequence };
    let known: (readonly [EventId, number])[] = [];
    let characters = 0;
    for (const pair of this.known.entries()) {
      known.push(pair);
      characters += pair[0].length + 8;
      if (characters < KNOWN_CHARACTERS_MAX) continue;
      yield { kind: 'known', known };
      known = [];
      characters = 0;
    }
    if (known.length > 0) yield { kind: 'known', known };
    for (const { spec, from } of this.consumers.values()) yield { kind: 'consumer', spec, from };
    for (const { sequence, event, awaited } of this.events.values()) {
      yield { kind: 'held', sequence, event };
      const effects = this.known.effectsOf(event.id);
      if (effects.length > 0) yield { kind: 'effects', sequence, effects };
      for (const [consumer, failures] of awaited) yield { kind: 'awaited', sequence, consumer, failures };
    }
  }
}
