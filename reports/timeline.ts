// What the page shows of one run, made of its records: lanes with bands, bars and marks, faults, breaches, a bounded log.
// Pure; drawing is the page's. Records come one by one, so that a long run is never held whole.
import type { MachineSummary, RunHeader, RunRecord, RunSummary } from '../scenarios/record.ts';
import { Answers, type Answer } from './answers.ts';
import { describeRecord } from './describe.ts';
import { concerns } from './targets.ts';

/** Bound: log lines embedded for one run; what happens often is thinned out evenly, the rest is kept first. */
export const LOG_LINES_MAX = 2_500;
/** Bound: length of what a log line says; run.jsonl has all of it. */
const LINE_LENGTH_MAX = 180;
/** Bound: invocation times embedded for one machine; then every second one goes. */
export const TICKS_MAX = 4_000;

/** Kinds that come with every event: thinned out when there are too many lines. */
const FREQUENT = new Set([
  'event.accepted',
  'event.delivered',
  'event.acknowledged',
  'event.refused',
  'event.duplicate',
  'event.retried',
  'invocation.started',
  'invocation.finished',
  'invocation.idle',
  'workload.published',
  'workload.result',
  'queue.depth',
  'agent.metrics',
  'agent.desired',
  'state.written',
  'log',
]);

export type Band = { readonly from: number; to: number; readonly state: string; readonly why: string };
export type Bar = {
  readonly from: number;
  to: number;
  readonly instance: string;
  readonly version: number;
  readonly epoch: number;
  why: string;
};
export type Mark = { readonly at: number; readonly kind: string; readonly text: string };
export type Lane = {
  readonly machine: MachineSummary;
  readonly bands: readonly Band[];
  readonly bars: readonly Bar[];
  readonly marks: readonly Mark[];
  /** Times at which an invocation ended well, and at which one did not, thinned out evenly; each stands for `each`. */
  readonly completed: readonly number[];
  readonly failed: readonly number[];
  readonly each: number;
};
export type Span = {
  readonly from: number;
  to: number;
  readonly kind: string;
  readonly target: string;
  readonly detail: string;
  /** Positions of the lanes that it concerns. */
  readonly lanes: readonly number[];
};
/** Sources and kinds are positions in the tables of the view. */
export type LogLine = readonly [micros: number, source: number, kind: number, text: string];

export type RunView = {
  readonly scenario: string;
  readonly seed: string;
  readonly world: string;
  readonly endMicros: number;
  readonly lanes: readonly Lane[];
  readonly faults: readonly Span[];
  readonly phases: readonly { readonly at: number; readonly phase: string }[];
  readonly answers: readonly Answer[];
  readonly answersTotal: number;
  readonly sources: readonly string[];
  readonly kinds: readonly string[];
  readonly log: readonly LogLine[];
  readonly logTotal: number;
};

type OpenLane = {
  machine: MachineSummary;
  bands: Band[];
  bars: Bar[];
  open: Map<string, Bar>;
  marks: Mark[];
  completed: number[];
  failed: number[];
  each: number;
  completedTotal: number;
};

/** Marks: which records are shown in a lane, and as what. */
function markOf(record: RunRecord): { readonly machine: string; readonly kind: string; readonly text: string } | null {
  switch (record.kind) {
    case 'capability.refused':
      return { machine: record.fields.node, kind: 'refusal', text: `${record.fields.operation} refused to ${record.fields.instance}` };
    case 'artefact.refused':
      return {
        machine: record.fields.node,
        kind: 'refusal',
        text: `artefact of ${record.fields.module} version ${record.fields.version} refused: ${record.fields.code}`,
      };
    case 'module.refused':
      return { machine: record.source, kind: 'refusal', text: `module ${record.fields.module} refused: ${record.fields.code}` };
    case 'module.stored':
      return { machine: record.source, kind: 'version', text: `module ${record.fields.module} version ${record.fields.version} stored` };
    case 'event.deadlettered':
      return {
        machine: record.source,
        kind: 'deadletter',
        text: `event ${record.fields.event} dead-lettered after ${record.fields.attempts} deliveries: ${record.fields.code}`,
      };
    case 'effect.fenced':
      return {
        machine: record.source,
        kind: 'fenced',
        text: `${record.fields.what} of ${record.fields.instance} in epoch ${record.fields.epoch} refused; current epoch ${record.fields.current}`,
      };
    case 'rollback.accepted':
      return {
        machine: record.source,
        kind: 'version',
        text: `rollback of ${record.fields.deployment} from version ${record.fields.from} to ${record.fields.to}`,
      };
    case 'deployment.applied':
      return {
        machine: record.source,
        kind: 'version',
        text: `deployment ${record.fields.deployment}: ${record.fields.replicas} × ${record.fields.module} version ${record.fields.version}`,
      };
    case 'node.status':
      return record.fields.to === 'suspect' || record.fields.to === 'unavailable'
        ? { machine: record.fields.node, kind: 'status', text: `${record.fields.to}: ${record.fields.cause}` }
        : null;
    case 'placement.decided':
      return {
        machine: record.fields.node,
        kind: 'placement',
        text: `${record.fields.instance} placed here, ${Math.round(record.fields.score)} points: ${record.fields.why}`,
      };
    case 'placement.refused':
      return { machine: record.source, kind: 'refusal', text: `${record.fields.instance} could not be placed: ${record.fields.why}` };
    case 'agent.lease':
      return record.fields.state === 'lapsed'
        ? { machine: record.fields.node, kind: 'lease', text: 'the lease lapsed: movable work stops' }
        : null;
    case 'controller.started':
      return {
        machine: record.source,
        kind: 'version',
        text: `controller started: term ${record.fields.term}, journal at ${record.fields.sequence}`,
      };
    default:
      return null;
  }
}

