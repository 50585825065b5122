import { expect, test } from 'vitest';
import { Patience } from '../../../hardware/qemu/patience.ts';

const BOUNDS = { msMax: 900_000, silentMsMax: 240_000 };

test('a machine that goes on speaking is waited for to its bound', () => {
  const patience = new Patience(BOUNDS, 5_000);
  for (let ms = 5_000; ms <= 905_000; ms += 200_000) expect(patience.endedBy(ms, ms)).toBeNull();
  expect(patience.endedBy(905_001, 905_001)).toBe('was not done after 900 s');
});

test('one that falls silent hangs, from its last word on', () => {
  const patience = new Patience(BOUNDS, 0);
  expect(patience.endedBy(0, 240_000)).toBeNull();
  expect(patience.endedBy(10, 240_001)).toBeNull();
  expect(patience.endedBy(10, 480_001)).toBeNull();
  expect(patience.endedBy(10, 480_002)).toBe('hung: nothing was heard of it for 240 s');
});

test('one that never says a word hangs too', () => {
  expect(new Patience(BOUNDS, 0).endedBy(0, 240_001)).toBe('hung: nothing was heard of it for 240 s');
});
