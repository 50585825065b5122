// The few forms of DER (X.690) that a certificate needs, written only: reading is left to Node. Pure.
import { isIPv4 } from 'node:net';

export const OID = {
  ed25519: '1.3.101.112',
  commonName: '2.5.4.3',
  subjectKey: '2.5.29.14',
  keyUsage: '2.5.29.15',
  alternativeName: '2.5.29.17',
  basicConstraints: '2.5.29.19',
  authorityKey: '2.5.29.35',
  extendedKeyUsage: '2.5.29.37',
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
} as const;

const TAG = {
  boolean: 0x01,
  integer: 0x02,
  bits: 0x03,
  octets: 0x04,
  oid: 0x06,
  utf8: 0x0c,
  utcTime: 0x17,
  time: 0x18,
  sequence: 0x30,
  set: 0x31,
} as const;
const FIRST_YEAR_OF_LONG_TIMES = 2050;

function lengthOf(bytes: number): Buffer {
  if (bytes < 0x80) return Buffer.from([bytes]);
  const digits: number[] = [];
  for (let rest = bytes; rest > 0; rest = Math.floor(rest / 256)) digits.unshift(rest % 256);
  return Buffer.from([0x80 | digits.length, ...digits]);
}

export function tagged(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  return Buffer.concat([Buffer.from([tag]), lengthOf(body.length), body]);
}

export const sequence = (...parts: readonly Uint8Array[]): Buffer => tagged(TAG.sequence, ...parts);
export const set = (...parts: readonly Uint8Array[]): Buffer => tagged(TAG.set, ...parts);
export const octets = (bytes: Uint8Array): Buffer => tagged(TAG.octets, bytes);
export const bits = (bytes: Uint8Array, unused = 0): Buffer => tagged(TAG.bits, Buffer.from([unused]), bytes);
export const utf8 = (text: string): Buffer => tagged(TAG.utf8, Buffer.from(text));
export const yes: Buffer = tagged(TAG.boolean, Buffer.from([0xff]));
/** Big-endian, not negative, without leading zeros but the one that keeps the sign. */
export const integer = (bytes: Uint8Array): Buffer =>
  tagged(TAG.integer, bytes.length === 0 || (bytes[0]! & 0x80) !== 0 ? Buffer.concat([Buffer.of(0), bytes]) : bytes);

export function oid(text: string): Buffer {
  const [first, second, ...rest] = text.split('.').map(Number);
  const bytes = [first! * 40 + second!];
  for (const arc of rest) {
    const digits = [arc & 0x7f];
    for (let high = Math.floor(arc / 128); high > 0; high = Math.floor(high / 128)) digits.unshift((high & 0x7f) | 0x80);
    bytes.push(...digits);
  }
  return tagged(TAG.oid, Buffer.from(bytes));
}

/** Whole seconds, UTC. */
export function time(civilMs: number): Buffer {
  const text = new Date(civilMs)
    .toISOString()
    .replace(/\.\d+Z$/u, 'Z')
    .replace(/[-:T]/gu, '');
  const long = Number(text.slice(0, 4)) >= FIRST_YEAR_OF_LONG_TIMES;
  return tagged(long ? TAG.time : TAG.utcTime, Buffer.from(long ? text : text.slice(2)));
}

/** The bytes of an address, which has been checked to be one. */
export function addressBytes(address: string): Buffer {
  if (isIPv4(address)) return Buffer.from(address.split('.').map(Number));
  const [head = '', tail] = address.split('::');
  const groups = (text: string): number[] => (text === '' ? [] : text.split(':').map((group) => Number.parseInt(group, 16)));
  const before = groups(head);
  const after = tail === undefined ? [] : groups(tail);
  const all = [...before, ...Array.from({ length: 8 - before.length - after.length }, () => 0), ...after];
  return Buffer.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}
