// When the controller lost what only its disk had: it was wiped, or an older copy was put back (`lastCopy`). Goals go on, and are judged by
// what is left: what was told up to the copy stands, and of what came after it nothing is owed any more.
import type { RunRecord } from '../record.ts';

const CONTROLLER = 'controller';

export class Losses {
  /** When the copy of each `restore` was taken. Bound: faults of a scenario. */
  readonly #copies = new Map<string, number>();
  /** Whether anything was lost so far. */
  any = false;

  /** Null unless this record says that something was lost; else when the copy was taken that is there now, minus infinity where nothing is left. */
  observe(record: RunRecord): number | null {
    if ((record.kind !== 'fault.begun' && record.kind !== 'fault.felt') || record.fields.target !== CONTROLLER) return null;
    const { fault, kind } = record.fields;
    if (record.kind === 'fault.begun') {
      if (kind === 'restore') this.#copies.set(fault, record.micros);
      return null;
    }
    if (kind !== 'restore' && kind !== 'wipe') return null;
    this.any = true;
    return kind === 'wipe' ? Number.NEGATIVE_INFINITY : (this.#copies.get(fault) ?? Number.NEGATIVE_INFINITY);
  }
}
