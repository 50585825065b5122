// Heartbeats and their acknowledgements, written and read by hand: they are nearly all that agents and controller say to each other,
// and the generic codec takes several times as long for them. The bytes are the same. It refuses nothing itself: what is not said
// exactly as it says it (another order of fields, a field that it does not know) is null, and left to the generic codec.
import { isName, type NodeId, type Term } from '../../domain/identifiers.ts';
import type { LatencyReport } from '../../domain/node.ts';
import type { AgentMessage, ControllerMessage } from '../../domain/session.ts';

type Heartbeat = Extract<AgentMessage, { readonly kind: 'heartbeat' }>;
type Acknowledgement = Extract<ControllerMessage, { readonly kind: 'heartbeat-ack' }>;

/** Tags, as in session.proto: (number of the field) * 8 + (0 for a whole number, 2 for what has a length). */
const HEARTBEAT = 0x12;
const ACKNOWLEDGEMENT = 0x1a;
const FIRST_NUMBER = 0x08;
const SECOND_NUMBER = 0x10;
const THIRD_NUMBER = 0x18;
const FIRST_BYTES = 0x0a;
const SECOND_BYTES = 0x12;
const THIRD_BYTES = 0x1a;

const UINT32_MAX = 0xffff_ffff;
const ONE_BYTE_MAX = 0x7f;
const INT31_MAX = 0x7fff_ffff;
/** Bound: characters of a landmark's name, as in `isName`: with its number it stays below 128 bytes, and its length is one byte. */
const NAME_CHARACTERS_MAX = 63;
/** Bound: bytes of a whole number that JavaScript holds. */
const NUMBER_BYTES_MAX = 8;
/** Tag and length of what is shorter than 128 bytes. */
const HEAD_BYTES = 2;

/** Null: the generic codec must do it. */
export function encodeHeartbeat({ sequence, load, latencies }: Heartbeat): Uint8Array | null {
  const { cpuPermille, memoryBytesFree, invocationsActive } = load;
  if (!isWhole(sequence, Number.MAX_SAFE_INTEGER) || !isWhole(memoryBytesFree, Number.MAX_SAFE_INTEGER)) return null;
  if (!isWhole(cpuPermille, UINT32_MAX) || !isWhole(invocationsActive, UINT32_MAX)) return null;
  const loadBytes = bytesOf(cpuPermille) + bytesOf(memoryBytesFree) + bytesOf(invocationsActive);
  let length = bytesOf(sequence) + HEAD_BYTES + loadBytes;
  for (const { landmark, rttMicros } of latencies) {
    if (landmark.length === 0 || landmark.length > NAME_CHARACTERS_MAX || !isWhole(rttMicros, Number.MAX_SAFE_INTEGER)) return null;
    length += 2 * HEAD_BYTES + landmark.length + bytesOf(rttMicros);
  }
  const writer = new Writer(HEARTBEAT, length);
  writer.number(FIRST_NUMBER, sequence);
  writer.head(SECOND_BYTES, loadBytes);
  writer.number(FIRST_NUMBER, cpuPermille);
  writer.number(SECOND_NUMBER, memoryBytesFree);
  writer.number(THIRD_NUMBER, invocationsActive);
  for (const { landmark, rttMicros } of latencies) {
    writer.head(THIRD_BYTES, HEAD_BYTES + landmark.length + bytesOf(rttMicros));
    if (!writer.ascii(FIRST_BYTES, landmark)) return null;
    writer.number(SECOND_NUMBER, rttMicros);
  }
  return writer.bytes;
}

/** Null: the generic codec must do it, and may refuse it. */
export function decodeHeartbeat(bytes: Uint8Array): Heartbeat | null {
  const reader = Reader.of(bytes, HEARTBEAT);
  if (reader === null) return null;
  const sequence = reader.number(FIRST_NUMBER, Number.MAX_SAFE_INTEGER);
  const loadEnd = reader.enter(SECOND_BYTES);
  if (loadEnd < 0) return null;
  const cpuPermille = reader.number(FIRST_NUMBER, UINT32_MAX);
  const memoryBytesFree = reader.number(SECOND_NUMBER, Number.MAX_SAFE_INTEGER);
  const invocationsActive = reader.number(THIRD_NUMBER, UINT32_MAX);
  if (reader.place !== loadEnd) return null;
  const latencies: LatencyReport[] = [];
  while (reader.place < bytes.length) {
    const latencyEnd = reader.enter(THIRD_BYTES);
    if (latencyEnd < 0) return null;
    const landmark = reader.name();
    const rttMicros = reader.number(SECOND_NUMBER, Number.MAX_SAFE_INTEGER);
    if (landmark === null || rttMicros < 0 || reader.place !== latencyEnd) return null;
    latencies.push({ landmark: landmark as NodeId, rttMicros });
  }
  if (sequence < 0 || cpuPermille < 0 || memoryBytesFree < 0 || invocationsActive < 0) return null;
  return { kind: 'heartbeat', sequence, load: { cpuPermille, memoryBytesFree, invocationsActive }, latencies };
}

