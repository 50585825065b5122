// What must stand again when everything has healed: conditions that `eventually` names. Each follows the records of a run and
// says at any moment what is still missing.
import { consumerOf } from '../../system/domain/deployment.ts';
import type { Subject, SubjectFilter } from '../../system/domain/identifiers.ts';
import { matchesSubject } from '../../system/domain/subject.ts';
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';
import { Kept } from './kept.ts';

export type Condition = {
  observe(record: RunRecord): void;
  /** Null when it holds, otherwise one sentence about the first thing that is missing. */
  missing(): { readonly because: string; readonly machine: string | null } | null;
};

type Definition = { readonly meaning: string; readonly create: (scenario: Scenario) => Condition };

export const CONDITIONS: Readonly<Record<string, Definition>> = {
  'nodes-healthy': { meaning: 'every node that is on is healthy in the inventory, or drains', create: nodesHealthy },
  'instances-running': { meaning: 'every instance that is wanted runs', create: instancesRunning },
  'events-settled': {
    meaning: 'every accepted event is acknowledged or dead-lettered for each trigger that listens',
    create: eventsSettled,
  },
};

function nodesHealthy(): Condition {
  const on = new Set<string>();
  const status = new Map<string, { readonly is: string; readonly micros: number }>();
  /** Nodes that are on and not healthy, so that a look at all of them is none at each. */
  const unwell = new Map<string, string>();
  // Of one that is still known after a lie nothing is told, and nothing of one that is well there and was not so when the power failed.
  const kept = new Kept([status], (since) => {
    for (const [node, { micros }] of status) if (micros > since) status.set(node, { is: 'healthy', micros });
  });
  const lookAt = (node: string): void => {
    const is = status.get(node)?.is ?? 'not in the inventory';
    if (on.has(node) && is !== 'healthy' && is !== 'draining') unwell.set(node, is);
    else unwell.delete(node);
  };
  return {
    observe(record) {
      if (kept.observe(record) !== null) for (const node of on) lookAt(node);
      switch (record.kind) {
        case 'machine.started':
          if (record.fields.role === 'node') on.add(record.fields.machine);
          return lookAt(record.fields.machine);
        case 'machine.stopped':
          on.delete(record.fields.machine);
          return lookAt(record.fields.machine);
        case 'node.enrolled':
          status.set(record.fields.node, { is: 'healthy', micros: record.micros });
          return lookAt(record.fields.node);
        case 'node.status':
          status.set(record.fields.node, { is: record.fields.to, micros: record.micros });
          return lookAt(record.fields.node);
        default:
          return undefined;
      }
    },
    missing() {
      for (const [node, is] of unwell) return { because: `Node ${node} is ${is}.`, machine: node };
      return null;
    },
  };
}

function instancesRunning(): Condition {
  /** Instances that are wanted and do not run, with their state. Bound: instances. */
  const waiting = new Map<string, { readonly state: string; readonly node: string | null }>();
  const kept = new Kept([waiting]);
  return {
    observe(record) {
      kept.observe(record);
      if (record.kind !== 'instance.state') return;
      const { instance, to, node } = record.fields;
      if (to === 'running' || to === 'stopped') waiting.delete(instance);
      else waiting.set(instance, { state: to, node });
    },
    missing() {
      for (const [instance, { state, node }] of waiting) return { because: `Instance ${instance} is ${state}.`, machine: node };
      return null;
    },
  };
}

function eventsSettled(scenario: Scenario): Condition {
  const triggers = new Set<string>(scenario.steps.flatMap((step) => (step.do === 'trigger' ? [consumerOf(step.spec.name)] : [])));
  const consumers = new Map<string, { readonly filter: SubjectFilter; readonly from: number; readonly micros: number }>();
  /** When each was accepted, by `consumer event`. Bound: what the broker holds. */
  const open = new Map<string, number>();
  const kept = new Kept([consumers, open], (since) => {
    for (const [key, micros] of open) if (micros > since) open.delete(key);
    for (const [name, { micros }] of consumers) if (micros > since) consumers.delete(name);
  });
  return {
    observe(record) {
      kept.observe(record);
      switch (record.kind) {
        case 'consumer.created':
          if (triggers.has(record.fields.consumer) && !consumers.has(record.fields.consumer))
            consumers.set(record.fields.consumer, {
              filter: record.fields.filter as SubjectFilter,
              from: record.fields.next,
              micros: record.micros,
            });
          break;
        case 'event.accepted':
          for (const [name, { filter, from }] of consumers) {
            if (record.fields.sequence >= from && matchesSubject(filter, record.fields.subject as Subject))
              open.set(`${name} ${record.fields.event}`, record.micros);
          }
          break;
        case 'event.acknowledged':
        case 'event.deadlettered':
          open.delete(`${record.fields.consumer} ${record.fields.event}`);
          break;
        default:
      }
    },
    missing() {
      for (const left of open.keys()) {
        const [consumer = '', event = ''] = left.split(' ');
        return {
          because: `Event ${event} is not settled for ${consumer}${open.size === 1 ? '' : `, and ${open.size - 1} more are not`}.`,
          machine: null,
        };
      }
      return null;
    },
  };
}
