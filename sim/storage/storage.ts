// Disks of simulated machines. A disk belongs to the name of a machine, not to an incarnation: it survives the crash that
// loses what was not synced. Requests of one disk are served one after the other; a sync costs what the disk's law says.
import type { StateEntry } from '../../system/domain/broker.ts';
import type { Digest } from '../../system/domain/identifiers.ts';
import { assert, describeError, failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import { JOURNAL_RECORD_BYTES_MAX } from '../../system/ports/storage.ts';
import type { BlobStore, JournalStore, KeyValueStore, Storage } from '../../system/ports/storage.ts';
import { Disk } from './disk.ts';
import type { JournalFile, PendingWrite } from './disk.ts';

export { Disk } from './disk.ts';

/** Bound: writes of blobs and keys that one disk takes before the earlier ones are done. */
export const PENDING_WRITES_MAX = 4_096;

export type DiskCosts = {
  /** A sync or durable write takes this long, uniformly, plus the time for its bytes. */
  readonly syncMicrosMin: number;
  readonly syncMicrosMax: number;
  readonly readMicros: number;
  readonly bytesPerMicro: number;
  readonly capacityBytes: number;
};

/** The part of a machine's incarnation that a disk needs. */
export type DiskHost = {
  nowMicros(): number;
  /** Never called when the incarnation crashed in between. */
  after(delayMicros: number, label: string, fn: () => void): void;
};

/** `turn` counts how often its end was set: what was set before is no end any more. */
type Request = { readonly label: string; readonly finish: () => void; endMicros: number; turn: number };

function corrupt(message: string, detail: Readonly<Record<string, string | number>>): Err {
  return rejected('WM_JOURNAL_CORRUPT', {
    message,
    next: 'Put back a copy of this disk, or take an empty one (docs/howto/backup.md).',
    detail,
  });
}

const rottenRecord = (name: string, sequence: number): Err =>
  corrupt(`Record ${sequence} of journal ${name} is not what was written.`, { sequence });

export function createDisk(stream: RandomStream, costs: DiskCosts): Disk {
  return new Disk(stream, costs.capacityBytes);
}

/** The storage port of one incarnation. */
export class SimStorage implements Storage {
  readonly #disk: Disk;
  readonly #host: DiskHost;
  readonly #costs: DiskCosts;
  readonly #open = new Set<string>();
  /** In the order in which they are served. Bound: what one process asks for at a time. */
  readonly #requests: Request[] = [];
  readonly blobs: BlobStore;

  constructor(disk: Disk, host: DiskHost, costs: DiskCosts) {
    this.#disk = disk;
    this.#host = host;
    this.#costs = costs;
    disk.onSlowness = (before) => this.#stretch(before);
    this.blobs = {
      put: (digest, bytes) => this.#putBlob(digest, bytes),
      get: (digest) => this.#getBlob(digest),
      list: () => this.#listBlobs(),
      delete: (digest) => this.#deleteBlob(digest),
    };
  }

  async journal(name: string): Promise<Outcome<JournalStore>> {
    if (this.#open.has(name)) {
      return rejected('WM_CONFLICT', { message: `Journal ${name} is open already.`, next: 'Use the journal that this process opened.' });
    }
    this.#open.add(name);
    await this.#serve('open', this.#costs.readMicros);
    const file = this.#disk.journal(name);
    for (let sequence = Math.max(file.dropped + 1, file.first); sequence <= file.last; sequence++) {
      if (!this.#isRotten(file, sequence)) continue;
      this.#open.delete(name);
      return rottenRecord(name, sequence);
    }
    return ok<JournalStore>({
      get lastSequence() {
        return file.last;
      },
      append: (record, { expectedSequence }) => this.#append(name, file, record, expectedSequence),
      sync: () => this.#sync(file),
      read: (fromSequence) => this.#read(name, file, fromSequence),
      truncate: (sequence) => this.#truncate(name, file, sequence),
    });
  }

  keyValue(bucketName: string): KeyValueStore {
    const bucket = this.#disk.bucket(bucketName);
    /** Version that each key will have when every submitted write is done. */
    const submitted = new Map<string, number>();
    return {
      get: async (key) => {
        await this.#serve('get', this.#costs.readMicros);
        const entry = bucket.get(key);
        if (entry !== undefined && this.#disk.isRotten(entry.value))
          return corrupt(`Key ${key} of bucket ${bucketName} is not what was written.`, { bucket: bucketName, key });
        return ok<StateEntry | null>(entry === undefined ? null : { version: entry.version, value: entry.value.slice() });
      },
      put: async (key, value, { expectedVersion }) => {
        const current = submitted.get(key) ?? bucket.get(key)?.version ?? 0;
        if (expectedVersion !== null && expectedVersion !== current) {
          return rejected('WM_CONFLICT', {
            message: `Key ${key} is at version ${current}, not ${expectedVersion}.`,
            next: 'Read the key again and decide on its new value.',
            detail: { key, version: current, expectedVersion },
          });
        }
        const entry: StateEntry = { version: current + 1, value: value.slice() };
        const commit = () => {
          const before = bucket.get(key);
          bucket.set(key, entry);
          const undo = () => void (before === undefined ? bucket.delete(key) : bucket.set(key, before));
          return { added: entry.value.length - (before?.value.length ?? 0), undo };
        };
        const written = this.#write('put', { bytes: value.length, commit });
        if (!written.ok) return written;
        submitted.set(key, entry.version);
        await written.value;
        if (submitted.get(key) === entry.version) submitted.delete(key);
        return ok(entry.version);
      },
    };
  }

  #append(name: string, file: JournalFile, record: Uint8Array, expectedSequence: number): Outcome<number> {
    if (record.length > JOURNAL_RECORD_BYTES_MAX) {
      return rejected('WM_MESSAGE_TOO_LARGE', {
        message: `A record of ${record.length} bytes does not fit journal ${name}.`,
        next: `Write records of at most ${JOURNAL_RECORD_BYTES_MAX} bytes.`,
        detail: { bytes: record.length },
      });
    }
    if (expectedSequence !== file.last) {
      return rejected('WM_JOURNAL_CONFLICT', {
        message: `Journal ${name} is at sequence ${file.last}, not ${expectedSequence}.`,
        next: 'End this process: another leader wrote.',
        detail: { sequence: file.last, expectedSequence },
      });
    }
    const room = this.#room(record.length);
    if (!room.ok) return room;
    file.append(record.slice());
    return ok(file.last);
  }

  async #sync(file: JournalFile): Promise<Outcome<void>> {
    const { last, dropped } = file;
    let bytes = 0;
    for (let sequence = Math.max(file.durable + 1, file.first); sequence <= last; sequence++) bytes += file.recordOf(sequence)?.length ?? 0;
    await this.#serve('sync', this.#syncMicros() + this.#transferMicros(bytes));
    if (this.#disk.lying) {
      file.claim(last, dropped);
      this.#disk.onFelt?.('lies');
    } else file.settle(last, dropped);
    return ok();
  }

  #isRotten(file: JournalFile, sequence: number): boolean {
    const record = file.recordOf(sequence);
    return record !== undefined && this.#disk.isRotten(record);
  }

  /** Throws when a record is damaged: an iteration has no other way to say so. */
  async *#read(
    name: string,
    file: JournalFile,
    fromSequence: number,
  ): AsyncGenerator<{ readonly sequence: number; readonly record: Uint8Array }> {
    let bytes = 0;
    const last = file.last;
    const first = Math.max(fromSequence, file.dropped + 1, file.first);
    for (let sequence = first; sequence <= last; sequence++) bytes += file.recordOf(sequence)!.length;
    await this.#serve('read', this.#costs.readMicros + this.#transferMicros(bytes));
    for (let sequence = first; sequence <= last; sequence++) {
      if (this.#isRotten(file, sequence)) throw new Error(describeError(rottenRecord(name, sequence).error));
      const record = file.recordOf(sequence);
      if (record !== undefined) yield { sequence, record: record.slice() };
    }
  }

  #truncate(name: string, file: JournalFile, sequence: number): Outcome<void> {
    if (sequence > file.last) {
      return rejected('WM_NOT_FOUND', {
        message: `Journal ${name} ends at sequence ${file.last}; it cannot be dropped up to ${sequence}.`,
        next: 'Drop only what was written.',
        detail: { sequence },
      });
    }
    if (sequence > file.dropped) file.dropped = sequence;
    return ok();
  }

  async #putBlob(digest: Digest, bytes: Uint8Array): Promise<Outcome<void>> {
    if (this.#disk.blobs.has(digest)) {
      await this.#serve('has', this.#costs.readMicros);
      return ok();
    }
    const copy = bytes.slice();
    const commit = () => {
      if (this.#disk.blobs.has(digest)) return { added: 0, undo: () => {} };
      this.#disk.blobs.set(digest, copy);
      return { added: copy.length, undo: () => void this.#disk.blobs.delete(digest) };
    };
    // A file that was renamed before its bytes were there: the system is as wrong about the order as about the sync.
    const tear = (): number => {
      this.#disk.blobs.set(digest, copy.slice(0, copy.length >>> 1));
      return copy.length >>> 1;
    };
    const written = this.#write('blob', { bytes: copy.length, commit, tear });
    if (!written.ok) return written;
    await written.value;
    return ok();
  }

  async #getBlob(digest: Digest): Promise<Outcome<Uint8Array | null>> {
    const size = this.#disk.blobs.get(digest)?.length ?? 0;
    await this.#serve('blob', this.#costs.readMicros + this.#transferMicros(size));
    return ok<Uint8Array | null>(this.#disk.blobs.get(digest)?.slice() ?? null);
  }

  async #listBlobs(): Promise<Outcome<readonly Digest[]>> {
    await this.#serve('list', this.#costs.readMicros);
    return ok<readonly Digest[]>([...this.#disk.blobs.keys()].sort());
  }

  async #deleteBlob(digest: Digest): Promise<Outcome<void>> {
    const commit = () => {
      const bytes = this.#disk.blobs.get(digest);
      this.#disk.blobs.delete(digest);
      return { added: -(bytes?.length ?? 0), undo: () => void (bytes !== undefined && this.#disk.blobs.set(digest, bytes)) };
    };
    const written = this.#write('delete', { bytes: 0, commit });
    if (!written.ok) return written;
    await written.value;
    return ok();
  }

  /** Submits at once, so that later checks see it; resolves when it is durable. */
  #write(label: string, write: PendingWrite): Outcome<Promise<void>> {
    if (this.#disk.pending.length >= PENDING_WRITES_MAX) {
      return failed('WM_STORAGE_FULL', { message: `The disk has ${PENDING_WRITES_MAX} writes to do.`, next: 'Wait for earlier writes.' });
    }
    const room = this.#room(write.bytes);
    if (!room.ok) return room;
    this.#disk.submit(write);
    const served = this.#serve(label, this.#syncMicros() + this.#transferMicros(write.bytes), () => this.#disk.complete(write));
    return ok(served);
  }

  #room(bytes: number): Err | { readonly ok: true } {
    const used = this.#disk.usedBytes();
    if (bytes === 0 || (!this.#disk.full && used + bytes <= this.#disk.capacityBytes)) return { ok: true };
    if (this.#disk.full) this.#disk.onFelt?.('full');
    return failed('WM_STORAGE_FULL', {
      message: `The disk holds ${used} of ${this.#disk.full ? used : this.#disk.capacityBytes} bytes; ${bytes} more do not fit.`,
      next: 'Free space; what was acknowledged is kept.',
      detail: { usedBytes: used, capacityBytes: this.#disk.capacityBytes },
    });
  }

  #syncMicros(): number {
    return this.#costs.syncMicrosMin + this.#disk.stream.below(this.#costs.syncMicrosMax - this.#costs.syncMicrosMin + 1);
  }

  #transferMicros(bytes: number): number {
    return Math.floor(bytes / this.#costs.bytesPerMicro);
  }

  /** Waits for the requests before this one, then for this one. */
  #serve(label: string, micros: number, done: () => void = () => {}): Promise<void> {
    const now = this.#host.nowMicros();
    const end = Math.max(now, this.#disk.busyUntilMicros) + micros * this.#disk.slowness;
    this.#disk.busyUntilMicros = end;
    if (this.#disk.slowness > 1) this.#disk.onFelt?.('slow');
    return new Promise((resolve) => {
      const finish = (): void => {
        done();
        resolve();
      };
      const request: Request = { label, finish, endMicros: end, turn: 0 };
      this.#requests.push(request);
      this.#await(request, now);
    });
  }

  #await(request: Request, now: number): void {
    const turn = ++request.turn;
    this.#host.after(request.endMicros - now, `disk ${request.label}`, () => {
      if (request.turn !== turn) return;
      const served = this.#requests.shift();
      assert(served === request, 'a disk serves its requests in order');
      request.finish();
    });
  }

  /** What waits was measured with the slowness before, and is done sooner or later now. */
  #stretch(before: number): void {
    const now = this.#host.nowMicros();
    const stretched = (end: number): number => (end <= now ? end : now + Math.ceil(((end - now) * this.#disk.slowness) / before));
    this.#disk.busyUntilMicros = stretched(this.#disk.busyUntilMicros);
    for (const request of this.#requests) {
      request.endMicros = Math.max(now, stretched(request.endMicros));
      this.#await(request, now);
    }
  }
}
