// The clock of a node that is wrong for good: `{ offset: -40ms, drift: 50 }`.
import { isRecord } from './shape.ts';
import type { Path, Source } from './mistakes.ts';
import type { ClockSpec } from './scenario.ts';
import { parseShift, writeShift } from './units.ts';

const MICROS_PER_MS = 1_000;

export function clockOf(source: Source, value: unknown, path: Path): ClockSpec | null {
  if (!isRecord(value)) return null;
  const offsetMicros = value['offset'] === undefined ? 0 : (parseShift(String(value['offset'])) ?? 0);
  const driftPpm = typeof value['drift'] === 'number' ? value['drift'] : 0;
  if (offsetMicros % MICROS_PER_MS !== 0)
    source.mistake(
      [...path, 'offset'],
      `found ${JSON.stringify(value['offset'])}, expected whole milliseconds: civil time has no finer parts`,
    );
  return { offsetMicros, driftPpm };
}

export function clockText({ offsetMicros, driftPpm }: ClockSpec): string {
  return `clock off by ${writeShift(offsetMicros)} and ${driftPpm} ppm`;
}
