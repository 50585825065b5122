// Bounds recovery: every so many entries, or for half as many as the state has things, the whole state is kept as a blob, named in
// the journal, and the records that it replaces are dropped. So what snapshots cost grows with the entries and not with the state. Taken when a batch is closed, since then the head state is exactly what the journal says.
import { describeError } from '../domain/outcome.ts';
import type { Digest } from '../domain/identifiers.ts';
import type { Journal } from '../journal/journal.ts';
import type { Ports } from '../ports/ports.ts';
import type { Head } from './head.ts';
import { encodeSnapshot } from './recovery.ts';
import type { ControllerState, Entry } from './state.ts';

export type SnapshotsOptions = {
  readonly ports: Pick<Ports, 'keys' | 'storage'>;
  readonly journal: Journal<Entry>;
  readonly head: Head;
  readonly everyEntries: number;
  /** Records are not dropped, so that a recovery can prove the snapshot against them. */
  readonly keepJournal: boolean;
  readonly onBroken: (cause: string) => void;
};

export class Snapshots {
  readonly #options: SnapshotsOptions;
  #taking = false;

  constructor(options: SnapshotsOptions) {
    this.#options = options;
  }

  onClose(sequence: number): void {
    const { head, everyEntries, journal } = this.#options;
    if (this.#taking || head.entriesSinceSnapshot < Math.max(everyEntries, thingsIn(head.state) >> 1)) return;
    this.#taking = true;
    head.entriesSinceSnapshot = 0;
    const before = head.state.snapshot?.snapshot ?? null;
    const bytes = encodeSnapshot(head.state);
    journal.whenDurable(() => void this.#store(bytes, sequence, before));
  }

  async #store(bytes: Uint8Array, through: number, before: Digest | null): Promise<void> {
    const { ports, head, journal, keepJournal, onBroken } = this.#options;
    const snapshot = ports.keys.digest(bytes);
    const stored = await ports.storage.blobs.put(snapshot, bytes);
    if (!stored.ok) return onBroken(`snapshot: ${describeError(stored.error)}`);
    head.commit([{ kind: 'snapshot-taken', snapshot, through }]);
    journal.whenDurable(() => {
      this.#taking = false;
      if (keepJournal) return;
      const truncated = journal.truncate(through);
      if (!truncated.ok) return onBroken(`journal: ${describeError(truncated.error)}`);
      if (before !== null && before !== snapshot) void ports.storage.blobs.delete(before);
    });
  }
}

/** Of what there may be most of. */
function thingsIn({ nodes, deployments, answered }: ControllerState): number {
  return nodes.nodes.size + deployments.instances.size + answered.size;
}
