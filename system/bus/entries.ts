// The broker's journal records. One record is one entry: a line of JSON, and for an event its protobuf bytes after it.
// `snapshot-begin … snapshot-end` brackets a whole state: recovery starts from the last one that is complete.
// `told`: records up to this sequence were durable, and whoever waited for them had been told, when this one was written.
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import { decodeHeldEvent, encodeBusEvent } from '../wire/codec/broker.ts';
import type { Entry, SnapshotEntry } from './state.ts';

export type JournalEntry = Entry | SnapshotEntry | { readonly kind: 'snapshot-end' };
export type JournalRecord = { readonly entry: JournalEntry; readonly told: number };

const NEWLINE = 10;
const SCHEMA = 1;

export function encodeRecord({ entry, told }: JournalRecord): Uint8Array {
  if (entry.kind !== 'event' && entry.kind !== 'held') return lineOf({ ...entry, told });
  const { event, ...head } = entry;
  const line = lineOf({ ...head, told });
  const body = encodeBusEvent(event);
  const bytes = new Uint8Array(line.length + body.length);
  bytes.set(line);
  bytes.set(body, line.length);
  return bytes;
}

function lineOf(head: object): Uint8Array {
  return new TextEncoder().encode(`${JSON.stringify({ schema: SCHEMA, ...head })}\n`);
}

/** Reads what `encodeRecord` wrote; anything else is a journal that was damaged. */
export function decodeRecord(bytes: Uint8Array, sequence: number): Outcome<JournalRecord> {
  const end = bytes.indexOf(NEWLINE);
  const parsed = parse(new TextDecoder().decode(bytes.subarray(0, Math.max(end, 0))));
  if (parsed === null || parsed['schema'] !== SCHEMA) return corrupt(sequence, 'it is no record of this version');
  const { schema: _schema, told, ...head } = parsed;
  if (typeof told !== 'number') return corrupt(sequence, 'it does not say what had been told');
  if (head['kind'] !== 'event' && head['kind'] !== 'held') return ok({ entry: head as unknown as JournalEntry, told });
  const event = decodeHeldEvent(bytes.subarray(end + 1));
  if (!event.ok) return corrupt(sequence, event.error.message);
  return ok({ entry: { kind: head['kind'], sequence: Number(head['sequence']), event: event.value }, told });
}

function parse(text: string): Readonly<Record<string, unknown>> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : null;
  } catch {
    return null;
  }
}

function corrupt(sequence: number, why: string): Outcome<never> {
  return rejected('WM_JOURNAL_CORRUPT', {
    message: `Record ${sequence} of the broker's journal cannot be read: ${why}.`,
    next: 'Restore the journal from a copy.',
    detail: { sequence },
  });
}
