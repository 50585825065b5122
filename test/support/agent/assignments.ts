// Assignments for tests, with everything a test does not care about filled in.
import { consumerOf } from '../../../system/domain/deployment.ts';
import type { DeploymentName, Epoch, InstanceId, ModuleName, Subject, TriggerName } from '../../../system/domain/identifiers.ts';
import type { Assignment, TriggerBinding } from '../../../system/domain/session.ts';

export function assignmentOf(instance: string, fields: Partial<Assignment> = {}): Assignment {
  return {
    instance: instance as InstanceId,
    epoch: 1 as Epoch,
    deployment: instance.split('/')[0] as DeploymentName,
    module: 'echo' as ModuleName,
    version: 1,
    grants: [],
    concurrency: 1,
    triggers: [],
    movable: true,
    ...fields,
  };
}

export function bindingOf(trigger: string, fields: Partial<TriggerBinding> = {}): TriggerBinding {
  const name = trigger as TriggerName;
  return { trigger: name, consumer: consumerOf(name), result: `results.${trigger}` as Subject, ackWaitMs: 1_000, ...fields };
}

export const epoch = (number: number): Epoch => number as Epoch;
