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
    for (const machine of machinesOf(record)) {
      const kept = this.#byMachine.get(machine) ?? [];
      keep(kept, record, LAST_RECORDS_PER_MACHINE);
      this.#byMachine.set(machine, kept);
    }
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

/** The machines a record tells about: its source, and the node or machine it names. */
function machinesOf(record: RunRecord): ReadonlySet<string> {
  const machines = new Set([record.source]);
  const fields: Readonly<Record<string, unknown>> = record.fields;
  for (const name of ['node', 'machine', 'target']) {
    const value = fields[name];
    if (typeof value === 'string') machines.add(value);
  }
  return machines;
}
