// A module version: content, signature, what it asks for (R2.1, R3). Versions are numbered from 1 and never rewritten.
import type { Digest, KeyId, ModuleName, ProfileId } from './identifiers.ts';

export type ModuleLimits = {
  /** Fuel of one invocation. */
  readonly fuelMax: number;
  readonly memoryBytesMax: number;
  readonly outputBytesMax: number;
};

/** What an author signs: the digest of the bytes and everything that decides what they may do. */
export type ModuleManifest = {
  readonly name: ModuleName;
  readonly digest: Digest;
  /** Sorted texts of capabilities. */
  readonly capabilities: readonly string[];
  readonly limits: ModuleLimits;
};

export type Signature = {
  readonly key: KeyId;
  /** Ed25519 signature, 64 bytes. */
  readonly bytes: Uint8Array;
};

export type ModuleVersion = {
  readonly manifest: ModuleManifest;
  readonly version: number;
  readonly signature: Signature;
  readonly sizeBytes: number;
};

/** What the controller signs before an agent maps native code: who, for which profile, which bytes. */
export type ArtefactStatement = {
  readonly module: Digest;
  readonly target: string;
  readonly profile: ProfileId;
  readonly artefact: Digest;
  readonly sizeBytes: number;
};

export type SignedArtefact = { readonly statement: ArtefactStatement; readonly signature: Signature };

export type TrustedKey = {
  readonly key: KeyId;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  /** Texts of capabilities that modules signed with this key may have. */
  readonly mayGrant: readonly string[];
  /** An operator said so. As agents and operators are told: or its time is over. */
  readonly revoked: boolean;
  /** Civil milliseconds at which its time is over. Absent, as in journals of earlier versions: never. */
  readonly notAfterMs?: number;
};

/** Whether its time is over by a clock that shows `atMs` civil milliseconds. */
export function isExpired({ notAfterMs }: Pick<TrustedKey, 'notAfterMs'>, atMs: number): boolean {
  return notAfterMs !== undefined && notAfterMs <= atMs;
}

/** The exact bytes that the author's signature covers: one field a line, in this order. */
export function manifestText(manifest: ModuleManifest): string {
  return [
    'wasmmatrix module v1',
    `name ${manifest.name}`,
    `digest ${manifest.digest}`,
    `fuel ${manifest.limits.fuelMax}`,
    `memory ${manifest.limits.memoryBytesMax}`,
    `output ${manifest.limits.outputBytesMax}`,
    ...manifest.capabilities.map((capability) => `capability ${capability}`),
    '',
  ].join('\n');
}

/** The exact bytes that the controller's signature over an artefact covers. */
export function artefactText(statement: ArtefactStatement): string {
  return [
    'wasmmatrix artefact v1',
    `module ${statement.module}`,
    `target ${statement.target}`,
    `profile ${statement.profile}`,
    `artefact ${statement.artefact}`,
    `size ${statement.sizeBytes}`,
    '',
  ].join('\n');
}
