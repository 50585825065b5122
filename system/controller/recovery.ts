// From what the disk holds to the state that it stands for: the newest snapshot and the records after it.
// Invariant: snapshot + tail = full fold; proved at each recovery when the whole journal is kept (architecture §5).
import { assert, ok, rejected, type Outcome } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import { createDeploymentsState } from '../deployments/deployments.ts';
import { decodeValue, encodeValue, readJournal, type JournalRecord } from '../journal/journal.ts';
import type { Keys } from '../ports/keys.ts';
import type { BlobStore, JournalStore } from '../ports/storage.ts';
import { EVENTS_KEPT_MAX, Recent } from './recent.ts';
import { applyEntry, createState, factsOfEntry, type ControllerState, type Entry } from './state.ts';

export type Recovered = {
  readonly state: ControllerState;
  /** Entries that were folded on top of the snapshot. */
  readonly entries: number;
  /** Facts of the last record: the one that may not have been told before the process ended. */
  readonly lastFacts: readonly Fact[];
  readonly lastSequence: number;
  /** What can be told of the past. */
  readonly recent: Recent;
};

export function encodeSnapshot(state: ControllerState): Uint8Array {
  return new TextEncoder().encode(encodeValue(state));
}

/** `tell` is given the facts of the newest records, as many as are of use to anybody. */
function fold(
  state: ControllerState,
  records: readonly JournalRecord<Entry>[],
  tell: (facts: readonly Fact[], record: JournalRecord<Entry>) => void,
): number {
  let entries = 0;
  for (const [index, record] of records.entries()) {
    const isRecent = records.length - index <= EVENTS_KEPT_MAX;
    const facts: Fact[] = [];
    for (const entry of record.entries) {
      if (isRecent) facts.push(...factsOfEntry(state, entry, record.sequence));
      applyEntry(state, entry, record.sequence);
      entries += 1;
    }
    if (isRecent) tell(facts, record);
  }
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
  digest: Keys['digest'],
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
  if (digest(bytes.value) !== entry.snapshot) {
    return rejected('WM_JOURNAL_CORRUPT', {
      message: `The snapshot ${entry.snapshot} through record ${entry.through} has other bytes than its name says.`,
      next: 'Restore the blob store from the same copy as the journal.',
      detail: { sequence: entry.through },
    });
  }
  const state = decodeValue(new TextDecoder().decode(bytes.value)) as ControllerState;
  // A snapshot of an earlier version has no word of what was not remembered then.
  return ok({ ...state, deployments: { ...createDeploymentsState(), ...state.deployments } });
}

export async function recover(
  store: JournalStore,
  blobs: BlobStore,
  options: { readonly assertRecovery: boolean; readonly digest: Keys['digest'] },
): Promise<Outcome<Recovered>> {
  const records = await readJournal<Entry>(store);
  if (!records.ok) return records;
  const snapshot = findSnapshot(records.value);
  let state = createState();
  let tail = records.value;
  if (snapshot !== null) {
    const read = await readSnapshot(blobs, snapshot, options.digest);
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
  const recent = new Recent((tail.at(-EVENTS_KEPT_MAX)?.sequence ?? tail[0]?.sequence ?? store.lastSequence + 1) - 1);
  const entries = fold(state, tail, (facts, { sequence, timeMs }) => {
    lastFacts = facts;
    for (const fact of facts) recent.add(fact, { sequence, timeMs, correlation: null });
  });
  if (options.assertRecovery && snapshot !== null && records.value[0]?.sequence === 1) {
    const whole = createState();
    fold(whole, records.value, () => {});
    assert(encodeValue(whole) === encodeValue(state), 'snapshot and tail give what the whole journal gives');
  }
  return ok({ state, entries, lastFacts, lastSequence: store.lastSequence, recent });
}
