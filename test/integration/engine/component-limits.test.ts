import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { componentText, type HostFunction } from '../../../hardware/conformance/component-text.ts';
import type { Engine, EngineAddon, RunResult } from '../../../hardware/wasm/native/native.ts';
import { BUILD_TIMEOUT_MS, CLOCKS, OPTIONS, PROFILE, engineAddon, loadText } from './fixture.ts';

let addon: EngineAddon;
let engine: Engine;

beforeAll(async () => {
  addon = await engineAddon();
  engine = addon.createEngine(PROFILE);
}, BUILD_TIMEOUT_MS);

afterAll(() => engine?.close());

/** What becomes of a component with a limit of 1 MiB whose only function does this; 256 KiB are its memory from the start. */
function run(body: string, uses: readonly HostFunction[]): RunResult {
  using module = loadText(addon, engine, componentText({ uses, body: `(func (export "go") ${body})`, lifted: [{ name: 'go' }] }));
  return module.run({ ...OPTIONS, entry: 'go', memoryBytesMax: 1 << 20 }, CLOCKS);
}

const MESSAGE = '(drop (call $message (i32.const 0) (i32.const 200000)))';

describe('the limits of a component', () => {
  it('are one for its memory and for what the host holds for it', () => {
    const grown = (pages: number): string =>
      `(if (i32.lt_s (memory.grow (i32.const ${pages})) (i32.const 0)) (then unreachable)) ${MESSAGE}`;
    expect(run(grown(4), ['message']).step).toMatchObject({ kind: 'returned' });
    expect(run(grown(10), ['message']).step).toMatchObject({ kind: 'limit', limit: 'memory' });
  });

  it('let it draw no more random bytes at once than there is room for beside what it has', () => {
    const draws = (length: number): RunResult => run(`(call $random-bytes (i64.const ${length}) (i32.const 1024))`, ['random-bytes']);
    expect(draws(100_000).step).toMatchObject({ kind: 'returned' });
    expect(draws(900_000).step).toMatchObject({ kind: 'limit', limit: 'memory', fuelUsed: draws(1_000_000).step.fuelUsed });
  });

  it('have a peak that counts what the host held for it', () => {
    expect(run(MESSAGE, ['message']).memoryBytesPeak - run('', ['message']).memoryBytesPeak).toBe(200_000);
  });

  it('count each call of the host', () => {
    const draw = '(drop (call $random-u64))';
    const [once, twice] = [draw, draw + draw].map((body) => run(body, ['random-u64']).step.fuelUsed);
    expect((twice ?? 0) - (once ?? 0)).toBeGreaterThanOrEqual(100);
  });
});
