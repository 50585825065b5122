// A set of identifiers that forgets nothing and does not grow with what is numbered without gaps.
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { Identifiers } from '../../../scenarios/goals/identifiers.ts';

const id = fc.oneof(
  fc.tuple(fc.constantFrom('a', 'a-1', 'b/'), fc.nat(40), fc.constantFrom('', '/x', '/x/2', ' 07')).map((parts) => parts.join('-')),
  fc.string(),
  fc.constantFrom('', '9007199254740993', '9007199254740992', '007', '7', '07', '#'),
);

it('knows what a set knows', () => {
  fc.assert(
    fc.property(fc.array(id, { maxLength: 200 }), fc.array(id), (added, asked) => {
      const known = new Set<string>();
      const identifiers = new Identifiers();
      for (const each of added) {
        expect(identifiers.add(each)).toBe(!known.has(each));
        known.add(each);
      }
      expect(identifiers.size).toBe(known.size);
      for (const each of [...added, ...asked]) expect(identifiers.has(each)).toBe(known.has(each));
    }),
  );
});
