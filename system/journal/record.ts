// A journal record as bytes: one batch of entries in JSON with its schema version. Bytes become {"$hex"}, maps {"$map"}, so
// that a state or an entry survives the round trip exactly. Order of keys and of maps is kept: equal values, equal bytes.
import { assert, ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { Term } from '../domain/identifiers.ts';

export const RECORD_SCHEMA = 1;

export type JournalRecord<Entry> = {
  readonly schema: typeof RECORD_SCHEMA;
  readonly sequence: number;
  readonly term: Term;
  /** Civil milliseconds of the leader when it closed the batch: for people, never for decisions. */
  readonly timeMs: number;
  readonly entries: readonly Entry[];
};

const HEX = '0123456789abcdef';

function toHex(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += HEX.charAt(byte >> 4) + HEX.charAt(byte & 15);
  return text;
}

function fromHex(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length / 2);
  for (let i = 0; i < bytes.length; i++) bytes[i] = Number.parseInt(text.slice(i * 2, i * 2 + 2), 16);
  return bytes;
}

function replace(_key: string, value: unknown): unknown {
  if (value instanceof Uint8Array) return { $hex: toHex(value) };
  if (value instanceof Map) return { $map: [...(value as Map<unknown, unknown>)] };
  assert(!(value instanceof Set), 'what is journalled holds no sets');
  return value;
}

function revive(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value;
  if ('$hex' in value && typeof value.$hex === 'string') return fromHex(value.$hex);
  if ('$map' in value && Array.isArray(value.$map)) return new Map(value.$map as [unknown, unknown][]);
  return value;
}

export function encodeValue(value: unknown): string {
  return JSON.stringify(value, replace);
}

/** Throws on text that is no JSON: callers turn it into an outcome. */
export function decodeValue(text: string): unknown {
  return JSON.parse(text, revive);
}

/** A record around entries that were encoded one by one, when they were appended. */
export function encodeRecord(head: Omit<JournalRecord<unknown>, 'schema' | 'entries'>, entries: readonly string[]): Uint8Array {
  const { sequence, term, timeMs } = head;
  return new TextEncoder().encode(
    `{"schema":${RECORD_SCHEMA},"sequence":${sequence},"term":${term},"timeMs":${timeMs},"entries":[${entries.join(',')}]}`,
  );
}

function corrupt(sequence: number, why: string): Outcome<never> {
  return rejected('WM_JOURNAL_CORRUPT', {
    message: `Journal record ${sequence} cannot be read back: ${why}.`,
    next: 'Restore the journal from a copy.',
    detail: { sequence },
  });
}

export function decodeRecord<Entry>(sequence: number, bytes: Uint8Array): Outcome<JournalRecord<Entry>> {
  let value: unknown;
  try {
    value = decodeValue(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return corrupt(sequence, 'it is no JSON text');
  }
  if (typeof value !== 'object' || value === null) return corrupt(sequence, 'it holds no object');
  const record = value as Partial<JournalRecord<Entry>>;
  if (record.schema !== RECORD_SCHEMA)
    return corrupt(sequence, `its schema is ${String(record.schema)}, and this version reads ${RECORD_SCHEMA}`);
  if (record.sequence !== sequence) return corrupt(sequence, `it says that it is record ${String(record.sequence)}`);
  if (typeof record.term !== 'number' || !Array.isArray(record.entries)) return corrupt(sequence, 'it has no term or no entries');
  return ok(record as JournalRecord<Entry>);
}
