// What any clock promises, in both worlds.
import { describe, expect, it } from 'vitest';
import { SystemClock } from '../../hardware/clock/clock.ts';
import { createClock } from '../../sim/clock/clock.ts';
import type { Clock } from '../../system/ports/clock.ts';
import { CLOUD, SimWorld } from './sim-world.ts';

type Arm = { readonly world: string; readonly play: <T>(body: (clock: Clock) => Promise<T>) => Promise<T> };

const ARMS: readonly Arm[] = [
  {
    world: 'simulated',
    play: (body) => {
      const world = new SimWorld();
      const machine = world.add('machine', CLOUD);
      return world.play(machine, () => body(createClock(world.kernel, machine)));
    },
  },
  { world: 'real', play: (body) => body(new SystemClock()) },
];

describe.each(ARMS)('the $world clock', ({ play }) => {
  it('tells whole microseconds that never go back', async () => {
    const readings = await play(async (clock) => {
      const all: number[] = [];
      for (let i = 0; i < 100; i++) {
        all.push(clock.monotonicMicros());
        if (i % 10 === 0) await clock.sleep(200);
      }
      return all;
    });
    expect(readings.every((micros) => Number.isSafeInteger(micros) && micros >= 0)).toBe(true);
    expect(readings).toEqual([...readings].sort((a, b) => a - b));
    expect(readings.at(-1)).toBeGreaterThan(readings[0]!);
  });

  it('tells whole civil milliseconds of this century', async () => {
    const civil = await play(async (clock) => clock.civilMs());
    expect(Number.isSafeInteger(civil)).toBe(true);
    expect(civil).toBeGreaterThan(1_700_000_000_000);
    expect(civil).toBeLessThan(4_102_444_800_000);
  });

  it('never fires early', async () => {
    const waits = await play(async (clock) => {
      const all: number[] = [];
      for (const delay of [0, 1, 300, 999, 1_000, 1_001, 5_500]) {
        const before = clock.monotonicMicros();
        await clock.sleep(delay);
        all.push(clock.monotonicMicros() - before - delay);
      }
      return all;
    });
    expect(Math.min(...waits)).toBeGreaterThanOrEqual(0);
  });

  it('fires timers by due time, and those due together in the order in which they were set', async () => {
    const order = await play(
      (clock) =>
        new Promise<string[]>((resolve) => {
          const fired: string[] = [];
          clock.after(4_000, () => fired.push('third'));
          clock.after(2_000, () => fired.push('first'));
          clock.after(2_000, () => fired.push('second'));
          clock.after(9_000, () => resolve(fired));
        }),
    );
    expect(order).toEqual(['first', 'second', 'third']);
  });

  it('never calls back from within the call that sets a timer, and takes a negative delay for none', async () => {
    const order = await play(
      (clock) =>
        new Promise<string[]>((resolve) => {
          const said: string[] = [];
          clock.after(-5, () => {
            said.push('fired');
            resolve(said);
          });
          said.push('set');
        }),
    );
    expect(order).toEqual(['set', 'fired']);
  });

  it('does not call back after a cancellation, not even one made by a timer due at the same time', async () => {
    const fired = await play(
      (clock) =>
        new Promise<string[]>((resolve) => {
          const all: string[] = [];
          const early = clock.after(1_000, () => all.push('cancelled early'));
          early.cancel();
          early.cancel();
          clock.after(2_000, () => {
            all.push('kept');
            late.cancel();
          });
          const late = clock.after(2_000, () => all.push('cancelled late'));
          clock.after(6_000, () => resolve(all));
        }),
    );
    expect(fired).toEqual(['kept']);
  });
});
