// Whether two assignments ask for the same. Field by field: an agent compares all of them with each desired state.
import { describeCapability } from '../../system/domain/capability.ts';
import type { Assignment, TriggerBinding } from '../../system/domain/session.ts';

export function isSameAssignment(a: Assignment, b: Assignment): boolean {
  if (a === b) return true;
  return (
    a.instance === b.instance &&
    a.epoch === b.epoch &&
    a.deployment === b.deployment &&
    a.module === b.module &&
    a.version === b.version &&
    a.concurrency === b.concurrency &&
    a.movable === b.movable &&
    isSameList(a.grants, b.grants, (one, other) => describeCapability(one) === describeCapability(other)) &&
    isSameList(a.triggers, b.triggers, isSameTrigger)
  );
}

function isSameTrigger(a: TriggerBinding, b: TriggerBinding): boolean {
  return a.trigger === b.trigger && a.consumer === b.consumer && a.result === b.result && a.ackWaitMs === b.ackWaitMs;
}

function isSameList<T>(a: readonly T[], b: readonly T[], isSame: (one: T, other: T) => boolean): boolean {
  return (
    a.length === b.length &&
    a.every((one, i) => {
      const other = b[i];
      return other !== undefined && isSame(one, other);
    })
  );
}
