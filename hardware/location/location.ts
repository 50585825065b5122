// Where a machine that moves is, from a file that whoever knows it keeps: the daemon of a satellite receiver, a script, a person.
import { readFileSync } from 'node:fs';
import type { GeoPoint } from '../../system/domain/node.ts';

/** Bound: characters of the file. */
const CHARACTERS_MAX = 200;

/** `51.0885, 13.6590`: latitude and longitude in degrees. Null while the file is not there or says no such thing. Whoever keeps it replaces it whole. */
export function readLocation(path: string): GeoPoint | null {
  let text: string;
  try {
    text = readFileSync(path, 'utf8').slice(0, CHARACTERS_MAX);
  } catch {
    return null;
  }
  // Half a file is none: a number that is not there yet would be read as 0.
  const parts = text.trim().split(/\s*,\s*|\s+/);
  if (parts.length !== 2 || parts.includes('')) return null;
  const [latitude = Number.NaN, longitude = Number.NaN] = parts.map(Number);
  return Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? { latitude, longitude } : null;
}
