// The last events that were delivered, in a ring, with the event that caused each: what led to where a run stopped.
import { placeOf } from './place.ts';

/** Bound: events that are remembered. */
export const HISTORY_EVENTS_MAX = 256;

const MASK = HISTORY_EVENTS_MAX - 1;

export class History {
  readonly #micros = new Float64Array(HISTORY_EVENTS_MAX);
  readonly #cause = new Float64Array(HISTORY_EVENTS_MAX);
  readonly #machine: string[] = Array.from({ length: HISTORY_EVENTS_MAX }, () => '');
  readonly #label: string[] = Array.from({ length: HISTORY_EVENTS_MAX }, () => '');
  readonly #origin: (Error | null)[] = Array.from({ length: HISTORY_EVENTS_MAX }, () => null);
  #last = 0;

  /** `step` counts from 1 without gaps; `origin` was made where the event was set, null where nobody asked for that. */
  add(step: number, micros: number, machine: string, label: string, cause: number, origin: Error | null): void {
    const slot = step & MASK;
    this.#micros[slot] = micros;
    this.#cause[slot] = cause;
    this.#machine[slot] = machine;
    this.#label[slot] = label;
    this.#origin[slot] = origin;
    this.#last = step;
  }

  /** Up to `eventsMax` of the last events, oldest first. */
  recent(eventsMax: number): readonly string[] {
    const lines: string[] = [];
    const first = Math.max(1, this.#last - Math.min(eventsMax, HISTORY_EVENTS_MAX) + 1);
    for (let step = first; step <= this.#last; step++) lines.push(this.#line(step));
    return lines;
  }

  /** The event of that number and what caused it, cause before effect, as far as remembered. */
  chain(step: number, eventsMax: number): readonly string[] {
    const lines: string[] = [];
    for (let at = step; this.#holds(at) && lines.length < eventsMax; at = this.#cause[at & MASK] as number) {
      lines.push(this.#line(at));
    }
    return lines.toReversed();
  }

  #holds(step: number): boolean {
    return step >= 1 && step <= this.#last && step > this.#last - HISTORY_EVENTS_MAX;
  }

  #line(step: number): string {
    const slot = step & MASK;
    const cause = this.#cause[slot] as number;
    const because = cause === 0 ? 'set before the run' : `caused by event ${cause}`;
    const place = placeOf(this.#origin[slot] ?? null);
    const set = place === null ? '' : `, set at ${place}`;
    return `event ${step} at ${this.#micros[slot]} µs, ${this.#machine[slot]}: ${this.#label[slot]} (${because})${set}`;
  }
}
