// When the controller lost what only its disk had: it was wiped, an older copy was put back, or its power failed while its disk lied
// (`lastCopy`). Goals go on, and are judged by what is left: what was told up to the copy, or up to the lie, stands, and of what came
// after it nothing is owed any more.
import type { RunRecord } from '../record.ts';

const CONTROLLER = 'controller';

/** Whether the copy is taken that a `restore` of the controller puts back when it is felt: at this very moment, with all that was told before. */
export function isCopyTaken({ fields }: Extract<RunRecord, { kind: 'fault.begun' }>): boolean {
  return fields.kind === 'restore' && fields.target === CONTROLLER;
}

export class Losses {
  /** Since when what the copy of each `restore` may lack is lost, and whether it is exact: not of a disk that lied. Bound: faults of a scenario. */
  readonly #copies = new Map<string, { readonly since: number; readonly isExact: boolean }>();
  /** Faults by which its disk lies. */
  readonly #lies = new Set<string>();
  /** Since when nothing that it acknowledged is certain; null while it does not lie. */
  #lyingSince: number | null = null;
  #any = false;
  #isWhole = true;

  /** Whether anything was lost so far. */
  get any(): boolean {
    return this.#any;
  }

  /** Whether all that came after is gone. Not after a lie: of that the disk, or its copy, may have kept any part. */
  get isWhole(): boolean {
    return this.#isWhole;
  }

  /** Null unless this record says that something was lost; else up to when nothing was, minus infinity where nothing is left. */
  observe(record: RunRecord): number | null {
    if (record.kind !== 'fault.begun' && record.kind !== 'fault.felt' && record.kind !== 'fault.ended') return null;
    if (record.fields.target !== CONTROLLER) return null;
    const { fault, kind } = record.fields;
    if (record.kind === 'fault.begun') {
      if (isCopyTaken(record)) this.#copies.set(fault, { since: this.#lyingSince ?? record.micros, isExact: this.#lyingSince === null });
      if (kind === 'disk-lies') {
        this.#lies.add(fault);
        this.#lyingSince ??= record.micros;
      }
      return null;
    }
    if (record.kind === 'fault.ended') {
      if (this.#lies.delete(fault) && this.#lies.size === 0) this.#lyingSince = null;
      return null;
    }
    const since = this.#sinceOf(fault, kind);
    if (since === null) return null;
    this.#any = true;
    this.#isWhole = kind === 'wipe' || this.#copies.get(fault)?.isExact === true;
    // What is there now is there, and what it acknowledges from here on is not.
    if (this.#lyingSince !== null) this.#lyingSince = record.micros;
    return since;
  }

  #sinceOf(fault: string, kind: string): number | null {
    switch (kind) {
      case 'wipe':
        return Number.NEGATIVE_INFINITY;
      case 'restore':
        return this.#copies.get(fault)?.since ?? Number.NEGATIVE_INFINITY;
      case 'crash':
        return this.#lyingSince;
      default:
        return null;
    }
  }
}
