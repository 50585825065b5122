// How long a build of the engine goes on, from how many crates are done. Pure.
import { availableParallelism } from 'node:os';

/** Wall time of a whole build on two idle cores: 4 min 17 s measured; it does not scale past a few. */
const BUILD_SECONDS_TWO_CORES = 260;

/** Measured on two cores: share of the time that had passed when this share of the crates was done. */
const CURVE: readonly (readonly [crates: number, time: number])[] = [
  [0, 0],
  [0.5, 0.1],
  [0.6, 0.22],
  [0.65, 0.25],
  [0.67, 0.37],
  [0.8, 0.43],
  [0.86, 0.48],
  [0.9, 0.63],
  [0.96, 0.68],
  [0.98, 0.84],
  [1, 1],
];

function shareOfTime(shareOfCrates: number): number {
  let [lowX, lowY] = [0, 0];
  for (const [x, y] of CURVE) {
    if (shareOfCrates <= x) return x === lowX ? y : lowY + ((y - lowY) * (shareOfCrates - lowX)) / (x - lowX);
    [lowX, lowY] = [x, y];
  }
  return 1;
}

/** Remaining time: what was measured elsewhere at first, this machine's own speed more and more as the build goes on. */
export function estimateRemainingMs(cratesDone: number, cratesTotal: number, elapsedMs: number): number | null {
  if (cratesTotal === 0) return null;
  const cores = Math.min(4, Math.max(1, availableParallelism()));
  const expectedMs = ((BUILD_SECONDS_TWO_CORES * 2) / cores) * 1_000;
  const share = Math.min(0.99, shareOfTime(cratesDone / cratesTotal));
  const ownMs = share > 0 ? elapsedMs / share : expectedMs;
  const trust = Math.min(1, share * 2);
  return Math.max(1_000, Math.round(trust * ownMs + (1 - trust) * Math.max(expectedMs, elapsedMs)) - elapsedMs);
}
