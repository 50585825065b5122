// One artefact over the wire, in parts, each at the offset where the last one ended (R3.4). What has arrived is kept by the
// caller between attempts, so a link that breaks costs the part in flight.
import { failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { ArtefactStatement } from '../../system/domain/module.ts';
import type { FetchReply, FetchRequest } from '../../system/domain/session.ts';

export type Fetch = (request: FetchRequest) => Promise<Outcome<FetchReply>>;

/** Bytes of an artefact as far as they are here. Its size is the one the controller signed. */
export type PartialArtefact = { readonly bytes: Uint8Array; arrivedBytes: number };

export function beginPartial(statement: ArtefactStatement): PartialArtefact {
  return { bytes: new Uint8Array(statement.sizeBytes), arrivedBytes: 0 };
}

/** Fetches what is missing. Ends early, with what arrived kept, when a part fails or `isWanted` says no. */
export async function continueDownload(
  partial: PartialArtefact,
  statement: ArtefactStatement,
  options: { readonly fetch: Fetch; readonly bytesMax: number; readonly isWanted: () => boolean },
): Promise<Outcome<void>> {
  while (partial.arrivedBytes < statement.sizeBytes) {
    if (!options.isWanted())
      return failed('WM_CANCELLED', { message: `The artefact ${statement.artefact} is not wanted any more.`, next: 'Nothing.' });
    const offset = partial.arrivedBytes;
    const reply = await options.fetch({ artefact: statement.artefact, offset, bytesMax: options.bytesMax });
    if (!reply.ok) return reply;
    const part = reply.value;
    const fits =
      part.offset === offset &&
      part.bytes.length > 0 &&
      offset + part.bytes.length <= statement.sizeBytes &&
      part.sizeBytes === statement.sizeBytes;
    if (!fits) {
      return rejected('WM_DIGEST_MISMATCH', {
        message: `A part of ${statement.artefact} does not fit: ${part.bytes.length} bytes at ${part.offset} of ${part.sizeBytes}, expected at ${offset} of ${statement.sizeBytes}.`,
        next: 'It is fetched again.',
      });
    }
    partial.bytes.set(part.bytes, offset);
    partial.arrivedBytes = offset + part.bytes.length;
  }
  return ok();
}
