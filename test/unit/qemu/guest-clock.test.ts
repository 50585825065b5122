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

  it('begins anew with a boot', () => {
    const clock = new GuestClock();
    clock.hostMicros(9_000_000, 9_500_000);
    clock.restarted();
    expect(clock.hostMicros(100, 20_000_000)).toBe(20_000_000);
    expect(clock.hostMicros(200, 20_000_050)).toBe(20_000_050);
  });
});
