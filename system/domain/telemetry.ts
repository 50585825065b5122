// Every kind of record that the product and the testbeds write, with its fields. Goals read nothing else (architecture §10).
// A new kind is added here first. Fields are flat and printable; quantities carry their unit in the name.
import type { InstanceState } from './deployment.ts';
import type { ErrorCode } from './errors.ts';
import type { NodeStatus } from './node.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export type RecordKinds = {
  // Anything a person may want to read and no goal depends on.
  log: { level: LogLevel; message: string };

  // controller
  'controller.started': { term: number; sequence: number; entries: number };
  'controller.stopped': { term: number; cause: string };
  'node.enrolled': {
    node: string;
    incarnation: number;
    architecture: string;
    zone: string;
    cores: number;
    memoryBytes: number;
    profile: string;
  };
  /** It is somewhere else than it said last; degrees. */
  'node.moved': { node: string; incarnation: number; latitude: number; longitude: number };
  'node.status': { node: string; incarnation: number; from: string; to: string; cause: string };
  'trust.added': { key: string };
  'trust.revoked': { key: string };
  'module.stored': { module: string; version: number; digest: string; key: string };
  'module.refused': { module: string; digest: string; key: string | null; code: ErrorCode };
  'artefact.signed': { module: string; version: number; profile: string; artefact: string };
  'deployment.applied': { deployment: string; module: string; version: number; replicas: number; revision: number };
  'deployment.deleted': { deployment: string };
  'trigger.applied': { trigger: string; deployment: string; subject: string };
  'rollback.accepted': { deployment: string; from: number; to: number };
  /** The commands for every affected node have left (R2.2). */
  'rollback.issued': { deployment: string; version: number; nodes: number; micros: number };
  'placement.decided': {
    instance: string;
    node: string;
    score: number;
    proximityMicros: number | null;
    /** What factors besides proximity have in the score; below 0 where a node is promised more than it has. */
    otherPoints: number;
    feasible: number;
    why: string;
    runnersUp: string;
  };
  'placement.refused': { instance: string; why: string };
  /** The controller's view; from and to are states of `InstanceState`. */
  'instance.state': {
    instance: string;
    deployment: string;
    from: string;
    to: string;
    node: string | null;
    epoch: number;
    version: number;
    cause: string;
  };
  'command.accepted': { id: string; command: string; sequence: number };
  'command.refused': { id: string; command: string; code: ErrorCode };
  /** The reply left: what it confirms must survive every crash from here on (R13.6). `micros` is since the command came. */
  'command.acknowledged': { id: string; command: string; sequence: number; micros: number };
  'security.refused': { node: string; subject: string; code: ErrorCode; message: string };

  // agent
  'agent.started': { node: string; bootId: string; version: string };
  'agent.session': { node: string; state: 'connected' | 'lost'; attempt: number; cause: string };
  'agent.lease': { node: string; state: 'held' | 'lapsed' };
  'agent.desired': { node: string; term: number; revision: number; assignments: number; applied: boolean };
  'agent.metrics': {
    node: string;
    invocations: number;
    failures: number;
    fuel: number;
    invocationsActive: number;
    memoryBytesFree: number;
    cpuPermille: number;
  };
  'artefact.fetched': { node: string; artefact: string; bytes: number };
  'artefact.loaded': { node: string; module: string; version: number; digest: string; artefact: string; key: string };
  'artefact.refused': { node: string; module: string; version: number; artefact: string; code: ErrorCode };
  /** The agent serves this instance from here on. */
  'instance.serving': { node: string; instance: string; epoch: number; version: number };
  'instance.ended': { node: string; instance: string; epoch: number; cause: string };
  'invocation.started': { node: string; instance: string; epoch: number; version: number; trigger: string; event: string; attempt: number };
  /** `outcome` is `completed` when the guest returned 0 and its result is durable, otherwise a `WM_*` code. Written before the delivery is settled. */
  'invocation.finished': {
    node: string;
    instance: string;
    epoch: number;
    version: number;
    trigger: string;
    event: string;
    attempt: number;
    outcome: string;
    fuel: number;
    memoryBytesPeak: number;
    micros: number;
    hostCalls: number;
  };
  /** The instances of a node's engine that exist while nothing runs (P11: none). */
  'invocation.idle': { node: string; guests: number };
  'capability.refused': { node: string; instance: string; module: string; capability: string; operation: string };

  // broker and state store
  'event.accepted': { event: string; subject: string; sequence: number; bytes: number; instance: string | null; epoch: number | null };
  'event.refused': { event: string; subject: string; code: ErrorCode };
  'event.duplicate': { event: string; subject: string; sequence: number };
  'event.delivered': { consumer: string; event: string; sequence: number; attempt: number; instance: string | null; epoch: number | null };
  'event.acknowledged': {
    consumer: string;
    event: string;
    sequence: number;
    attempt: number;
    instance: string | null;
    epoch: number | null;
  };
  'event.retried': { consumer: string; event: string; sequence: number; attempt: number; delayMs: number; code: string };
  'event.deadlettered': { consumer: string; event: string; sequence: number; attempts: number; code: string };
  'effect.fenced': { what: string; instance: string; epoch: number; current: number };
  'fence.raised': { instance: string; epoch: number };
  'consumer.created': { consumer: string; filter: string; next: number };
  'queue.depth': { queue: string; depth: number; bound: number };
  'state.written': { key: string; version: number; bytes: number; instance: string | null; epoch: number | null };

  // gateways to other brokers
  'gateway.session': { gateway: string; broker: string; state: 'connected' | 'lost'; attempt: number; cause: string };
  /** What can never be handed over, in either direction; `event` is null when it did not become one. */
  'gateway.refused': { gateway: string; direction: 'in' | 'out'; topic: string; event: string | null; code: ErrorCode; message: string };

  // testbed: what was really done to the world
  'run.started': { scenario: string; world: string; durationMs: number };
  'run.phase': { phase: 'start' | 'work' | 'quiet' | 'end' };
  'machine.started': { machine: string; role: 'controller' | 'node'; zone: string; incarnation: number };
  'machine.stopped': { machine: string; role: 'controller' | 'node'; cause: string };
  'machine.paused': { machine: string };
  'machine.resumed': { machine: string };
  /** All of its work takes so many times as long from here on, 1: as it did, on account of heat or its battery. */
  'machine.throttled': { machine: string; factor: number; cause: string };
  /** A zone that moves is somewhere else; degrees. */
  'vehicle.moved': { vehicle: string; latitude: number; longitude: number };
  /** From cell to cell, null for none; `zone` is where the new one enters the network. */
  'vehicle.attached': { vehicle: string; from: string | null; to: string | null; zone: string | null };
  'fault.begun': { fault: string; kind: string; target: string; detail: string };
  /** The first time that it changed anything: bytes on their way, a request, a machine that was on. */
  'fault.felt': { fault: string; kind: string; target: string };
  'fault.ended': { fault: string; kind: string; target: string };
  /** An artefact or module that carries a signature which must not be believed. */
  'forgery.made': { what: 'artefact' | 'module'; digest: string; detail: string };
  /** No engine runs the guests of this module: the simulator plays them by `model`, as JSON. */
  'guests.modelled': { digest: string; model: string };
  'workload.published': {
    event: string;
    subject: string;
    outcome: 'accepted' | 'refused' | 'unknown';
    code: string | null;
    micros: number;
  };
  'workload.result': { event: string; subject: string; source: string; trigger: string; data: string };
  /** `step`: position of the scenario's step that it is of, from 0. */
  'operator.commanded': { id: string; command: string; step: number | null };
  'operator.answered': {
    id: string;
    command: string;
    outcome: 'done' | 'refused' | 'unknown';
    code: string | null;
    sequence: number | null;
    micros: number;
  };
  'state.observed': { key: string; value: string | null };
  'inventory.observed': {
    node: string;
    status: string;
    incarnation: number;
    architecture: string;
    zone: string;
    cores: number;
    memoryBytes: number;
  };
  'module.observed': { module: string; version: number; digest: string; key: string };
  'instance.observed': { instance: string; state: string; node: string | null; epoch: number; version: number };
};

export type RecordKind = keyof RecordKinds;

/** A record before it is said: what a pure function found worth telling. */
export type Fact = { [K in RecordKind]: { readonly kind: K; readonly fields: Readonly<RecordKinds[K]> } }[RecordKind];

/** What a leading controller has at a moment, counted: figures that no record tells after a restart. */
export type Census = {
  readonly term: number;
  readonly nodes: Readonly<Record<NodeStatus, number>>;
  /** Agents with an open session. */
  readonly sessions: number;
  readonly deployments: readonly {
    readonly deployment: string;
    readonly replicas: number;
    readonly instances: Readonly<Record<InstanceState, number>>;
  }[];
  /** Last record of the journal that is durable. */
  readonly journalSequence: number;
  readonly queues: readonly { readonly queue: string; readonly depth: number; readonly bound: number }[];
};
