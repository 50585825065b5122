// From places on Earth to an estimate of a round trip. Determinism: sine, cosine and arc sine come from a portable library,
// since those of the engine differ between architectures; Math.sqrt is exact by IEEE 754.
import asin from '@stdlib/math-base-special-asin';
import cos from '@stdlib/math-base-special-cos';
import sin from '@stdlib/math-base-special-sin';
import type { GeoPoint } from '../domain/node.ts';

const EARTH_RADIUS_KM = 6_371;
const RADIANS_PER_DEGREE = 0.017453292519943295;
/** Great-circle distance in kilometres (haversine). */
export function distanceKm(a: GeoPoint, b: GeoPoint): number {
  const latitudeHalf = sin(((b.latitude - a.latitude) * RADIANS_PER_DEGREE) / 2);
  const longitudeHalf = sin(((b.longitude - a.longitude) * RADIANS_PER_DEGREE) / 2);
  const h =
    latitudeHalf * latitudeHalf +
    cos(a.latitude * RADIANS_PER_DEGREE) * cos(b.latitude * RADIANS_PER_DEGREE) * longitudeHalf * longitudeHalf;
  return 2 * EARTH_RADIUS_KM * asin(Math.sqrt(h > 1 ? 1 : h));
}

/** Light in fibre covers 200 km in a millisecond, there and back; routes are about half as long again as the great circle. */
const MICROS_PER_KM = 15;
/** What a round trip costs before it covers any distance. */
const RTT_MICROS_MIN = 1_000;

/** What a round trip over this distance is likely to take, in whole microseconds: the stand-in until it is measured. */
export function estimateRttMicros(km: number): number {
  return RTT_MICROS_MIN + Math.round(km * MICROS_PER_KM);
}
