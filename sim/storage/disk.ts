// What a disk holds, and what of it survives. Pure bookkeeping: no time, no promises. A write is submitted at once and done
// when the adapter says so; a power loss keeps a prefix of what was submitted and not done, drawn from the machine's stream.
// While it lies, what is done is only in its cache: everybody reads it, and a power loss may take it all the same.
// Records and values have checksums, as real stores give them: of those that rotted it is known. Blobs have their names for it.
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
  /** What a lying disk said of itself; it becomes true when the disk empties its cache. */
  #claimed: { readonly last: number; readonly dropped: number } | null = null;

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

  /** Says that it is on the platter. */
  claim(last: number, dropped: number): void {
    this.#claimed = { last, dropped };
  }

  /** The cache is emptied onto the platter. */
  fulfil(): void {
    if (this.#claimed !== null) this.settle(this.#claimed.last, this.#claimed.dropped);
    this.#claimed = null;
  }

  /** A bit of the newest record on the platter is another from now on; what is only appended is not there yet. */
  rot(flip: (record: Uint8Array) => Uint8Array): void {
    const newest = this.durable - this.first;
    const record = this.records[newest];
    if (record !== undefined) this.records[newest] = flip(record);
  }

  /** What is durable of it. */
  copy(): { readonly records: readonly Uint8Array[]; readonly first: number } {
    return { records: this.records.slice(0, this.durable - this.first + 1), first: this.first };
  }

  static of({ records, first }: ReturnType<JournalFile['copy']>): JournalFile {
    const file = new JournalFile();
    file.records = [...records];
    file.first = first;
    file.dropped = first - 1;
    file.durable = file.last;
    file.bytes = records.reduce((sum, record) => sum + record.length, 0);
    return file;
  }

  /** Number of records lost. */
  lose(stream: RandomStream): number {
    this.dropped = this.first - 1;
    this.#claimed = null;
    const unsynced = this.last - this.durable;
    assert(unsynced >= 0, 'a journal is not durable beyond its end');
    const lost = unsynced === 0 ? 0 : stream.below(unsynced + 1);
    for (let i = 0; i < lost; i++) this.bytes -= this.records.pop()!.length;
    this.durable = this.last;
    return lost;
  }
}

/** What a disk holds at a moment, as a power cut would leave it. Nothing in it changes any more. */
export type DiskCopy = {
  readonly journals: ReadonlyMap<string, { readonly records: readonly Uint8Array[]; readonly first: number }>;
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
  readonly buckets: ReadonlyMap<string, ReadonlyMap<string, StateEntry>>;
  readonly storedBytes: number;
};

/**
 * A write of blobs or keys that was submitted. `bytes` is what it may add; `commit` changes the disk, says what it added, and how
 * it is undone. `tear` leaves half of it on the disk; absent where the system writes all or nothing.
 */
export type PendingWrite = {
  readonly bytes: number;
  readonly commit: () => { readonly added: number; readonly undo: () => void };
  readonly tear?: () => number;
};

