// What any store promises to one process, in every world that has one.
import { describe, expect, it } from 'vitest';
import { DISK_COSTS } from '../../sim/costs/costs.ts';
import { createDisk, SimStorage } from '../../sim/storage/storage.ts';
import type { Digest } from '../../system/domain/identifiers.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../system/ports/storage.ts';
import type { JournalStore, Storage } from '../../system/ports/storage.ts';
import { CLOUD, SimWorld } from './sim-world.ts';

/** `reopen` gives the port of the next process on the same store. */
type Arm = { readonly world: string; readonly play: <T>(body: (storage: Storage, reopen: () => Storage) => Promise<T>) => Promise<T> };

const ARMS: readonly Arm[] = [
  {
    world: 'simulated',
    play: (body) => {
      const world = new SimWorld();
      const machine = world.add('machine', CLOUD);
      const disk = createDisk(world.kernel.stream('disk machine'), DISK_COSTS);
      const host = {
        nowMicros: () => world.kernel.now(),
        after: (delay: number, label: string, fn: () => void) => void world.kernel.after(delay, machine, label, fn),
      };
      const open = (): Storage => new SimStorage(disk, host, DISK_COSTS);
      return world.play(machine, () => body(open(), open));
    },
  },
];

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);

async function readAll(journal: JournalStore, from = 1): Promise<[number, number[]][]> {
  const all: [number, number[]][] = [];
  for await (const { sequence, record } of journal.read(from)) all.push([sequence, [...record]]);
  return all;
}

describe.each(ARMS)('the $world store', ({ play }) => {
  it('numbers the records of a journal from 1 and reads them back in order, in the next process too', async () => {
    await play(async (storage, reopen) => {
      const journal = get(await storage.journal('main'));
      expect(journal.lastSequence).toBe(0);
      expect(get(journal.append(new Uint8Array([7]), { expectedSequence: 0 }))).toBe(1);
      expect(get(journal.append(new Uint8Array([8]), { expectedSequence: 1 }))).toBe(2);
      get(await journal.sync());
      expect(await readAll(journal)).toEqual([
        [1, [7]],
        [2, [8]],
      ]);
      const again = get(await reopen().journal('main'));
      expect(again.lastSequence).toBe(2);
      expect(await readAll(again, 2)).toEqual([[2, [8]]]);
    });
  });

  it('refuses an append at another sequence, and a record that is too large', async () => {
    await play(async (storage) => {
      const journal = get(await storage.journal('main'));
      get(journal.append(new Uint8Array([1]), { expectedSequence: 0 }));
      expect(codeOf(journal.append(new Uint8Array([2]), { expectedSequence: 0 }))).toBe('WM_JOURNAL_CONFLICT');
      expect(codeOf(journal.append(new Uint8Array(JOURNAL_RECORD_BYTES_MAX + 1), { expectedSequence: 1 }))).toBe('WM_MESSAGE_TOO_LARGE');
      expect(codeOf(journal.append(new Uint8Array(JOURNAL_RECORD_BYTES_MAX), { expectedSequence: 1 }))).toBe('ok');
    });
  });

  it('keeps a record as it was when it was appended', async () => {
    await play(async (storage) => {
      const journal = get(await storage.journal('main'));
      const record = new Uint8Array([1]);
      get(journal.append(record, { expectedSequence: 0 }));
      record[0] = 9;
      expect(await readAll(journal)).toEqual([[1, [1]]]);
    });
  });

  it('opens a journal of a name once in a process', async () => {
    await play(async (storage) => {
      get(await storage.journal('main'));
      expect(codeOf(await storage.journal('main'))).toBe('WM_CONFLICT');
      expect(codeOf(await storage.journal('other'))).toBe('ok');
    });
  });

  it('goes on counting after a truncation', async () => {
    await play(async (storage, reopen) => {
      const journal = get(await storage.journal('main'));
      for (let i = 0; i < 5; i++) get(journal.append(new Uint8Array([i]), { expectedSequence: i }));
      get(journal.truncate(5));
      get(await journal.sync());
      const again = get(await reopen().journal('main'));
      expect(again.lastSequence).toBe(5);
      expect(get(again.append(new Uint8Array([9]), { expectedSequence: 5 }))).toBe(6);
      expect(await readAll(again)).toEqual([[6, [9]]]);
      expect(codeOf(again.truncate(7))).toBe('WM_NOT_FOUND');
    });
  });

  it('stores blobs by digest', async () => {
    await play(async (storage, reopen) => {
      const [a, b] = ['sha256:a' as Digest, 'sha256:b' as Digest];
      expect(get(await storage.blobs.get(a))).toBeNull();
      get(await storage.blobs.put(b, new Uint8Array([2])));
      get(await storage.blobs.put(a, new Uint8Array([1])));
      get(await storage.blobs.put(a, new Uint8Array([1])));
      expect(get(await reopen().blobs.list())).toEqual([a, b]);
      expect(get(await storage.blobs.get(a))).toEqual(new Uint8Array([1]));
      get(await storage.blobs.delete(a));
      get(await storage.blobs.delete(a));
      expect(get(await storage.blobs.list())).toEqual([b]);
    });
  });

  it('compares and sets keys, also when two writes are under way at once', async () => {
    await play(async (storage, reopen) => {
      const bucket = storage.keyValue('b');
      expect(get(await bucket.get('k'))).toBeNull();
      const [first, second] = await Promise.all([
        bucket.put('k', new Uint8Array([1]), { expectedVersion: 0 }),
        bucket.put('k', new Uint8Array([2]), { expectedVersion: 0 }),
      ]);
      expect([codeOf(first), codeOf(second)]).toEqual(['ok', 'WM_CONFLICT']);
      expect(get(await bucket.put('k', new Uint8Array([3]), { expectedVersion: 1 }))).toBe(2);
      expect(codeOf(await bucket.put('k', new Uint8Array([4]), { expectedVersion: 1 }))).toBe('WM_CONFLICT');
      expect(get(await bucket.put('k', new Uint8Array([5]), { expectedVersion: null }))).toBe(3);
      expect(get(await reopen().keyValue('b').get('k'))).toEqual({ version: 3, value: new Uint8Array([5]) });
      expect(get(await storage.keyValue('other').get('k'))).toBeNull();
    });
  });
});
