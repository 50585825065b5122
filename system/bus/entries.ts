// The broker's journal records. One record is one entry: a line of JSON, and for an event its protobuf bytes after it.
// `snapshot-begin … snapshot-end` brackets a whole state: recovery starts from the last one that is complete.
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import { decodeBusEvent, encodeBusEvent } from '../wire/codec/broker.ts';
import type { Entry } from './state.ts';

export type JournalRecord =
  | Entry
  | { readonly kind: 'snapshot-begin'; readonly nextSequence: number; readonly known: readonly (readonly [string, number])[] }
  | { readonly kind: 'known'; readonly known: readonly (readonly [string, number])[] }
  | { readonly kind: 'snapshot-end' };

const NEWLINE = 10;
const SCHEMA = 1;

export function encodeRecord(record: JournalRecord): Uint8Array {
  const { event, ...head } = record.kind === 'event' ? record : { ...record, event: null };
  const line = new TextEncoder().encode(`${JSON.stringify({ schema: SCHEMA, ...head })}\n`);
  if (event === null) return line;
  const body = encodeBusEvent(event);
  const bytes = new Uint8Array(line.length + body.length);
  bytes.set(line);
  bytes.set(body, line.length);
  return bytes;
}

export function decodeRecord(bytes: Uint8Array, sequence: number): Outcome<JournalRecord> {
  const end = bytes.indexOf(NEWLINE);
  const head = parse(new TextDecoder().decode(bytes.subarray(0, Math.max(end, 0))));
  if (head === null || head['schema'] !== SCHEMA) return corrupt(sequence, 'it is no record of this version');
  if (head['kind'] !== 'event') return ok(head as unknown as JournalRecord);
  const event = decodeBusEvent(bytes.subarray(end + 1));
  return event.ok ? ok({ kind: 'event', sequence: Number(head['sequence']), event: event.value }) : corrupt(sequence, event.error.message);
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

