// Reading fields at the door: what a message may hold is checked here, one field at a time, and named when it is wrong.
// Inside a decoder a wrong field ends the reading by a private exception, which never leaves `decodeWith`.
import { create, fromBinary, toBinary, type DescMessage, type MessageInitShape, type MessageShape } from '@bufbuild/protobuf';
import { WM_ERRORS, type ErrorCode } from '../../domain/errors.ts';
import { isDigest, isName, isZonePath, type Brand } from '../../domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../../domain/outcome.ts';
import { isSubject, isSubjectFilter } from '../../domain/subject.ts';

class WrongField extends Error {}

export function wrong(field: string, expected: string): never {
  throw new WrongField(`${field}: expected ${expected}`);
}

export function encodeWith<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

/** Any bytes give an outcome; only our own mistakes throw. */
export function decodeWith<D extends DescMessage, T>(schema: D, bytes: Uint8Array, read: (message: MessageShape<D>) => T): Outcome<T> {
  let message: MessageShape<D>;
  try {
    message = fromBinary(schema, bytes);
  } catch (error) {
    return invalid(schema, error instanceof Error ? error.message : 'unreadable');
  }
  try {
    return ok(read(message));
  } catch (error) {
    if (error instanceof WrongField) return invalid(schema, error.message);
    throw error;
  }
}

function invalid(schema: DescMessage, why: string): Outcome<never> {
  return rejected('WM_MESSAGE_INVALID', {
    message: `A message that should be ${schema.typeName} is not valid: ${why}.`,
    next: 'Update the older side; if both are current, the link changes bytes.',
    detail: { type: schema.typeName },
  });
}

export function present<T>(value: T | undefined, field: string): T {
  return value === undefined ? wrong(field, 'a value, found none') : value;
}

/** Whole numbers beyond 2^53 are refused, since JavaScript would change them. */
export function whole(value: bigint, field: string): number {
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : wrong(field, `at most ${Number.MAX_SAFE_INTEGER}, found ${value}`);
}

export function finite(value: number, field: string): number {
  return Number.isFinite(value) ? value : wrong(field, 'a finite number');
}

/** Bound: characters of any text field that has no rule of its own. */
const TEXT_LENGTH_MAX = 4_096;

export function text(value: string, field: string, lengthMax = TEXT_LENGTH_MAX): string {
  return value.length <= lengthMax ? value : wrong(field, `at most ${lengthMax} characters, found ${value.length}`);
}

export function name<B extends string>(value: string, field: string): Brand<string, B> {
  return isName(value)
    ? (value as Brand<string, B>)
    : wrong(field, `a name of lower-case letters, digits and hyphens, found '${text(value, field).slice(0, 80)}'`);
}

/** Non-empty text of a branded kind that has no stricter rule. */
export function branded<B extends string>(value: string, field: string): Brand<string, B> {
  return value === '' ? wrong(field, 'a value, found an empty text') : (text(value, field, 256) as Brand<string, B>);
}

export function zone(value: string, field: string): Brand<string, 'ZonePath'> {
  return isZonePath(value) ? value : wrong(field, `a zone path, found '${value.slice(0, 80)}'`);
}

export function digest(value: string, field: string): Brand<string, 'Digest'> {
  return isDigest(value) ? value : wrong(field, `sha256: and 64 hexadecimal digits, found '${value.slice(0, 80)}'`);
}

export function subject(value: string, field: string): Brand<string, 'Subject'> {
  return isSubject(value) ? value : wrong(field, `a subject, found '${value.slice(0, 80)}'`);
}

export function subjectFilter(value: string, field: string): Brand<string, 'SubjectFilter'> {
  return isSubjectFilter(value) ? value : wrong(field, `a subject filter, found '${value.slice(0, 80)}'`);
}

const INSTANCE = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\/\d{1,6}$/;

export function instanceId(value: string, field: string): Brand<string, 'InstanceId'> {
  return INSTANCE.test(value)
    ? (value as Brand<string, 'InstanceId'>)
    : wrong(field, `<deployment>/<number>, found '${value.slice(0, 80)}'`);
}

export function oneOf<const T extends string>(value: string, field: string, allowed: readonly T[]): T {
  const found = allowed.find((candidate) => candidate === value);
  return found ?? wrong(field, `one of ${allowed.join(', ')}, found '${value.slice(0, 80)}'`);
}

export function errorCode(value: string, field: string): ErrorCode {
  return Object.hasOwn(WM_ERRORS, value) ? (value as ErrorCode) : wrong(field, `an error code, found '${value.slice(0, 80)}'`);
}

export function bytesOf(value: Uint8Array, field: string, length: number): Uint8Array {
  return value.length === length ? value : wrong(field, `${length} bytes, found ${value.length}`);
}

/** Leaves a field out of a message when the domain says null. */
export function optional<K extends string, V>(key: K, value: V | null): { readonly [P in K]?: V } {
  return (value === null ? {} : { [key]: value }) as { readonly [P in K]?: V };
}

export function orNull<T, R>(value: T | undefined, read: (value: T) => R): R | null {
  return value === undefined ? null : read(value);
}
