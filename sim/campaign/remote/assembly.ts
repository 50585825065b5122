// The packed record of one run as its pieces come: each play of a run has a file of its own, so that two workers that play the same run
// disturb nobody, and it becomes the record of the run only when it is whole.
import { createHash, type Hash } from 'node:crypto';
import { closeSync, createReadStream, createWriteStream, openSync, renameSync, rmSync, writeSync } from 'node:fs';
import { Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGunzip } from 'node:zlib';

/** Bound: packed bytes of the record of one run. */
export const RECORD_BYTES_MAX = 256 * 1_024 * 1_024;
/** Bound: bytes of it when it is unpacked. */
export const UNPACKED_BYTES_MAX = 4 * 1_024 * 1_024 * 1_024;
/** Bound: plays of one run that have a file; the oldest is of a worker that died. */
const ATTEMPTS_MAX = 8;

type Attempt = { readonly path: string; readonly file: number; readonly hash: Hash; pieces: number; bytes: number };

export class Assembly {
  readonly #recordFile: string | null;
  readonly #unpackedBytesMax: number;
  readonly #attempts = new Map<string, Attempt>();
  #closed = false;

  /** Null: nobody wants the record. */
  constructor(recordFile: string | null, unpackedBytesMax = UNPACKED_BYTES_MAX) {
    this.#recordFile = recordFile;
    this.#unpackedBytesMax = unpackedBytesMax;
  }

  /** A piece out of turn is passed over: what it belongs to will not be whole. */
  add(name: string, n: number, data: Uint8Array): void {
    if (this.#recordFile === null) return;
    const attempt = this.#attempts.get(name) ?? this.#begin(name, this.#recordFile);
    if (n !== attempt.pieces || attempt.bytes + data.length > RECORD_BYTES_MAX) return;
    writeSync(attempt.file, data);
    attempt.hash.update(data);
    attempt.pieces += 1;
    attempt.bytes += data.length;
  }

  /** True when all pieces of this attempt are there and the record stands unpacked in its place. */
  async finish(name: string, pieces: number, sha256: string): Promise<boolean> {
    if (this.#recordFile === null) return true;
    const attempt = this.#attempts.get(name) ?? this.#begin(name, this.#recordFile);
    if (attempt.pieces !== pieces || attempt.hash.copy().digest('hex') !== sha256) return false;
    const unpacked = `${attempt.path}.whole`;
    try {
      if (pieces === 0) closeSync(openSync(unpacked, 'w'));
      else await pipeline(createReadStream(attempt.path), createGunzip(), atMost(this.#unpackedBytesMax), createWriteStream(unpacked));
      if (this.#closed) return false;
      renameSync(unpacked, this.#recordFile);
      return true;
    } catch (error) {
      // What was sent is no record; whatever else happens is this machine's.
      if (error instanceof TooLarge || (error as NodeJS.ErrnoException).code?.startsWith('Z_') === true) return false;
      throw error;
    } finally {
      rmSync(unpacked, { force: true });
    }
  }

  /** Removes what is packed. */
  close(): void {
    this.#closed = true;
    for (const name of [...this.#attempts.keys()]) this.#drop(name);
  }

  #drop(name: string): void {
    const attempt = this.#attempts.get(name);
    if (attempt === undefined) return;
    this.#attempts.delete(name);
    closeSync(attempt.file);
    rmSync(attempt.path, { force: true });
  }

  #begin(name: string, recordFile: string): Attempt {
    const [oldest] = this.#attempts.keys();
    if (this.#attempts.size >= ATTEMPTS_MAX && oldest !== undefined) this.#drop(oldest);
    const path = `${recordFile}.${name}`;
    const attempt: Attempt = { path, file: openSync(path, 'w'), hash: createHash('sha256'), pieces: 0, bytes: 0 };
    this.#attempts.set(name, attempt);
    return attempt;
  }
}

class TooLarge extends Error {
  override readonly name = 'TooLarge';
}

function atMost(bytesMax: number): Transform {
  let bytes = 0;
  return new Transform({
    transform(chunk: Buffer, _, next) {
      bytes += chunk.length;
      if (bytes > bytesMax) next(new TooLarge(`More than ${bytesMax} bytes.`));
      else next(null, chunk);
    },
  });
}
