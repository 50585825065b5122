// Coverage (H3.3): which kinds of fault, transitions of the protocol and invariants a set of recorded runs exercised, and which
// together. A transition counts as met by a fault that is active then, or ended shortly before. Pure; reads records.
import { INSTANCE_TRANSITIONS } from '../system/domain/deployment.ts';
import { NODE_TRANSITIONS } from '../system/domain/node.ts';
import type { GoalResult, RunRecord } from '../scenarios/record.ts';

/** What a fault leaves behind goes on for so long: a lease, a grace period, a backoff. */
const AFTERMATH_MICROS = 5_000_000;

/** Records that are a turn of the protocol by being written at all. */
const TURNS: Readonly<Partial<Record<RunRecord['kind'], string>>> = {
  'placement.refused': 'placement refused',
  'command.refused': 'command refused',
  'module.refused': 'module refused',
  'artefact.refused': 'artefact refused',
  'capability.refused': 'capability refused',
  'rollback.issued': 'rollback issued',
  'event.refused': 'event refused',
  'event.duplicate': 'event is a duplicate',
  'event.retried': 'event delivered again',
  'event.deadlettered': 'event dead-lettered',
  'effect.fenced': 'effect fenced',
};

/** Everything that could be met. */
export const TRANSITIONS: readonly string[] = [
  ...pairs('instance', INSTANCE_TRANSITIONS),
  ...pairs('node', NODE_TRANSITIONS),
  'session connected',
  'session lost',
  'lease held',
  'lease lapsed',
  'controller started again',
  ...Object.values(TURNS),
];

/** A campaign that keeps no records counts as it goes, and leaves this. */
export const COVERAGE_FILE = 'coverage.json';

type Cell = { runs: number; readonly under: Map<string, number> };

export type CoverageRow = {
  readonly name: string;
  /** Runs in which it was met, or checked. */
  readonly runs: number;
  /** The same by kind of fault; kinds without a run are left out. */
  readonly under: Readonly<Record<string, number>>;
};

export type CoverageSummary = {
  readonly schema: 1;
  readonly runs: number;
  readonly faults: readonly CoverageRow[];
  readonly transitions: readonly CoverageRow[];
  readonly invariants: readonly CoverageRow[];
  readonly never: { readonly faults: readonly string[]; readonly transitions: readonly string[]; readonly invariants: readonly string[] };
};

export class Coverage {
  readonly #faults: ReadonlyMap<string, Cell>;
  readonly #transitions = tableOf(TRANSITIONS);
  readonly #invariants = new Map<string, Cell>();
  #runs = 0;

  /** `kinds`: of the faults that there are. */
  constructor(kinds: readonly string[]) {
    this.#faults = tableOf(kinds);
  }

