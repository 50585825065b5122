// A cost model told in words, and who is told that guests were modelled.
import { expect, it } from 'vitest';
import { modelNotes, modelText } from '../../../scenarios/guest-model.ts';
import { LARGE, withoutLarge } from '../../../scenarios/listing.main.ts';
import type { GuestModelSpec } from '../../../scenarios/scenario.ts';
import { pushOf, scenarioOf } from '../../support/scenarios/scenario.ts';

const MODEL: GuestModelSpec = {
  fuel: { law: 'exponential', fuelMean: 900, fuelMin: 100 },
  fuelPerByte: 3,
  memoryBytes: 131_072,
  result: { bytes: 32 },
  calls: [
    { call: 'read', key: 'a' },
    { call: 'write', key: 'b', bytes: 16 },
    { call: 'publish', subject: 'x.y', bytes: 1_024 },
    { call: 'sleep', micros: 5_000 },
  ],
};

it('a model in words has everything that is declared', () => {
  expect(modelText(MODEL)).toBe(
    'fuel 900 on average, exponential, at least 100, and 3 for each byte of the event, memory 128KiB, answers 32B, read a, write b (16B), publish x.y (1KiB), sleep 5ms',
  );
  expect(modelText({ ...MODEL, fuel: { law: 'constant', fuel: 7 }, fuelPerByte: 0, result: 'echo', calls: [] })).toBe(
    'fuel 7, memory 128KiB, answers with the event',
  );
});

it('a verdict says once for each module what was modelled, and where it was not', () => {
  const scenario = scenarioOf({ steps: [pushOf({ model: MODEL }), pushOf({ model: MODEL }), pushOf({ module: 'other' as never })] });
  expect(modelNotes(scenario, true)).toEqual([
    'Guests of echo were modelled, not run: their costs and answers are those that the file declares.',
  ]);
  expect(modelNotes(scenario, false)).toEqual(['Guests of echo were really run: the cost model of the file is for the simulator alone.']);
  expect(modelNotes(scenarioOf(), true)).toEqual([]);
});

it('large scenarios are played when they are named, when the filter is their tag, or when there is nothing else', () => {
  const small = scenarioOf({ tags: ['scale'] });
  const large = scenarioOf({ tags: ['scale', LARGE] });
  expect(withoutLarge([small, large], [], undefined)).toEqual([small]);
  expect(withoutLarge([small, large], [], 'scale')).toEqual([small]);
  expect(withoutLarge([small, large], ['a', 'b'], undefined)).toEqual([small, large]);
  expect(withoutLarge([large], [], LARGE)).toEqual([large]);
  expect(withoutLarge([large], [], 'thousand')).toEqual([large]);
});
