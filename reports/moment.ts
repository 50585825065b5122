// What a run was like at one instant, folded from its record: machines, agents, instances, invocations, faults, queues. The
// record is all there is, in every world alike: what nobody recorded (memory of guests, timers, bytes on their way) is not
// in it, and nothing here pretends otherwise.
import type { RunRecord } from '../scenarios/record.ts';

/** Bound: what was said last, of one machine. */
export const LAST_RECORDS_MAX = 8;

type Since = { readonly sinceMicros: number };
type MachineMoment = Since & {
  readonly state: 'running' | 'paused' | 'stopped';
  readonly incarnation: number;
  readonly cause: string | null;
};
type InstanceMoment = Since & {
  readonly instance: string;
  readonly state: string;
  readonly node: string | null;
  readonly epoch: number;
  readonly version: number;
  readonly cause: string;
};
type Serving = Since & { readonly instance: string; readonly epoch: number; readonly version: number };
type Invocation = Since & { readonly event: string; readonly instance: string; readonly trigger: string; readonly attempt: number };
type Fault = Since & { readonly fault: string; readonly kind: string; readonly target: string; readonly detail: string };

/** One machine: itself, what its agent said, and what the controller held of it. */
export type NodeMoment = {
  readonly machine: MachineMoment | null;
  /** As the controller sees it; null before it was enrolled, and for the controller itself. */
  readonly status: (Since & { readonly status: string; readonly cause: string }) | null;
  readonly session: (Since & { readonly state: string; readonly cause: string }) | null;
  readonly lease: (Since & { readonly state: string }) | null;
  readonly desired: (Since & { readonly term: number; readonly revision: number; readonly assignments: number }) | null;
  /** What the controller placed on it. */
  readonly assigned: readonly InstanceMoment[];
  /** What its agent serves; what differs from `assigned` is on its way. */
  readonly serving: readonly Serving[];
  readonly invocations: readonly Invocation[];
  readonly invocationsFinished: number;
  readonly modules: readonly string[];
  readonly metrics: (Since & { readonly memoryBytesFree: number; readonly cpuPermille: number }) | null;
  readonly last: readonly RunRecord[];
};

export type RunMoment = {
  readonly phase: string | null;
  readonly faults: readonly Fault[];
  readonly queues: readonly (Since & { readonly queue: string; readonly depth: number; readonly bound: number })[];
  readonly instances: readonly InstanceMoment[];
};

type Mutable<T> = { -readonly [K in keyof T]: T[K] };
type Node = Mutable<Omit<NodeMoment, 'assigned' | 'serving' | 'invocations' | 'modules' | 'last'>> & {
  readonly serving: Map<string, Serving>;
  readonly invocations: Map<string, Invocation>;
  readonly modules: Set<string>;
  readonly last: RunRecord[];
};

/** Takes records in order, and says what came of them. */
export class Fold {
  readonly #nodes = new Map<string, Node>();
  readonly #instances = new Map<string, InstanceMoment>();
  readonly #faults = new Map<string, Fault>();
  readonly #queues = new Map<string, RunMoment['queues'][number]>();
  #phase: string | null = null;

