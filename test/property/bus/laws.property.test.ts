// The laws of the broker's pure parts: a snapshot is the state, a record is its entry, and the small structures are what they
// stand for.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeRecord, encodeRecord } from '../../../system/bus/entries.ts';
import { Fifo } from '../../../system/bus/fifo.ts';
import { backoffMs, bytesOf } from '../../../system/domain/letter.ts';
import { BrokerState, type Entry } from '../../../system/bus/state.ts';
import { IdentifierWindow } from '../../../system/bus/window.ts';
import { SOURCE_HEADER, type FailureReason } from '../../../system/domain/event.ts';
import type { ConsumerName, EventId, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { encodePublishRequest } from '../../../system/wire/codec/broker.ts';
import { consumerOf, eventOf } from '../../support/bus/site.ts';
import { busEvent } from '../../support/wire/arbitraries.ts';

const consumer = fc.constantFrom('x', 'y', 'z') as unknown as fc.Arbitrary<ConsumerName>;
const filter = fc.constantFrom('a.>', 'a.*', 'b.c', '>', 'dead.>') as unknown as fc.Arbitrary<SubjectFilter>;
const reason = fc.record({
  code: fc.constantFrom('WM_GUEST_TRAPPED' as const, 'WM_DEADLINE' as const),
  message: fc.string({ unit: 'grapheme', maxLength: 400 }),
});

/** Few, so that they are forgotten. */
const KNOWN_MAX = 6;

type Wish =
  | { readonly kind: 'event'; readonly id: number; readonly subject: string; readonly source: number | null }
  | { readonly kind: 'consumer'; readonly name: ConsumerName; readonly filter: SubjectFilter }
  | { readonly kind: 'consumer-deleted'; readonly name: ConsumerName }
  | { readonly kind: 'failed' | 'dead' | 'settled'; readonly which: number; readonly reason: FailureReason };

const wishes: fc.Arbitrary<Wish[]> = fc.array(
  fc.oneof(
    fc.record({
      kind: fc.constant('event' as const),
      id: fc.nat(30),
      subject: fc.constantFrom('a.b', 'b.c', 'c'),
      source: fc.option(fc.nat(40)),
    }),
    fc.record({ kind: fc.constant('consumer' as const), name: consumer, filter }),
    fc.record({ kind: fc.constant('consumer-deleted' as const), name: consumer }),
    fc.record({ kind: fc.constantFrom('failed' as const, 'dead' as const, 'settled' as const), which: fc.nat(40), reason }),
  ),
  { maxLength: 80 },
);

/** The entry that a broker in this state would write. */
function entryOf(state: BrokerState, wish: Wish): Entry | null {
  switch (wish.kind) {
    case 'event': {
      const held = [...state.events.values()];
      const source = wish.source === null ? undefined : held[wish.source % Math.max(1, held.length)]?.event.id;
      return {
        kind: 'event',
        sequence: state.nextSequence,
        event: eventOf(`e${wish.id}-${state.nextSequence}`, {
          subject: wish.subject as Subject,
          headers: source === undefined ? {} : { [SOURCE_HEADER]: source },
        }),
      };
    }
    case 'consumer':
      return { kind: 'consumer', spec: consumerOf(wish.name, { filter: wish.filter }), from: state.nextSequence };
    case 'consumer-deleted':
      return wish;
    case 'failed':
    case 'dead':
    case 'settled': {
      const awaited = [...state.events.values()].flatMap(({ sequence, awaited: by }) =>
        [...by].map(([name, { attempts }]) => ({ sequence, consumer: name, attempt: attempts + 1 })),
      );
      const one = awaited[wish.which % Math.max(1, awaited.length)];
      if (one === undefined) return null;
      if (wish.kind === 'settled') return { kind: 'settled', ...one };
      if (wish.kind === 'failed') return { kind: 'failed', ...one, reason: wish.reason };
      return { kind: 'dead', ...one, reason: wish.reason, letter: state.nextSequence };
    }
  }
}

function viewOf(state: BrokerState): unknown {
  const { starts, nextSequence, bytesHeld, events, consumers, known } = state;
  const effects = [...events.values()].map(({ event }) => known.effectsOf(event.id));
  return { starts, nextSequence, bytesHeld, events: [...events], consumers: [...consumers], known: [...known.entries()], effects };
}

describe('the state', () => {
  it('is what its snapshot says, and its journal, read back record by record', () => {
    fc.assert(
      fc.property(wishes, (all) => {
        const state = new BrokerState(KNOWN_MAX);
        const replayed = new BrokerState(KNOWN_MAX);
        state.apply({ kind: 'started', start: 3 });
        replayed.apply({ kind: 'started', start: 3 });
        for (const wish of all) {
          const entry = entryOf(state, wish);
          if (entry === null) continue;
          state.apply(entry);
          const read = decodeRecord(encodeRecord({ entry, told: 7 }), 1);
          expect(read).toEqual({ ok: true, value: { entry, told: 7 } });
          if (read.ok && read.value.entry.kind !== 'snapshot-end') replayed.apply(read.value.entry);
        }
        expect(viewOf(replayed)).toEqual(viewOf(state));
        const restored = new BrokerState(KNOWN_MAX);
        for (const entry of state.snapshot()) {
          const read = decodeRecord(encodeRecord({ entry, told: 0 }), 1);
          if (read.ok && read.value.entry.kind !== 'snapshot-end') restored.apply(read.value.entry);
        }
        expect(viewOf(restored)).toEqual(viewOf(state));
        let bytes = 0;
        for (const held of state.events.values()) {
          bytes += held.bytes;
          expect(held.awaited.size).toBeGreaterThan(0);
        }
        expect(state.bytesHeld).toBe(bytes);
      }),
      { numRuns: 500 },
    );
  });

  it('knows an event and what came of it for as long as it is held, whatever is published meanwhile', () => {
    fc.assert(
      fc.property(fc.nat(20), fc.nat(20), fc.boolean(), (before, after, isRestored) => {
        let state = new BrokerState(KNOWN_MAX);
        const publish = (id: string, subject: string, source?: string): number => {
          const sequence = state.nextSequence;
          const headers = source === undefined ? {} : { [SOURCE_HEADER]: source };
          state.apply({ kind: 'event', sequence, event: eventOf(id, { subject: subject as Subject, headers }) });
          return sequence;
        };
        const name = 'x' as ConsumerName;
        state.apply({ kind: 'consumer', spec: consumerOf('x', { filter: 'a.>' as SubjectFilter }), from: 1 });
        const source = publish('source', 'a.b');
        const effect = publish('effect', 'b.c', 'source');
        for (let i = 0; i < before; i++) publish(`before-${i}`, 'c');
        if (isRestored) {
          const restored = new BrokerState(KNOWN_MAX);
          for (const entry of state.snapshot()) restored.apply(entry);
          state = restored;
        }
        expect([state.known.find('source' as EventId), state.known.find('effect' as EventId)]).toEqual([source, effect]);
        state.apply({ kind: 'settled', consumer: name, sequence: source, attempt: 1 });
        for (let i = 0; i < after; i++) publish(`after-${i}`, 'c');
        // What would have been forgotten while its source was held is as new when that is let go.
        const published = before >= KNOWN_MAX - 1 ? after : before + after;
        expect(state.known.find('effect' as EventId)).toBe(published < KNOWN_MAX ? effect : undefined);
      }),
      { numRuns: 500 },
    );
  });

  it('reads a damaged record as damaged, or as a record, and never throws', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        expect(decodeRecord(bytes, 1).ok).toBeTypeOf('boolean');
      }),
    );
  });
});

