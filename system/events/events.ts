// Triggers: which subjects start which deployment. Pure: the fold of trigger entries, and the durable consumer that each trigger
// is at the broker. The instances of a trigger share one consumer; event data never comes here.
import type { ConsumerSpec } from '../domain/broker.ts';
import { consumerOf, type TriggerSpec } from '../domain/deployment.ts';
import type { DeploymentName, TriggerName } from '../domain/identifiers.ts';
import { assert } from '../domain/outcome.ts';
import type { TriggerBinding } from '../domain/session.ts';
import type { Fact } from '../domain/telemetry.ts';

export { checkTrigger } from './check.ts';

/** Bound: deliveries of one trigger that may be outstanding over all its instances. */
export const TRIGGER_PENDING_MAX = 1_024;

/** Bound: triggers. Half of what the embedded broker has room for: the rest is for consumers of operators and gateways. */
export const TRIGGERS_MAX = 2_048;

export type EventsState = { readonly triggers: Map<TriggerName, TriggerSpec> };

export type TriggerEntry =
  | { readonly kind: 'trigger-applied'; readonly spec: TriggerSpec }
  | { readonly kind: 'trigger-deleted'; readonly trigger: TriggerName };

export function createEventsState(): EventsState {
  return { triggers: new Map() };
}

export function applyTriggerEntry(state: EventsState, entry: TriggerEntry): void {
  if (entry.kind === 'trigger-applied') {
    state.triggers.set(entry.spec.name, entry.spec);
    return;
  }
  assert(state.triggers.delete(entry.trigger), `trigger ${entry.trigger} exists when it is deleted`);
}

export function factsOfTriggerEntry(entry: TriggerEntry): readonly Fact[] {
  if (entry.kind === 'trigger-deleted') return [];
  const { name, deployment, subject } = entry.spec;
  return [{ kind: 'trigger.applied', fields: { trigger: name, deployment, subject } }];
}

export function isTriggerEntry(entry: { readonly kind: string }): entry is TriggerEntry {
  return entry.kind.startsWith('trigger-');
}

export function triggersOf(state: EventsState, deployment: DeploymentName): readonly TriggerSpec[] {
  return [...state.triggers.values()].filter((trigger) => trigger.deployment === deployment).sort((a, b) => (a.name < b.name ? -1 : 1));
}

export function consumerSpecOf(trigger: TriggerSpec): ConsumerSpec {
  return {
    name: consumerOf(trigger.name),
    filter: trigger.subject,
    ackWaitMs: trigger.ackWaitMs,
    deliveriesMax: trigger.deliveriesMax,
    backoffMs: trigger.backoffMs,
    backoffMsMax: trigger.backoffMsMax,
    pendingMax: TRIGGER_PENDING_MAX,
    idleMsMax: null,
  };
}

export function bindingOf(trigger: TriggerSpec): TriggerBinding {
  return { trigger: trigger.name, consumer: consumerOf(trigger.name), result: trigger.result, ackWaitMs: trigger.ackWaitMs };
}
