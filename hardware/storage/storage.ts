// A store in a folder: a SQLite database for journals and keys, in a thread of its own, and a file for each blob. One process
// at a time: the lock is the operating system's and ends with the process, also by kill -9. After a transaction that failed
// the store answers every request with that reason; close it, or end, and open it again.
import { existsSync } from 'node:fs';
import { mkdir, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import type { StateEntry } from '../../system/domain/broker.ts';
import { failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { JournalStore, KeyValueStore, Storage } from '../../system/ports/storage.ts';
import { FileBlobs, syncDirectory } from './blobs.ts';
import { DatabaseJournal } from './journal.ts';
import { LOCK_WAIT_MS, NAME_LENGTH_MAX, VALUE_BYTES_MAX } from './operations.ts';
import { StorageThread } from './thread.ts';
import { codeOf, describeTrouble, Health } from './trouble.ts';

const DATABASE_FILE = 'store.sqlite';
const BLOBS_FOLDER = 'blobs';

export type OpenStorage = Storage & {
  /** Finishes what was accepted and gives the folder back. Whatever is asked afterwards is refused. */
  close(): Promise<void>;
};

class FolderStorage implements OpenStorage {
  readonly #thread: StorageThread;
  readonly #health: Health;
  /** Bound: the few journals of the product. */
  readonly #open = new Set<string>();
  readonly blobs: FileBlobs;
  #closed: Promise<void> | null = null;

  constructor(thread: StorageThread, blobs: FileBlobs, health: Health) {
    this.#thread = thread;
    this.blobs = blobs;
    this.#health = health;
  }

  async journal(name: string): Promise<Outcome<JournalStore>> {
    const unusable = checkName('journal', name);
    if (unusable !== null) return unusable;
    if (this.#open.has(name)) {
      return rejected('WM_CONFLICT', { message: `Journal ${name} is open already.`, next: 'Use the journal that this process opened.' });
    }
    this.#open.add(name);
    const position = await this.#thread.ask({ kind: 'open', name });
    if (position.ok) return ok(new DatabaseJournal({ name, position: position.value, thread: this.#thread, health: this.#health }));
    this.#open.delete(name);
    return position;
  }

  keyValue(bucket: string): KeyValueStore {
    return {
      get: async (key): Promise<Outcome<StateEntry | null>> =>
        checkName('bucket', bucket) ?? checkName('key', key) ?? (await this.#thread.ask({ kind: 'get', bucket, key })),
      put: async (key, value, { expectedVersion }) =>
        checkName('bucket', bucket) ?? checkName('key', key) ?? (await this.#put({ bucket, key, value, expectedVersion })),
    };
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#health.endWith(failed('WM_CANCELLED', { message: 'The store was closed.', next: 'Open it again.' }));
    await this.blobs.settle();
    await this.#thread.close();
  }

  async #put(put: { bucket: string; key: string; value: Uint8Array; expectedVersion: number | null }): Promise<Outcome<number>> {
    const bytes = put.value.length;
    if (bytes > VALUE_BYTES_MAX) {
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `A value of ${bytes} bytes does not fit key ${put.key}.`,
        next: `Write values of at most ${VALUE_BYTES_MAX} bytes.`,
        detail: { bytes },
      });
    }
    const refused = this.#thread.reserve(bytes);
    if (refused !== null) return refused;
    const stored = await this.#thread.ask({ kind: 'put', ...put, value: new Uint8Array(put.value) });
    this.#thread.release(bytes);
    return stored;
  }
}

function checkName(what: string, name: string): Err | null {
  if (name.length > 0 && name.length <= NAME_LENGTH_MAX) return null;
  return rejected('WM_ARGUMENT', {
    message: `The name of a ${what} has ${name.length} characters.`,
    next: `Use 1 to ${NAME_LENGTH_MAX} characters.`,
  });
}

/** One level at a time: Node's own recursion tells a missing parent where the parent cannot be made, and never ends below /proc. */
async function makeFolder(folder: string): Promise<void> {
  const missing: string[] = [];
  for (let path = folder; !existsSync(path) && dirname(path) !== path; path = dirname(path)) missing.push(path);
  for (const path of missing.toReversed()) {
    try {
      await mkdir(path, { mode: 0o700 });
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
  }
  if (!(await stat(folder)).isDirectory()) throw Object.assign(new Error('it is no folder'), { code: 'ENOTDIR' });
}

/** Makes the folder when it is not there. Waits up to a second for a process that is at its end. */
export async function openStorage(options: { readonly folder: string }): Promise<Outcome<OpenStorage>> {
  const folder = resolve(options.folder);
  const health = new Health();
  try {
    await makeFolder(folder);
  } catch (error) {
    return describeTrouble(error, folder, 'made');
  }
  const thread = await StorageThread.start({ path: join(folder, DATABASE_FILE), lockWaitMs: LOCK_WAIT_MS }, health);
  if (!thread.ok) return thread;
  const blobs = await FileBlobs.open(join(folder, BLOBS_FOLDER), health);
  const named = blobs.ok ? await syncNames(folder) : blobs;
  if (blobs.ok && named.ok) return ok(new FolderStorage(thread.value, blobs.value, health));
  await thread.value.close();
  return blobs.ok && !named.ok ? named : (blobs as Err);
}

/** A store that was just made is there after a power cut too. */
async function syncNames(folder: string): Promise<Outcome<void>> {
  try {
    await syncDirectory(folder);
    await syncDirectory(dirname(folder));
    return ok();
  } catch (error) {
    return describeTrouble(error, folder, 'opened');
  }
}
