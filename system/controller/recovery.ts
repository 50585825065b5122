// From what the disk holds to the state that it stands for: the newest snapshot and the records after it.
// Invariant: snapshot + tail = full fold; proved at each recovery when the whole journal is kept (architecture §5).
import { assert, ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import { decodeValue, encodeValue, readJournal, type JournalRecord } from '../journal/journal.ts';
import type { BlobStore, JournalStore } from '../ports/storage.ts';
import { applyEntry, createState, factsOfEntry, type ControllerState, type Entry } from './state.ts';

export type Recovered = {
  readonly state: ControllerState;
  /** Entries that were folded on top of the snapshot. */
  readonly entries: number;
  /** Facts of the last record: the one that may not have been told before the process ended. */
  readonly lastFacts: readonly Fact[];
  readonly lastSequence: number;
};

export function encodeSnapshot(state: ControllerState): Uint8Array {
  return new TextEncoder().encode(encodeValue(state));
}

function fold(state: ControllerState, records: readonly JournalRecord<Entry>[], onLast: (facts: readonly Fact[]) => void): number {
  const last = records.at(-1);
  const facts: Fact[] = [];
  let entries = 0;
  for (const record of records) {
    for (const entry of record.entries) {
      if (record === last) facts.push(...factsOfEntry(state, entry, record.sequence));
      applyEntry(state, entry, record.sequence);
      entries += 1;
    }
  }
  onLast(facts);
  return entries;
}

function findSnapshot(records: readonly JournalRecord<Entry>[]): Extract<Entry, { readonly kind: 'snapshot-taken' }> | null {
  for (let i = records.length - 1; i >= 0; i--) {
    for (const entry of records[i]?.entries ?? []) if (entry.kind === 'snapshot-taken') return entry;
  }
  return null;
}

async function readSnapshot(
  blobs: BlobStore,
  entry: Extract<Entry, { readonly kind: 'snapshot-taken' }>,
): Promise<Outcome<ControllerState>> {
  const bytes = await blobs.get(entry.snapshot);
  if (!bytes.ok) return bytes;
  if (bytes.value === null) {
    return rejected('WM_JOURNAL_CORRUPT', {
      message: `The snapshot ${entry.snapshot} through record ${entry.through} is missing.`,
      next: 'Restore the blob store from the same copy as the journal.',
      detail: { sequence: entry.through },
    });
  }
  return ok(decodeValue(new TextDecoder().decode(bytes.value)) as ControllerState);
}

export async function recover(
  store: JournalStore,
  blobs: BlobStore,
  options: { readonly assertRecovery: boolean },
): Promise<Outcome<Recovered>> {
  const records = await readJournal<Entry>(store);
  if (!records.ok) return records;
  const snapshot = findSnapshot(records.value);
  let state = createState();
  let tail = records.value;
  if (snapshot !== null) {
    const read = await readSnapshot(blobs, snapshot);
    if (!read.ok) return read;
    state = read.value;
    tail = records.value.filter((record) => record.sequence > snapshot.through);
  } else if (records.value[0] !== undefined && records.value[0].sequence !== 1) {
    return rejected('WM_JOURNAL_CORRUPT', {
      message: `The journal begins at record ${records.value[0].sequence} and names no snapshot of what came before.`,
      next: 'Restore the journal from a copy.',
      detail: { sequence: records.value[0].sequence },
    });
  }
  let lastFacts: readonly Fact[] = [];
  const entries = fold(state, tail, (facts) => (lastFacts = facts));
  if (options.assertRecovery && snapshot !== null && records.value[0]?.sequence === 1) {
    const whole = createState();
    fold(whole, records.value, () => {});
    assert(encodeValue(whole) === encodeValue(state), 'snapshot and tail give what the whole journal gives');
  }
  return ok({ state, entries, lastFacts, lastSequence: store.lastSequence });
}
