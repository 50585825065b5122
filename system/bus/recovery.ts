// From the journal to the state: the last snapshot that is complete, and what was written after it.
import type { CorrelationId } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import type { JournalStore } from '../ports/storage.ts';
import { decodeRecord, type JournalEntry } from './entries.ts';
import { BrokerState } from './state.ts';

export type RepeatedFact = { readonly fact: Fact; readonly correlation: CorrelationId | null };

export type Recovered = {
  readonly state: BrokerState;
  readonly records: number;
  readonly bytes: number;
  /** What was stored when the process died, and may not have been told. */
  readonly untold: readonly RepeatedFact[];
};

export async function recover(journal: JournalStore): Promise<Outcome<Recovered>> {
  let state = new BrokerState();
  let building: BrokerState | null = null;
  let records = 0;
  let bytes = 0;
  let toldMost = 0;
  let untold: { readonly sequence: number; readonly repeated: RepeatedFact }[] = [];
  for await (const { sequence, record } of journal.read(1)) {
    const decoded = decodeRecord(record, sequence);
    if (!decoded.ok) return decoded;
    const { entry, told } = decoded.value;
    records += 1;
    bytes += record.length;
    if (told > toldMost) {
      toldMost = told;
      untold = untold.filter((candidate) => candidate.sequence > told);
    }
    // Safety: a snapshot that the process did not finish is no state; the next process says that it started.
    if (entry.kind === 'started') building = null;
    if (entry.kind === 'snapshot-begin') building = new BrokerState();
    if (entry.kind === 'snapshot-end') {
      if (building !== null) state = building;
      building = null;
      continue;
    }
    const repeated = building === null ? factOf(state, entry) : null;
    if (repeated !== null) untold.push({ sequence, repeated });
    (building ?? state).apply(entry);
  }
  return ok({ state, records, bytes, untold: untold.filter(({ sequence }) => sequence > toldMost).map(({ repeated }) => repeated) });
}

/**
 * What an entry tells that must be told at least once: an end. Without the instance, which may have been superseded since:
 * the effect was admitted before. That an event was accepted is not repeated: whoever reads that twice sees a duplicate.
 */
function factOf(state: BrokerState, entry: JournalEntry): RepeatedFact | null {
  switch (entry.kind) {
    case 'consumer': {
      const { spec, from } = entry;
      if (state.consumers.has(spec.name)) return null;
      return { fact: { kind: 'consumer.created', fields: { consumer: spec.name, filter: spec.filter, next: from } }, correlation: null };
    }
    case 'settled': {
      const event = state.events.get(entry.sequence)?.event;
      if (event === undefined) return null;
      const { consumer, sequence, attempt } = entry;
      return {
        fact: { kind: 'event.acknowledged', fields: { consumer, event: event.id, sequence, attempt, instance: null, epoch: null } },
        correlation: event.correlation,
      };
    }
    case 'dead': {
      const event = state.events.get(entry.sequence)?.event;
      if (event === undefined) return null;
      const { consumer, sequence, attempt, reason } = entry;
      return {
        fact: { kind: 'event.deadlettered', fields: { consumer, event: event.id, sequence, attempts: attempt, code: reason.code } },
        correlation: event.correlation,
      };
    }
    default:
      return null;
  }
}
