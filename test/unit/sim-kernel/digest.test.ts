// The rolling digest: every part of an event counts, also where texts are remembered (H3.1).
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { hashText, RollingDigest } from '../../../sim/kernel/digest.ts';

const MACHINE = hashText('truck-7');

function digestOf(labels: readonly string[], micros = 5): string {
  const digest = new RollingDigest();
  for (const label of labels) digest.event(micros, MACHINE, label);
  return digest.text();
}

test('labels that are remembered in the same place are told apart, in whatever order they come', () => {
  // As long as each other, with the same first letter.
  const labels = ['frame', 'flood', 'fault', 'first'];
  const digests = labels.flatMap((a) => labels.map((b) => digestOf([a, b, a, b, b])));
  expect(new Set(digests).size).toBe(labels.length ** 2);
});

test('the digest says which labels came and in what order, whatever came before them in another run', () => {
  const label = fc.string({ minLength: 0, maxLength: 12 });
  fc.assert(
    fc.property(fc.array(label, { minLength: 1, maxLength: 40 }), fc.nat(39), label, (labels, at, other) => {
      const place = at % labels.length;
      fc.pre(labels[place] !== other);
      expect(digestOf(labels)).toBe(digestOf([...labels]));
      expect(digestOf(labels.with(place, other))).not.toBe(digestOf(labels));
    }),
  );
});

test('time and machine count', () => {
  expect(digestOf(['timer'], 5)).not.toBe(digestOf(['timer'], 6));
  const other = new RollingDigest();
  other.event(5, hashText('truck-8'), 'timer');
  expect(other.text()).not.toBe(digestOf(['timer']));
});