  /** One run; call `next` with each of its records in order, then `end`, with what its goals checked where that is known. */
  run(): { readonly next: (record: RunRecord) => void; readonly end: (goals: readonly GoalResult[]) => void } {
    const active = new Map<string, string>();
    const ended = new Map<string, number>();
    const seen = new Set<string>();
    const met = new Map<string, Set<string>>();
    const under = (micros: number): readonly string[] => [
      ...new Set([...active.values(), ...[...ended].flatMap(([kind, at]) => (micros - at <= AFTERMATH_MICROS ? [kind] : []))]),
    ];
    return {
      next: (record) => {
        if (record.kind === 'fault.begun') {
          active.set(record.fields.fault, record.fields.kind);
          seen.add(record.fields.kind);
        } else if (record.kind === 'fault.ended') {
          active.delete(record.fields.fault);
          ended.set(record.fields.kind, record.micros);
        }
        const name = transitionOf(record);
        if (name === null) return;
        const kinds = met.get(name) ?? new Set<string>();
        for (const kind of under(record.micros)) kinds.add(kind);
        met.set(name, kinds);
      },
      end: (goals) => {
        this.#runs += 1;
        for (const kind of seen) count(this.#faults.get(kind), [...seen]);
        for (const [name, kinds] of met) count(this.#transitions.get(name), [...kinds]);
        for (const name of new Set(goals.map((goal) => goal.name))) {
          if (!this.#invariants.has(name)) this.#invariants.set(name, { runs: 0, under: new Map() });
          if (goals.some((goal) => goal.name === name && goal.checks > 0)) count(this.#invariants.get(name), [...seen]);
        }
      },
    };
  }

  /** What another set of runs came to. */
  include({ runs, faults, transitions, invariants }: CoverageSummary): void {
    this.#runs += runs;
    for (const { name } of invariants) if (!this.#invariants.has(name)) this.#invariants.set(name, { runs: 0, under: new Map() });
    for (const [rows, table] of [
      [faults, this.#faults],
      [transitions, this.#transitions],
      [invariants, this.#invariants],
    ] as const) {
      for (const row of rows) {
        const cell = table.get(row.name);
        if (cell === undefined) continue;
        cell.runs += row.runs;
        for (const [kind, n] of Object.entries(row.under)) cell.under.set(kind, (cell.under.get(kind) ?? 0) + n);
      }
    }
  }

  summary(): CoverageSummary {
    const [faults, transitions, invariants] = [this.#faults, this.#transitions, this.#invariants].map(rowsOf);
    const never = (rows: readonly CoverageRow[] = []): readonly string[] => rows.filter(({ runs }) => runs === 0).map(({ name }) => name);
    return {
      schema: 1,
      runs: this.#runs,
      faults: faults ?? [],
      transitions: transitions ?? [],
      invariants: invariants ?? [],
      never: { faults: never(faults), transitions: never(transitions), invariants: never(invariants) },
    };
  }
}

/** A table for people: a row for each transition and invariant, a column for each kind of fault that was met. */
export function coverageLines(summary: CoverageSummary): readonly string[] {
  const kinds = summary.faults.filter(({ runs }) => runs > 0).map(({ name }) => name);
  const all = [...summary.transitions, ...summary.invariants];
  const width = Math.max(...all.map(({ name }) => name.length));
  const line = ({ name, runs, under }: CoverageRow): string =>
    `${name.padEnd(width)}  ${String(runs).padStart(6)}  ${kinds.map((kind) => String(under[kind] ?? '·').padStart(Math.max(4, kind.length))).join('  ')}`.trimEnd();
  const head = `${''.padEnd(width)}  ${'runs'.padStart(6)}  ${kinds.map((kind) => kind.padStart(4)).join('  ')}`.trimEnd();
  return [`${summary.runs} runs`, head, ...all.map(line), '', neverLine(summary)];
}

export function neverLine({ never }: CoverageSummary): string {
  const all = [...never.faults.map((kind) => `fault ${kind}`), ...never.transitions, ...never.invariants];
  return all.length === 0 ? 'Everything was met.' : `Never: ${all.join(', ')}.`;
}

function transitionOf(record: RunRecord): string | null {
  switch (record.kind) {
    case 'instance.state':
      return `instance ${record.fields.from} to ${record.fields.to}`;
    case 'node.status':
      return `node ${record.fields.from} to ${record.fields.to}`;
    case 'agent.session':
      return `session ${record.fields.state}`;
    case 'agent.lease':
      return `lease ${record.fields.state}`;
    case 'controller.started':
      return record.fields.term > 1 ? 'controller started again' : null;
    default:
      return TURNS[record.kind] ?? null;
  }
}

function pairs(what: string, table: Readonly<Record<string, readonly string[]>>): readonly string[] {
  return Object.entries(table).flatMap(([from, all]) => all.map((to) => `${what} ${from} to ${to}`));
}

function tableOf(names: readonly string[]): ReadonlyMap<string, Cell> {
  return new Map(names.map((name) => [name, { runs: 0, under: new Map<string, number>() }]));
}

function count(cell: Cell | undefined, kinds: readonly string[]): void {
  if (cell === undefined) return;
  cell.runs += 1;
  for (const kind of kinds) cell.under.set(kind, (cell.under.get(kind) ?? 0) + 1);
}

function rowsOf(table: ReadonlyMap<string, Cell>): readonly CoverageRow[] {
  return [...table].map(([name, { runs, under }]) => ({ name, runs, under: Object.fromEntries(under) }));
}
