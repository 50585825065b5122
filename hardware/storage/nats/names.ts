// What journals, buckets and keys are called on the server. NATS takes few characters in names: the others are written as `_`
// and two hexadecimal digits for each byte, so that two names never become one.
import { createHash } from 'node:crypto';
import { rejected } from '../../../system/domain/outcome.ts';
import type { Err } from '../../../system/domain/outcome.ts';
import { NAME_LENGTH_MAX } from '../operations.ts';

/** Bound: characters of an encoded name of a journal or bucket; a stream's name has 255 at most. */
const TOKEN_LENGTH_MAX = 160;
/** Bound: characters of an encoded key; the server reads control lines of 4 KiB. Longer ones are named by their digest. */
const KEY_TOKEN_LENGTH_MAX = 1_024;

const STORE = /^[a-z0-9][a-z0-9-]{0,31}$/;
const PLAIN = /^[A-Za-z0-9-]$/;

export function encodeToken(text: string): string {
  let token = '';
  for (const byte of new TextEncoder().encode(text)) {
    const letter = String.fromCharCode(byte);
    token += PLAIN.test(letter) ? letter : `_${byte.toString(16).padStart(2, '0')}`;
  }
  return token;
}

/** `_sha256-` is no encoded byte, so a digest is never mistaken for a key. */
export function encodeKey(key: string): string {
  const token = encodeToken(key);
  return token.length <= KEY_TOKEN_LENGTH_MAX ? token : `_sha256-${createHash('sha256').update(key).digest('hex')}`;
}

export function checkStoreName(store: string): Err | null {
  if (STORE.test(store)) return null;
  return rejected('WM_ARGUMENT', {
    message: `'${store}' cannot be the name of a store on NATS.`,
    next: 'Use lower-case letters, digits and inner hyphens, 32 at most.',
  });
}

export function checkName(what: 'journal' | 'bucket' | 'key', name: string): Err | null {
  const fits = name.length > 0 && name.length <= NAME_LENGTH_MAX;
  if (fits && (what === 'key' || encodeToken(name).length <= TOKEN_LENGTH_MAX)) return null;
  return rejected('WM_ARGUMENT', {
    message: `The name of a ${what} has ${name.length} characters.`,
    next: what === 'key' ? `Use 1 to ${NAME_LENGTH_MAX} characters.` : `Use 1 to ${TOKEN_LENGTH_MAX} letters, digits and hyphens.`,
  });
}

export const journalStreamOf = (store: string, journal: string): string => `${store}-journal-${encodeToken(journal)}`;
export const journalSubjectOf = (store: string, journal: string): string => `${store}-journal.${encodeToken(journal)}`;
/** As the tools of NATS name a key-value bucket; `nats kv get` reads it. */
export const bucketOf = (store: string, bucket: string): string => `${store}-${encodeToken(bucket)}`;
export const blobsOf = (store: string): string => `${store}-blobs`;
