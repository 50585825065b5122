// Times that records tell of, by name: what `budget` measures. Each says which kind of record ends it, whose fields a budget may
// choose by. Bound: OPEN_MAX beginnings without an end are remembered; the oldest is forgotten, and then not measured.
import type { RecordKind } from '../../system/domain/telemetry.ts';
import type { RunRecord } from '../record.ts';
import { STOPPED_IN_ORDER } from './goal.ts';

const OPEN_MAX = 50_000;

/** Of every record in order; tells a time in microseconds at the record that ends it, if `counts` says so of that record. */
type Watch = (record: RunRecord, counts: (end: RunRecord) => boolean, took: (micros: number) => void) => void;

export type DurationDefinition = {
  /** From what to what, for the list of durations. */
  readonly meaning: string;
  readonly ends: RecordKind;
  readonly create: () => Watch;
};

export const DURATIONS: Readonly<Record<string, DurationDefinition>> = {
  answer: {
    meaning: 'from the first publication of an accepted event to each of its results',
    ends: 'workload.result',
    create: answer,
  },
  publication: {
    meaning: 'from the first publication of an event to the answer that it is accepted',
    ends: 'workload.published',
    create: () => (record, counts, took) => {
      if (record.kind === 'workload.published' && record.fields.outcome === 'accepted' && counts(record)) took(record.fields.micros);
    },
  },
  settlement: {
    meaning: 'from the acceptance of an event by the broker to each acknowledgement for a consumer',
    ends: 'event.acknowledged',
    create: settlement,
  },
  invocation: {
    meaning: 'of a guest that completed, from its start to its end',
    ends: 'invocation.finished',
    create: () => (record, counts, took) => {
      if (record.kind === 'invocation.finished' && record.fields.outcome === 'completed' && counts(record)) took(record.fields.micros);
    },
  },
  command: {
    meaning: "from an operator's command to the answer that it is done",
    ends: 'operator.answered',
    create: () => (record, counts, took) => {
      if (record.kind === 'operator.answered' && record.fields.outcome === 'done' && counts(record)) took(record.fields.micros);
    },
  },
  rollback: {
    meaning: 'from the acceptance of a rollback until its commands have left for every node',
    ends: 'rollback.issued',
    create: () => (record, counts, took) => {
      if (record.kind === 'rollback.issued' && counts(record)) took(record.fields.micros);
    },
  },
  detection: {
    meaning: 'from a node being off or frozen to its mark as unavailable',
    ends: 'node.status',
    create: detection,
  },
  activation: {
    meaning: 'from the decision to place an instance on a node until that node serves it',
    ends: 'instance.serving',
    create: () =>
      between(
        (record) => (record.kind === 'placement.decided' ? `${record.fields.instance} ${record.fields.node}` : null),
        (record) => (record.kind === 'instance.serving' ? `${record.fields.instance} ${record.fields.node}` : null),
      ),
  },
  enrolment: {
    meaning: 'from the start of a machine until its agent is enrolled',
    ends: 'node.enrolled',
    create: () =>
      between(
        (record) => (record.kind === 'machine.started' && record.fields.role === 'node' ? record.fields.machine : null),
        (record) => (record.kind === 'node.enrolled' ? record.fields.node : null),
      ),
  },
  reconnection: {
    meaning: 'from the loss of a session until the agent has another one',
    ends: 'agent.session',
    create: () =>
      between(
        (record) => (record.kind === 'agent.session' && record.fields.state === 'lost' ? record.fields.node : null),
        (record) => (record.kind === 'agent.session' && record.fields.state === 'connected' ? record.fields.node : null),
      ),
  },
  trust: {
    meaning: 'from a key being trusted, or trusted anew, until it is so no longer',
    ends: 'trust.revoked',
    create: () =>
      between(
        (record) => (record.kind === 'trust.added' ? record.fields.key : null),
        (record) => (record.kind === 'trust.revoked' ? record.fields.key : null),
      ),
  },
};

/** From one record to the next one that has its key. A beginning that comes again begins anew. */
function between(begins: (record: RunRecord) => string | null, ends: (record: RunRecord) => string | null): Watch {
  const open = new Map<string, number>();
  return (record, counts, took) => {
    const ended = ends(record);
    const since = ended === null ? undefined : open.get(ended);
    if (ended !== null && since !== undefined) {
      open.delete(ended);
      if (counts(record)) took(record.micros - since);
    }
    const begun = begins(record);
    if (begun !== null) keep(open, begun, record.micros);
  };
}

function answer(): Watch {
  const published = new Map<string, number>();
  /** Results that overtook the acknowledgement of their event. */
  const early = new Map<string, RunRecord>();
  return (record, counts, took) => {
    if (record.kind === 'workload.published' && record.fields.outcome === 'accepted') {
      // The record is written when the acknowledgement arrives; the event left `micros` earlier.
      const since = record.micros - record.fields.micros;
      keep(published, record.fields.event, since);
      const result = early.get(record.fields.event);
      early.delete(record.fields.event);
      if (result !== undefined && counts(result)) took(result.micros - since);
    }
    if (record.kind === 'workload.result') {
      const since = published.get(record.fields.source);
      if (since === undefined) keep(early, record.fields.source, record);
      else if (counts(record)) took(record.micros - since);
    }
  };
}

function settlement(): Watch {
  const accepted = new Map<string, number>();
  return (record, counts, took) => {
    if (record.kind === 'event.accepted') keep(accepted, record.fields.event, record.micros);
    if (record.kind !== 'event.acknowledged') return;
    const since = accepted.get(record.fields.event);
    if (since !== undefined && counts(record)) took(record.micros - since);
  };
}

function detection(): Watch {
  const silent = new Map<string, number>();
  return (record, counts, took) => {
    switch (record.kind) {
      case 'machine.stopped':
        if (record.fields.role === 'node' && record.fields.cause !== STOPPED_IN_ORDER && !silent.has(record.fields.machine))
          keep(silent, record.fields.machine, record.micros);
        break;
      case 'machine.paused':
        if (record.fields.machine !== 'controller' && !silent.has(record.fields.machine))
          keep(silent, record.fields.machine, record.micros);
        break;
      case 'machine.started':
      case 'machine.resumed':
        silent.delete(record.fields.machine);
        break;
      case 'node.status': {
        const since = silent.get(record.fields.node);
        if (since === undefined || record.fields.to !== 'unavailable') break;
        silent.delete(record.fields.node);
        if (counts(record)) took(record.micros - since);
        break;
      }
      default:
    }
  };
}

function keep<T>(open: Map<string, T>, key: string, value: T): void {
  open.delete(key);
  open.set(key, value);
  if (open.size > OPEN_MAX) open.delete(open.keys().next().value ?? '');
}
