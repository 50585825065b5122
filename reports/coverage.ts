// Coverage (H3.3): which kinds of fault, transitions of the protocol, named states and invariants a set of recorded runs exercised,
// and which together. A transition or state counts as met by a fault that is active then, or ended shortly before. In the simulated
// world, which says when a fault first changes anything, a fault is active from then on, and one that changed nothing never is: a
// cut of a link that nobody uses explains nothing. Pure; reads records; which states there are, it is told.
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

/** Between the two names of a pair; in neither of them. */
const PAIR = ' × ';

/** A campaign that keeps no records counts as it goes, and leaves this. */
export const COVERAGE_FILE = 'coverage.json';

type Cell = { runs: number; begun: number; readonly under: Map<string, number> };

/** Named states of runs (`scenarios/goals`), and how to find them in the records of one run. */
export type StateSource = {
  readonly names: readonly string[];
  readonly watch: () => { readonly next: (record: RunRecord) => readonly string[] };
};

/** What one run brought. */
export type RunCoverage = {
  /** Pairs of (transition, state or invariant) and kind of fault that it met, each once; for what it met at all the kind is empty. */
  readonly pairs: readonly string[];
  /** How often each state was reached; those that were not are left out. */
  readonly states: ReadonlyMap<string, number>;
};

export type CoverageRow = {
  readonly name: string;
  /** Runs in which it was met, or checked. */
  readonly runs: number;
  /** The same by kind of fault; kinds without a run are left out. */
  readonly under: Readonly<Record<string, number>>;
};

/** `runs` felt a fault of the kind: it changed something. In worlds that cannot say so it is felt when it begins. */
export type FaultRow = CoverageRow & { readonly begun: number };

export type CoverageSummary = {
  readonly schema: 1;
  readonly runs: number;
  readonly faults: readonly FaultRow[];
  readonly transitions: readonly CoverageRow[];
  readonly states: readonly CoverageRow[];
  readonly invariants: readonly CoverageRow[];
  readonly never: {
    /** Never begun. */
    readonly faults: readonly string[];
    /** Begun, and felt in no run. */
    readonly unfelt: readonly string[];
    readonly transitions: readonly string[];
    readonly states: readonly string[];
    readonly invariants: readonly string[];
  };
};

/** What a file of coverage holds; older ones know no states, and of faults only that they began. */
type Counted = Omit<CoverageSummary, 'states' | 'faults' | 'never'> &
  Partial<Pick<CoverageSummary, 'states'>> & { readonly faults: readonly (CoverageRow & Partial<FaultRow>)[] };

export class Coverage {
  readonly #faults: ReadonlyMap<string, Cell>;
  readonly #transitions = tableOf(TRANSITIONS);
  readonly #states: ReadonlyMap<string, Cell>;
  readonly #invariants = new Map<string, Cell>();
  readonly #source: StateSource;
  #runs = 0;

  /** `kinds`: of the faults that there are. */
  constructor(kinds: readonly string[], source: StateSource) {
    this.#faults = tableOf(kinds);
    this.#states = tableOf(source.names);
    this.#source = source;
  }

