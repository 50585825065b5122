// Keys in files, one a pair, readable by their owner alone (R8.4). Refuses a file that anyone else may read. A key is made
// once: of two processes that make it at the same time both end with the same one, and a crash leaves a whole file or none.
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { link, mkdir, open, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest, KeyId } from '../../system/domain/identifiers.ts';
import { ok, rejected, unknown } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { Keys, PublicKey } from '../../system/ports/keys.ts';
import { keyPairOf, nodeCrypto } from './crypto.ts';
import type { Ed25519KeyPair } from './crypto.ts';

export { nodeCrypto } from './crypto.ts';

const NAME = /^[a-z0-9][a-z0-9._-]{0,62}$/;
/** Bound: a private key in PEM is far smaller. */
const KEY_FILE_BYTES_MAX = 4_096;
const OTHERS_MASK = 0o077;
const OWNER_ONLY = 0o600;

function unsafe(path: string, message: string): Err {
  return rejected('WM_KEY_UNUSABLE', {
    message: `Private key ${path}: ${message}`,
    next: 'Restore the key file, or give it back to its owner alone (chmod 600) if you trust that nobody copied it.',
    detail: { path },
  });
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : String(error);
}

export class FileKeys implements Keys {
  readonly #directory: string;
  /** Bound: the few names that the product uses. */
  readonly #pairs = new Map<string, Ed25519KeyPair>();

  constructor(directory: string) {
    this.#directory = directory;
  }

  digest(bytes: Uint8Array): Digest {
    return `sha256:${Buffer.from(nodeCrypto.sha256(bytes)).toString('hex')}` as Digest;
  }

  keyIdOf(publicKey: Uint8Array): KeyId {
    return `ed25519:${Buffer.from(nodeCrypto.sha256(publicKey)).toString('hex').slice(0, 32)}` as KeyId;
  }

  verify(publicKey: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
    return nodeCrypto.ed25519Verify(publicKey, message, signature);
  }

  async open(name: string): Promise<Outcome<PublicKey>> {
    const pair = await this.#pairOf(name);
    if (!pair.ok) return pair;
    return ok({ key: this.keyIdOf(pair.value.publicKey), publicKey: pair.value.publicKey });
  }

  async sign(name: string, message: Uint8Array): Promise<Outcome<Uint8Array>> {
    const pair = await this.#pairOf(name);
    return pair.ok ? ok(pair.value.sign(message)) : pair;
  }

  async #pairOf(name: string): Promise<Outcome<Ed25519KeyPair>> {
    const known = this.#pairs.get(name);
    if (known !== undefined) return ok(known);
    if (!NAME.test(name)) {
      return rejected('WM_ARGUMENT', {
        message: `'${name}' is no name of a key.`,
        next: 'Use lower-case letters, digits, dots and hyphens.',
      });
    }
    const path = join(this.#directory, `${name}.key`);
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 });
      let read = await this.#read(path);
      if (read === null) {
        await this.#create(path);
        read = await this.#read(path);
      }
      if (read === null) return unsafe(path, 'it vanished while it was made.');
      if (read.ok) this.#pairs.set(name, read.value);
      return read;
    } catch (error) {
      return unknown('WM_STORAGE_FAILED', {
        message: `Private key ${path} could not be read or made: ${codeOf(error)}.`,
        next: 'Check the directory, its permissions and the space on its disk.',
        detail: { path },
      });
    }
  }

  /** Null when there is no such file. */
  async #read(path: string): Promise<Outcome<Ed25519KeyPair> | null> {
    let file;
    try {
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW);
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return null;
      if (codeOf(error) === 'ELOOP') return unsafe(path, 'it is a symbolic link.');
      throw error;
    }
    try {
      // Safety: the checks are of the opened file, so that it cannot be exchanged between check and reading.
      const status = await file.stat();
      if (!status.isFile() || status.size > KEY_FILE_BYTES_MAX) return unsafe(path, 'it is not a key file.');
      if ((status.mode & OTHERS_MASK) !== 0) {
        return unsafe(path, `others than its owner may use it (mode ${(status.mode & 0o777).toString(8)}).`);
      }
      const privateKey = createPrivateKey(await file.readFile());
      if (privateKey.asymmetricKeyType !== 'ed25519') return unsafe(path, `it is a key of type ${privateKey.asymmetricKeyType}.`);
      return ok(keyPairOf(privateKey));
    } catch (error) {
      if (codeOf(error).startsWith('ERR_OSSL') || codeOf(error).startsWith('ERR_INVALID')) return unsafe(path, 'it holds no private key.');
      throw error;
    } finally {
      await file.close();
    }
  }

  /** Writes aside, syncs, then links to the final name, which fails when another process was faster. */
  async #create(path: string): Promise<void> {
    const pem = generateKeyPairSync('ed25519').privateKey.export({ format: 'pem', type: 'pkcs8' });
    const aside = `${path}.${randomUUID()}.new`;
    const file = await open(aside, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, OWNER_ONLY);
    try {
      await file.writeFile(pem);
      await file.sync();
    } finally {
      await file.close();
    }
    try {
      await link(aside, path);
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      await unlink(aside);
    }
    const directory = await open(this.#directory, constants.O_RDONLY);
    try {
      await directory.sync();
    } finally {
      await directory.close();
    }
  }
}
