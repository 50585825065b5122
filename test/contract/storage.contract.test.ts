// What any store promises to one process, in every world that has one.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { jetstream } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openNatsStorage } from '../../hardware/storage/nats/nats.ts';
import { openStorage } from '../../hardware/storage/storage.ts';
import type { OpenStorage } from '../../hardware/storage/storage.ts';
import { DISK_COSTS } from '../../sim/costs/costs.ts';
import { createDisk, SimStorage } from '../../sim/storage/storage.ts';
import type { Digest } from '../../system/domain/identifiers.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../system/ports/storage.ts';
import type { JournalStore, Storage } from '../../system/ports/storage.ts';
import { NATS, startNats } from '../support/nats/nats.ts';
import type { NatsServer } from '../support/nats/nats.ts';
import { CLOUD, SimWorld } from './sim-world.ts';

/**
 * `reopen` gives the port of the next process on the same store; the one before has ended. `spoilt`: meanwhile the newest record of the
 * journal `main` and the value of the key `k` in the bucket `b` became other bytes than were written.
 */
type Body = (storage: Storage, reopen: (spoilt?: 'spoilt') => Promise<Storage>) => Promise<void>;
type Arm = { readonly world: string; readonly missing?: string; readonly play: (body: Body) => Promise<void> };

let nats: NatsServer | null = null;
let stores = 0;
beforeAll(async () => {
  if (!('missing' in NATS)) nats = await startNats({ config: 'max_payload: 2MB' });
});
afterAll(() => nats?.stop());

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
      const reopen = (spoilt?: 'spoilt'): Promise<Storage> => {
        if (spoilt !== undefined) disk.rot(true);
        return Promise.resolve(open());
      };
      return world.play(machine, () => body(open(), reopen));
    },
  },
  {
    world: 'real',
    play: async (body) => {
      const folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-storage-'));
      let current = get(await openStorage({ folder }));
      try {
        await body(current, async (spoilt) => {
          await current.close();
          if (spoilt !== undefined) spoil(join(folder, 'store.sqlite'));
          current = get(await openStorage({ folder }));
          return current;
        });
      } finally {
        await current.close();
        await rm(folder, { recursive: true });
      }
    },
  },
  {
    world: 'missing' in NATS ? 'NATS' : NATS.title,
    ...('missing' in NATS ? { missing: NATS.missing } : {}),
    play: async (body) => {
      if (nats === null) throw new Error('the server runs');
      const { url, monitorUrl } = nats;
      const name = `contract-${++stores}`;
      let connection = await connect({ servers: url });
      const open = async (): Promise<OpenStorage> =>
        get(await openNatsStorage({ connection, name, durability: { kind: 'monitor', urls: [monitorUrl] } }));
      let current = await open();
      try {
        await body(current, async (spoilt) => {
          await current.close();
          await connection.close();
          connection = await connect({ servers: url });
          if (spoilt !== undefined)
            for (const subject of [`${name}-journal.main`, `$KV.${name}-b.k`]) await jetstream(connection).publish(subject, 'other bytes');
          current = await open();
          return current;
        });
      } finally {
        await current.close();
        await connection.close();
      }
    },
  },
];

/** As a bit that flips on the disk does, whose checksum stays. */
function spoil(path: string): void {
  const database = new DatabaseSync(path);
  database.exec(`UPDATE records SET record = CAST('other bytes' AS BLOB) WHERE sequence = (SELECT max(sequence) FROM records)`);
  database.exec(`UPDATE entries SET value = CAST('other bytes' AS BLOB)`);
  database.close();
}

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

const digestOf = (digit: string): Digest => `sha256:${digit.repeat(64)}` as Digest;

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);

async function readAll(journal: JournalStore, from = 1): Promise<[number, number[]][]> {
  const all: [number, number[]][] = [];
  for await (const { sequence, record } of journal.read(from)) all.push([sequence, [...record]]);
  return all;
}

// Left out where there is neither a nats-server nor Go to build one.
for (const { missing } of ARMS) if (missing !== undefined) process.stdout.write(`storage: the arm on NATS is SKIPPED: ${missing}.\n`);