  /** Pairs as `RunCoverage` has them: met so far, and all that there could be, whether or not anything can lead there. */
  get pairs(): { readonly met: number; readonly of: number } {
    const cells = [this.#transitions, this.#states, this.#invariants].flatMap((table) => [...table.values()]);
    const met = cells.reduce((total, { runs, under }) => total + (runs === 0 ? 0 : 1 + under.size), 0);
    return { met, of: cells.length * (this.#faults.size + 1) };
  }

  /**
   * One run; call `next` with each of its records in order, then `end`, with what its goals checked where that is known. `feels`: its
   * world records when a fault is felt.
   */
  run(feels: boolean): { readonly next: (record: RunRecord) => void; readonly end: (goals: readonly GoalResult[]) => RunCoverage } {
    const watch = this.#source.watch();
    const states = new Map<string, number>();
    const begun = new Set<string>();
    /** Kinds by fault, of faults that are active. */
    const active = new Map<string, string>();
    const ended = new Map<string, number>();
    const felt = new Set<string>();
    const met = new Map<string, Set<string>>();
    const under = (micros: number): readonly string[] => [
      ...new Set([...active.values(), ...[...ended].flatMap(([kind, at]) => (micros - at <= AFTERMATH_MICROS ? [kind] : []))]),
    ];
    let over = false;
    return {
      next: (record) => {
        // What comes after is the fleet being stopped, whatever broke before.
        over ||= record.kind === 'run.phase' && record.fields.phase === 'end';
        if (over) return;
        if (record.kind === 'fault.begun') begun.add(record.fields.kind);
        if (record.kind === (feels ? 'fault.felt' : 'fault.begun')) {
          active.set(record.fields.fault, record.fields.kind);
          felt.add(record.fields.kind);
        } else if (record.kind === 'fault.ended' && active.delete(record.fields.fault)) ended.set(record.fields.kind, record.micros);
        const reached = watch.next(record);
        for (const state of reached) states.set(state, (states.get(state) ?? 0) + 1);
        const transition = transitionOf(record);
        if (transition === null && reached.length === 0) return;
        const causes = under(record.micros);
        for (const name of transition === null ? reached : [transition, ...reached]) {
          const kinds = met.get(name) ?? new Set<string>();
          for (const kind of causes) kinds.add(kind);
          met.set(name, kinds);
        }
      },
      end: (goals) => {
        const pairs: string[] = [];
        this.#runs += 1;
        for (const kind of begun) {
          const cell = this.#faults.get(kind);
          if (cell !== undefined) cell.begun += 1;
        }
        for (const kind of felt) count(this.#faults.get(kind), kind, [...felt]);
        for (const [name, kinds] of met) pairs.push(...count(this.#transitions.get(name) ?? this.#states.get(name), name, [...kinds]));
        for (const name of new Set(goals.map((goal) => goal.name))) {
          if (!this.#invariants.has(name)) this.#invariants.set(name, emptyCell());
          if (goals.some((goal) => goal.name === name && goal.checks > 0))
            pairs.push(...count(this.#invariants.get(name), name, [...felt]));
        }
        return { pairs, states };
      },
    };
  }

  /** What another set of runs came to; one that was counted before states were has none. */
  include({ runs, faults, transitions, states = [], invariants }: Counted): void {
    this.#runs += runs;
    for (const { name } of invariants) if (!this.#invariants.has(name)) this.#invariants.set(name, emptyCell());
    for (const { name, runs: felt, begun = felt } of faults) {
      const cell = this.#faults.get(name);
      if (cell !== undefined) cell.begun += begun;
    }
    for (const [rows, table] of [
      [faults, this.#faults],
      [transitions, this.#transitions],
      [states, this.#states],
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
    const faults = rowsOf(this.#faults).map((row) => ({ ...row, begun: this.#faults.get(row.name)?.begun ?? 0 }));
    const [transitions, states, invariants] = [rowsOf(this.#transitions), rowsOf(this.#states), rowsOf(this.#invariants)];
    const never = (rows: readonly CoverageRow[]): readonly string[] => rows.filter(({ runs }) => runs === 0).map(({ name }) => name);
    return {
      schema: 1,
      runs: this.#runs,
      faults,
      transitions,
      states,
      invariants,
      never: {
        faults: faults.filter(({ begun }) => begun === 0).map(({ name }) => name),
        unfelt: never(faults.filter(({ begun }) => begun > 0)),
        transitions: never(transitions),
        states: never(states),
        invariants: never(invariants),
      },
    };
  }
}

/** A table for people: a row for each transition, state and invariant, a column for each kind of fault that was met. */
export function coverageLines(summary: CoverageSummary): readonly string[] {
  const kinds = summary.faults.filter(({ runs }) => runs > 0).map(({ name }) => name);
  const all = [...summary.transitions, ...summary.states, ...summary.invariants];
  const width = Math.max(...all.map(({ name }) => name.length));
  const line = ({ name, runs, under }: CoverageRow): string =>
    `${name.padEnd(width)}  ${String(runs).padStart(6)}  ${kinds.map((kind) => String(under[kind] ?? '·').padStart(Math.max(4, kind.length))).join('  ')}`.trimEnd();
  const head = `${''.padEnd(width)}  ${'runs'.padStart(6)}  ${kinds.map((kind) => kind.padStart(4)).join('  ')}`.trimEnd();
  return [`${summary.runs} runs`, head, ...all.map(line), '', neverLine(summary)];
}

/** What no run met, and which kinds of fault were begun without ever changing anything. */
export function neverLine({ never, faults }: Pick<CoverageSummary, 'never' | 'faults'>): string {
  const all = [...never.faults.map((kind) => `fault ${kind}`), ...never.transitions, ...never.states, ...never.invariants];
  const unfelt = faults.filter(({ name }) => never.unfelt.includes(name)).map(({ name, begun }) => `${name} in ${begun} runs`);
  const lines = [
    ...(all.length === 0 ? [] : [`Never: ${all.join(', ')}.`]),
    ...(unfelt.length === 0 ? [] : [`Begun, never felt: ${unfelt.join(', ')}.`]),
  ];
  return lines.length === 0 ? 'Everything was met.' : lines.join(' ');
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
  return new Map(names.map((name) => [name, emptyCell()]));
}

function emptyCell(): Cell {
  return { runs: 0, begun: 0, under: new Map() };
}

/** Tells the pairs that are counted. */
function count(cell: Cell | undefined, name: string, kinds: readonly string[]): readonly string[] {
  if (cell === undefined) return [];
  cell.runs += 1;
  for (const kind of kinds) cell.under.set(kind, (cell.under.get(kind) ?? 0) + 1);
  return ['', ...kinds].map((kind) => `${name}${PAIR}${kind}`);
}

function rowsOf(table: ReadonlyMap<string, Cell>): readonly CoverageRow[] {
  return [...table].map(([name, { runs, under }]) => ({ name, runs, under: Object.fromEntries(under) }));
}
