// What the answers of a NATS server mean to the product, and how its values are told from damaged ones.
import { crc32 } from 'node:zlib';
import { JetStreamApiCodes, JetStreamApiError } from '@nats-io/jetstream';
import { failed, rejected, unknown } from '../../../system/domain/outcome.ts';
import type { Err } from '../../../system/domain/outcome.ts';

/** Bound: how long an acknowledgement, or the first answer to a read, may take; afterwards nobody knows. */
export const ANSWERED_WITHIN_MS = 15_000;

/** Error codes of JetStream, https://github.com/nats-io/nats-server/blob/main/server/errors.json: no room for what was sent. */
const FULL_CODES = [10_002, 10_023, 10_028, 10_047];

export const CHECKSUM_HEADER = 'Wasmmatrix-Checksum';

/** Of the bytes and of where they belong, so that a record in the place of another is noticed too. */
export const checksumOf = (bytes: Uint8Array, place: number): string =>
  crc32(bytes, place >>> 0)
    .toString(16)
    .padStart(8, '0');

/** This process does not lead, and knows it. */
export class Deposed extends Error {}

export function isWrongSequence(error: unknown): error is JetStreamApiError {
  if (!(error instanceof JetStreamApiError)) return false;
  return error.code === JetStreamApiCodes.StreamWrongLastSequence || error.code === JetStreamApiCodes.StreamWrongLastSequenceUnknown;
}

/** A read found nothing where it looked. */
export function isNothing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 404;
}

/** The sequence that the server says it is at, null when it does not say. */
export function sequenceIn(error: JetStreamApiError): number | null {
  const found = /wrong last sequence: (\d+)/u.exec(error.message)?.[1];
  return found === undefined ? null : Number(found);
}

export function damaged(message: string, detail: Readonly<Record<string, string | number>>): Err {
  return rejected('WM_JOURNAL_CORRUPT', {
    message,
    next: 'Keep the streams as they are for whoever looks into them, and restore a copy (docs/howto/production.md).',
    detail,
  });
}

export function unsuitable(message: string, next: string, detail: Readonly<Record<string, string | number>> = {}): Err {
  return rejected('WM_STORAGE_UNSUITABLE', { message, next, detail });
}

/** `what` was being used, `act` says what was being done to it: "written", "opened". */
export function describeAnswer(error: unknown, what: string, act: string): Err {
  if (error instanceof Deposed) {
    return rejected('WM_JOURNAL_CONFLICT', {
      message: `${what} on NATS was not ${act}: this process does not hold the lease any more.`,
      next: 'This process ends; whoever leads goes on.',
      detail: { what },
    });
  }
  const reason = error instanceof Error ? error.message : String(error);
  if (error instanceof JetStreamApiError) {
    if (FULL_CODES.includes(error.code) || reason.includes('maximum bytes')) {
      return failed('WM_STORAGE_FULL', {
        message: `The NATS server has no room for ${what}: ${reason}.`,
        next: 'Give the server more storage, or raise the limits of the account; what was acknowledged is kept.',
        detail: { what, code: error.code },
      });
    }
    if (error.code === JetStreamApiCodes.JetStreamNotEnabledForAccount) {
      return unsuitable(
        `The account of this user has no JetStream: ${what} cannot be ${act}.`,
        'Give the account `jetstream: enabled`, or use another user.',
      );
    }
  }
  return unknown('WM_STORAGE_FAILED', {
    message: `${what} on NATS could not be ${act}: ${reason}.`,
    next: 'Check the server and the way to it; then start again: the store recovers from what the server has.',
    detail: { what },
  });
}
