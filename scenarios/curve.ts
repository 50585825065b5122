// A rate that follows a curve: how much of it passes between two instants, and when so much has passed. The basic operations and
// the square root are the same on every architecture, so that the times are.
import type { RateCurve } from './scenario.ts';

/** A straight piece of a curve, from `t0` to `t1` microseconds of its period; rates at its two ends. */
type Piece = { readonly t0: number; readonly t1: number; readonly r0: number; readonly r1: number };

function piecesOf({ periodMicros, points }: RateCurve): readonly Piece[] {
  return points.map(({ micros, rate }, i) => {
    const next = points[i + 1] ?? { micros: periodMicros, rate: points[0]?.rate ?? rate };
    return { t0: micros, t1: next.micros, r0: rate, r1: next.rate };
  });
}

function areaOf({ t0, t1, r0, r1 }: Piece): number {
  return ((r0 + r1) / 2) * (t1 - t0);
}

/** The part of a piece that begins at `t`. */
function from(piece: Piece, t: number): Piece {
  const { t0, t1, r0, r1 } = piece;
  return { ...piece, t0: t, r0: r0 + ((r1 - r0) * (t - t0)) / (t1 - t0) };
}

/** Microseconds at a rate of 1 that pass between `start` and `end`, which count from the beginning of the first period. */
export function passedMicros(curve: RateCurve, start: number, end: number): number {
  const untilOf = (micros: number): number => {
    const pieces = piecesOf(curve);
    const whole = pieces.reduce((sum, piece) => sum + areaOf(piece), 0);
    const t = micros % curve.periodMicros;
    const part = pieces
      .filter(({ t0, t1 }) => t0 < t && t0 < t1)
      .reduce((sum, piece) => sum + areaOf(piece) - (t < piece.t1 ? areaOf(from(piece, t)) : 0), 0);
    return Math.floor(micros / curve.periodMicros) * whole + part;
  };
  return untilOf(end) - untilOf(start);
}

/**
 * The instant, at least a microsecond after `start`, by which `distanceMicros` at a rate of 1 have passed; Infinity where that is
 * not before `end`. Both count from the beginning of the first period.
 */
export function afterMicros(curve: RateCurve, start: number, distanceMicros: number, end: number): number {
  const pieces = piecesOf(curve).filter(({ t0, t1 }) => t0 < t1);
  let left = distanceMicros;
  for (let period = Math.floor(start / curve.periodMicros) * curve.periodMicros; period < end; period += curve.periodMicros) {
    for (const piece of pieces) {
      if (period + piece.t1 <= start) continue;
      const rest = period + piece.t0 < start ? from(piece, start - period) : piece;
      const area = areaOf(rest);
      if (area < left) {
        left -= area;
        continue;
      }
      const at = period + rest.t0 + timeOf(rest, left);
      return at < end ? Math.max(start + 1, Math.floor(at)) : Infinity;
    }
  }
  return Infinity;
}

/** How far into a piece so much has passed: r0 x + s x^2 / 2 = left, in the form that does not cancel. */
function timeOf({ t0, t1, r0, r1 }: Piece, left: number): number {
  const slope = (r1 - r0) / (t1 - t0);
  const root = Math.sqrt(Math.max(0, r0 * r0 + 2 * slope * left));
  return r0 + root === 0 ? t1 - t0 : (2 * left) / (r0 + root);
}
