// Outcomes are values. Expected trouble is returned, never thrown; only a broken invariant of our own is thrown, as `Bug`.
// rejected: the request is wrong or cannot be met. failed: known not to have happened.
// unknown: may have happened, observe before retrying (architecture §9).
import type { ErrorCode } from './errors.ts';

export type OutcomeKind = 'rejected' | 'failed' | 'unknown';

/** What went wrong, to what, and what to do next. `detail` holds small printable facts (names, sizes with units in the key). */
export type WmError = {
  readonly kind: OutcomeKind;
  readonly code: ErrorCode;
  readonly message: string;
  readonly next: string;
  readonly detail: Readonly<Record<string, string | number | boolean>>;
};

export type Ok<T> = { readonly ok: true; readonly value: T };
export type Err = { readonly ok: false; readonly error: WmError };
export type Outcome<T> = Ok<T> | Err;

const DONE: Ok<void> = Object.freeze({ ok: true, value: undefined });

export function ok(): Ok<void>;
export function ok<T>(value: T): Ok<T>;
export function ok<T>(value?: T): Ok<T | void> {
  return value === undefined ? DONE : { ok: true, value };
}

export type ErrorText = {
  readonly message: string;
  readonly next: string;
  readonly detail?: Readonly<Record<string, string | number | boolean>>;
};

function fault(kind: OutcomeKind, code: ErrorCode, text: ErrorText): Err {
  return {
    ok: false,
    error: { kind, code, message: text.message, next: text.next, detail: text.detail ?? {} },
  };
}

export function rejected(code: ErrorCode, text: ErrorText): Err {
  return fault('rejected', code, text);
}

export function failed(code: ErrorCode, text: ErrorText): Err {
  return fault('failed', code, text);
}

export function unknown(code: ErrorCode, text: ErrorText): Err {
  return fault('unknown', code, text);
}

/** Our own invariant broke. Thrown, never caught by product code; a simulated run ends with exit code 70. */
export class Bug extends Error {
  override readonly name = 'Bug';
}

export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Bug(`Invariant broken: ${invariant}`);
}

export function assertNever(value: never, what: string): never {
  throw new Bug(`Invariant broken: ${what} has no case for ${JSON.stringify(value)}`);
}

/** One line for people: code, what happened, what to do next. */
export function describeError(error: WmError): string {
  return `${error.code} (${error.kind}): ${error.message} ${error.next}`;
}
