// What faults of clocks and processors do to what a program on the machine sees: its clock port, and how long its work takes.
import { expect, it } from 'vitest';
import { nodeCrypto } from '../../../hardware/keys/keys.ts';
import type { FaultSpec } from '../../../scenarios/scenario.ts';
import { DISK_COSTS, WASM_COSTS } from '../../../sim/costs/costs.ts';
import { createClock } from '../../../sim/clock/clock.ts';
import { CIVIL_START_MS } from '../../../sim/kernel/kernel.ts';
import { Faults } from '../../../sim/faults/faults.ts';
import { ServiceFaults } from '../../../sim/faults/services.ts';
import { KeyRing } from '../../../sim/keys/keys.ts';
import { createRandom } from '../../../sim/random/random.ts';
import { createDisk, SimStorage } from '../../../sim/storage/storage.ts';
import { RecordSink } from '../../../sim/telemetry/telemetry.ts';
import { simulatedProfile, SimWasm } from '../../../sim/wasm/wasm.ts';
import type { Digest } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { CLOUD, SimWorld } from '../../contract/sim-world.ts';
import { GUEST, HOLDING } from '../../support/sim-wasm/holding.ts';

const SECOND = 1_000_000;
const BLOB = 'sha256:1' as Digest;

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

const X86 = simulatedProfile('x86_64', []);
/** A record, a key and a blob, all acknowledged as durable. */
async function store(storage: SimStorage, value: number): Promise<void> {
  const journal = get(await storage.journal('j'));
  get(journal.append(new Uint8Array([value]), { expectedSequence: journal.lastSequence }));
  get(await journal.sync());
  get(await storage.keyValue('b').put('k', new Uint8Array([value]), { expectedVersion: null }));
  get(await storage.blobs.put(`sha256:${value}` as Digest, new Uint8Array(8).fill(value)));
}

async function stored(storage: SimStorage): Promise<string> {
  const records: number[] = [];
  for await (const { record } of get(await storage.journal('j')).read(1)) records.push(...record);
  const blobs: string[] = [];
  for (const digest of get(await storage.blobs.list())) blobs.push([...(get(await storage.blobs.get(digest)) ?? [])].join(''));
  return `${records.join(',')} ${[...(get(await storage.keyValue('b').get('k'))?.value ?? [])].join()} ${blobs.join(',')}`;
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);

/** Of the journal and of the key. */
async function refusals(storage: SimStorage): Promise<string[]> {
  return [codeOf(await storage.journal('j')), codeOf(await storage.keyValue('b').get('k'))].filter((code) => code !== 'ok');
}

function setUp(seed = '1') {
  const world = new SimWorld({ seed });
  const { kernel, network } = world;
  const machine = world.add('truck', CLOUD);
  const disk = createDisk(kernel.stream('disk truck'), DISK_COSTS);
  const nothing = () => {};
  const felt: number[] = [];
  const sink = new RecordSink(kernel);
  sink.onRecord(({ kind, micros }) => {
    if (kind === 'fault.felt') felt.push(micros / SECOND);
  });
  const wasm = new SimWasm({
    engine: HOLDING,
    kernel,
    machine,
    clock: createClock(kernel, machine),
    costs: WASM_COSTS,
    profile: X86,
    profiles: [X86],
    fuelPerMicro: 100,
    slots: 4,
  });
  /** When the process of the machine would have been ended for its memory, in seconds. */
  const ended: number[] = [];
  const faults = new Faults({
    kernel,
    network,
    keys: new KeyRing({ crypto: nodeCrypto, random: createRandom(kernel, null), onForgery: nothing }),
    services: new ServiceFaults(kernel, 'witness'),
    telemetry: sink.portOf('testbed', 1, () => true),
    machines: {
      knows: (name) => name === 'truck',
      crash: () => disk.losePower(),
      start: nothing,
      pause: () => machine.pause(),
      resume: () => machine.resume(),
      shutDown: nothing,
      install: nothing,
      babble: () => {},
      squeeze: (_, leavesBytes, felt) =>
        wasm.limitMemory(leavesBytes, () => {
          felt();
          ended.push(kernel.now() / SECOND);
        }),
      runs: () => true,
      disk: () => disk,
      throttle: (_, slowness, felt) => machine.throttle(slowness, felt),
      clocks: () => machine.time,
      restored: nothing,
      fill: nothing,
      free: nothing,
    },
  });
  const clock = createClock(kernel, machine);
  const read = () => [kernel.now() / SECOND, clock.monotonicMicros() / SECOND, (clock.civilMs() - CIVIL_START_MS) / 1_000];
  const until = (seconds: number) => new Promise<void>((resolve) => kernel.after(seconds * SECOND - kernel.now(), null, 'until', resolve));
  let count = 0;
  const inject = (spec: FaultSpec) => faults.inject(`fault-${++count}`, spec);
  const host = {
    nowMicros: () => kernel.now(),
    after: (delay: number, label: string, run: () => void) => void kernel.after(delay, machine, label, run),
  };
  return { world, kernel, machine, clock, read, until, inject, felt, wasm, ended, storage: () => new SimStorage(disk, host, DISK_COSTS) };
}

