// Blobs that are what their names say. A disk may give other bytes than it was given (bit rot, a write that was torn): what is
// not what it is called is nothing, and is removed, so that storing it again repairs it. A read may go wrong where the disk did
// not, and this may be the last copy: only what is wrong again when it is read again is removed.
import type { Digest } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Ports } from '../ports/ports.ts';

export type BlobPorts = Pick<Ports, 'keys' | 'storage' | 'telemetry'>;

/** Bound: how often a blob is read that is not what its name says, before it counts as rotten. */
const READS_MAX = 2;

/** Null when it is not there, or not any more. */
export async function readBlob({ keys, storage, telemetry }: BlobPorts, digest: Digest): Promise<Outcome<Uint8Array | null>> {
  for (let reads = 1; reads <= READS_MAX; reads++) {
    const read = await storage.blobs.get(digest);
    if (!read.ok || read.value === null || keys.digest(read.value) === digest) return read;
    telemetry.log('warn', `The stored ${digest} has other bytes than its name says, read ${reads} of ${READS_MAX}.`);
  }
  telemetry.log('warn', `The stored ${digest} is removed.`);
  const deleted = await storage.blobs.delete(digest);
  return deleted.ok ? ok(null) : deleted;
}
