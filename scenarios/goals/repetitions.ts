// A controller that starts again tells once more what its last journal record changed, because it cannot know whether that
// was told before its end. Such facts carry a correlation that says so. Goals see each fact once.
import type { RunRecord } from '../record.ts';

export const REPEATED_PREFIX = 'repeated/';
/** Bound: facts remembered. One journal record holds far fewer. */
const FACTS_MAX = 4_096;

export class Repetitions {
  readonly #told = new Set<string>();

  /** True when this fact was told before and is only repeated. */
  has(record: RunRecord): boolean {
    if (record.source !== 'controller' || BROKER_KIND.test(record.kind)) return false;
    const fact = `${record.kind} ${JSON.stringify(record.fields)}`;
    if (record.correlation?.startsWith(REPEATED_PREFIX) === true && this.#told.has(fact)) return true;
    this.#told.delete(fact);
    this.#told.add(fact);
    if (this.#told.size > FACTS_MAX) for (const oldest of this.#told) return !this.#told.delete(oldest);
    return false;
  }
}

/** The broker and the state store at the controller's side are no part of its journal; they say the most and repeat nothing. */
const BROKER_KIND = /^(?:event|queue|state|consumer|fence|effect)\./;
