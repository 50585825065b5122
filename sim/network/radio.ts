// What radio is like between a vehicle and the masts around it: where the vehicle is, which cell it takes, and what a cell is like at
// a distance. Pure. Determinism: portable mathematics, and whole metres from there on.
import asin from '@stdlib/math-base-special-asin';
import cos from '@stdlib/math-base-special-cos';
import sin from '@stdlib/math-base-special-sin';
import type { CellSpec, Ratio, VehicleSpec } from '../../scenarios/scenario.ts';
import type { GeoPoint } from '../../system/domain/node.ts';

const EARTH_RADIUS_METRES = 6_371_000;
const RADIANS_PER_DEGREE = 0.017453292519943295;
/** Chances and shares are ratios of this. */
const WHOLE = 1_000_000;

export function metresBetween(a: GeoPoint, b: GeoPoint): number {
  const latitude = sin(((b.latitude - a.latitude) * RADIANS_PER_DEGREE) / 2);
  const longitude = sin(((b.longitude - a.longitude) * RADIANS_PER_DEGREE) / 2);
  const h = latitude * latitude + cos(a.latitude * RADIANS_PER_DEGREE) * cos(b.latitude * RADIANS_PER_DEGREE) * longitude * longitude;
  return Math.round(2 * EARTH_RADIUS_METRES * asin(Math.sqrt(h > 1 ? 1 : h)));
}

/** Where the vehicle is; at the end of its path it stays. */
export function placeAt({ path }: Pick<VehicleSpec, 'path'>, micros: number): GeoPoint {
  const next = path.findIndex((point) => point.micros > micros);
  const [from, to] = next < 0 ? [path.at(-1), path.at(-1)] : [path[next - 1] ?? path[next], path[next]];
  if (from === undefined || to === undefined) return { latitude: 0, longitude: 0 };
  const share = to.micros > from.micros ? (micros - from.micros) / (to.micros - from.micros) : 0;
  return {
    latitude: between(from.location.latitude, to.location.latitude, share),
    longitude: between(from.location.longitude, to.location.longitude, share),
  };
}

/** To a millionth of a degree, a tenth of a metre. */
function between(from: number, to: number, share: number): number {
  return Math.round((from + (to - from) * share) * WHOLE) / WHOLE;
}

export type Reception = { readonly cell: CellSpec; readonly metres: number };

/**
 * The cell with the strongest signal, which is the one nearest in parts of its reach; the present one is kept until another is
 * better by the hysteresis. Null: out of reach of all.
 */
export function receive(cells: readonly CellSpec[], at: GeoPoint, present: CellSpec | null, hysteresis: Ratio): Reception | null {
  let best: Reception | null = null;
  let kept: Reception | null = null;
  for (const cell of cells) {
    const metres = metresBetween(at, cell.location);
    if (metres > cell.reachMetres) continue;
    const reception = { cell, metres };
    if (cell === present) kept = reception;
    if (best === null || shareOf(reception) < shareOf(best)) best = reception;
  }
  if (best === null || kept === null) return best;
  return (shareOf(kept) - shareOf(best)) * hysteresis[1] > WHOLE * hysteresis[0] ? best : kept;
}

/** How far towards the edge, in millionths. */
function shareOf({ cell, metres }: Reception): number {
  return Math.round((metres * WHOLE) / cell.reachMetres);
}

export type Radio = {
  /** Added to what the cell's law draws. */
  readonly delayMicros: number;
  readonly loss: Ratio;
  readonly bytesPerS: number | null;
};

/** From the mast to the edge in proportion to the distance. */
export function radioAt(reception: Reception): Radio {
  const { loss, bandwidth, edge } = reception.cell;
  const share = shareOf(reception);
  const mix = (near: number, far: number): number => Math.round(near + ((far - near) * share) / WHOLE);
  return {
    delayMicros: mix(0, edge.delayMicros),
    loss: [mix(Math.round((loss[0] * WHOLE) / loss[1]), Math.round((edge.loss[0] * WHOLE) / edge.loss[1])), WHOLE],
    bytesPerS: bandwidth === null ? null : Math.max(1, mix(bandwidth.bytesPerS, edge.bytesPerS ?? bandwidth.bytesPerS)),
  };
}

/** The chance that one of two independent losses happens. */
export function eitherLoss(a: Ratio, b: Ratio): Ratio {
  if (a[0] === 0) return b;
  if (b[0] === 0) return a;
  const kept = ((a[1] - a[0]) / a[1]) * ((b[1] - b[0]) / b[1]);
  return [Math.round((1 - kept) * WHOLE), WHOLE];
}
