// Times counted in bounded memory: exact count and largest, percentiles to one part in 128. What a budget is judged by is exact
// all the same: it counts apart what is within the limit.

/** Steps between a power of two and the next one. */
const STEPS = 128;

export class Histogram {
  /** By bucket. Bound: STEPS for each power of two below 2^53. */
  readonly #counts = new Map<number, number>();
  count = 0;
  max = 0;

  /** A whole number from 0. */
  add(value: number): void {
    const bucket = bucketOf(value);
    this.#counts.set(bucket, (this.#counts.get(bucket) ?? 0) + 1);
    this.count += 1;
    this.max = Math.max(this.max, value);
  }

  /** Nearest rank: the largest value of its bucket, and never more than the largest there was. 0 when there are none. */
  percentile(percent: number): number {
    const rank = Math.max(1, Math.ceil((percent * this.count) / 100));
    let seen = 0;
    for (const bucket of [...this.#counts.keys()].sort((a, b) => a - b)) {
      seen += this.#counts.get(bucket) ?? 0;
      if (seen >= rank) return Math.min(this.max, upperEnd(bucket));
    }
    return this.max;
  }
}

function bucketOf(value: number): number {
  let power = 0;
  let scaled = value;
  while (scaled >= 2 * STEPS) {
    scaled = Math.floor(scaled / 2);
    power += 1;
  }
  return power * STEPS + scaled;
}

function upperEnd(bucket: number): number {
  if (bucket < 2 * STEPS) return bucket;
  const power = Math.floor(bucket / STEPS) - 1;
  let end = bucket - power * STEPS + 1;
  for (let doublings = 0; doublings < power; doublings++) end *= 2;
  return end - 1;
}
