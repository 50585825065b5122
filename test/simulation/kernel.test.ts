// The kernel over whole runs: the same in every process, another with every seed, and no larger for being longer.
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

function run(script: string, args: readonly string[], flags: readonly string[] = []): unknown {
  const path = fileURLToPath(new URL(`../unit/sim-kernel/players/${script}`, import.meta.url));
  return JSON.parse(execFileSync(process.execPath, [...flags, path, ...args], { encoding: 'utf8' }));
}

type Run = { readonly seed: string; readonly verdict: string; readonly digest: string; readonly steps: number };

describe('a world of five machines that gossip, crash and return', () => {
  test('has the same digests in two processes, others for every seed, and twice the same in one', () => {
    const seeds = ['0x1', '0x2', '0x2a', '0xffffffffffffffff'];
    const first = run('digests.main.ts', seeds) as Run[];
    const second = run('digests.main.ts', seeds.toReversed()) as Run[];
    expect(second.toReversed()).toEqual(first);
    expect(first.map((each) => each.verdict)).toEqual(['held', 'held', 'held', 'held']);
    expect(new Set(first.map((each) => each.digest)).size).toBe(seeds.length);
    expect(first[0]?.steps).toBeGreaterThan(50_000);
  });
});

describe('memory', () => {
  test('does not grow with the length of a run', () => {
    const { heaps, steps } = run('memory.main.ts', [], ['--expose-gc']) as { heaps: number[]; steps: number };
    expect(steps).toBeGreaterThanOrEqual(2_400_000);
    // The first looks see the engine warm up; from the second on a run six times as long holds what it held.
    const [, settled = 0] = heaps;
    const last = heaps.at(-1) ?? Infinity;
    expect(last, `heaps: ${heaps.join(', ')}`).toBeLessThan(settled * 1.1 + 1_000_000);
  });
});
