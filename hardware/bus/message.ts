// An event as a message of JetStream: its data is the payload, the rest is one header of JSON. What other programs publish below
// our prefix has no such header: it becomes an event named for its place in the stream, with its own headers. Pure.
import { headers as createHeaders, type Msg, type MsgHdrs } from '@nats-io/transport-node';
import { EVENT_BYTES_MAX, EVENT_ID_LENGTH_MAX, type BusEvent } from '../../system/domain/event.ts';
import type { CorrelationId, EventId } from '../../system/domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { isSubject } from '../../system/domain/subject.ts';

const EVENT_HEADER = 'Wm-Event';
/** Bound: headers of an event, those of a dead letter among them. */
const HEADERS_MAX = 40;
/** Bound: characters of all headers of an event together, as JSON. */
const HEADERS_LENGTH_MAX = 64 * 1_024;

/** JetStream's names for where a delivery stands, from the subject it is acknowledged at. */
export type Place = { readonly deliveries: number; readonly sequence: number; readonly delivery: number; readonly timeMs: number };

/** `$JS.ACK.<stream>.<consumer>.<deliveries>.<sequence>.<delivery>.<nanoseconds>.<pending>`; newer servers put domain and account first. */
export function placeOf(reply: string): Place | null {
  const tokens = reply.split('.');
  const first = tokens.length >= 11 ? 6 : 4;
  const [deliveries, sequence, delivery, nanos] = tokens.slice(first, first + 4).map(Number);
  if (deliveries === undefined || sequence === undefined || delivery === undefined || nanos === undefined) return null;
  if (![deliveries, sequence, delivery, nanos].every(Number.isFinite)) return null;
  return { deliveries, sequence, delivery, timeMs: Math.floor(nanos / 1_000_000) };
}

/** Refuses what could not be read back. */
export function encodeEvent(event: BusEvent): Outcome<MsgHdrs> {
  const named = Object.entries(event.headers);
  const text = JSON.stringify({ id: event.id, timeMs: event.timeMs, correlation: event.correlation, headers: event.headers });
  const wrong =
    event.id === '' || event.id.length > EVENT_ID_LENGTH_MAX || !event.id.isWellFormed()
      ? `its identifier is not 1 to ${EVENT_ID_LENGTH_MAX} characters`
      : !isSubject(event.subject)
        ? `'${event.subject}' is no subject: up to 16 tokens of letters, digits, '_', '-' and '$', with dots between them`
        : event.data.length > EVENT_BYTES_MAX
          ? `its data is ${event.data.length} bytes, and at most ${EVENT_BYTES_MAX} are taken`
          : named.length > HEADERS_MAX || text.length > HEADERS_LENGTH_MAX
            ? `it has ${named.length} headers of ${text.length} characters; at most ${HEADERS_MAX} of ${HEADERS_LENGTH_MAX} are taken`
            : null;
  if (wrong !== null) {
    return rejected('WM_EVENT_INVALID', {
      message: `Event ${event.id.slice(0, EVENT_ID_LENGTH_MAX)} cannot be published: ${wrong}.`,
      next: 'Correct the event.',
    });
  }
  const headers = createHeaders();
  headers.set(EVENT_HEADER, escapeHeader(text));
  return ok(headers);
}

/** Headers of NATS are single lines; JSON escapes control characters already, and the rest is kept plain ASCII. */
function escapeHeader(json: string): string {
  return json.replaceAll(/[^\u0020-\u007e]/g, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

/** `Nats-Msg-Id` of an event: printable, and different for different identifiers. */
export function messageIdOf(id: EventId): string {
  return encodeURIComponent(id);
}

type Envelope = {
  readonly id: string;
  readonly timeMs: number;
  readonly correlation: string;
  readonly headers: Readonly<Record<string, string>>;
};

function parseEnvelope(text: string): Envelope | null {
  let parsed: unknown;
  try {
    parsed = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof parsed !== 'object' || parsed === null) return null;
  const { id, timeMs, correlation, headers } = parsed as Record<string, unknown>;
  if (typeof id !== 'string' || id === '' || id.length > EVENT_ID_LENGTH_MAX || !Number.isSafeInteger(timeMs)) return null;
  if (typeof correlation !== 'string' || typeof headers !== 'object' || headers === null) return null;
  if (!Object.values(headers).every((value) => typeof value === 'string')) return null;
  return { id, timeMs: timeMs as number, correlation, headers: headers as Record<string, string> };
}

/** Null: somebody else published what is no event of ours and cannot be made one. */
export function decodeEvent(message: Msg, subject: string, place: Place): BusEvent | null {
  if (!isSubject(subject) || message.data.length > EVENT_BYTES_MAX) return null;
  const text = message.headers?.get(EVENT_HEADER) ?? '';
  const envelope = text === '' ? envelopeOf(message.headers, place) : parseEnvelope(text);
  if (envelope === null) return null;
  return {
    id: envelope.id as EventId,
    subject,
    timeMs: envelope.timeMs,
    correlation: envelope.correlation as CorrelationId,
    headers: envelope.headers,
    // A copy: the bytes lie in a buffer of the socket, with other messages.
    data: new Uint8Array(message.data),
  };
}

function envelopeOf(natsHeaders: MsgHdrs | undefined, { sequence, timeMs }: Place): Envelope {
  const id = `nats/${sequence}`;
  const names = (natsHeaders?.keys() ?? []).slice(0, HEADERS_MAX);
  return { id, timeMs, correlation: id, headers: Object.fromEntries(names.map((name) => [name, natsHeaders?.get(name) ?? ''])) };
}
