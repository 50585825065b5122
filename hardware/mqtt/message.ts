// A message as an event, and an event as a message: identifier, time, correlation, headers. What can never become an event is
// refused with the reason code that the broker is told.
// An identifier is unique within its source if it is a CloudEvent's, else within its topic: two devices that count from 1 must
// not hide each other's messages.
import { createHash } from 'node:crypto';
import type { IPublishPacket } from 'mqtt';
import { EVENT_BYTES_MAX, EVENT_ID_LENGTH_MAX, type BusEvent } from '../../system/domain/event.ts';
import type { CorrelationId, EventId, Subject } from '../../system/domain/identifiers.ts';
import { ok, rejected, type ErrorText, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import { isMqttText, told } from './topic.ts';

/** Bounds of what the bus takes: headers of an event, characters of a name and of a value. */
export const HEADERS_MAX = 32;
const HEADER_NAME_LENGTH_MAX = 128;
const HEADER_VALUE_LENGTH_MAX = 4_096;
const FINGERPRINT_BYTES = 16;

/** The reason codes of a PUBACK that this gateway uses (MQTT 5, 3.4.2.1). */
export const REASON = {
  success: 0x00,
  /** This gateway or its bus cannot take it. */
  implementation: 0x83,
  topicInvalid: 0x90,
  /** Larger than the platform takes. */
  quota: 0x97,
  payloadInvalid: 0x99,
} as const;
export type ReasonCode = (typeof REASON)[keyof typeof REASON];

export type Refusal = { readonly reasonCode: ReasonCode; readonly error: WmError };
export type Taken = { readonly ok: true; readonly event: BusEvent } | { readonly ok: false; readonly refusal: Refusal };

/** Names that the gateway reads or writes itself. */
const ID = 'id';
const TIME = 'time';
const CORRELATION = 'correlation';
const SUBJECT = 'subject';
const OWN: readonly string[] = [ID, TIME, CORRELATION, SUBJECT];
const CONTENT_TYPE = 'content-type';
const TOPIC = 'mqtt-topic';
const RESPONSE_TOPIC = 'mqtt-response-topic';

function refuse(reasonCode: ReasonCode, text: ErrorText): Taken {
  const refused = rejected(reasonCode === REASON.quota ? 'WM_MESSAGE_TOO_LARGE' : 'WM_EVENT_INVALID', text);
  return { ok: false, refusal: { reasonCode, error: refused.error } };
}

export type TakenFrom = {
  readonly packet: IPublishPacket;
  readonly subject: Subject;
  readonly nowMs: number;
  /** For a message that has no identifier of its own. */
  readonly identify: (fingerprint: Uint8Array) => string;
};

export function eventOf({ packet, subject, nowMs, identify }: TakenFrom): Taken {
  const data = typeof packet.payload === 'string' ? Buffer.from(packet.payload) : packet.payload;
  if (data.length > EVENT_BYTES_MAX)
    return refuse(REASON.quota, {
      message: `A message of ${data.length} bytes came on the topic ${packet.topic}; an event holds at most ${EVENT_BYTES_MAX}.`,
      next: 'Send less, or in parts.',
    });
  if (packet.properties?.payloadFormatIndicator === true && !isUtf8(data))
    return refuse(REASON.payloadInvalid, {
      message: `A message on the topic ${packet.topic} says that it is UTF-8 text, and is not.`,
      next: 'Leave the payload format indicator away for bytes.',
    });
  const properties = propertiesOf(packet);
  const headers = headersOf(packet, properties);
  const odd = checkHeaders(headers);
  if (odd !== null)
    return refuse(REASON.implementation, {
      message: `A message on the topic ${packet.topic} ${odd}.`,
      next: `Send at most ${HEADERS_MAX} user properties and the like, with names of up to ${HEADER_NAME_LENGTH_MAX} and values of up to ${HEADER_VALUE_LENGTH_MAX} characters.`,
    });
  const id = (ownId(packet.topic, properties) ?? identify(fingerprintOf(packet, data))) as EventId;
  const timeMs = Date.parse(properties[TIME] ?? '');
  return {
    ok: true,
    event: {
      id,
      subject,
      timeMs: Number.isSafeInteger(timeMs) && timeMs >= 0 ? timeMs : nowMs,
      correlation: (correlationOf(packet, properties) ?? id) as CorrelationId,
      headers,
      data,
    },
  };
}

export type Publication = {
  readonly payload: Buffer;
  readonly properties: {
    readonly contentType?: string;
    readonly correlationData: Buffer;
    readonly userProperties: Record<string, string>;
  };
};

export function publicationOf(event: BusEvent): Publication {
  const headers = Object.entries(event.headers).filter(([name]) => name !== CONTENT_TYPE && !OWN.includes(name));
  const source = cloudSourceOf(event.headers);
  const id = source !== null && event.id.startsWith(`${source}#`) ? event.id.slice(source.length + 1) : event.id;
  const contentType = event.headers[CONTENT_TYPE];
  return {
    payload: Buffer.from(event.data.buffer, event.data.byteOffset, event.data.byteLength),
    properties: {
      ...(contentType === undefined ? {} : { contentType }),
      correlationData: Buffer.from(event.correlation),
      userProperties: {
        ...Object.fromEntries(headers),
        [ID]: id,
        [TIME]: new Date(event.timeMs).toISOString(),
        [CORRELATION]: event.correlation,
        [SUBJECT]: event.subject,
      },
    },
  };
}

/** Bytes of a PUBLISH packet beyond what it carries, generously: for the broker's own bound of a packet. */
const PACKET_OVERHEAD_BYTES = 64;
/** Bound of the protocol: bytes of one text. */
const TEXT_BYTES_MAX = 65_535;

/** Whether the broker will take it; what it would not could end the connection, and everything else on it. */
export function checkPublication(topic: string, { payload, properties }: Publication, bytesMax: number | null): Outcome<void> {
  const texts = [...Object.entries(properties.userProperties).flat(), properties.contentType ?? ''];
  const odd = texts.find((text) => !isMqttText(text) || Buffer.byteLength(text) > TEXT_BYTES_MAX);
  if (odd !== undefined)
    return rejected('WM_EVENT_INVALID', {
      message: `An event for the topic ${topic} has the property ${told(odd)}, which MQTT cannot carry.`,
      next: `Leave control characters out of headers, and keep each below ${TEXT_BYTES_MAX} bytes.`,
    });
  if (bytesMax === null) return ok();
  const names = Object.entries(properties.userProperties).reduce(
    (sum, [name, value]) => sum + 5 + Buffer.byteLength(name) + Buffer.byteLength(value),
    0,
  );
  const rest = Buffer.byteLength(topic) + Buffer.byteLength(properties.contentType ?? '') + properties.correlationData.length;
  const bytes = PACKET_OVERHEAD_BYTES + payload.length + names + rest;
  return bytes <= bytesMax
    ? ok()
    : rejected('WM_MESSAGE_TOO_LARGE', {
        message: `An event for the topic ${topic} takes ${bytes} bytes as a message; the broker takes at most ${bytesMax}.`,
        next: 'Send less, or raise the bound of the broker.',
      });
}

/** A property that is given more than once is one list: `a, b`. */
function propertiesOf(packet: IPublishPacket): Readonly<Record<string, string>> {
  const given = packet.properties?.userProperties ?? {};
  return Object.fromEntries(Object.entries(given).map(([name, value]) => [name, typeof value === 'string' ? value : value.join(', ')]));
}

function headersOf(packet: IPublishPacket, properties: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { contentType, responseTopic } = packet.properties ?? {};
  return {
    ...Object.fromEntries(Object.entries(properties).filter(([name]) => !OWN.includes(name))),
    ...(contentType === undefined ? {} : { [CONTENT_TYPE]: contentType }),
    ...(responseTopic === undefined ? {} : { [RESPONSE_TOPIC]: responseTopic }),
    [TOPIC]: packet.topic,
  };
}

function checkHeaders(headers: Readonly<Record<string, string>>): string | null {
  const names = Object.keys(headers);
  if (names.length > HEADERS_MAX) return `has ${names.length} properties`;
  for (const [name, value] of Object.entries(headers)) {
    if (name === '') return 'has a property without a name';
    if (name.length > HEADER_NAME_LENGTH_MAX) return `has a property whose name has ${name.length} characters`;
    if (value.length > HEADER_VALUE_LENGTH_MAX) return `has a property '${name}' of ${value.length} characters`;
  }
  return null;
}

function cloudSourceOf(properties: Readonly<Record<string, string>>): string | null {
  const source = properties['source'];
  return properties['specversion'] === undefined || source === undefined || source === '' ? null : source;
}

function ownId(topic: string, properties: Readonly<Record<string, string>>): string | null {
  const id = properties[ID];
  if (id === undefined || id === '') return null;
  const whole = `${cloudSourceOf(properties) ?? topic}#${id}`;
  return plain(whole) ? whole : `sha256:${createHash('sha256').update(whole).digest('hex')}`;
}

function correlationOf(packet: IPublishPacket, properties: Readonly<Record<string, string>>): string | null {
  const data = packet.properties?.correlationData;
  if (data !== undefined && data.length > 0) {
    const text = data.toString();
    if (plain(text)) return text;
    const hex = `hex:${data.toString('hex')}`;
    return plain(hex) ? hex : `sha256:${createHash('sha256').update(data).digest('hex')}`;
  }
  const named = properties[CORRELATION];
  return named !== undefined && plain(named) ? named : null;
}

/** Visible ASCII, so that an identifier can stand in a log, a header and a command. */
function plain(text: string): boolean {
  return text.length <= EVENT_ID_LENGTH_MAX && /^[\x21-\x7e]+$/.test(text);
}

function fingerprintOf(packet: IPublishPacket, data: Uint8Array): Uint8Array {
  const hash = createHash('sha256');
  for (const part of [packet.topic, JSON.stringify(propertiesOf(packet)), packet.properties?.correlationData ?? '', data]) {
    hash.update(`${part.length}:`).update(part);
  }
  return hash.digest().subarray(0, FINGERPRINT_BYTES);
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