/** Null: the generic codec must do it. */
export function encodeAcknowledgement({ term, sequence, leaseMs }: Acknowledgement): Uint8Array | null {
  if (!isWhole(term, Number.MAX_SAFE_INTEGER) || !isWhole(sequence, Number.MAX_SAFE_INTEGER) || !isWhole(leaseMs, UINT32_MAX)) return null;
  const writer = new Writer(ACKNOWLEDGEMENT, bytesOf(term) + bytesOf(sequence) + bytesOf(leaseMs));
  writer.number(FIRST_NUMBER, term);
  writer.number(SECOND_NUMBER, sequence);
  writer.number(THIRD_NUMBER, leaseMs);
  return writer.bytes;
}

/** Null: the generic codec must do it, and may refuse it. */
export function decodeAcknowledgement(bytes: Uint8Array): Acknowledgement | null {
  const reader = Reader.of(bytes, ACKNOWLEDGEMENT);
  if (reader === null) return null;
  const term = reader.number(FIRST_NUMBER, Number.MAX_SAFE_INTEGER);
  const sequence = reader.number(SECOND_NUMBER, Number.MAX_SAFE_INTEGER);
  const leaseMs = reader.number(THIRD_NUMBER, UINT32_MAX);
  if (term < 0 || sequence < 0 || leaseMs < 0 || reader.place !== bytes.length) return null;
  return { kind: 'heartbeat-ack', term: term as Term, sequence, leaseMs };
}

function isWhole(value: number, max: number): boolean {
  return Number.isSafeInteger(value) && value >= 0 && value <= max;
}

/** Of a field with this number, its tag included. Zero is what a field says that is not there. */
function bytesOf(value: number): number {
  return value === 0 ? 0 : 1 + varintBytesOf(value);
}

function varintBytesOf(value: number): number {
  let count = 1;
  for (let rest = value; rest > ONE_BYTE_MAX; rest = Math.floor(rest / 0x80)) count++;
  return count;
}

/** Writes one message, whose length is known. */
class Writer {
  readonly bytes: Uint8Array;
  #place = 0;

  constructor(tag: number, length: number) {
    this.bytes = new Uint8Array(1 + varintBytesOf(length) + length);
    this.bytes[this.#place++] = tag;
    this.#varint(length);
  }

  number(tag: number, value: number): void {
    if (value === 0) return;
    this.bytes[this.#place++] = tag;
    this.#varint(value);
  }

  /** Of something shorter than 128 bytes. */
  head(tag: number, length: number): void {
    this.bytes[this.#place++] = tag;
    this.bytes[this.#place++] = length;
  }

  /** False: it has letters that take more than a byte. */
  ascii(tag: number, text: string): boolean {
    this.head(tag, text.length);
    for (let index = 0; index < text.length; index++) {
      const unit = text.charCodeAt(index);
      if (unit > ONE_BYTE_MAX) return false;
      this.bytes[this.#place++] = unit;
    }
    return true;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > INT31_MAX) {
      this.bytes[this.#place++] = (rest % 0x80) | 0x80;
      rest = Math.floor(rest / 0x80);
    }
    while (rest > ONE_BYTE_MAX) {
      this.bytes[this.#place++] = (rest & ONE_BYTE_MAX) | 0x80;
      rest >>>= 7;
    }
    this.bytes[this.#place++] = rest;
  }
}

/** Reads fields in the order of their numbers. A number is negative when it is not one that may be read here. */
class Reader {
  place = 0;
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** At the first field of the one message that these bytes are; null when they are anything else. */
  static of(bytes: Uint8Array, tag: number): Reader | null {
    const reader = new Reader(bytes);
    return bytes[0] === tag && reader.number(tag, bytes.length) === bytes.length - reader.place ? reader : null;
  }

  /** The number behind that tag; 0 when another tag, or none, is next. */
  number(tag: number, max: number): number {
    const bytes = this.#bytes;
    if (bytes[this.place] !== tag) return 0;
    this.place++;
    let value = 0;
    let weight = 1;
    for (let count = 0; count < NUMBER_BYTES_MAX; count++) {
      const byte = bytes[this.place++];
      if (byte === undefined) return -1;
      value += (byte & ONE_BYTE_MAX) * weight;
      if (byte <= ONE_BYTE_MAX) return value <= max ? value : -1;
      weight *= 0x80;
    }
    return -1;
  }

  /** Where what begins here ends; -1 when another tag is next or it is longer than what is left. */
  enter(tag: number): number {
    const bytes = this.#bytes;
    const length = bytes[this.place + 1];
    if (bytes[this.place] !== tag || length === undefined || length > ONE_BYTE_MAX) return -1;
    this.place += 2;
    return this.place + length <= bytes.length ? this.place + length : -1;
  }

  name(): string | null {
    const bytes = this.#bytes;
    const end = this.enter(FIRST_BYTES);
    if (end < 0) return null;
    let name = '';
    while (this.place < end) name += String.fromCharCode(bytes[this.place++] as number);
    return isName(name) ? name : null;
  }
}
