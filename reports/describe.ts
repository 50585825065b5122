// Records, times and rates in words, the same in the terminal and in the page.
import type { RunRecord } from '../scenarios/record.ts';

/** `12.345678 s`, six decimals so that lines stay comparable. */
export function describeTime(micros: number): string {
  return `${(micros / 1_000_000).toFixed(6)} s`;
}

/** `1.2 s`, `96 s`, `2 min 5 s`. */
export function describeSpan(micros: number): string {
  const seconds = micros / 1_000_000;
  if (seconds < 10) return `${seconds.toFixed(2)} s`;
  if (seconds < 120) return `${seconds.toFixed(1)} s`;
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

export function describeRatio(ratio: number | null): string {
  return ratio === null ? '–' : ratio >= 10 ? `×${Math.round(ratio)}` : `×${ratio.toFixed(1)}`;
}

const UNIT = /(?:^m|M)(icros|s)(?=[A-Z]|$)/;

/** What a figure is called, and its value with a unit: `p99Micros` 8860 is `p99` and `8.86 ms`. The page says the same. */
export function describeFigure(name: string, value: number | null): readonly [what: string, said: string] {
  const unit = UNIT.exec(name)?.[1];
  const what = name.replace(UNIT, '').replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  if (value === null) return [what.trim(), '–'];
  if (unit === undefined) return [what.trim(), String(Number.isInteger(value) ? value : Number(value.toFixed(2)))];
  return [what.trim(), describeLasting(unit === 's' ? value * 1_000 : value)];
}

/** `860 µs`, `8.86 ms`, `1.2 s`: how long something took. */
function describeLasting(micros: number): string {
  if (micros === 0) return '0 s';
  if (micros < 1_000) return `${Math.round(micros)} µs`;
  if (micros < 1_000_000) return `${Number((micros / 1_000).toPrecision(3))} ms`;
  return `${Number((micros / 1_000_000).toPrecision(3))} s`;
}

/** Kind and fields of a record in one line. */
export function describeRecord(record: RunRecord): string {
  const fields: Readonly<Record<string, unknown>> = record.fields;
  const parts = Object.keys(fields)
    .filter((name) => fields[name] !== null && fields[name] !== '' && fields[name] !== record.source)
    .map((name) => `${name}=${shorten(String(fields[name]))}`);
  return `${record.kind} ${parts.join(' ')}`.trimEnd();
}

/** Digests and keys are recognised by their beginning. */
function shorten(text: string): string {
  if (/^sha256:[0-9a-f]{64}$/.test(text)) return `${text.slice(0, 15)}…`;
  return text.length > 160 ? `${text.slice(0, 159)}…` : text;
}
