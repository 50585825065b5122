// Whom an agent believes.
import { describe, expect, test } from 'vitest';
import { admits, admitsTerm, decodeSeen, encodeSeen, highest } from '../../../agents/lifecycle/admission.ts';
import type { Seen } from '../../../agents/lifecycle/admission.ts';
import type { Term } from '../../../system/domain/identifiers.ts';

const seen = (term: number, revision: number): Seen => ({ term: term as Term, revision });

describe('a desired state', () => {
  test('is believed when nothing was seen, when it is newer, and when it is said again', () => {
    expect(admits(null, seen(1, 1))).toBe(true);
    expect(admits(seen(1, 5), seen(1, 6))).toBe(true);
    expect(admits(seen(1, 5), seen(1, 5))).toBe(true);
  });
  test('is refused when its revision or its term is older', () => {
    expect(admits(seen(1, 5), seen(1, 4))).toBe(false);
    expect(admits(seen(2, 1), seen(1, 900))).toBe(false);
  });
  test('of a newer leader counts from the beginning', () => {
    expect(admits(seen(1, 900), seen(2, 1))).toBe(true);
  });
});

test('an older leader is not believed', () => {
  expect(admitsTerm(seen(3, 0), 2 as Term)).toBe(false);
  expect(admitsTerm(seen(3, 0), 3 as Term)).toBe(true);
});

test('what was seen survives the disk, and anything else on it is nothing', () => {
  expect(decodeSeen(encodeSeen(seen(7, 42)))).toEqual(seen(7, 42));
  for (const text of ['', '7', '7 x', '-1 2', '1 2 3']) expect(decodeSeen(text)).toBeNull();
});

test('the highest of two decides', () => {
  expect(highest(seen(1, 9), seen(2, 1))).toEqual(seen(2, 1));
  expect(highest(seen(2, 1), seen(1, 9))).toEqual(seen(2, 1));
  expect(highest(null, seen(1, 1))).toEqual(seen(1, 1));
  expect(highest(null, null)).toBeNull();
});
