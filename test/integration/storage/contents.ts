// What the writer writes, so that the judge can say what it must be: bytes follow from a name alone.
import { createHash } from 'node:crypto';
import type { Digest } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { describeError } from '../../../system/domain/outcome.ts';
import type { JournalStore } from '../../../system/ports/storage.ts';

/** Most records are small; some take several pages of the database. */
const RECORD_BYTES_MAX = 20_000;
const BLOB_BYTES_MAX = 300_000;
/** The writer deletes the blob that is this many older than the one it put. */
export const BLOBS_KEPT = 10;

function contentOf(name: string, bytesMax: number): Uint8Array {
  const seed = createHash('sha256').update(name).digest();
  const share = seed.readUInt16BE(0) / 0xffff;
  const bytes = new Uint8Array(seed.length + Math.floor(share ** 4 * bytesMax));
  for (let i = 0; i < bytes.length; i++) bytes[i] = seed[i % seed.length]! ^ (i >> 5);
  return bytes;
}

export const recordOf = (sequence: number): Uint8Array => contentOf(`record ${sequence}`, RECORD_BYTES_MAX);
export const valueOf = (version: number): Uint8Array => contentOf(`value ${version}`, RECORD_BYTES_MAX);
export const blobOf = (number: number): Uint8Array => contentOf(`blob ${number}`, BLOB_BYTES_MAX);
export const digestOf = (bytes: Uint8Array): Digest => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as Digest;

export function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(describeError(outcome.error));
  return outcome.value;
}

/** What is wrong with the journal that the writer wrote, and where it begins; `last` + 1 when it is empty. */
export async function examine(journal: JournalStore): Promise<{ readonly first: number; readonly faults: readonly string[] }> {
  const faults: string[] = [];
  let first: number | null = null;
  let next = 0;
  for await (const { sequence, record } of journal.read(1)) {
    if (first === null) first = next = sequence;
    if (sequence !== next) faults.push(`record ${sequence} follows ${next - 1}`);
    if (Buffer.compare(record, recordOf(sequence)) !== 0) faults.push(`record ${sequence} differs`);
    next = sequence + 1;
  }
  if (first !== null && next !== journal.lastSequence + 1) faults.push(`it ends at ${next - 1}, not at ${journal.lastSequence}`);
  return { first: first ?? journal.lastSequence + 1, faults };
}
