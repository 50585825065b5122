// What a power loss takes from a disk, and what the end of a process does not.
import { describe, expect, it } from 'vitest';
import { DISK_COSTS } from '../../../sim/costs/costs.ts';
import { createDisk, SimStorage } from '../../../sim/storage/storage.ts';
import type { Disk } from '../../../sim/storage/storage.ts';
import type { Machine } from '../../../sim/kernel/kernel.ts';
import type { Digest } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { JournalStore } from '../../../system/ports/storage.ts';
import { CLOUD, SimWorld } from '../../contract/sim-world.ts';

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

function storageOf(world: SimWorld, machine: Machine, disk: Disk): SimStorage {
  const host = {
    nowMicros: () => world.kernel.now(),
    after: (delay: number, label: string, fn: () => void) => void world.kernel.after(delay, machine, label, fn),
  };
  return new SimStorage(disk, host, DISK_COSTS);
}

async function sequencesOf(journal: JournalStore): Promise<number[]> {
  const all: number[] = [];
  for await (const { sequence, record } of journal.read(1)) {
    expect(record).toEqual(new Uint8Array([sequence]));
    all.push(sequence);
  }
  return all;
}

/** Appends ten records, syncs after the fourth, and ends the process before the rest is synced. Sequences found afterwards. */
async function recordsAfter(seed: string, how: 'power' | 'process'): Promise<number[]> {
  const world = new SimWorld({ seed });
  const machine = world.add('machine', CLOUD);
  const disk = createDisk(world.kernel.stream('disk machine'), DISK_COSTS);
  return world.play(null, async () => {
    await new Promise<void>((resolve) =>
      world.kernel.after(0, machine, 'write', () => {
        const write = async (): Promise<void> => {
          const journal = get(await storageOf(world, machine, disk).journal('j'));
          for (let i = 1; i <= 10; i++) {
            get(journal.append(new Uint8Array([i]), { expectedSequence: i - 1 }));
            if (i === 4) get(await journal.sync());
          }
          void journal.sync();
          world.kernel.after(0, null, 'written', resolve);
        };
        world.kernel.own('write', write());
      }),
    );
    machine.crash();
    if (how === 'power') disk.losePower();
    else disk.flush();
    await new Promise<void>((resolve) => world.kernel.after(5, null, 'later', resolve));
    machine.boot();
    return sequencesOf(get(await storageOf(world, machine, disk).journal('j')));
  });
}

describe('the simulated disk', () => {
  it('keeps what was synced and a prefix of the rest over a power loss, by the seed', async () => {
    const lengths = new Set<number>();
    for (let seed = 1; seed <= 40; seed++) {
      const kept = await recordsAfter(String(seed), 'power');
      expect(kept).toEqual(Array.from({ length: kept.length }, (_, i) => i + 1));
      expect(kept.length).toBeGreaterThanOrEqual(4);
      lengths.add(kept.length);
    }
    expect([...lengths].sort((a, b) => a - b)).toEqual([4, 5, 6, 7, 8, 9, 10]);
    expect(await recordsAfter('3', 'power')).toEqual(await recordsAfter('3', 'power'));
  });

  it('keeps everything when only the process ended', async () => {
    expect(await recordsAfter('1', 'process')).toHaveLength(10);
  });

  it('forgets a truncation that was not synced', async () => {
    const world = new SimWorld();
    const machine = world.add('machine', CLOUD);
    const disk = createDisk(world.kernel.stream('disk machine'), DISK_COSTS);
    const [before, dropped, after] = await world.play(null, async () => {
      const journal = get(await storageOf(world, machine, disk).journal('j'));
      for (let i = 1; i <= 4; i++) get(journal.append(new Uint8Array([i]), { expectedSequence: i - 1 }));
      get(journal.truncate(1));
      get(await journal.sync());
      const synced = await sequencesOf(journal);
      get(journal.truncate(3));
      const unsynced = await sequencesOf(journal);
      disk.losePower();
      return [synced, unsynced, await sequencesOf(get(await storageOf(world, machine, disk).journal('j')))] as const;
    });
    expect([before, dropped, after]).toEqual([[2, 3, 4], [4], [2, 3, 4]]);
  });

  it('takes no byte while a fault fills it, keeps what is there, and takes writes again afterwards', async () => {
    const world = new SimWorld();
    const machine = world.add('machine', CLOUD);
    const disk = createDisk(world.kernel.stream('disk machine'), DISK_COSTS);
    const codes = await world.play(null, async () => {
      const bucket = storageOf(world, machine, disk).keyValue('b');
      const put = async (): Promise<string> => {
        const outcome = await bucket.put('k', new Uint8Array(1), { expectedVersion: null });
        return outcome.ok ? 'ok' : outcome.error.code;
      };
      const before = await put();
      disk.full = true;
      const full = [await put(), get(await bucket.get('k'))?.version];
      disk.full = false;
      return [before, ...full, await put()];
    });
    expect(codes).toEqual(['ok', 'WM_STORAGE_FULL', 1, 'ok']);
  });

  it('says that it is full, and takes writes again when space was freed', async () => {
    const world = new SimWorld();
    const machine = world.add('machine', CLOUD);
    const disk = createDisk(world.kernel.stream('disk machine'), { ...DISK_COSTS, capacityBytes: 1_000 });
    const codes = await world.play(null, async () => {
      const { blobs } = storageOf(world, machine, disk);
      const code = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);
      const first = code(await blobs.put('a' as Digest, new Uint8Array(700)));
      const second = code(await blobs.put('b' as Digest, new Uint8Array(700)));
      await blobs.delete('a' as Digest);
      return [first, second, code(await blobs.put('b' as Digest, new Uint8Array(700)))];
    });
    expect(codes).toEqual(['ok', 'WM_STORAGE_FULL', 'ok']);
  });
});