it('memory pressure ends what holds more than it leaves, while it lasts, and of several the one that leaves least counts', async () => {
  const { world, machine, until, inject, felt, wasm, ended } = setUp();
  await world.play(machine, async () => {
    const module = get(await wasm.load(get(await wasm.compile(new Uint8Array([1]), X86.profile)).artefact));
    get(module.start(GUEST));
    get(module.start(GUEST));
    await until(1);
    inject({ kind: 'memory-pressure', machine: 'truck', leavesBytes: 2 * GUEST.memoryBytesMax, forMicros: 9 * SECOND });
    await until(2);
    inject({ kind: 'memory-pressure', machine: 'truck', leavesBytes: GUEST.memoryBytesMax, forMicros: SECOND });
    await until(4);
    // What the other still leaves is enough for two, and not for a third.
    get(module.start(GUEST));
    await until(11);
    get(module.start(GUEST));
  });
  expect(ended).toEqual([2, 4]);
  expect(felt[0]).toBe(2);
});

it('a step moves the civil clock alone, and it is set right at the end', async () => {
  const { world, clock, read, until, inject } = setUp();
  const readings: unknown[] = [];
  await world.play(null, async () => {
    await until(1);
    inject({ kind: 'clock-step', machine: 'truck', byMicros: -3_600 * SECOND, forMicros: 2 * SECOND });
    inject({ kind: 'clock-step', machine: 'truck', byMicros: 5 * SECOND, forMicros: 3 * SECOND });
    readings.push(read());
    await clock.sleep(2 * SECOND + 1);
    readings.push(read());
    await until(5);
    readings.push(read());
  });
  expect(readings).toEqual([
    [1, 1, 1 - 3_595],
    [3.000001, 3.000001, 8],
    [5, 5, 5],
  ]);
});

it('a frozen civil clock stands still while monotonic time and timers go on', async () => {
  const { world, clock, read, until, inject } = setUp();
  const readings: unknown[] = [];
  await world.play(null, async () => {
    await until(1);
    inject({ kind: 'clock-freeze', machine: 'truck', forMicros: 3 * SECOND });
    inject({ kind: 'clock-freeze', machine: 'truck', forMicros: SECOND });
    await clock.sleep(2 * SECOND);
    readings.push(read());
    await until(5);
    readings.push(read());
  });
  expect(readings).toEqual([
    [3, 3, 1],
    [5, 5, 5],
  ]);
});

it('a drift is in monotonic time, civil time and timers; afterwards civil time is right and monotonic time has not gone back', async () => {
  const { world, clock, read, until, inject } = setUp();
  const readings: unknown[] = [];
  await world.play(null, async () => {
    await until(10);
    inject({ kind: 'clock-drift', machine: 'truck', ppm: 100_000, forMicros: 20 * SECOND });
    await clock.sleep(11 * SECOND);
    readings.push(read());
    await until(40);
    readings.push(read());
    inject({ kind: 'clock-drift', machine: 'truck', ppm: -50_000, forMicros: 20 * SECOND });
    await clock.sleep(9.5 * SECOND);
    readings.push(read());
  });
  expect(readings).toEqual([
    [20, 21, 21],
    [40, 42, 40],
    [50, 51.5, 49.5],
  ]);
});

it('monotonic time never goes back and no timer is early, however rates change', async () => {
  const { world, kernel, clock, inject } = setUp();
  const stream = kernel.stream('rates');
  let last = 0;
  let early = 0;
  await world.play(null, async () => {
    for (let i = 0; i < 200; i++) {
      inject({
        kind: 'clock-drift',
        machine: 'truck',
        ppm: stream.below(20_001) - 10_000,
        forMicros: stream.below(SECOND),
      });
      const delay = stream.below(200_000);
      const before = clock.monotonicMicros();
      if (before < last) early++;
      await clock.sleep(delay);
      last = clock.monotonicMicros();
      if (last - before < delay) early++;
    }
  });
  expect(early).toBe(0);
  expect(last).not.toBe(kernel.now());
});

it('a timer that was cancelled after its clock got slower does not fire', async () => {
  const { world, clock, until, inject } = setUp();
  let fired = 0;
  await world.play(null, async () => {
    const timer = clock.after(10 * SECOND, () => fired++);
    inject({ kind: 'clock-drift', machine: 'truck', ppm: -100_000, forMicros: 60 * SECOND });
    await until(10.5);
    timer.cancel();
    await until(30);
  });
  expect(fired).toBe(0);
});

