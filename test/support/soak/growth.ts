// Does a figure grow? A straight line through its samples after a time of warming up, in which caches fill and code is compiled.
// Of what a garbage collector lets rise and fall, the least of each stretch is taken: what is left when it has run.

export type Sample = { readonly seconds: number; readonly value: number };

export type Growth = {
  /** Per minute, in the unit of the samples. */
  readonly slope: number;
  /** Standard error of the slope. */
  readonly error: number;
  readonly mean: number;
  /** Points through which the line was laid. */
  readonly points: number;
};

/** Length of the stretches of which the least value counts. */
const STRETCH_SECONDS = 20;

/** `from`: seconds at which warming up has ended; half of the time when absent. */
export function measureGrowth(
  samples: readonly Sample[],
  from: number = ((samples[0]?.seconds ?? 0) + (samples.at(-1)?.seconds ?? 0)) / 2,
): Growth {
  const least = new Map<number, Sample>();
  for (const sample of samples) {
    if (sample.seconds < from) continue;
    const stretch = Math.floor((sample.seconds - from) / STRETCH_SECONDS);
    const known = least.get(stretch);
    if (known === undefined || sample.value < known.value) least.set(stretch, sample);
  }
  return fit([...least.values()]);
}

function fit(points: readonly Sample[]): Growth {
  const count = points.length;
  const mean = sum(points.map(({ value }) => value)) / count;
  if (count < 3) return { slope: Number.NaN, error: Number.NaN, mean, points: count };
  const middle = sum(points.map(({ seconds }) => seconds)) / count;
  const spread = sum(points.map(({ seconds }) => (seconds - middle) ** 2));
  const slope = sum(points.map(({ seconds, value }) => (seconds - middle) * (value - mean))) / spread;
  const residue = sum(points.map(({ seconds, value }) => (value - mean - slope * (seconds - middle)) ** 2));
  return { slope: slope * 60, error: Math.sqrt(residue / (count - 2) / spread) * 60, mean, points: count };
}

/** Grows by more than `perMinuteMax`, and by more than chance explains. A line that could not be laid grows too. */
export function grows({ slope, error }: Growth, perMinuteMax: number): boolean {
  return !(slope - 2 * error <= perMinuteMax);
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
