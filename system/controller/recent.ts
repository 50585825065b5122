// The platform's recent facts in memory, each with a place that it has in every process: the journal record that it came with
// and its number there. Facts of no record (a refusal, a start) lie behind the record that was last. Bound: the oldest are forgotten.
import type { CorrelationId } from '../domain/identifiers.ts';
import type { Fact } from '../domain/telemetry.ts';
import { compareCursors, type EventCursor, type EventValue, type EventView } from '../domain/watch.ts';

/** Bound: facts that are remembered. */
export const EVENTS_KEPT_MAX = 2_048;
/** Room for as many again before the oldest are let go together. */
const SLACK = EVENTS_KEPT_MAX;
/** Bound: bytes of the facts in one answer. */
const ANSWER_BYTES_MAX = 2 * 1024 * 1024;
/** Bound: characters of one field of a fact. */
const VALUE_LENGTH_MAX = 1_024;

export class Recent {
  readonly #events: EventView[] = [];
  /** Place of the last one that is held no more. */
  #forgotten: EventCursor;
  #last: EventCursor;

  /** What came with record `knownAfter` and before is not known. */
  constructor(knownAfter: number) {
    this.#forgotten = { sequence: knownAfter, part: Number.MAX_SAFE_INTEGER };
    this.#last = { sequence: knownAfter, part: -1 };
  }

  /** `sequence`: the newest record at this time, which the fact came with or after. */
  add(fact: Fact, at: { readonly sequence: number; readonly timeMs: number; readonly correlation: CorrelationId | null }): EventView {
    const sequence = Math.max(at.sequence, this.#last.sequence);
    this.#last = { sequence, part: sequence === this.#last.sequence ? this.#last.part + 1 : 0 };
    const event: EventView = {
      ...this.#last,
      timeMs: at.timeMs,
      correlation: at.correlation,
      kind: fact.kind,
      fields: shorten(fact.fields),
    };
    this.#events.push(event);
    if (this.#events.length > EVENTS_KEPT_MAX + SLACK) this.#forget();
    return event;
  }

  /** The newest ones that fit into one answer, oldest first. */
  newest(): readonly EventView[] {
    let from = this.#events.length;
    for (let bytes = 0; from > 0 && this.#events.length - from < EVENTS_KEPT_MAX; from--) {
      bytes += JSON.stringify(this.#events[from - 1]).length;
      if (bytes > ANSWER_BYTES_MAX) break;
    }
    return this.#events.slice(from);
  }

  after(cursor: EventCursor | null): { readonly events: readonly EventView[]; readonly gap: boolean } {
    if (cursor === null) return { events: this.#events.slice(-EVENTS_KEPT_MAX), gap: false };
    return { events: this.#events.filter((event) => compareCursors(event, cursor) > 0), gap: compareCursors(cursor, this.#forgotten) < 0 };
  }

  #forget(): void {
    const gone = this.#events.splice(0, this.#events.length - EVENTS_KEPT_MAX).at(-1);
    if (gone !== undefined) this.#forgotten = { sequence: gone.sequence, part: gone.part };
  }
}

function shorten(fields: Readonly<Record<string, EventValue>>): Readonly<Record<string, EventValue>> {
  if (Object.values(fields).every((value) => typeof value !== 'string' || value.length <= VALUE_LENGTH_MAX)) return fields;
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [name, typeof value === 'string' ? value.slice(0, VALUE_LENGTH_MAX) : value]),
  );
}
