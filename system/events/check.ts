// Whether a trigger makes sense, before its deployment is looked up.
import type { TriggerSpec } from '../domain/deployment.ts';
import { isName } from '../domain/identifiers.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';
import { isSubject, isSubjectFilter } from '../domain/subject.ts';

/** Bounds of one trigger. */
const DELIVERIES_MAX = 1_000;
const DELAY_MS_MAX = 24 * 60 * 60 * 1_000;
/** Room for `trigger-` before the name where it names a consumer. */
const NAME_LENGTH_MAX = 55;

function whole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

function describeFault(spec: TriggerSpec): string | null {
  if (!isName(spec.name) || spec.name.length > NAME_LENGTH_MAX)
    return `Its name '${spec.name}' is not 1 to ${NAME_LENGTH_MAX} lower-case letters, digits and inner hyphens.`;
  if (!isName(spec.deployment)) return `Its deployment '${spec.deployment}' is no name of a deployment.`;
  if (!isSubjectFilter(spec.subject)) return `Its subject '${spec.subject}' is no filter such as sensors.*.brake or alerts.>.`;
  if (spec.result !== null && !isSubject(spec.result)) return `Its result '${spec.result}' is no subject such as alerts.brake.`;
  if (!whole(spec.deliveriesMax, 1, DELIVERIES_MAX))
    return `Its deliveriesMax ${spec.deliveriesMax} is not a whole number from 1 to ${DELIVERIES_MAX}.`;
  if (!whole(spec.ackWaitMs, 1, DELAY_MS_MAX)) return `Its ackWaitMs ${spec.ackWaitMs} is not a whole number from 1 to ${DELAY_MS_MAX}.`;
  if (!whole(spec.backoffMs, 0, DELAY_MS_MAX)) return `Its backoffMs ${spec.backoffMs} is not a whole number from 0 to ${DELAY_MS_MAX}.`;
  if (!whole(spec.backoffMsMax, spec.backoffMs, DELAY_MS_MAX))
    return `Its backoffMsMax ${spec.backoffMsMax} is not a whole number from its backoffMs ${spec.backoffMs} to ${DELAY_MS_MAX}.`;
  return null;
}

export function checkTrigger(spec: TriggerSpec): Outcome<void> {
  const fault = describeFault(spec);
  if (fault === null) return ok();
  return rejected('WM_DEPLOYMENT_INVALID', {
    message: `Trigger '${spec.name}' cannot be used. ${fault}`,
    next: 'Correct this field and apply the trigger again.',
    detail: { trigger: spec.name },
  });
}
