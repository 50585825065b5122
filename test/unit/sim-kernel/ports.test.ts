import { describe, expect, test } from 'vitest';
import { createClock } from '../../../sim/clock/clock.ts';
import { CIVIL_START_MS } from '../../../sim/kernel/kernel.ts';
import { canonicalSeed } from '../../../sim/kernel/kernel.ts';
import { createRandom } from '../../../sim/random/random.ts';
import { playKernel } from './play.ts';

describe('the virtual clock', () => {
  test('reads virtual time, and civil time from a fixed date plus what the machine is off', async () => {
    const read: unknown[] = [];
    await playKernel((kernel) => {
      const machine = kernel.machine('a');
      machine.boot();
      const clock = createClock(kernel, machine);
      const world = createClock(kernel, null);
      clock.after(1_500, () => {
        machine.time.step(-250_000);
        read.push(clock.monotonicMicros(), clock.civilMs() - CIVIL_START_MS, world.civilMs() - CIVIL_START_MS);
      });
    });
    expect(read).toEqual([1_500, -249, 1]);
    expect(new Date(CIVIL_START_MS).toISOString()).toBe('2030-01-01T00:00:00.000Z');
  });

  test('fires in the order of setting at one instant, never early, with less than 0 as 0 and parts rounded up', async () => {
    const seen: string[] = [];
    await playKernel((kernel) => {
      const clock = createClock(kernel, null);
      kernel.after(10, null, 'begin', () => {
        clock.after(0.2, () => seen.push(`part@${clock.monotonicMicros()}`));
        clock.after(-5, () => seen.push(`past@${clock.monotonicMicros()}`));
        void clock.sleep(0).then(() => seen.push(`sleep@${clock.monotonicMicros()}`));
        const timer = clock.after(0, () => seen.push('cancelled'));
        timer.cancel();
        timer.cancel();
        seen.push('set');
      });
    });
    expect(seen).toEqual(['set', 'past@10', 'sleep@10', 'part@11']);
  });
});

describe('virtual chance', () => {
  test('a stream goes on after a reboot: two boots never draw the same', async () => {
    await playKernel((kernel) => {
      const machine = kernel.machine('a');
      machine.boot();
      const random = createRandom(kernel, machine);
      const first = random.stream('boot').bytes(16);
      expect(random.stream('boot')).toBe(random.stream('boot'));
      machine.crash();
      expect(createRandom(kernel, machine).stream('boot').bytes(16)).not.toEqual(first);
      expect(createRandom(kernel, null).stream('boot').bytes(16)).not.toEqual(first);
    });
  });

  // Pinned: another value here means that every seed ever kept plays something else, on this or on another architecture.
  test('the stream of a seed and a name is what it was', async () => {
    await playKernel((kernel) => {
      const stream = kernel.stream('link/a>b');
      expect([stream.uint32(), stream.uint32(), stream.below(10), stream.below(2 ** 32)]).toEqual([3662969858, 1631684103, 3, 3552280543]);
      expect([...stream.bytes(5)]).toEqual([255, 65, 131, 0, 76]);
    });
  });

  test('names that differ only past the eighth bit of a character are different streams', async () => {
    await playKernel((kernel) => {
      const draws = ['a', '\u0161', '\u0261', '\\0161'].map((name) => kernel.stream(name).uint32());
      expect(new Set(draws).size).toBe(4);
    });
  });

  test('bounds that make no sense are bugs', async () => {
    await playKernel((kernel) => {
      const stream = kernel.stream('x');
      for (const bound of [0, -1, 1.5, 2 ** 32 + 1]) expect(() => stream.below(bound)).toThrow('a draw is below');
      expect(() => stream.chance(-1, 2)).toThrow('whole numerator');
      expect(() => stream.bytes(-1)).toThrow('bytes');
      expect([stream.chance(0, 1), stream.chance(1, 1), stream.chance(5, 2), stream.below(1)]).toEqual([false, true, true, 0]);
    });
  });
});

describe('a seed has one text', () => {
  test.each([
    ['0x2A', '0x2a'],
    ['42', '0x2a'],
    ['0x002a', '0x2a'],
    ['0', '0x0'],
    ['18446744073709551615', '0xffffffffffffffff'],
  ])('%s is %s', (text, seed) => {
    expect(canonicalSeed(text)).toBe(seed);
  });

  test.each(['', '0x', '-1', '1.5', 'x', '18446744073709551616', '0x10000000000000000'])('%s is none', (text) => {
    expect(canonicalSeed(text)).toBeNull();
  });
});
