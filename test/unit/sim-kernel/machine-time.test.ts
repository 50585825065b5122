import { expect, test } from 'vitest';
import { MachineTime } from '../../../sim/kernel/machine-time.ts';

test('a clock that is wrong for good is off by its offset and runs at its rate, whatever faults of it begin and end', () => {
  let world = 0;
  const time = new MachineTime({ now: () => world });
  time.isWrong(-40_000, 100);
  expect([time.monotonicMicros(), time.civilMicros()]).toEqual([0, -40_000]);
  world = 10_000_000;
  expect([time.monotonicMicros(), time.civilMicros()]).toEqual([10_001_000, 9_961_000]);
  // A drift on top of it ends; the rate that is its own stays.
  time.drift(-50, true);
  world = 20_000_000;
  expect(time.monotonicMicros()).toBe(20_001_500);
  time.drift(-50, false);
  world = 30_000_000;
  expect(time.monotonicMicros()).toBe(30_002_500);
  // What it waits for is measured by itself.
  expect(time.worldDelay(1_000_000)).toBe(999_901);
});
