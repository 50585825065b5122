// Which identifiers are recognised when they are published again: the newest ones, and beyond them those of every event that is
// still held and of what came of it. A held event may be delivered again however long it has waited, so what its first delivery
// published must be known for as long (R9.1). What would have been forgotten meanwhile is as new when the event is let go.
import type { EventId } from '../domain/identifiers.ts';
import { IdentifierWindow } from './window.ts';

/** Bound: effects of one held event that are remembered as long as it is; further ones as long as they are among the newest. */
export const EFFECTS_HELD_MAX = 64;

type Held = { readonly sequence: number; readonly effects: Map<EventId, number> };

export class Identifiers {
  readonly #newest: IdentifierWindow;
  /** Bound: the events that the broker holds. */
  readonly #held = new Map<EventId, Held>();
  /** Of all held events. Bound: `EFFECTS_HELD_MAX` each. */
  readonly #effects = new Map<EventId, number>();

  constructor(bound: number) {
    this.#newest = new IdentifierWindow(bound);
  }

  /** The sequence under which the identifier was stored first. */
  find(id: EventId): number | undefined {
    return this.#newest.find(id) ?? this.#held.get(id)?.sequence ?? this.#effects.get(id);
  }

  add(id: EventId, sequence: number): void {
    this.#newest.add(id, sequence);
  }

  hold(id: EventId, sequence: number): void {
    if (!this.#held.has(id)) this.#held.set(id, { sequence, effects: new Map() });
  }

  /** An event came of `source`. */
  tie(source: EventId, id: EventId, sequence: number): void {
    const held = this.#held.get(source);
    if (held === undefined || held.effects.size >= EFFECTS_HELD_MAX || this.#effects.has(id)) return;
    held.effects.set(id, sequence);
    this.#effects.set(id, sequence);
  }

  release(id: EventId, sequence: number): void {
    const held = this.#held.get(id);
    if (held?.sequence !== sequence) return;
    this.#held.delete(id);
    this.#newest.add(id, sequence);
    for (const [effect, first] of held.effects) {
      this.#effects.delete(effect);
      this.#newest.add(effect, first);
    }
  }

  /** Of the newest, oldest first. */
  entries(): Iterable<readonly [EventId, number]> {
    return this.#newest.entries();
  }

  effectsOf(id: EventId): readonly (readonly [EventId, number])[] {
    return [...(this.#held.get(id)?.effects ?? [])];
  }
}
