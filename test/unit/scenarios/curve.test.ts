// A curve says how much of a rate passes between two instants, and when so much has passed: the two agree.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { afterMicros, passedMicros } from '../../../scenarios/curve.ts';
import type { RateCurve } from '../../../scenarios/scenario.ts';

const DAY: RateCurve = {
  periodMicros: 24_000_000,
  points: [
    { micros: 0, rate: 0 },
    { micros: 12_000_000, rate: 1 },
    { micros: 18_000_000, rate: 3 },
  ],
};
/** 12 s x 0.5 + 6 s x 2 + 6 s x 1.5. */
const DAY_MICROS = 27_000_000;

const curves = fc
  .record({
    gaps: fc.array(fc.integer({ min: 1, max: 5_000_000 }), { minLength: 1, maxLength: 6 }),
    rates: fc.array(fc.constantFrom(0, 0.1, 1, 2.5, 40), { minLength: 6, maxLength: 6 }),
  })
  .map(({ gaps, rates }): RateCurve => {
    const points = gaps.map((_, i) => ({ micros: gaps.slice(0, i).reduce((sum, gap) => sum + gap, 0), rate: rates[i] ?? 1 }));
    return { periodMicros: gaps.reduce((sum, gap) => sum + gap, 0), points };
  })
  .filter(({ points }) => points.some(({ rate }) => rate > 0));

describe('what passes', () => {
  it('is the area under straight lines, from the last point to the first too', () => {
    expect(passedMicros(DAY, 0, 12_000_000)).toBe(6_000_000);
    expect(passedMicros(DAY, 12_000_000, 18_000_000)).toBe(12_000_000);
    expect(passedMicros(DAY, 0, 24_000_000)).toBe(DAY_MICROS);
    expect(passedMicros(DAY, 24_000_000, 36_000_000)).toBe(6_000_000);
    expect(passedMicros(DAY, 21_000_000, 24_000_000)).toBe(2_250_000);
  });

  it('is what has passed at the instant by which it has', () => {
    fc.assert(
      fc.property(curves, fc.integer({ min: 0, max: 20_000_000 }), fc.integer({ min: 1, max: 5_000_000 }), (curve, start, distance) => {
        const at = afterMicros(curve, start, distance, 1e15);
        expect(at).toBeGreaterThan(start);
        // Instants are whole microseconds: at most one too early, at the highest rate.
        expect(passedMicros(curve, start, at)).toBeGreaterThan(distance - 41);
        expect(passedMicros(curve, start, at - 1)).toBeLessThan(distance + 1);
      }),
    );
  });
});

describe('the instant', () => {
  it('waits out a rate of nothing', () => {
    const curve: RateCurve = { periodMicros: 10, points: [{ micros: 0, rate: 0 }] };
    expect(
      afterMicros({ periodMicros: 3_000_000, points: [0, 0, 1].map((rate, i) => ({ micros: i * 1_000_000, rate })) }, 0, 125_000, 1e9),
    ).toBe(1_500_000);
    expect(afterMicros(curve, 0, 1, 1_000)).toBe(Infinity);
  });

  it('is none at the end or later', () => {
    expect(afterMicros(DAY, 0, DAY_MICROS - 1, 24_000_000)).toBeLessThan(24_000_000);
    expect(afterMicros(DAY, 0, DAY_MICROS, 24_000_000)).toBe(Infinity);
  });
});
