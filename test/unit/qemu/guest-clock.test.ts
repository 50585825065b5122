// The clock of an emulated machine against this one's, told from when its lines are found.
import { describe, expect, it } from 'vitest';
import { GuestClock } from '../../../hardware/qemu/guest-clock.ts';

describe('the clock of an emulated machine', () => {
  it('is as far from ours as its fastest line says', () => {
    const clock = new GuestClock();
    // Ours is 1,000,000 ahead; the lines take 900, 50 and 400 µs.
    expect(clock.hostMicros(10, 1_000_910)).toBe(1_000_910);
    expect(clock.hostMicros(2_000, 1_002_050)).toBe(1_002_050);
    expect(clock.hostMicros(3_000, 1_003_400)).toBe(1_003_050);
  });

  it('never gives times that go back, and none after a line was found', () => {
    const clock = new GuestClock();
    const given = [
      [0, 5_000],
      [100, 5_050],
      [150, 5_051],
      [160, 9_000],
    ].map(([stamp = 0, now = 0]) => ({ at: clock.hostMicros(stamp, now), now }));
    for (const [i, { at, now }] of given.entries()) {
      expect(at).toBeLessThanOrEqual(now);
      expect(at).toBeGreaterThanOrEqual(given[i - 1]?.at ?? 0);
    }
  });

  it('that is made to run too fast or too slow is held to an even one, before, meanwhile and afterwards', () => {
    const clock = new GuestClock();
    // Ours is 1,000,000 ahead of it, and every line takes 100.
    expect(clock.hostMicros(0, 1_000_100)).toBe(1_000_100);
    // At 1,010,000 of ours, which is 9,900 of its by the fastest line, it begins to run a tenth too slow.
    clock.runs(-100_000, 1_010_000);
    const slow = (its: number): number => clock.hostMicros(its, 9_000_000);
    expect(slow(9_900 + 9_000)).toBe(1_020_000);
    expect(slow(9_900 + 90_000)).toBe(1_110_000);
    // Even again at 1,120,000 of ours.
    clock.runs(0, 1_120_000);
    expect(slow(9_900 + 99_000 + 5_000)).toBe(1_125_000);
    clock.restarted();
    expect(clock.hostMicros(100, 20_000_000)).toBe(20_000_000);
    expect(clock.hostMicros(1_100, 20_009_000)).toBe(20_001_000);
  });

  it('begins anew with a boot', () => {
    const clock = new GuestClock();
    clock.hostMicros(9_000_000, 9_500_000);
    clock.restarted();
    expect(clock.hostMicros(100, 20_000_000)).toBe(20_000_000);
    expect(clock.hostMicros(200, 20_000_050)).toBe(20_000_050);
  });
});
