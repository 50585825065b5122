// A snapshot stands for the records that it names, and for no record that comes after it.
import { createHash } from 'node:crypto';
import { expect, test } from 'vitest';
import { Head } from '../../../system/controller/head.ts';
import { recover } from '../../../system/controller/recovery.ts';
import { Snapshots } from '../../../system/controller/snapshots.ts';
import { createState, type Entry } from '../../../system/controller/state.ts';
import type { Digest, Term } from '../../../system/domain/identifiers.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';
import { Journal } from '../../../system/journal/journal.ts';
import type { Ports } from '../../../system/ports/ports.ts';
import type { BlobStore } from '../../../system/ports/storage.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';
import { MemoryDisk } from '../../support/ports/memory-storage.ts';

const digest = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;

/** Blobs that are stored when the test says so. */
class HeldBlobs {
  readonly stored = new Map<Digest, Uint8Array>();
  readonly #held: (() => void)[] = [];

  readonly store = {
    put: (name: Digest, bytes: Uint8Array): Promise<Outcome<void>> =>
      new Promise((resolve) =>
        this.#held.push(() => {
          this.stored.set(name, bytes);
          resolve(ok());
        }),
      ),
    get: (name: Digest): Promise<Outcome<Uint8Array | null>> => Promise.resolve(ok(this.stored.get(name) ?? null)),
    delete: (): Promise<Outcome<void>> => Promise.resolve(ok()),
  } as unknown as BlobStore;

  get waiting(): number {
    return this.#held.length;
  }

  release(): void {
    this.#held.shift()?.();
  }
}

const answered = (id: string): Entry => ({ kind: 'request-answered', id, command: 'node-drain', reply: { kind: 'done' } });

test('what is acknowledged while a snapshot is stored is not dropped with the records that it replaces', async () => {
  const time = new MemoryTime();
  const disk = new MemoryDisk();
  const blobs = new HeldBlobs();
  const opened = await disk.portOf(time.process()).journal('controller');
  if (!opened.ok) throw new Error(opened.error.message);
  const store = opened.value;
  const broken: string[] = [];
  const onBroken = (cause: string): void => void broken.push(cause);
  let snapshots: Snapshots | null = null;
  const journal = new Journal<Entry>(
    { clock: { civilMs: () => 7 }, store, onClose: (sequence) => snapshots?.onClose(sequence), onBroken },
    1 as Term,
  );
  const head = new Head(createState(), { journal, tell: () => {}, raiseFence: () => {} });
  const ports = { keys: { digest }, storage: { blobs: blobs.store } } as unknown as Pick<Ports, 'keys' | 'storage'>;
  snapshots = new Snapshots({ ports, journal, head, everyEntries: 2, keepJournal: false, onBroken });
  const durable = async (...ids: readonly string[]): Promise<void> => {
    head.commit(ids.map(answered));
    await time.until(new Promise<void>((resolve) => journal.whenDurable(resolve)));
  };

  await durable('a', 'b');
  expect(blobs.waiting).toBe(1);
  await durable('c', 'd');
  blobs.release();
  await time.advance(1);
  // Nothing is written by a question, and enough was before it: the next snapshot is taken of what it found.
  await durable();
  expect(blobs.waiting).toBe(1);
  await durable('last');
  blobs.release();
  await time.advance(1);
  await durable('after');
  expect(broken).toEqual([]);

  const recovered = await recover(store, blobs.store, { assertRecovery: false, digest });
  if (!recovered.ok) throw new Error(recovered.error.message);
  expect([...recovered.value.state.answered.keys()]).toEqual(['a', 'b', 'c', 'd', 'last', 'after']);
});
