// One-way delay of a message, drawn from a link's law. Determinism: integers and exact divisions only.
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
      let sum = -UNIFORM_SUM_MEAN;
      for (let i = 0; i < UNIFORM_PAIRS; i++) {
        const word = stream.uint32();
        sum += (word & 0xffff) + (word >>> 16);
      }
      const micros = law.microsMean + Math.round((law.microsDeviation * sum) / UNIFORM_UNIT);
      return micros < law.microsMin ? law.microsMin : micros;
    }
  }
}
