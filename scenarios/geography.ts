// Distances on Earth. Determinism: only portable mathematics.
import asin from '@stdlib/math-base-special-asin';
import cos from '@stdlib/math-base-special-cos';
import sin from '@stdlib/math-base-special-sin';
import type { GeoPoint } from '../system/domain/node.ts';

const EARTH_RADIUS_KM = 6_371;
const RADIANS_PER_DEGREE = Math.PI / 180;

/** Great-circle distance. */
export function distanceKm(a: GeoPoint, b: GeoPoint): number {
  const latitude = sin(((b.latitude - a.latitude) * RADIANS_PER_DEGREE) / 2);
  const longitude = sin(((b.longitude - a.longitude) * RADIANS_PER_DEGREE) / 2);
  const h = latitude * latitude + cos(a.latitude * RADIANS_PER_DEGREE) * cos(b.latitude * RADIANS_PER_DEGREE) * longitude * longitude;
  return 2 * EARTH_RADIUS_KM * asin(Math.min(1, Math.sqrt(h)));
}
