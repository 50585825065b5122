// The laws of the controller's journal: values survive, effects wait for durability, in order, and one batch is in flight at a time.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Term } from '../../../system/domain/identifiers.ts';
import { failed, ok, type Outcome } from '../../../system/domain/outcome.ts';
import { decodeValue, encodeValue, Journal, readJournal } from '../../../system/journal/journal.ts';
import type { JournalStore } from '../../../system/ports/storage.ts';

/** A store whose syncs end when the test says so. */
class HeldStore implements JournalStore {
  readonly records: Uint8Array[] = [];
  durable = 0;
  readonly #syncs: ((outcome: Outcome<void>) => void)[] = [];

  get lastSequence(): number {
    return this.records.length;
  }

  append(record: Uint8Array, { expectedSequence }: { readonly expectedSequence: number }): Outcome<number> {
    if (expectedSequence !== this.records.length) throw new Error('the journal knows where it is');
    this.records.push(record);
    return ok(this.records.length);
  }

  sync(): Promise<Outcome<void>> {
    return new Promise((resolve) => this.#syncs.push(resolve));
  }

  get syncing(): number {
    return this.#syncs.length;
  }

  finish(outcome: Outcome<void> = ok()): void {
    const resolve = this.#syncs.shift();
    if (outcome.ok && resolve !== undefined) this.durable = this.records.length;
    resolve?.(outcome);
  }

  async *read(): AsyncIterable<{ readonly sequence: number; readonly record: Uint8Array }> {
    let sequence = 0;
    for (const record of this.records) yield { sequence: ++sequence, record: await Promise.resolve(record) };
  }

  truncate(): Outcome<void> {
    return ok();
  }
}

type Item = { readonly n: number; readonly pad: string };
const settle = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await Promise.resolve();
};

function open(store: HeldStore): { journal: Journal<Item>; broken: string[] } {
  const broken: string[] = [];
  const journal = new Journal<Item>(
    { clock: { civilMs: () => 7 }, store, onClose: () => {}, onBroken: (cause) => broken.push(cause) },
    1 as Term,
  );
  return { journal, broken };
}

test('what is released is durable, in order, and told its sequence when it was appended', async () => {
  const anyStep = fc.oneof(
    fc.record({ kind: fc.constant('append' as const), pad: fc.nat(200_000) }),
    fc.constant({ kind: 'finish' as const }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 40 }), async (steps) => {
      const store = new HeldStore();
      const { journal } = open(store);
      const released: number[] = [];
      const early: number[] = [];
      const sequences = new Map<number, number>();
      let count = 0;
      for (const step of steps) {
        if (step.kind === 'append') {
          const n = count++;
          const sequence = journal.append({ n, pad: 'x'.repeat(step.pad) });
          sequences.set(n, sequence);
          journal.whenDurable(() => {
            if (store.durable < sequence) early.push(n);
            released.push(n);
          });
        } else {
          await settle();
          store.finish();
        }
        expect(store.syncing).toBeLessThanOrEqual(1);
      }
      for (;;) {
        await settle();
        if (store.syncing === 0) break;
        store.finish();
      }
      expect(early).toEqual([]);
      expect(released).toEqual([...sequences.keys()]);
      const records = await readJournal<Item>(store);
      if (!records.ok) throw new Error(records.error.message);
      for (const record of records.value) for (const { n } of record.entries) expect(sequences.get(n)).toBe(record.sequence);
      for (const bytes of store.records) expect(bytes.length).toBeLessThanOrEqual(1_048_576);
    }),
    { numRuns: 60 },
  );
});

test('a sync that fails releases nothing any more', async () => {
  const store = new HeldStore();
  const { journal, broken } = open(store);
  const released: string[] = [];
  journal.append({ n: 1, pad: '' });
  journal.whenDurable(() => released.push('first'));
  await settle();
  journal.append({ n: 2, pad: '' });
  journal.whenDurable(() => released.push('second'));
  store.finish(failed('WM_STORAGE_FAILED', { message: 'It broke.', next: 'Nothing.' }));
  await settle();
  expect(released).toEqual([]);
  expect(broken).toHaveLength(1);
  expect(store.records).toHaveLength(1);
});

test('what is released before anything was appended leaves at once, and never from within the call', async () => {
  const { journal } = open(new HeldStore());
  let released = false;
  journal.whenDurable(() => {
    released = true;
  });
  expect(released).toBe(false);
  await settle();
  expect(released).toBe(true);
});

test('values with bytes and maps survive the round trip, and equal values give equal text', () => {
  const anyLeaf = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.uint8Array({ maxLength: 20 }));
  const anyValue = fc.oneof(
    anyLeaf,
    fc.dictionary(
      fc.string({ minLength: 1 }).filter((key) => !key.startsWith('$') && key !== '__proto__'),
      anyLeaf,
    ),
    fc.array(anyLeaf),
    fc.array(fc.tuple(fc.string(), anyLeaf)).map((entries) => new Map(entries)),
  );
  fc.assert(
    fc.property(anyValue, (value) => {
      const text = encodeValue(value);
      expect(encodeValue(decodeValue(text))).toBe(text);
    }),
  );
});
