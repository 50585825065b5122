// Blobs as files of their own beside the database (docs/decisions/0005-blobs-are-files.md), named after their digests. Written
// aside, synced, renamed, directory synced: under its name a blob is whole. Changes are made one after the other; a read sees
// what was acknowledged before it. A full disk refuses a blob and nothing else; after any other error the store ends.
import { randomUUID } from 'node:crypto';
import { mkdir, open, readdir, readFile, rename, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest } from '../../system/domain/identifiers.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { BlobStore } from '../../system/ports/storage.ts';
import { codeOf, describeTrouble, full } from './trouble.ts';
import type { Health } from './trouble.ts';

/** Bound: bytes of one blob. */
export const BLOB_BYTES_MAX = 256 * 1024 * 1024;
/** Bound: bytes of blobs that were accepted and are not durable yet. */
const BLOB_BYTES_PENDING_MAX = BLOB_BYTES_MAX;
/** Bound: blobs to be put or deleted that wait for the ones before them. */
export const BLOB_CHANGES_MAX = 4_096;

const DIGEST = /^sha256:([0-9a-f]{64})$/;
const FILE = /^([0-9a-f]{64})\.blob$/;
const ASIDE = '.new';

/** Makes names in a directory durable. Windows has no such call and keeps its directories in a journal of its own. */
export async function syncDirectory(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const directory = await open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export class FileBlobs implements BlobStore {
  readonly #folder: string;
  readonly #health: Health;
  /** The change that was submitted last; it never rejects. */
  #tail: Promise<unknown> = Promise.resolve();
  #changes = 0;
  #bytesPending = 0;

  private constructor(folder: string, health: Health) {
    this.#folder = folder;
    this.#health = health;
  }

  /** The caller has the lock of the store: what stands aside was left by a process that ended in between. */
  static async open(folder: string, health: Health): Promise<Outcome<FileBlobs>> {
    try {
      await mkdir(folder, { recursive: true, mode: 0o700 });
      for (const name of await readdir(folder)) if (name.endsWith(ASIDE)) await unlink(join(folder, name));
      // A process that was killed between rename and sync left a name that is not durable yet.
      await syncDirectory(folder);
      return ok(new FileBlobs(folder, health));
    } catch (error) {
      return describeTrouble(error, folder, 'opened');
    }
  }

  async put(digest: Digest, bytes: Uint8Array): Promise<Outcome<void>> {
    const path = this.#pathOf(digest);
    if (!path.ok) return path;
    if (bytes.length > BLOB_BYTES_MAX) {
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `Blob ${digest} has ${bytes.length} bytes.`,
        next: `Store blobs of at most ${BLOB_BYTES_MAX} bytes.`,
        detail: { bytes: bytes.length },
      });
    }
    const room = this.#room(bytes.length);
    if (room !== null) return room;
    const copy = new Uint8Array(bytes);
    return this.#change(path.value, copy.length, async () => {
      if (await exists(path.value)) return;
      await this.#write(path.value, copy);
      await syncDirectory(this.#folder);
    });
  }

  async get(digest: Digest): Promise<Outcome<Uint8Array | null>> {
    const path = this.#pathOf(digest);
    if (!path.ok) return path;
    try {
      return ok<Uint8Array | null>(new Uint8Array(await readFile(path.value)));
    } catch (error) {
      if (codeOf(error) === 'ENOENT') return ok<Uint8Array | null>(null);
      return this.#health.endWith(describeTrouble(error, path.value, 'read'));
    }
  }

  async list(): Promise<Outcome<readonly Digest[]>> {
    if (this.#health.end !== null) return this.#health.end;
    try {
      const names = (await readdir(this.#folder)).sort();
      return ok<readonly Digest[]>(names.flatMap((name) => FILE.exec(name)?.[1] ?? []).map((hex) => `sha256:${hex}` as Digest));
    } catch (error) {
      return this.#health.endWith(describeTrouble(error, this.#folder, 'listed'));
    }
  }

  async delete(digest: Digest): Promise<Outcome<void>> {
    const path = this.#pathOf(digest);
    if (!path.ok) return path;
    const room = this.#room(0);
    if (room !== null) return room;
    return this.#change(path.value, 0, async () => {
      if (!(await exists(path.value))) return;
      await unlink(path.value);
      await syncDirectory(this.#folder);
    });
  }

  /** Resolves when every change that was accepted is done. */
  async settle(): Promise<void> {
    await this.#tail;
  }

  #pathOf(digest: Digest): Outcome<string> {
    if (this.#health.end !== null) return this.#health.end;
    // Safety: nothing but a digest becomes part of a path.
    const hex = DIGEST.exec(digest)?.[1];
    if (hex !== undefined) return ok(join(this.#folder, `${hex}.blob`));
    return rejected('WM_ARGUMENT', { message: `'${digest}' is no digest.`, next: 'Use sha256: and 64 lower-case hexadecimal digits.' });
  }

  #room(bytes: number): Err | null {
    if (this.#changes < BLOB_CHANGES_MAX && this.#bytesPending + bytes <= BLOB_BYTES_PENDING_MAX) return null;
    return full(`${this.#folder} has ${this.#changes} blobs and ${this.#bytesPending} bytes to write.`, { changes: this.#changes });
  }

  async #change(path: string, bytes: number, act: () => Promise<void>): Promise<Outcome<void>> {
    this.#changes++;
    this.#bytesPending += bytes;
    const change = this.#tail.then(async (): Promise<Outcome<void>> => {
      try {
        await act();
        return ok();
      } catch (error) {
        const trouble = describeTrouble(error, path, 'written');
        return trouble.error.kind === 'failed' ? trouble : this.#health.endWith(trouble);
      } finally {
        this.#changes--;
        this.#bytesPending -= bytes;
      }
    });
    this.#tail = change;
    return change;
  }

  async #write(path: string, bytes: Uint8Array): Promise<void> {
    const aside = join(this.#folder, `${randomUUID()}${ASIDE}`);
    try {
      const file = await open(aside, 'wx', 0o600);
      try {
        await file.writeFile(bytes);
        await file.sync();
      } finally {
        await file.close();
      }
      await rename(aside, path);
    } catch (error) {
      await unlink(aside).catch(() => {});
      throw error;
    }
  }
}

async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false;
    throw error;
  }
}
