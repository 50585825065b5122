// Plain values of a fleet as written, for those who resolve a part of it.
import type { GeoPoint } from '../system/domain/node.ts';
import type { Path, Source } from './mistakes.ts';
import { isRecord } from './shape.ts';

/** One layer of a fleet, with where to report mistakes in it. */
export type Written = { readonly source: Source; readonly base: Path; readonly value: Readonly<Record<string, unknown>> };

export function pointOf(value: unknown): GeoPoint | null {
  return Array.isArray(value) ? { latitude: Number(value[0]), longitude: Number(value[1]) } : null;
}

export function list(value: unknown): readonly Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}
