// Whether an upload may be stored. The order matters: nothing of the module is looked at before its signature holds (R3.1).
import { coversCapability, parseCapability } from '../domain/capability.ts';
import { EVENT_BYTES_MAX } from '../domain/event.ts';
import { isDigest, isName, type KeyId } from '../domain/identifiers.ts';
import { manifestText, type ModuleManifest, type ModuleVersion, type Signature, type TrustedKey } from '../domain/module.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import { isTrusted, type StoredKey } from './trust.ts';
import type { Keys } from '../ports/keys.ts';
import type { Wasm } from '../ports/wasm.ts';

/** Bound: capabilities that one module may declare. */
const CAPABILITIES_MAX = 128;
/** Bound: fuel and memory that a manifest may ask for; of output, what an event may carry. */
const FUEL_MAX = Number.MAX_SAFE_INTEGER;
const MEMORY_BYTES_MAX = 4 * 1024 * 1024 * 1024;

type Upload = { readonly manifest: ModuleManifest; readonly signature: Signature | null; readonly bytes: Uint8Array };

export type UploadView = { readonly trust: ReadonlyMap<KeyId, StoredKey> };

/** The version without its number. */
export type CheckedUpload = Omit<ModuleVersion, 'version'>;

function checkManifest(manifest: ModuleManifest): Outcome<void> {
  const { fuelMax, memoryBytesMax, outputBytesMax } = manifest.limits;
  const limits = [
    ['fuelMax', fuelMax, FUEL_MAX],
    ['memoryBytesMax', memoryBytesMax, MEMORY_BYTES_MAX],
    ['outputBytesMax', outputBytesMax, EVENT_BYTES_MAX],
  ] as const;
  for (const [name, value, bound] of limits) {
    if (Number.isSafeInteger(value) && value >= 0 && value <= bound) continue;
    return rejected('WM_MODULE_INVALID', {
      message: `Limit ${name} of module '${manifest.name}' is ${value}; it must be a whole number from 0 to ${bound}.`,
      next: 'Correct the limit in the manifest and sign it again.',
    });
  }
  if (!isName(manifest.name) || !isDigest(manifest.digest)) {
    return rejected('WM_MODULE_INVALID', {
      message: `Manifest name '${manifest.name}' or digest '${manifest.digest}' is not well formed.`,
      next: 'Use 1 to 63 lower-case letters, digits and inner hyphens as name, and sha256:<64 hexadecimal digits> as digest.',
    });
  }
  return ok();
}

function checkCapabilities(manifest: ModuleManifest, key: TrustedKey): Outcome<void> {
  if (manifest.capabilities.length > CAPABILITIES_MAX) {
    return rejected('WM_CAPABILITY_INVALID', {
      message: `Module '${manifest.name}' declares ${manifest.capabilities.length} capabilities; ${CAPABILITIES_MAX} are allowed.`,
      next: 'Declare wider scopes, or fewer capabilities.',
    });
  }
  const grantable = key.mayGrant.map(parseCapability).filter((capability) => capability !== null);
  for (const text of manifest.capabilities) {
    const capability = parseCapability(text);
    if (capability === null) {
      return rejected('WM_CAPABILITY_INVALID', {
        message: `Module '${manifest.name}' declares '${text}', which is no capability.`,
        next: 'Use a capability of docs/reference/guest-abi.md.',
        detail: { capability: text },
      });
    }
    if (!grantable.some((wide) => coversCapability(wide, capability))) {
      return rejected('WM_CAPABILITY_NOT_GRANTABLE', {
        message: `Module '${manifest.name}' declares '${text}', which its signer ${key.key} may not grant.`,
        next: 'Remove the capability, or sign with a key that may grant it.',
        detail: { capability: text, key: key.key },
      });
    }
  }
  return ok();
}

export function checkUpload(
  view: UploadView,
  upload: Upload,
  keys: Pick<Keys, 'digest' | 'verify'>,
  wasm: Pick<Wasm, 'inspect'>,
): Outcome<CheckedUpload> {
  const { manifest, signature, bytes } = upload;
  if (signature === null) {
    return rejected('WM_SIGNATURE_MISSING', {
      message: `Module '${manifest.name}' came without a signature.`,
      next: 'Sign it with a key that the trust store holds.',
    });
  }
  const key = view.trust.get(signature.key);
  if (!isTrusted(key)) {
    return rejected('WM_SIGNER_UNTRUSTED', {
      message: `Module '${manifest.name}' is signed by ${signature.key}, which ${key === undefined ? 'is not in the trust store' : 'was revoked or has expired'}.`,
      next: 'Add the key to the trust store, or sign with a trusted key.',
      detail: { key: signature.key },
    });
  }
  if (!keys.verify(key.publicKey, new TextEncoder().encode(manifestText(manifest)), signature.bytes)) {
    return rejected('WM_SIGNATURE_INVALID', {
      message: `The signature of module '${manifest.name}' by ${signature.key} does not match its manifest.`,
      next: 'Sign again, and make sure that nothing was changed after signing.',
      detail: { key: signature.key },
    });
  }
  const digest = keys.digest(bytes);
  if (digest !== manifest.digest) {
    return rejected('WM_DIGEST_MISMATCH', {
      message: `The bytes of module '${manifest.name}' have digest ${digest}, and its manifest says ${manifest.digest}.`,
      next: 'Upload the file that was signed.',
      detail: { digest },
    });
  }
  const manifestOk = checkManifest(manifest);
  if (!manifestOk.ok) return manifestOk;
  const capabilitiesOk = checkCapabilities(manifest, key);
  if (!capabilitiesOk.ok) return capabilitiesOk;
  const imports = wasm.inspect(bytes);
  if (!imports.ok) return imports;
  return ok({ manifest, signature, sizeBytes: bytes.length });
}
