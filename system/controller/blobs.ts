// Blobs that are what their names say. A disk may give other bytes than it was given (bit rot, a write that was torn): what is
// not what it is called is nothing, and is removed, so that storing it again repairs it.
import type { Digest } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Ports } from '../ports/ports.ts';

export type BlobPorts = Pick<Ports, 'keys' | 'storage' | 'telemetry'>;

/** Null when it is not there, or not any more. */
export async function readBlob({ keys, storage, telemetry }: BlobPorts, digest: Digest): Promise<Outcome<Uint8Array | null>> {
  const read = await storage.blobs.get(digest);
  if (!read.ok || read.value === null || keys.digest(read.value) === digest) return read;
  telemetry.log('warn', `The stored ${digest} has other bytes than its name says; it is removed.`);
  const deleted = await storage.blobs.delete(digest);
  return deleted.ok ? ok(null) : deleted;
}
