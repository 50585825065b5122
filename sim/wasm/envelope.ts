// The artefact of a simulated node: for which profile, and the module itself. The same bytes on every machine that simulates,
// whatever code they stand for there.
import type { ProfileId } from '../../system/domain/identifiers.ts';
import { rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { CompileProfile } from '../../system/ports/wasm.ts';

const MAGIC = 'wasmmatrix simulated artefact v1';
const LINE_FEED = 0x0a;
/** Bound: bytes of the header. */
const HEADER_BYTES_MAX = 1_024;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

export function encodeEnvelope(profile: Omit<CompileProfile, 'level'>, module: Uint8Array): Uint8Array {
  const header = encoder.encode(`${MAGIC}\nprofile ${profile.profile}\ntarget ${profile.target}\n\n`);
  const bytes = new Uint8Array(header.length + module.length);
  bytes.set(header);
  bytes.set(module, header.length);
  return bytes;
}

export type Envelope = { readonly profile: ProfileId; readonly target: string; readonly module: Uint8Array };

export function decodeEnvelope(bytes: Uint8Array): Outcome<Envelope> {
  const end = bytes.findIndex((byte, i) => byte === LINE_FEED && bytes[i + 1] === LINE_FEED);
  const lines = end < 0 || end > HEADER_BYTES_MAX ? [] : decoder.decode(bytes.subarray(0, end)).split('\n');
  const [magic, profile, target] = lines;
  if (magic !== MAGIC || profile?.startsWith('profile ') !== true || target?.startsWith('target ') !== true) {
    return rejected('WM_MODULE_INVALID', {
      message: 'The bytes are no artefact of a simulated node.',
      next: 'Fetch the artefact again; compile it again when that does not help.',
    });
  }
  return {
    ok: true,
    value: {
      profile: profile.slice('profile '.length) as ProfileId,
      target: target.slice('target '.length),
      module: bytes.subarray(end + 2),
    },
  };
}