  add(record: RunRecord): void {
    const sinceMicros = record.micros;
    keep(this.#node(record.source).last, record);
    switch (record.kind) {
      case 'run.phase':
        this.#phase = record.fields.phase;
        return;
      case 'machine.started':
        return this.#start(record.fields.machine, { state: 'running', incarnation: record.fields.incarnation, cause: null, sinceMicros });
      case 'machine.stopped':
        return this.#stop(record.fields.machine, record.fields.cause, sinceMicros);
      case 'machine.paused':
      case 'machine.resumed':
        return this.#pause(record.fields.machine, record.kind === 'machine.paused' ? 'paused' : 'running', sinceMicros);
      case 'fault.begun':
        this.#faults.set(record.fields.fault, { ...record.fields, sinceMicros });
        return;
      case 'fault.ended':
        this.#faults.delete(record.fields.fault);
        return;
      case 'queue.depth':
        this.#queues.set(record.fields.queue, { ...record.fields, sinceMicros });
        return;
      case 'node.enrolled':
        this.#node(record.fields.node).status = { status: 'healthy', cause: 'enrolled', sinceMicros };
        return;
      case 'node.status':
        this.#node(record.fields.node).status = { status: record.fields.to, cause: record.fields.cause, sinceMicros };
        return;
      case 'instance.state': {
        const { instance, to, node, epoch, version, cause } = record.fields;
        this.#instances.set(instance, { instance, state: to, node, epoch, version, cause, sinceMicros });
        return;
      }
      default:
        return this.#addAgent(record);
    }
  }

  /** Of the run as a whole. */
  run(): RunMoment {
    return { phase: this.#phase, faults: [...this.#faults.values()], queues: [...this.#queues.values()], instances: this.#sorted() };
  }

  names(): readonly string[] {
    return [...this.#nodes.keys()].sort();
  }

  /** Null when nothing was ever said by or of it. */
  node(name: string): NodeMoment | null {
    const node = this.#nodes.get(name);
    if (node === undefined) return null;
    const { serving, invocations, modules, last, ...rest } = node;
    return {
      ...rest,
      assigned: this.#sorted().filter((instance) => instance.node === name),
      serving: [...serving.values()],
      invocations: [...invocations.values()],
      modules: [...modules].sort(),
      last: [...last],
    };
  }

  #addAgent(record: RunRecord): void {
    const sinceMicros = record.micros;
    switch (record.kind) {
      case 'agent.session':
        this.#node(record.fields.node).session = { state: record.fields.state, cause: record.fields.cause, sinceMicros };
        return;
      case 'agent.lease':
        this.#node(record.fields.node).lease = { state: record.fields.state, sinceMicros };
        return;
      case 'agent.desired': {
        const { node, term, revision, assignments, applied } = record.fields;
        if (applied) this.#node(node).desired = { term, revision, assignments, sinceMicros };
        return;
      }
      case 'agent.metrics': {
        const { node, memoryBytesFree, cpuPermille } = record.fields;
        this.#node(node).metrics = { memoryBytesFree, cpuPermille, sinceMicros };
        return;
      }
      case 'artefact.loaded':
        this.#node(record.fields.node).modules.add(`${record.fields.module} version ${record.fields.version}`);
        return;
      case 'instance.serving': {
        const { node, instance, epoch, version } = record.fields;
        this.#node(node).serving.set(instance, { instance, epoch, version, sinceMicros });
        return;
      }
      case 'instance.ended':
        this.#node(record.fields.node).serving.delete(record.fields.instance);
        return;
      case 'invocation.started': {
        const { node, event, instance, trigger, attempt } = record.fields;
        this.#node(node).invocations.set(`${trigger} ${event} ${attempt}`, { event, instance, trigger, attempt, sinceMicros });
        return;
      }
      case 'invocation.finished': {
        const { node, event, trigger, attempt } = record.fields;
        const mine = this.#node(node);
        if (mine.invocations.delete(`${trigger} ${event} ${attempt}`)) mine.invocationsFinished++;
        return;
      }
      default:
    }
  }

  #start(name: string, machine: MachineMoment): void {
    this.#node(name).machine = machine;
  }

  /** What runs in a machine ends with it, whether or not somebody could still say so. */
  #stop(name: string, cause: string, sinceMicros: number): void {
    const node = this.#node(name);
    node.machine = { state: 'stopped', incarnation: node.machine?.incarnation ?? 0, cause, sinceMicros };
    node.serving.clear();
    node.invocations.clear();
    node.modules.clear();
    node.session = null;
    node.lease = null;
    node.metrics = null;
  }

  #pause(name: string, state: 'paused' | 'running', sinceMicros: number): void {
    const node = this.#node(name);
    if (node.machine !== null) node.machine = { ...node.machine, state, sinceMicros };
  }

  #sorted(): readonly InstanceMoment[] {
    return [...this.#instances.values()].sort((a, b) => (a.instance < b.instance ? -1 : 1));
  }

  #node(name: string): Node {
    const known = this.#nodes.get(name);
    if (known !== undefined) return known;
    const node: Node = {
      machine: null,
      status: null,
      session: null,
      lease: null,
      desired: null,
      metrics: null,
      invocationsFinished: 0,
      serving: new Map(),
      invocations: new Map(),
      modules: new Set(),
      last: [],
    };
    this.#nodes.set(name, node);
    return node;
  }
}

function keep(records: RunRecord[], record: RunRecord): void {
  records.push(record);
  if (records.length > LAST_RECORDS_MAX) records.shift();
}
