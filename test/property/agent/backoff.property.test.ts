// The laws of backoff: bounded by the ceiling, never without a pause, growing until the maximum and never beyond.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { backoffCeilingMicros, BACKOFF_MICROS_MIN, backoffMicros } from '../../../agents/waiting/waiting.ts';
import { drawing } from '../../support/agent/random.ts';

const law = fc.record({ baseMs: fc.integer({ min: 1, max: 10_000 }), maxMs: fc.integer({ min: 1, max: 60_000 }) });
const attempt = fc.integer({ min: 0, max: 1_000_000 });

test('a pause lies between the least pause and the ceiling of its attempt', () => {
  fc.assert(
    fc.property(law, attempt, fc.integer({ min: 0, max: 0xffff_ffff }), (someLaw, someAttempt, draw) => {
      const micros = backoffMicros(someLaw, someAttempt, drawing(draw));
      expect(micros).toBeGreaterThanOrEqual(BACKOFF_MICROS_MIN);
      expect(micros).toBeLessThanOrEqual(backoffCeilingMicros(someLaw, someAttempt));
      expect(Number.isInteger(micros)).toBe(true);
    }),
  );
});

test('the ceiling never shrinks with attempts and never passes the maximum', () => {
  fc.assert(
    fc.property(law, attempt, (someLaw, someAttempt) => {
      const ceiling = backoffCeilingMicros(someLaw, someAttempt);
      expect(backoffCeilingMicros(someLaw, someAttempt + 1)).toBeGreaterThanOrEqual(ceiling);
      expect(ceiling).toBeLessThanOrEqual(Math.max(BACKOFF_MICROS_MIN, someLaw.maxMs * 1_000));
    }),
  );
});

test('jitter is full: the least and the largest draw give the least pause and the ceiling', () => {
  const someLaw = { baseMs: 100, maxMs: 2_000 };
  expect(backoffMicros(someLaw, 2, drawing(0))).toBe(BACKOFF_MICROS_MIN);
  expect(backoffMicros(someLaw, 2, drawing(0xffff_ffff))).toBe(400_000);
});
