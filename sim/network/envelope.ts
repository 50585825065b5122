// An answer on the wire: one byte that says which, then the bytes of the reply or the error as JSON. The error that a caller
// gets is made of these bytes, so nothing is shared between machines.
import type { Outcome, WmError } from '../../system/domain/outcome.ts';

const REPLY = 0;
const ERROR = 1;

/** What most calls that only ask whether somebody is there get. Nothing can be written into it. */
const NOTHING: Outcome<Uint8Array> = { ok: true, value: new Uint8Array(0) };

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeAnswer(answer: Outcome<Uint8Array>): Uint8Array {
  const body = answer.ok ? answer.value : encoder.encode(JSON.stringify(answer.error));
  const bytes = new Uint8Array(body.length + 1);
  bytes[0] = answer.ok ? REPLY : ERROR;
  bytes.set(body, 1);
  return bytes;
}

/** Only reads what `encodeAnswer` wrote. */
export function decodeAnswer(bytes: Uint8Array): Outcome<Uint8Array> {
  if (bytes.length === 1 && bytes[0] === REPLY) return NOTHING;
  const body = bytes.subarray(1);
  return bytes[0] === REPLY ? { ok: true, value: body } : { ok: false, error: JSON.parse(decoder.decode(body)) as WmError };
}
