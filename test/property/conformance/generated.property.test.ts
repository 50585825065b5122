// Generated expressions are programs whatever the seed: the compiler takes every one, they end without a trap, and a seed gives the same.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { generate } from '../../../hardware/conformance/generated.ts';
import type { Engine, EngineAddon } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, CLOCKS, engineAddon, OPTIONS, PROFILE } from '../../integration/engine/fixture.ts';

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

it('every seed gives a module that runs, the same each time', () => {
  fc.assert(
    fc.property(fc.constantFrom('numbers', 'vectors'), fc.nat(), fc.integer({ min: 1, max: 12 }), (of, seed, expressions) => {
      const { text, cases } = generate(of, seed, expressions);
      expect(generate(of, seed, expressions).text).toBe(text);
      expect(cases).toHaveLength(expressions);
      expect(of === 'numbers' && /v128|x16|x8|x4|x2/.test(text)).toBe(false);
      using module = engine.load(engine.compile(addon.parseText(text)));
      for (const { entry, fuelMax } of cases) {
        const { step, stdout } = module.run({ ...OPTIONS, fuelMax, entry }, CLOCKS);
        expect(step).toMatchObject({ kind: 'returned', exitCode: 0 });
        expect([4, 8, 16]).toContain(stdout.length);
      }
    }),
  );
});