describe('the weight of an event', () => {
  it('is never less than its bytes in a message', () => {
    fc.assert(
      fc.property(busEvent, (event) => {
        expect(bytesOf(event)).toBeGreaterThanOrEqual(encodePublishRequest({ event, fence: null }).length);
      }),
    );
  });
});

describe('backoff', () => {
  it('draws from 0 to a bound that doubles with each attempt up to the largest', () => {
    fc.assert(
      fc.property(fc.nat(100_000), fc.nat(100_000), fc.integer({ min: 1, max: 1_000 }), (least, more, attempt) => {
        const spec = consumerOf('x', { backoffMs: least, backoffMsMax: least + more });
        const bounds: number[] = [];
        expect(backoffMs(spec, attempt, (bound) => (bounds.push(bound), bound - 1))).toBe(bounds[0]! - 1);
        expect(bounds).toEqual([Math.min(least * 2 ** Math.min(attempt - 1, 40), least + more) + 1]);
      }),
    );
  });
});

describe('the window of identifiers', () => {
  it('knows the newest, under their first sequence', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 8 }), fc.array(fc.nat(12), { maxLength: 60 }), (bound, ids) => {
        const window = new IdentifierWindow(bound);
        let model: [string, number][] = [];
        ids.forEach((n, i) => {
          window.add(`e${n}` as EventId, i);
          if (!model.some(([id]) => id === `e${n}`)) model = [...model, [`e${n}`, i] as [string, number]].slice(-bound);
          expect([...window.entries()]).toEqual(model);
          for (let m = 0; m <= 12; m++) expect(window.find(`e${m}` as EventId)).toBe(model.find(([id]) => id === `e${m}`)?.[1]);
        });
      }),
    );
  });
});

describe('the queue', () => {
  it('is an array that one takes from the front', () => {
    fc.assert(
      fc.property(fc.array(fc.option(fc.nat()), { maxLength: 600 }), (steps) => {
        const queue = new Fifo<number>();
        const model: number[] = [];
        for (const step of steps) {
          const taken = step === null ? [queue.shift(), model.shift()] : [];
          expect(taken[0]).toBe(taken[1]);
          if (step !== null) {
            queue.push(step);
            model.push(step);
          }
          expect(queue.peek()).toBe(model[0]);
        }
      }),
    );
  });
});
