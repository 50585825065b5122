// May this node run this module version? Pure: who signed, what the signer may grant, for which profile (R2.4, R3.3, P3).
// Safety: everything here is answered before a byte of the artefact is fetched, let alone mapped.
import { coversCapability, parseCapability } from '../../system/domain/capability.ts';
import type { Capability } from '../../system/domain/capability.ts';
import { artefactText, manifestText } from '../../system/domain/module.ts';
import type { Signature, TrustedKey } from '../../system/domain/module.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { ProfileId } from '../../system/domain/identifiers.ts';
import type { ModuleGrant } from '../../system/domain/session.ts';
import type { Keys } from '../../system/ports/keys.ts';

export type VerificationRules = {
  readonly trust: readonly TrustedKey[];
  /** Pinned at the first enrolment; null before it, when nothing can be believed. */
  readonly controllerKey: Pick<TrustedKey, 'key' | 'publicKey'> | null;
  readonly profile: ProfileId;
  readonly target: string;
  readonly artefactBytesMax: number;
};

export function checkGrant(grant: ModuleGrant, rules: VerificationRules, keys: Pick<Keys, 'verify' | 'keyIdOf'>): Outcome<void> {
  const author = checkAuthor(grant, rules.trust, keys);
  if (!author.ok) return author;
  const capabilities = checkCapabilities(grant, author.value);
  if (!capabilities.ok) return capabilities;
  return checkArtefact(grant, rules, keys);
}

function checkAuthor(grant: ModuleGrant, trust: readonly TrustedKey[], keys: Pick<Keys, 'verify' | 'keyIdOf'>): Outcome<TrustedKey> {
  const key = trust.find((trusted) => trusted.key === grant.signature.key);
  if (key === undefined || key.revoked || keys.keyIdOf(key.publicKey) !== key.key) {
    return rejected('WM_SIGNER_UNTRUSTED', {
      message: `${nameOf(grant)} is signed by ${grant.signature.key}, which ${key?.revoked === true ? 'was revoked or has expired' : 'is not trusted'}.`,
      next: 'Sign the module with a trusted key, or add the key to the trust store.',
    });
  }
  if (!keys.verify(key.publicKey, new TextEncoder().encode(manifestText(grant.manifest)), grant.signature.bytes)) {
    return rejected('WM_SIGNATURE_INVALID', {
      message: `The author's signature of ${nameOf(grant)} does not match its manifest.`,
      next: 'Sign the module again and push it as a new version.',
    });
  }
  return ok(key);
}

function checkCapabilities(grant: ModuleGrant, author: TrustedKey): Outcome<void> {
  const mayGrant = author.mayGrant.map(parseCapability).filter((capability) => capability !== null);
  for (const text of grant.manifest.capabilities) {
    const capability = parseCapability(text);
    if (capability === null) {
      return rejected('WM_CAPABILITY_INVALID', {
        message: `${nameOf(grant)} declares "${text}", which is no capability.`,
        next: 'Correct the declaration and sign again.',
      });
    }
    if (!mayGrant.some((wide) => coversCapability(wide, capability))) {
      return rejected('WM_CAPABILITY_NOT_GRANTABLE', {
        message: `${nameOf(grant)} declares ${text}, which its signer ${author.key} may not grant.`,
        next: 'Remove the capability, or sign with a key that may grant it.',
      });
    }
  }
  return ok();
}

function checkArtefact(grant: ModuleGrant, rules: VerificationRules, keys: Pick<Keys, 'verify'>): Outcome<void> {
  const { statement, signature } = grant.artefact;
  const controller = rules.controllerKey;
  if (controller === null || signature.key !== controller.key) {
    return rejected('WM_SIGNER_UNTRUSTED', {
      message: `The artefact of ${nameOf(grant)} is signed by ${signature.key}, which is not the key of this node's controller.`,
      next: 'Find out who made the artefact; the node runs only what its own controller compiled.',
    });
  }
  if (!keys.verify(controller.publicKey, new TextEncoder().encode(artefactText(statement)), signature.bytes)) {
    return rejected('WM_SIGNATURE_INVALID', {
      message: `The controller's signature of the artefact of ${nameOf(grant)} does not match its statement.`,
      next: 'Find out who made the artefact; the node runs only what its own controller compiled.',
    });
  }
  if (statement.module !== grant.manifest.digest) {
    return rejected('WM_DIGEST_MISMATCH', {
      message: `The artefact of ${nameOf(grant)} was made from other bytes than the author signed.`,
      next: 'Have the controller compile the module again.',
    });
  }
  if (statement.profile !== rules.profile || statement.target !== rules.target) {
    return rejected('WM_PROFILE_MISMATCH', {
      message: `The artefact of ${nameOf(grant)} was made for ${statement.target} (${statement.profile}); this node is ${rules.target} (${rules.profile}).`,
      next: 'The controller compiles for each profile that enrols; update the older side.',
    });
  }
  if (!Number.isSafeInteger(statement.sizeBytes) || statement.sizeBytes < 1 || statement.sizeBytes > rules.artefactBytesMax) {
    return rejected('WM_MESSAGE_TOO_LARGE', {
      message: `The artefact of ${nameOf(grant)} has ${statement.sizeBytes} bytes; this node takes up to ${rules.artefactBytesMax}.`,
      next: 'Make the module smaller, or raise the bound.',
    });
  }
  return ok();
}

function nameOf(grant: ModuleGrant): string {
  return `${grant.manifest.name} version ${grant.version}`;
}

/** R3.3: of what an assignment grants, that which the module declares. */
export function effectiveGrants(granted: readonly Capability[], declared: readonly string[]): readonly Capability[] {
  const wide = declared.map(parseCapability).filter((capability) => capability !== null);
  return granted.filter((narrow) => wide.some((capability) => coversCapability(capability, narrow)));
}

/** Everything that the end of a verification depends on. */
export type VerificationBasis = {
  readonly grant: ModuleGrant;
  readonly author: TrustedKey | null;
  readonly controllerKey: VerificationRules['controllerKey'];
};

export function basisOf(grant: ModuleGrant, rules: VerificationRules): VerificationBasis {
  const author = rules.trust.find((trusted) => trusted.key === grant.signature.key) ?? null;
  return { grant, author, controllerKey: rules.controllerKey };
}

/** True when verifying again would end the same, so that it need not be done. */
export function isSameBasis(a: VerificationBasis, b: VerificationBasis): boolean {
  return (
    isSameAuthor(a.author, b.author) &&
    a.controllerKey?.key === b.controllerKey?.key &&
    (a.grant === b.grant ||
      (a.grant.version === b.grant.version &&
        isSameSignature(a.grant.signature, b.grant.signature) &&
        isSameSignature(a.grant.artefact.signature, b.grant.artefact.signature) &&
        manifestText(a.grant.manifest) === manifestText(b.grant.manifest) &&
        artefactText(a.grant.artefact.statement) === artefactText(b.grant.artefact.statement)))
  );
}

function isSameAuthor(a: TrustedKey | null, b: TrustedKey | null): boolean {
  if (a === b || a === null || b === null) return a === b;
  return a.revoked === b.revoked && isSameBytes(a.publicKey, b.publicKey) && a.mayGrant.join(' ') === b.mayGrant.join(' ');
}

function isSameSignature(a: Signature, b: Signature): boolean {
  return a.key === b.key && isSameBytes(a.bytes, b.bytes);
}

function isSameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i]);
}
