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