export class Timeline {
  readonly #header: RunHeader['run'];
  readonly #linesMax: number;
  readonly #lanes = new Map<string, OpenLane>();
  readonly #faults: Span[] = [];
  readonly #openFaults = new Map<string, Span>();
  readonly #phases: { at: number; phase: string }[] = [];
  readonly #answers = new Answers();
  readonly #sources = new Map<string, number>();
  readonly #kinds = new Map<string, number>();
  readonly #rare: LogLine[] = [];
  readonly #frequent: LogLine[] = [];
  #keepEvery = 1;
  #seen = 0;
  #total = 0;
  #end = 0;

  constructor(header: RunHeader['run'], linesMax: number = LOG_LINES_MAX) {
    this.#header = header;
    this.#linesMax = Math.max(1, Math.min(linesMax, LOG_LINES_MAX));
    for (const machine of header.fleet) {
      this.#lanes.set(machine.machine, {
        machine,
        bands: [],
        bars: [],
        open: new Map(),
        marks: [],
        completed: [],
        failed: [],
        each: 1,
        completedTotal: 0,
      });
    }
  }

  add(record: RunRecord): void {
    this.#log(record);
    // What follows the end is the testbed tearing everything down, and says nothing about the claim.
    if (this.#phases.at(-1)?.phase === 'end') return undefined;
    this.#end = Math.max(this.#end, record.micros);
    const mark = markOf(record);
    if (mark !== null) this.#lanes.get(mark.machine)?.marks.push({ at: record.micros, kind: mark.kind, text: mark.text });
    switch (record.kind) {
      case 'machine.started':
        return this.#turn(record.fields.machine, record.micros, record.fields.role === 'controller' ? 'healthy' : 'starting', 'started');
      case 'machine.stopped':
        this.#endBars(record.fields.machine, record.micros, 'the machine stopped');
        return this.#turn(record.fields.machine, record.micros, 'off', record.fields.cause);
      case 'machine.paused':
        return this.#turn(record.fields.machine, record.micros, 'paused', 'frozen');
      case 'machine.resumed':
        return this.#turn(record.fields.machine, record.micros, 'healthy', 'resumed');
      case 'node.enrolled':
        return this.#turn(record.fields.node, record.micros, 'healthy', `enrolled, incarnation ${record.fields.incarnation}`);
      case 'node.status':
        return this.#isDown(record.fields.node)
          ? undefined
          : this.#turn(record.fields.node, record.micros, record.fields.to, record.fields.cause);
      case 'instance.serving': {
        const { node, instance, version, epoch } = record.fields;
        this.#endBar(node, instance, record.micros, 'newer version or epoch');
        const bar: Bar = { from: record.micros, to: record.micros, instance, version, epoch, why: '' };
        const lane = this.#lanes.get(node);
        lane?.bars.push(bar);
        lane?.open.set(instance, bar);
        return undefined;
      }
      case 'instance.ended':
        return this.#endBar(record.fields.node, record.fields.instance, record.micros, record.fields.cause);
      case 'invocation.finished': {
        const lane = this.#lanes.get(record.fields.node);
        if (lane !== undefined) tick(lane, record.micros, record.fields.outcome === 'completed');
        return undefined;
      }
      case 'event.accepted':
        return this.#answers.accepted(record.fields.event, record.micros);
      case 'event.acknowledged':
        return this.#answers.acknowledged(record.fields.event, record.micros);
      case 'fault.begun': {
        const { fault, kind, target, detail } = record.fields;
        const lanes = [...this.#lanes.values()].flatMap(({ machine }, i) => (concerns(target, machine) ? [i] : []));
        const span: Span = { from: record.micros, to: record.micros, kind, target, detail, lanes };
        this.#faults.push(span);
        this.#openFaults.set(fault, span);
        return undefined;
      }
      case 'fault.ended': {
        const span = this.#openFaults.get(record.fields.fault);
        if (span !== undefined) span.to = record.micros;
        this.#openFaults.delete(record.fields.fault);
        return undefined;
      }
      case 'run.phase':
        this.#phases.push({ at: record.micros, phase: record.fields.phase });
        return undefined;
      default:
        return undefined;
    }
  }

  finish(): RunView {
    for (const lane of this.#lanes.values()) {
      const last = lane.bands.at(-1);
      if (last !== undefined) last.to = this.#end;
      for (const bar of lane.open.values()) bar.to = this.#end;
    }
    for (const span of this.#openFaults.values()) span.to = this.#end;
    return {
      scenario: this.#header.scenario,
      seed: this.#header.seed,
      world: this.#header.world,
      endMicros: this.#end,
      lanes: [...this.#lanes.values()].map(({ machine, bands, bars, marks, completed, failed, each }) => ({
        machine,
        bands,
        bars,
        marks,
        completed,
        failed,
        each,
      })),
      faults: this.#faults,
      phases: this.#phases,
      ...this.#answers.finish(),
      sources: [...this.#sources.keys()],
      kinds: [...this.#kinds.keys()],
      log: this.#lines(),
      logTotal: this.#total,
    };
  }

  #turn(machine: string, micros: number, state: string, why: string): void {
    const lane = this.#lanes.get(machine);
    if (lane === undefined) return;
    const last = lane.bands.at(-1);
    if (last !== undefined) last.to = micros;
    lane.bands.push({ from: micros, to: micros, state, why });
  }

  /** A machine that is off or frozen is shown as that, whatever the controller believes of it by then. */
  #isDown(machine: string): boolean {
    const state = this.#lanes.get(machine)?.bands.at(-1)?.state;
    return state === 'off' || state === 'paused';
  }

  #endBar(machine: string, instance: string, micros: number, why: string): void {
    const lane = this.#lanes.get(machine);
    const bar = lane?.open.get(instance);
    if (bar === undefined) return;
    bar.to = micros;
    bar.why = why;
    lane?.open.delete(instance);
  }

  #endBars(machine: string, micros: number, why: string): void {
    for (const instance of [...(this.#lanes.get(machine)?.open.keys() ?? [])]) this.#endBar(machine, instance, micros, why);
  }

  #log(record: RunRecord): void {
    this.#total += 1;
    const line: LogLine = [
      record.micros,
      positionOf(this.#sources, record.source),
      positionOf(this.#kinds, record.kind),
      clip(describeRecord(record).slice(record.kind.length + 1)),
    ];
    if (!FREQUENT.has(record.kind)) {
      this.#rare.push(line);
      return;
    }
    this.#seen += 1;
    if (this.#seen % this.#keepEvery !== 0) return;
    this.#frequent.push(line);
    if (this.#frequent.length < this.#linesMax) return;
    // Full: every second line goes, and from now on only every second one comes.
    this.#keepEvery *= 2;
    for (let i = this.#frequent.length - 1; i >= 0; i -= 2) this.#frequent.splice(i, 1);
  }

  #lines(): readonly LogLine[] {
    const rare = this.#rare.slice(0, this.#linesMax);
    const room = Math.max(0, this.#linesMax - rare.length);
    const step = Math.max(1, Math.ceil(this.#frequent.length / Math.max(1, room)));
    const frequent = room === 0 ? [] : this.#frequent.filter((_line, i) => i % step === 0);
    return [...rare, ...frequent].sort((a, b) => a[0] - b[0]);
  }
}

/** Counts an invocation; a lane that is full keeps every second time, and every time stands for twice as many. */
function tick(lane: OpenLane, micros: number, completed: boolean): void {
  // Failures are what one looks for: they stay as long as there is room.
  if (!completed) {
    if (lane.failed.length < TICKS_MAX) lane.failed.push(micros);
    return;
  }
  lane.completedTotal += 1;
  if (lane.completedTotal % lane.each !== 0) return;
  lane.completed.push(micros);
  if (lane.completed.length < TICKS_MAX) return;
  lane.each *= 2;
  for (let i = lane.completed.length - 1; i >= 0; i -= 2) lane.completed.splice(i, 1);
}

function clip(text: string): string {
  return text.length > LINE_LENGTH_MAX ? `${text.slice(0, LINE_LENGTH_MAX - 1)}…` : text;
}

function positionOf(table: Map<string, number>, name: string): number {
  const known = table.get(name);
  if (known !== undefined) return known;
  table.set(name, table.size);
  return table.size - 1;
}

/** Runs that the page holds in full: what failed, and the first seed of each scenario in each world. Bounded, failures first. */
export function runsToEmbed(runs: readonly RunSummary[], most: number): ReadonlySet<number> {
  const failed = runs.flatMap((run, i) => (run.verdict === 'held' ? [] : [i]));
  const firsts = runs.flatMap((run, i) =>
    runs.findIndex((other) => other.scenario === run.scenario && other.world === run.world) === i ? [i] : [],
  );
  return new Set([...failed, ...firsts].slice(0, most));
}
