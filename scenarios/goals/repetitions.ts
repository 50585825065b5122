// A controller that starts again tells once more what its last journal record changed, because it cannot know whether that
// was told before its end. Such facts carry a correlation that says so. Goals see each fact once.
import type { RunRecord } from '../record.ts';
import { Kept } from './kept.ts';

export const REPEATED_PREFIX = 'repeated/';
/** Bound: facts remembered. One journal record holds far fewer. */
const FACTS_MAX = 4_096;

export class Repetitions {
  /** By fact, when it was told last. */
  readonly #told = new Map<string, number>();
  /** By what facts are about, when the last of them was told. */
  readonly #newest = new Map<string, number>();
  // What was told just after a copy was taken may be in it: goals have forgotten it with the rest, and hear it again.
  readonly #kept = new Kept([this.#told, this.#newest], () => {});

  /** True when this fact was told before and is only repeated. */
  has(record: RunRecord): boolean {
    this.#kept.observe(record);
    if (record.source !== 'controller' || BROKER_KIND.test(record.kind)) return false;
    const fact = `${record.kind} ${JSON.stringify(record.fields)}`;
    const subject = `${record.kind} ${String(Object.values(record.fields)[0])}`;
    const before = this.#told.get(fact);
    // The facts of one journal record are told at one time. What was told before the newest of its like happened again.
    const isNewest = before !== undefined && before >= (this.#newest.get(subject) ?? 0);
    if (record.correlation?.startsWith(REPEATED_PREFIX) === true && isNewest) return true;
    keep(this.#told, fact, record.micros);
    keep(this.#newest, subject, record.micros);
    return false;
  }
}

function keep(times: Map<string, number>, key: string, micros: number): void {
  times.delete(key);
  times.set(key, micros);
  if (times.size <= FACTS_MAX) return;
  for (const oldest of times.keys()) return void times.delete(oldest);
}

/** The broker and the state store at the controller's side are no part of its journal; they say the most and repeat nothing. */
const BROKER_KIND = /^(?:event|queue|state|consumer|fence|effect)\./;
