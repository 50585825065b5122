// The last records of a run, of each machine and of all, kept for the explanation of a failure.
import type { RunRecord } from './record.ts';

/** Bound: records kept for the explanation of a failure, of the machine concerned and of all. */
const LAST_RECORDS_PER_MACHINE = 12;
const LAST_RECORDS_OVERALL = 40;

export class History {
  readonly #overall: RunRecord[] = [];
  readonly #byMachine = new Map<string, RunRecord[]>();

  add(record: RunRecord): void {
    keep(this.#overall, record, LAST_RECORDS_OVERALL);
    const fields: Readonly<Record<string, unknown>> = record.fields;
    const { source } = record;
    const { node, machine, target } = fields;
    this.#keepFor(source, record);
    if (node !== source) this.#keepFor(node, record);
    if (machine !== source && machine !== node) this.#keepFor(machine, record);
    if (target !== source && target !== node && target !== machine) this.#keepFor(target, record);
  }

  /** A record tells about its source, and about the node or machine that it names. */
  #keepFor(machine: unknown, record: RunRecord): void {
    if (typeof machine !== 'string') return;
    let kept = this.#byMachine.get(machine);
    if (kept === undefined) this.#byMachine.set(machine, (kept = []));
    keep(kept, record, LAST_RECORDS_PER_MACHINE);
  }

  /** A copy as of now, which later records do not change. */
  snapshot(): History {
    const copy = new History();
    copy.#overall.push(...this.#overall);
    for (const [machine, records] of this.#byMachine) copy.#byMachine.set(machine, [...records]);
    return copy;
  }

  /** The last records of a machine; of all where none is named or it said nothing. */
  of(machine: string | null): readonly RunRecord[] {
    return (machine === null ? undefined : this.#byMachine.get(machine)) ?? this.#overall;
  }
}

function keep(records: RunRecord[], record: RunRecord, max: number): void {
  records.push(record);
  if (records.length > max) records.shift();
}
