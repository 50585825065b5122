// What a disk holds, and what of it survives. Pure bookkeeping: no time, no promises. A write is submitted at once and done
// when the adapter says so; a power loss keeps a prefix of what was submitted and not done, drawn from the machine's stream.
import type { StateEntry } from '../../system/domain/broker.ts';
import type { Digest } from '../../system/domain/identifiers.ts';
import { assert } from '../../system/domain/outcome.ts';
import type { RandomStream } from '../../system/ports/random.ts';

export class JournalFile {
  /** Records `first`, `first + 1`, … of which those up to `durable` survive a power loss. */
  records: Uint8Array[] = [];
  first = 1;
  durable = 0;
  /** Sequence up to which records are dropped for readers; they leave the disk with the next sync. */
  dropped = 0;
  bytes = 0;

  get last(): number {
    return this.first + this.records.length - 1;
  }

  append(record: Uint8Array): void {
    this.records.push(record);
    this.bytes += record.length;
  }

  recordOf(sequence: number): Uint8Array | undefined {
    return sequence <= this.dropped ? undefined : this.records[sequence - this.first];
  }

  /** What was appended up to `last` and dropped up to `dropped` is on the platter. */
  settle(last: number, dropped: number): void {
    if (last > this.durable) this.durable = last;
    while (this.first <= dropped) {
      this.bytes -= this.records.shift()!.length;
      this.first++;
    }
  }

  /** Number of records lost. */
  lose(stream: RandomStream): number {
    this.dropped = this.first - 1;
    const unsynced = this.last - this.durable;
    assert(unsynced >= 0, 'a journal is not durable beyond its end');
    const lost = unsynced === 0 ? 0 : stream.below(unsynced + 1);
    for (let i = 0; i < lost; i++) this.bytes -= this.records.pop()!.length;
    this.durable = this.last;
    return lost;
  }
}

/** A write of blobs or keys that was submitted. `bytes` is what it may add; `commit` changes the disk and says what it added. */
export type PendingWrite = { readonly bytes: number; readonly commit: () => number };

export class Disk {
  readonly #stream: RandomStream;
  readonly capacityBytes: number;
  readonly journals = new Map<string, JournalFile>();
  readonly blobs = new Map<Digest, Uint8Array>();
  readonly buckets = new Map<string, Map<string, StateEntry>>();
  /** In order of submission. Bound: `PENDING_WRITES_MAX` of the adapter. */
  readonly pending: PendingWrite[] = [];
  /** Bytes of blobs and values. */
  #storedBytes = 0;
  /** When the last submitted request will be done. */
  busyUntilMicros = 0;
  /** A fault: no byte more fits, whatever the capacity. */
  full = false;

  constructor(stream: RandomStream, capacityBytes: number) {
    this.#stream = stream;
    this.capacityBytes = capacityBytes;
  }

  get stream(): RandomStream {
    return this.#stream;
  }

  usedBytes(): number {
    let used = this.#storedBytes;
    for (const journal of this.journals.values()) used += journal.bytes;
    for (const write of this.pending) used += write.bytes;
    return used;
  }

  journal(name: string): JournalFile {
    let journal = this.journals.get(name);
    if (journal === undefined) {
      journal = new JournalFile();
      this.journals.set(name, journal);
    }
    return journal;
  }

  bucket(name: string): Map<string, StateEntry> {
    let bucket = this.buckets.get(name);
    if (bucket === undefined) {
      bucket = new Map();
      this.buckets.set(name, bucket);
    }
    return bucket;
  }

  submit(write: PendingWrite): void {
    this.pending.push(write);
  }

  /** Requests are served in order, so the done one is the oldest. */
  complete(write: PendingWrite): void {
    assert(this.pending[0] === write, 'a disk serves its writes in order');
    this.pending.shift();
    this.#commit(write);
  }

  /** The process ended and the machine did not: the system writes what it was given. */
  flush(): void {
    for (const write of this.pending.splice(0)) this.#commit(write);
    this.busyUntilMicros = 0;
  }

  /** Records and writes lost. */
  losePower(): number {
    let lost = 0;
    for (const name of [...this.journals.keys()].sort()) lost += this.journal(name).lose(this.#stream);
    const writes = this.pending.splice(0);
    const kept = writes.length === 0 ? 0 : this.#stream.below(writes.length + 1);
    for (const write of writes.slice(0, kept)) this.#commit(write);
    this.busyUntilMicros = 0;
    return lost + writes.length - kept;
  }

  #commit(write: PendingWrite): void {
    this.#storedBytes += write.commit();
  }
}
