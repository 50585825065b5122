// Keys and digests. Private keys never leave the adapter: they are named, not handled (R8.4). Digest and verify are
// synchronous and pure; signing may ask a token and is not.
import type { Digest, KeyId } from '../domain/identifiers.ts';
import type { Outcome } from '../domain/outcome.ts';

export type PublicKey = { readonly key: KeyId; /** Raw Ed25519, 32 bytes. */ readonly publicKey: Uint8Array };

export interface Keys {
  /** SHA-256. */
  digest(bytes: Uint8Array): Digest;
  keyIdOf(publicKey: Uint8Array): KeyId;
  /** Ed25519; false for anything malformed. */
  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean;
  /** The key pair called `name`, made at the first call. */
  open(name: string): Promise<Outcome<PublicKey>>;
  /** Ed25519 by the private key called `name`, 64 bytes. */
  sign(name: string, message: Uint8Array): Promise<Outcome<Uint8Array>>;
}
