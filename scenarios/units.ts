// Text with a unit to whole numbers in the unit that the product uses, and back. The schema has already refused other notations.
import type { Ratio } from './scenario.ts';

const MICROS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000, m: 60_000_000 };
const METRES_PER_KM = 1_000;
const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };

/** `1.5s` to 1,500,000 microseconds, rounded to a whole number. Null when it is no duration. */
export function parseDuration(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(us|ms|s|m)$/.exec(text);
  return match === null ? null : Math.round(Number(match[1]) * (MICROS[match[2] ?? ''] ?? 0));
}

/** `-1.5s` to -1,500,000 microseconds. Null when it is no shift. */
export function parseShift(text: string): number | null {
  const micros = parseDuration(text.replace(/^[-+]/, ''));
  return micros === null || !text.startsWith('-') ? micros : -micros;
}

/** `64MiB` to bytes. Null when it is no size. */
export function parseSize(text: string): number | null {
  const match = /^(\d+)(B|KiB|MiB|GiB)$/.exec(text);
  return match === null ? null : Number(match[1]) * (BYTES[match[2] ?? ''] ?? 0);
}

/** `1.5km` to 1,500 metres, rounded to a whole number. Null when it is no distance. */
export function parseDistance(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)(m|km)$/.exec(text);
  return match === null ? null : Math.round(Number(match[1]) * (match[2] === 'km' ? METRES_PER_KM : 1));
}

/** Metres as a scenario writes them. */
export function writeDistance(metres: number): string {
  return metres >= METRES_PER_KM ? `${metres / METRES_PER_KM}km` : `${metres}m`;
}

/** `90km/h` to kilometres an hour. Null when it is no speed. */
export function parseSpeed(text: string): number | null {
  const match = /^(\d+(?:\.\d+)?)km\/h$/.exec(text);
  return match === null ? null : Number(match[1]);
}

/** `1/1000` or `0.1%` to a ratio of whole numbers, at most 1. Null otherwise. */
export function parseRatio(text: string): Ratio | null {
  const fraction = /^(\d+)\/([1-9]\d*)$/.exec(text);
  if (fraction !== null) {
    const ratio: Ratio = [Number(fraction[1]), Number(fraction[2])];
    return ratio[0] <= ratio[1] ? ratio : null;
  }
  const percent = /^(\d+)(?:\.(\d{1,6}))?%$/.exec(text);
  if (percent === null) return null;
  const decimals = percent[2] ?? '';
  const denominator = Number(`100${'0'.repeat(decimals.length)}`);
  const numerator = Number(`${percent[1]}${decimals}`);
  return numerator <= denominator ? [numerator, denominator] : null;
}

/** Microseconds as a scenario writes them, in the unit that needs the fewest digits: `parseDuration` reads back the same. */
export function writeDuration(micros: number): string {
  if (micros === 0) return '0s';
  if (micros % 60_000_000 === 0 && micros >= 120_000_000) return `${micros / 60_000_000}m`;
  if (micros >= 1_000_000 && micros % 1_000 === 0) return `${micros / 1_000_000}s`;
  return micros % 1_000 === 0 ? `${micros / 1_000}ms` : `${micros}us`;
}

/** Microseconds either way; `parseShift` reads back the same. */
export function writeShift(micros: number): string {
  return micros < 0 ? `-${writeDuration(-micros)}` : `+${writeDuration(micros)}`;
}

/** Bytes as a scenario writes them. */
export function writeSize(bytes: number): string {
  for (const unit of ['GiB', 'MiB', 'KiB'] as const) {
    const size = BYTES[unit] ?? 1;
    if (bytes >= size && bytes % size === 0) return `${bytes / size}${unit}`;
  }
  return `${bytes}B`;
}

/** A chance as a scenario writes it. */
export function writeRatio([numerator, denominator]: Ratio): string {
  return `${numerator}/${denominator}`;
}