it('throttling stretches all work, what is under way included', async () => {
  const { world, kernel, machine, until, inject } = setUp();
  const done: string[] = [];
  await world.play(null, async () => {
    const work = (name: string, costMicros: number) =>
      machine.execute(costMicros, name, () => done.push(`${name} ${kernel.now() / SECOND}`));
    work('first', 2 * SECOND);
    work('second', SECOND);
    await until(1);
    // One second of the first is left: it takes four, and the pause; the second finds a cool processor.
    inject({ kind: 'throttle', machine: 'truck', factor: 4, forMicros: 5 * SECOND });
    await until(2);
    inject({ kind: 'pause', machine: 'truck', forMicros: SECOND });
    await until(10);
  });
  expect(done).toEqual(['first 6', 'second 7']);
});

it('a throttle is felt by the first work that takes longer for it, and by nothing else', async () => {
  const { world, machine, until, inject, felt } = setUp();
  await world.play(null, async () => {
    inject({ kind: 'throttle', machine: 'truck', factor: 4, forMicros: SECOND });
    await until(2);
    inject({ kind: 'throttle', machine: 'truck', factor: 4, forMicros: 9 * SECOND });
    await until(5);
    machine.execute(0, 'nothing', () => {});
    await until(6);
    for (const name of ['first', 'second']) machine.execute(10, name, () => {});
    await until(20);
  });
  expect(felt).toEqual([6]);
});

it('a slow disk takes longer for everything, by the same draws', async () => {
  const times = await Promise.all(
    [1, 7].map(async (factor) => {
      const { world, kernel, inject, storage } = setUp();
      return world.play(null, async () => {
        if (factor > 1) inject({ kind: 'disk-slow', machine: 'truck', factor, forMicros: 60 * SECOND });
        await store(storage(), 1);
        return kernel.now();
      });
    }),
  );
  expect(times[1]).toBe((times[0] ?? 0) * 7);
});

it('what waits at a disk that was slow is done at full speed once it is not', async () => {
  const { world, kernel, inject, storage } = setUp();
  await world.play(null, async () => {
    const { blobs } = storage();
    inject({ kind: 'disk-slow', machine: 'truck', factor: 1_000, forMicros: SECOND });
    const order: number[] = [];
    const puts = Array.from({ length: 100 }, async (_, i) => {
      const put = await blobs.put(`sha256:${String(i).padStart(64, '0')}` as Digest, new Uint8Array([i]));
      expect(put.ok).toBe(true);
      order.push(i);
    });
    await Promise.all(puts);
    expect(order).toEqual(Array.from({ length: 100 }, (_, i) => i));
    // A hundred syncs of a few milliseconds, and the second in which hardly one of them went through.
    expect(kernel.now()).toBeGreaterThan(SECOND);
    expect(kernel.now()).toBeLessThan(2 * SECOND);
  });
});

it('a lying disk loses what it acknowledged at a crash, a suffix of it, and may tear a blob', async () => {
  const found = new Set<string>();
  for (let seed = 1; seed <= 60; seed++) {
    const { world, inject, storage } = setUp(String(seed));
    await world.play(null, async () => {
      await store(storage(), 1);
      inject({ kind: 'disk-lies', machine: 'truck', lastCopy: false, forMicros: 60 * SECOND });
      await store(storage(), 2);
      expect(await stored(storage())).toBe('1,2 2 11111111,22222222');
      inject({ kind: 'crash', machine: 'truck', forMicros: SECOND });
      found.add(await stored(storage()));
    });
  }
  // The record apart from key and blob, which are kept in the order of their writing.
  const kept = ['1 11111111', '2 11111111', '2 11111111,2222', '2 11111111,22222222'];
  expect([...found].sort()).toEqual(['1', '1,2'].flatMap((records) => kept.map((rest) => `${records} ${rest}`)).sort());
});

it('a disk that lied has written everything when the fault is over', async () => {
  const { world, until, inject, storage } = setUp();
  await world.play(null, async () => {
    inject({ kind: 'disk-lies', machine: 'truck', lastCopy: false, forMicros: SECOND });
    await store(storage(), 1);
    await until(2);
    inject({ kind: 'crash', machine: 'truck', forMicros: SECOND });
    expect(await stored(storage())).toBe('1 1 11111111');
  });
});

