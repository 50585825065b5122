// The law of the lease: an agent never believes longer than the controller must wait (R1.3).
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { holdsAt, renewedExpiry } from '../../../agents/lease/law.ts';
import type { LeaseExpiry } from '../../../agents/lease/law.ts';

const exchange = fc.record({
  sentMicros: fc.integer({ min: 0, max: 10_000_000 }),
  travelMicros: fc.integer({ min: 0, max: 5_000_000 }),
  returnMicros: fc.integer({ min: 0, max: 5_000_000 }),
});
const leaseMs = fc.integer({ min: 1, max: 5_000 });

test('a lease never outlasts the newest contact that the controller knows of, by its own count', () => {
  fc.assert(
    fc.property(fc.array(exchange, { minLength: 1, maxLength: 20 }), leaseMs, (exchanges, length) => {
      let expiry: LeaseExpiry = null;
      let heardByController = 0;
      for (const { sentMicros, travelMicros } of exchanges) heardByController = Math.max(heardByController, sentMicros + travelMicros);
      // Answers come back in any order.
      for (const { sentMicros } of [...exchanges].sort((a, b) => a.returnMicros - b.returnMicros))
        expiry = renewedExpiry(expiry, sentMicros, length);
      expect(expiry).toBeLessThanOrEqual(heardByController + length * 1_000);
    }),
  );
});

test('an answer never shortens a lease', () => {
  fc.assert(
    fc.property(fc.option(fc.nat(10_000_000)), fc.nat(10_000_000), leaseMs, (expiry, sentMicros, length) => {
      expect(renewedExpiry(expiry, sentMicros, length)).toBeGreaterThanOrEqual(expiry ?? 0);
    }),
  );
});

test('a lease is over at the moment of its expiry, and none holds before the first answer', () => {
  expect(holdsAt(null, 0)).toBe(false);
  expect(holdsAt(1_000, 999)).toBe(true);
  expect(holdsAt(1_000, 1_000)).toBe(false);
});
