// One-way delay of a message, drawn from a link's law. Determinism: integers, exact divisions, and portable mathematics only.
import exp from '@stdlib/math-base-special-exp';
import ln from '@stdlib/math-base-special-ln';
import type { LatencyLaw, Ratio } from '../../scenarios/scenario.ts';
import type { RandomStream } from '../../system/ports/random.ts';

/** Twelve 16-bit uniforms: their sum has mean 6 and variance 1 in units of 2^16, near enough to a normal within 6 deviations. */
const UNIFORM_PAIRS = 6;
const UNIFORM_UNIT = 2 ** 16;
const UNIFORM_SUM_MEAN = UNIFORM_PAIRS * (UNIFORM_UNIT - 1);

export function drawDelayMicros(law: LatencyLaw, factor: Ratio, stream: RandomStream): number {
  const micros = Math.floor((drawMicros(law, stream) * factor[0]) / factor[1]);
  // Nothing arrives in the instant in which it left: causality would hang on the order of equal times.
  return micros < 1 ? 1 : micros;
}

function drawMicros(law: LatencyLaw, stream: RandomStream): number {
  switch (law.law) {
    case 'constant':
      return law.micros;
    case 'uniform':
      return law.microsMin + stream.below(law.microsMax - law.microsMin + 1);
    case 'normal': {
      const micros = law.microsMean + Math.round((law.microsDeviation * drawNormal(stream)) / UNIFORM_UNIT);
      return micros < law.microsMin ? law.microsMin : micros;
    }
    case 'log-normal': {
      const micros = Math.round(law.microsMedian * exp((law.sigma * drawNormal(stream)) / UNIFORM_UNIT));
      return micros < law.microsMin ? law.microsMin : micros;
    }
    case 'exponential':
      return law.microsMin + drawExponential(law.microsMean - law.microsMin, stream);
    case 'empirical':
      return law.micros[stream.below(law.micros.length)] ?? 0;
  }
}

/** In units of 2^-16 standard deviations. */
function drawNormal(stream: RandomStream): number {
  let sum = -UNIFORM_SUM_MEAN;
  for (let i = 0; i < UNIFORM_PAIRS; i++) {
    const word = stream.uint32();
    sum += (word & 0xffff) + (word >>> 16);
  }
  return sum;
}

/** A whole number with this mean. */
export function drawExponential(mean: number, stream: RandomStream): number {
  return Math.round(-mean * ln((stream.uint32() + 1) / 2 ** 32));
}
