// The laws of latency: what their draws are like, and that a seed decides them to the last bit.
import { describe, expect, it } from 'vitest';
import type { LatencyLaw } from '../../../scenarios/scenario.ts';
import { drawDelayMicros } from '../../../sim/network/law.ts';
import { SimWorld } from '../../contract/sim-world.ts';

function draw(law: LatencyLaw, count = 20_000): readonly number[] {
  const stream = new SimWorld().kernel.stream('law');
  return Array.from({ length: count }, () => drawDelayMicros(law, [1, 1], stream)).sort((a, b) => a - b);
}

const mean = (delays: readonly number[]): number => delays.reduce((sum, delay) => sum + delay, 0) / delays.length;
const quantile = (delays: readonly number[], q: number): number => delays[Math.floor(q * delays.length)] ?? 0;

describe('a log-normal law', () => {
  const delays = draw({ law: 'log-normal', microsMedian: 40_000, sigma: 0.866, microsMin: 10_000 });

  it('has its median and a long tail: its 99th percentile is 7.5 times the median', () => {
    expect(quantile(delays, 0.5) / 40_000).toBeCloseTo(1, 1);
    expect(quantile(delays, 0.99) / 40_000).toBeGreaterThan(6.5);
    expect(quantile(delays, 0.99) / 40_000).toBeLessThan(8.5);
    expect(mean(delays) / 40_000).toBeGreaterThan(1.3);
  });

  it('never goes below its least delay', () => {
    expect(delays[0]).toBe(10_000);
  });
});

describe('an exponential law', () => {
  const delays = draw({ law: 'exponential', microsMean: 8_000, microsMin: 2_000 });

  it('has its mean, and its median where the logarithm of 2 says', () => {
    expect(mean(delays) / 8_000).toBeCloseTo(1, 1);
    expect((quantile(delays, 0.5) - 2_000) / (6_000 * Math.LN2)).toBeCloseTo(1, 1);
  });

  it('begins at its least delay', () => {
    expect(delays[0]).toBeGreaterThanOrEqual(2_000);
    expect(delays[0]).toBeLessThan(2_100);
  });
});

it('an empirical law gives what was measured, and each about as often', () => {
  const delays = draw({ law: 'empirical', micros: [3_000, 90_000, 4_000, 3_000] }, 4_000);
  expect(new Set(delays)).toEqual(new Set([3_000, 4_000, 90_000]));
  expect(delays.filter((delay) => delay === 90_000).length / 1_000).toBeCloseTo(1, 0);
  expect(delays.filter((delay) => delay === 3_000).length / 2_000).toBeCloseTo(1, 0);
});

it('the delays of a seed are the same to the last microsecond, on every architecture', () => {
  const some = (law: LatencyLaw): readonly number[] => {
    const stream = new SimWorld().kernel.stream('law');
    return Array.from({ length: 4 }, () => drawDelayMicros(law, [1, 1], stream));
  };
  expect(some({ law: 'log-normal', microsMedian: 40_000, sigma: 0.866, microsMin: 0 })).toEqual([11_697, 53_464, 13_108, 10_310]);
  expect(some({ law: 'exponential', microsMean: 8_000, microsMin: 2_000 })).toEqual([19_958, 6_965, 6_558, 7_427]);
});
