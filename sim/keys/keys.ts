// Keys of simulated machines: real Ed25519 and SHA-256, private keys drawn from streams named for machine and key, so that a
// machine keeps its keys over crashes and a run its signatures. Owns the lie of the fault `forge-artefact`: while it lasts,
// `sign('controller')` uses a key that nobody trusts, and says so in the record.
import type { Digest, KeyId } from '../../system/domain/identifiers.ts';
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Keys, PublicKey } from '../../system/ports/keys.ts';
import type { Random } from '../../system/ports/random.ts';
import { hexOf } from './hex.ts';

export type Ed25519KeyPair = {
  /** Raw, 32 bytes. */
  readonly publicKey: Uint8Array;
  readonly sign: (message: Uint8Array) => Uint8Array;
};

/** Injected: the simulator has no cryptography of its own. All of it is synchronous and a function of its arguments. */
export type CryptoPrimitives = {
  readonly sha256: (bytes: Uint8Array) => Uint8Array;
  readonly ed25519FromSeed: (seed: Uint8Array) => Ed25519KeyPair;
  readonly ed25519Verify: (publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array) => boolean;
};

const SEED_BYTES = 32;
/** Name of the key by which the controller signs artefacts. */
export const CONTROLLER_KEY = 'controller';
/** Bound: remembered verifications of one run; Ed25519 takes about 100 µs of real time, and agents verify the same ones. */
const VERIFIED_MAX = 10_000;
/** Bound: remembered names of keys. */
const KEY_IDS_MAX = 1_000;
const ARTEFACT_LINE = /^artefact (sha256:[0-9a-f]{64})$/m;

const decoder = new TextDecoder();

export type KeyRingOptions = {
  readonly crypto: CryptoPrimitives;
  readonly random: Random;
  readonly onForgery: (digest: string, key: KeyId) => void;
};

/** The keys of every machine of one run. */
export class KeyRing {
  readonly #options: KeyRingOptions;
  /** Bound: machines times the few names that each uses. */
  readonly #pairs = new Map<string, Ed25519KeyPair>();
  readonly #verified = new Map<string, boolean>();
  /** By their bytes: every agent asks for the name of the one key of its controller. */
  readonly #keyIds = new Map<string, KeyId>();
  #forgeries = 0;

  constructor(options: KeyRingOptions) {
    this.#options = options;
  }

  /** `delay` settles a promise on the machine after the cost of a signature; a crash in between leaves it open. */
  portOf(machine: string, delay: () => Promise<void>): Keys {
    return {
      digest: (bytes) => this.digest(bytes),
      keyIdOf: (publicKey) => this.keyIdOf(publicKey),
      verify: (publicKey, message, signature) => this.verify(publicKey, message, signature),
      open: async (name): Promise<Outcome<PublicKey>> => {
        const publicKey = this.#pairOf(machine, name).publicKey.slice();
        return ok({ key: this.keyIdOf(publicKey), publicKey });
      },
      sign: async (name, message): Promise<Outcome<Uint8Array>> => {
        const copy = message.slice();
        await delay();
        return ok(this.#sign(machine, name, copy));
      },
    };
  }

  /** Begins or ends one forgery; while any lasts, the controller's signatures are false. */
  forge(lasting: boolean): void {
    this.#forgeries += lasting ? 1 : -1;
  }

  digest(bytes: Uint8Array): Digest {
    return `sha256:${hexOf(this.#options.crypto.sha256(bytes))}` as Digest;
  }

  keyIdOf(publicKey: Uint8Array): KeyId {
    const bytes = hexOf(publicKey);
    let id = this.#keyIds.get(bytes);
    if (id === undefined) {
      id = `ed25519:${hexOf(this.#options.crypto.sha256(publicKey).subarray(0, 16))}` as KeyId;
      if (this.#keyIds.size >= KEY_IDS_MAX) this.#keyIds.clear();
      this.#keyIds.set(bytes, id);
    }
    return id;
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    const claim = `${hexOf(publicKey)} ${hexOf(this.#options.crypto.sha256(message))} ${hexOf(signature)}`;
    let valid = this.#verified.get(claim);
    if (valid === undefined) {
      valid = this.#options.crypto.ed25519Verify(publicKey, message, signature);
      if (this.#verified.size >= VERIFIED_MAX) this.#verified.clear();
      this.#verified.set(claim, valid);
    }
    return valid;
  }

  #sign(machine: string, name: string, message: Uint8Array): Uint8Array {
    if (name !== CONTROLLER_KEY || this.#forgeries === 0) return this.#pairOf(machine, name).sign(message);
    const forger = this.#pairOf(machine, 'forger');
    const digest = ARTEFACT_LINE.exec(decoder.decode(message))?.[1];
    if (digest !== undefined) this.#options.onForgery(digest, this.keyIdOf(forger.publicKey));
    return forger.sign(message);
  }

  #pairOf(machine: string, name: string): Ed25519KeyPair {
    const id = `key ${machine} ${name}`;
    let pair = this.#pairs.get(id);
    if (pair === undefined) {
      pair = this.#options.crypto.ed25519FromSeed(this.#options.random.stream(id).bytes(SEED_BYTES));
      this.#pairs.set(id, pair);
    }
    return pair;
  }
}