it('bit rot changes one bit of each blob, and spoils records and keys only when the last copy may go', async () => {
  const { world, inject, storage } = setUp();
  await world.play(null, async () => {
    await store(storage(), 1);
    inject({ kind: 'disk-rot', machine: 'truck', lastCopy: false, forMicros: 0 });
    const bytes = get(await storage().blobs.get(BLOB));
    expect([...(bytes ?? [])].filter((byte) => byte !== 1)).toHaveLength(1);
    expect(await stored(storage())).toMatch(/^1 1 /);
    inject({ kind: 'disk-rot', machine: 'truck', lastCopy: true, forMicros: 0 });
    expect(await refusals(storage())).toEqual(['WM_JOURNAL_CORRUPT', 'WM_JOURNAL_CORRUPT']);
  });
});

it('what rotted is so in copies that are taken since, and not in older ones', async () => {
  const { world, until, inject, storage } = setUp();
  await world.play(null, async () => {
    await store(storage(), 1);
    inject({ kind: 'restore', machine: 'truck', offMicros: SECOND, lastCopy: false, forMicros: 2 * SECOND });
    await until(0.5);
    inject({ kind: 'disk-rot', machine: 'truck', lastCopy: true, forMicros: 0 });
    inject({ kind: 'restore', machine: 'truck', offMicros: SECOND, lastCopy: false, forMicros: 4 * SECOND });
    await until(1.2);
    expect(await refusals(storage())).toEqual([]);
    expect(await stored(storage())).toMatch(/^1 1 /);
    await until(3.7);
    expect(await refusals(storage())).toEqual(['WM_JOURNAL_CORRUPT', 'WM_JOURNAL_CORRUPT']);
  });
});

it('a record that was only appended when the disk rotted is written as it is', async () => {
  const { world, inject, storage } = setUp();
  await world.play(null, async () => {
    const journal = get(await storage().journal('j'));
    get(journal.append(new Uint8Array([1]), { expectedSequence: 0 }));
    inject({ kind: 'disk-rot', machine: 'truck', lastCopy: true, forMicros: 0 });
    get(await journal.sync());
    expect(await stored(storage())).toBe('1  ');
    inject({ kind: 'disk-rot', machine: 'truck', lastCopy: true, forMicros: 0 });
    // Whoever had it open when it rotted is told so too.
    await expect(journal.read(1)[Symbol.asyncIterator]().next()).rejects.toThrow('Record 1 of journal j is not what was written');
  });
});

it('a value over one that rotted is good, and the rotten one is there again when that write is lost', async () => {
  const found = new Set<string>();
  for (let seed = 1; seed <= 20; seed++) {
    const { world, inject, storage } = setUp(String(seed));
    await world.play(null, async () => {
      const bucket = storage().keyValue('b');
      get(await bucket.put('k', new Uint8Array([1]), { expectedVersion: null }));
      inject({ kind: 'disk-rot', machine: 'truck', lastCopy: true, forMicros: 0 });
      inject({ kind: 'disk-lies', machine: 'truck', lastCopy: true, forMicros: 60 * SECOND });
      get(await bucket.put('k', new Uint8Array([2]), { expectedVersion: null }));
      expect(get(await bucket.get('k'))?.value).toEqual(new Uint8Array([2]));
      inject({ kind: 'crash', machine: 'truck', forMicros: SECOND });
      found.add(codeOf(await storage().keyValue('b').get('k')));
    });
  }
  expect([...found].sort()).toEqual(['WM_JOURNAL_CORRUPT', 'ok']);
});

it('a restored disk has what it had when the copy was taken, and nothing of what was under way then', async () => {
  const { world, until, inject, storage, felt } = setUp();
  await world.play(null, async () => {
    await store(storage(), 1);
    const journal = get(await storage().journal('j'));
    get(journal.append(new Uint8Array([9]), { expectedSequence: 1 }));
    inject({ kind: 'restore', machine: 'truck', offMicros: SECOND, lastCopy: false, forMicros: 5 * SECOND });
    get(await journal.sync());
    get(
      await storage()
        .keyValue('b')
        .put('k', new Uint8Array([2]), { expectedVersion: null }),
    );
    get(await storage().blobs.delete(BLOB));
    await until(3.9);
    expect(await stored(storage())).toBe('1,9 2 ');
    expect(felt).toEqual([]);
    await until(4.2);
    expect(await stored(storage())).toBe('1 1 11111111');
    expect(felt).toHaveLength(1);
    // It takes new data, and the copy is none of them.
    await store(storage(), 3);
    expect(await stored(storage())).toBe('1,3 3 11111111,33333333');
  });
});

it('a wiped disk is empty and takes new data', async () => {
  const { world, inject, storage } = setUp();
  await world.play(null, async () => {
    await store(storage(), 1);
    inject({ kind: 'wipe', machine: 'truck', lastCopy: false, forMicros: SECOND });
    expect(await stored(storage())).toBe('  ');
    await store(storage(), 2);
    expect(await stored(storage())).toBe('2 2 22222222');
  });
});
