// Recent round trips of one landmark; the least of them is the distance, since everything above it is queueing (R4.1).

/** Null stands for a probe that had no answer. */
export type Samples = readonly (number | null)[];

/** Bound: `samplesMax`, the oldest goes. */
export function withSample(samples: Samples, rttMicros: number | null, samplesMax: number): Samples {
  return [...samples, rttMicros].slice(-samplesMax);
}

/** Null when none of the recent probes was answered: a landmark that cannot be reached is not reported. */
export function leastRtt(samples: Samples): number | null {
  let least: number | null = null;
  for (const sample of samples) if (sample !== null && (least === null || sample < least)) least = sample;
  return least;
}