type Cached = { readonly write: PendingWrite; readonly added: number; readonly undo: () => void };

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
  /** Told each time that a fault changes what becomes of a request. */
  onFelt: ((fault: 'full' | 'slow' | 'lies') => void) | null = null;
  /** Told when `slowness` is another from now on, with what it was: whoever serves the requests. */
  onSlowness: ((before: number) => void) | null = null;
  #slowness = 1;
  #lying = false;
  /** Done, as everybody believes, while the disk lies. Bound: the writes of one fault. */
  #cached: Cached[] = [];
  /** Records and values of which a bit flipped, wherever they are: on the disk, in its copies, in what undoes a write. */
  readonly #rotten = new WeakSet<Uint8Array>();

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

  /** A fault: every request takes so many times as long (whole, 1: as it costs), what is left of those under way included. */
  get slowness(): number {
    return this.#slowness;
  }

  set slowness(slowness: number) {
    const before = this.#slowness;
    this.#slowness = slowness;
    if (before !== slowness) this.onSlowness?.(before);
  }

  get lying(): boolean {
    return this.#lying;
  }

  /** From here on a sync only says that it is done; from `false` on it is, and so is everything that was said to be. */
  lie(lying: boolean): void {
    this.#lying = lying;
    if (lying) return;
    this.#cached = [];
    for (const journal of this.journals.values()) journal.fulfil();
  }

  /** One bit of each blob is another from now on; with `everywhere` also one of the newest record of each journal and of each value. False: there are none. */
  rot(everywhere: boolean): boolean {
    for (const digest of [...this.blobs.keys()].sort()) this.blobs.set(digest, this.#flip(this.blobs.get(digest)!));
    if (!everywhere) return this.blobs.size > 0;
    const spoilt = (bytes: Uint8Array): Uint8Array => {
      const flipped = this.#flip(bytes);
      // Of nothing no bit can flip.
      if (flipped.length > 0) this.#rotten.add(flipped);
      return flipped;
    };
    for (const name of [...this.journals.keys()].sort()) this.journal(name).rot(spoilt);
    for (const name of [...this.buckets.keys()].sort()) {
      const bucket = this.bucket(name);
      for (const [key, { version, value }] of [...bucket]) bucket.set(key, { version, value: spoilt(value) });
    }
    return !this.isEmpty;
  }

  /** Whether the checksum of a record or of a value that this disk holds tells that it is not what was written. */
  isRotten(bytes: Uint8Array): boolean {
    return this.#rotten.has(bytes);
  }

  get isEmpty(): boolean {
    return this.usedBytes() === 0;
  }

  /** A new disk in the place of this one. */
  wipe(): void {
    this.journals.clear();
    this.blobs.clear();
    this.buckets.clear();
    this.pending.length = 0;
    this.#cached = [];
    this.#storedBytes = 0;
    this.#serveNothing();
  }

  copy(): DiskCopy {
    return {
      journals: new Map([...this.journals].map(([name, journal]) => [name, journal.copy()])),
      blobs: new Map(this.blobs),
      buckets: new Map([...this.buckets].map(([name, bucket]) => [name, new Map(bucket)])),
      storedBytes: this.#storedBytes,
    };
  }

  /** What it held then and nothing else, while nobody uses it. */
  restore({ journals, blobs, buckets, storedBytes }: DiskCopy): void {
    this.wipe();
    for (const [name, journal] of journals) this.journals.set(name, JournalFile.of(journal));
    for (const [digest, bytes] of blobs) this.blobs.set(digest, bytes);
    for (const [name, bucket] of buckets) this.buckets.set(name, new Map(bucket));
    this.#storedBytes = storedBytes;
  }

  /** Whoever asked for something is gone. */
  #serveNothing(): void {
    this.busyUntilMicros = 0;
    this.onSlowness = null;
  }

  #flip(bytes: Uint8Array): Uint8Array {
    const copy = bytes.slice();
    if (copy.length === 0) return copy;
    const bit = this.#stream.below(copy.length * 8);
    copy[bit >> 3]! ^= 1 << (bit & 7);
    return copy;
  }

  /** The process ended and the machine did not: the system writes what it was given. */
  flush(): void {
    for (const write of this.pending.splice(0)) this.#commit(write);
    this.#serveNothing();
  }

  /** Records and writes lost. */
  losePower(): number {
    let lost = 0;
    lost += this.#loseCached();
    for (const name of [...this.journals.keys()].sort()) lost += this.journal(name).lose(this.#stream);
    const writes = this.pending.splice(0);
    const kept = writes.length === 0 ? 0 : this.#stream.below(writes.length + 1);
    for (const write of writes.slice(0, kept)) this.#commit(write);
    this.#serveNothing();
    return lost + writes.length - kept;
  }

  /** Of what was only cached a prefix survives; the first that does not may be left torn. */
  #loseCached(): number {
    const cached = this.#cached.splice(0);
    if (cached.length === 0) return 0;
    const kept = this.#stream.below(cached.length + 1);
    const lost = cached.slice(kept);
    for (const { added, undo } of [...lost].reverse()) {
      undo();
      this.#storedBytes -= added;
    }
    const torn = lost[0]?.write.tear;
    if (torn !== undefined && this.#stream.chance(1, 2)) this.#storedBytes += torn();
    return lost.length;
  }

  #commit(write: PendingWrite): void {
    const { added, undo } = write.commit();
    this.#storedBytes += added;
    if (!this.#lying) return;
    this.#cached.push({ write, added, undo });
    this.onFelt?.('lies');
  }
}