describe.each(ARMS.filter(({ missing }) => missing === undefined))('the $world store', ({ play }) => {
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
      const again = get(await (await reopen()).journal('main'));
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
      const again = get(await (await reopen()).journal('main'));
      expect(again.lastSequence).toBe(5);
      expect(get(again.append(new Uint8Array([9]), { expectedSequence: 5 }))).toBe(6);
      expect(await readAll(again)).toEqual([[6, [9]]]);
      expect(codeOf(again.truncate(7))).toBe('WM_NOT_FOUND');
    });
  });

  it('stores blobs by digest', async () => {
    await play(async (storage, reopen) => {
      const [a, b] = [digestOf('a'), digestOf('b')];
      expect(get(await storage.blobs.get(a))).toBeNull();
      get(await storage.blobs.put(b, new Uint8Array([2])));
      get(await storage.blobs.put(a, new Uint8Array([1])));
      get(await storage.blobs.put(a, new Uint8Array([1])));
      const next = await reopen();
      expect(get(await next.blobs.list())).toEqual([a, b]);
      expect(get(await next.blobs.get(a))).toEqual(new Uint8Array([1]));
      get(await next.blobs.delete(a));
      get(await next.blobs.delete(a));
      expect(get(await next.blobs.list())).toEqual([b]);
      expect(get(await (await reopen()).blobs.get(a))).toBeNull();
    });
  });

  it('keeps a blob and a value as they were when they were put', async () => {
    await play(async (storage) => {
      const bytes = new Uint8Array([1]);
      const written = Promise.all([storage.blobs.put(digestOf('a'), bytes), storage.keyValue('b').put('k', bytes, { expectedVersion: 0 })]);
      bytes[0] = 9;
      await written;
      expect(get(await storage.blobs.get(digestOf('a')))).toEqual(new Uint8Array([1]));
      expect(get(await storage.keyValue('b').get('k'))).toEqual({ version: 1, value: new Uint8Array([1]) });
    });
  });

  it('reads what is durable, what is under way and what is only appended as one journal', async () => {
    await play(async (storage) => {
      const journal = get(await storage.journal('main'));
      get(journal.append(new Uint8Array([1]), { expectedSequence: 0 }));
      get(await journal.sync());
      get(journal.append(new Uint8Array([2]), { expectedSequence: 1 }));
      const syncing = journal.sync();
      get(journal.append(new Uint8Array([3]), { expectedSequence: 2 }));
      const all: [number, number[]][] = [
        [1, [1]],
        [2, [2]],
        [3, [3]],
      ];
      expect(await readAll(journal)).toEqual(all);
      get(await syncing);
      expect(await readAll(journal)).toEqual(all);
      get(journal.truncate(2));
      expect(await readAll(journal)).toEqual([[3, [3]]]);
    });
  });

  it('keeps what a sync covered when another sync is asked for before it is done', async () => {
    await play(async (storage, reopen) => {
      const [main, other] = [get(await storage.journal('main')), get(await storage.journal('other'))];
      const syncs: Promise<Outcome<void>>[] = [];
      for (let i = 0; i < 20; i++) {
        get(main.append(new Uint8Array([i]), { expectedSequence: i }));
        get(other.append(new Uint8Array([i, i]), { expectedSequence: i }));
        syncs.push(main.sync(), other.sync());
      }
      for (const synced of await Promise.all(syncs)) get(synced);
      const next = await reopen();
      expect((await readAll(get(await next.journal('main')))).map(([, record]) => record)).toEqual(
        Array.from({ length: 20 }, (_, i) => [i]),
      );
      expect((await readAll(get(await next.journal('other')), 20)).map(([, record]) => record)).toEqual([[19, 19]]);
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
      const next = await reopen();
      expect(get(await next.keyValue('b').get('k'))).toEqual({ version: 3, value: new Uint8Array([5]) });
      expect(get(await next.keyValue('other').get('k'))).toBeNull();
    });
  });

  it('refuses a journal and a value that are not what was written', async () => {
    await play(async (storage, reopen) => {
      const journal = get(await storage.journal('main'));
      for (let i = 0; i < 3; i++) get(journal.append(new Uint8Array([i]), { expectedSequence: i }));
      get(await journal.sync());
      get(await storage.keyValue('b').put('k', new Uint8Array([1]), { expectedVersion: 0 }));
      const next = await reopen('spoilt');
      expect(codeOf(await next.journal('main'))).toBe('WM_JOURNAL_CORRUPT');
      // Not because it is open already.
      expect(codeOf(await next.journal('main'))).toBe('WM_JOURNAL_CORRUPT');
      expect(codeOf(await next.journal('other'))).toBe('ok');
      expect(codeOf(await next.keyValue('b').get('k'))).toBe('WM_JOURNAL_CORRUPT');
      expect(get(await next.keyValue('b').get('other'))).toBeNull();
    });
  });
});
