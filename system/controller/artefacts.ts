// Artefacts in parts, by digest (R3.4). Bound: the few that are being fetched are kept in memory between their parts.
import type { Digest } from '../domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { FetchReply, FetchRequest } from '../domain/session.ts';
import { readBlob, type BlobPorts } from './blobs.ts';

/** Bound: artefacts kept in memory. */
const KEPT_MAX = 8;

export class ArtefactReader {
  readonly #ports: BlobPorts;
  readonly #isArtefact: (digest: Digest) => boolean;
  /** Least recently used first. */
  readonly #kept = new Map<Digest, Uint8Array>();
  readonly #onLost: (artefact: Digest) => void;

  /** `onLost`: an artefact that should be stored is not, or has rotted. */
  constructor(ports: BlobPorts, isArtefact: (digest: Digest) => boolean, onLost: (artefact: Digest) => void) {
    this.#ports = ports;
    this.#isArtefact = isArtefact;
    this.#onLost = onLost;
  }

  async read({ artefact, offset, bytesMax }: FetchRequest): Promise<Outcome<FetchReply>> {
    // Modules and snapshots lie in the same store and are nobody's to fetch.
    const bytes = this.#isArtefact(artefact) ? await this.#load(artefact) : ok<Uint8Array | null>(null);
    if (!bytes.ok) return bytes;
    if (bytes.value === null) {
      return rejected('WM_NOT_FOUND', {
        message: `No artefact ${artefact} is stored here.`,
        next: 'Fetch what the current desired state names.',
        detail: { artefact },
      });
    }
    return ok({ sizeBytes: bytes.value.length, offset, bytes: bytes.value.subarray(offset, offset + bytesMax) });
  }

  async #load(artefact: Digest): Promise<Outcome<Uint8Array | null>> {
    const kept = this.#kept.get(artefact);
    if (kept !== undefined) {
      this.#kept.delete(artefact);
      this.#kept.set(artefact, kept);
      return ok(kept);
    }
    const read = await readBlob(this.#ports, artefact);
    if (!read.ok) return read;
    if (read.value === null) {
      this.#onLost(artefact);
      return read;
    }
    this.#kept.set(artefact, read.value);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT_MAX) break;
      this.#kept.delete(oldest);
    }
    return ok(read.value);
  }
}
