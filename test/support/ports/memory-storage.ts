// A disk that outlives processes. A sync takes `syncMicros`; a power loss keeps as much of what was not synced as the test says.
import type { StateEntry } from '../../../system/domain/broker.ts';
import { ok, rejected, unknown, type Outcome } from '../../../system/domain/outcome.ts';
import type { Clock } from '../../../system/ports/clock.ts';
import {
  JOURNAL_RECORD_BYTES_MAX,
  type BlobStore,
  type JournalStore,
  type KeyValueStore,
  type Storage,
} from '../../../system/ports/storage.ts';

class JournalFile {
  records: Uint8Array[] = [];
  /** Sequence of the first record. */
  first = 1;
  durable = 0;
  dropped = 0;

  get last(): number {
    return this.first + this.records.length - 1;
  }
}

const BROKEN = unknown('WM_STORAGE_FAILED', { message: 'The test broke the disk.', next: 'End.' });

export class MemoryDisk {
  syncMicros = 0;
  /** From here on syncs and durable writes fail. */
  isBroken = false;
  syncs = 0;
  readonly #journals = new Map<string, JournalFile>();
  readonly #buckets = new Map<string, Map<string, StateEntry>>();

  file(name: string): JournalFile {
    const file = this.#journals.get(name) ?? new JournalFile();
    this.#journals.set(name, file);
    return file;
  }

  /** `keep` of so many unsynced records survive. */
  losePower(keep: (unsynced: number) => number): void {
    for (const file of this.#journals.values()) {
      const kept = keep(file.last - file.durable);
      file.records.length = file.durable + kept - file.first + 1;
      file.durable = file.last;
      file.dropped = file.first - 1;
    }
  }

  /** The storage port of one process. */
  portOf(clock: Clock): Storage {
    return {
      journal: async (name) => ok(this.#open(this.file(name), clock)),
      blobs: null as unknown as BlobStore,
      keyValue: (bucket) => this.#keyValue(bucket, clock),
    };
  }

  #open(file: JournalFile, clock: Clock): JournalStore {
    return {
      get lastSequence() {
        return file.last;
      },
      append: (record, { expectedSequence }) => {
        if (record.length > JOURNAL_RECORD_BYTES_MAX)
          return rejected('WM_MESSAGE_TOO_LARGE', { message: `${record.length} bytes`, next: 'Less.' });
        if (expectedSequence !== file.last) return rejected('WM_JOURNAL_CONFLICT', { message: `at ${file.last}`, next: 'End.' });
        file.records.push(record.slice());
        return ok(file.last);
      },
      sync: async () => {
        this.syncs += 1;
        const { last, dropped } = file;
        if (this.syncMicros > 0) await clock.sleep(this.syncMicros);
        if (this.isBroken) return BROKEN;
        file.durable = Math.max(file.durable, last);
        if (dropped >= file.first) {
          file.records = file.records.slice(dropped - file.first + 1);
          file.first = dropped + 1;
        }
        return ok();
      },
      async *read(fromSequence) {
        for (let sequence = Math.max(fromSequence, file.first); sequence <= file.last; sequence++)
          yield { sequence, record: file.records[sequence - file.first]!.slice() };
      },
      truncate: (sequence) => {
        file.dropped = Math.max(file.dropped, sequence);
        return ok();
      },
    };
  }

  #keyValue(bucketName: string, clock: Clock): KeyValueStore {
    const bucket = this.#buckets.get(bucketName) ?? new Map<string, StateEntry>();
    this.#buckets.set(bucketName, bucket);
    return {
      get: async (key) => ok(bucket.get(key) ?? null),
      put: async (key, value, { expectedVersion }): Promise<Outcome<number>> => {
        if (this.syncMicros > 0) await clock.sleep(this.syncMicros);
        if (this.isBroken) return BROKEN;
        const version = bucket.get(key)?.version ?? 0;
        if (expectedVersion !== null && expectedVersion !== version)
          return rejected('WM_CONFLICT', { message: `Key ${key} is at version ${version}.`, next: 'Read again.' });
        bucket.set(key, { version: version + 1, value: value.slice() });
        return ok(version + 1);
      },
    };
  }
}
