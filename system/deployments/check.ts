// Whether a deployment makes sense, before anything is looked up for it.
import type { DeploymentSpec } from '../domain/deployment.ts';
import { SPREAD_NODE } from '../domain/deployment.ts';
import { isName, isZonePath } from '../domain/identifiers.ts';
import { ARCHITECTURES } from '../domain/node.ts';
import { ok, rejected, type Outcome } from '../domain/outcome.ts';

/** Bounds of one deployment. */
export const REPLICAS_MAX = 10_000;
const CONCURRENCY_MAX = 10_000;
const FEATURES_MAX = 64;
const ZONE_LEVELS_MAX = 8;

function whole(value: number, least: number, most: number): boolean {
  return Number.isSafeInteger(value) && value >= least && value <= most;
}

function describeFault(spec: DeploymentSpec): string | null {
  const { requirements } = spec;
  if (!isName(spec.name)) return `Its name '${spec.name}' is not 1 to 63 lower-case letters, digits and inner hyphens.`;
  if (!isName(spec.module)) return `Its module '${spec.module}' is no name of a module.`;
  if (spec.version !== null && !whole(spec.version, 1, Number.MAX_SAFE_INTEGER))
    return `Its version ${spec.version} is not a whole number from 1.`;
  if (!whole(spec.replicas, 0, REPLICAS_MAX)) return `Its replicas ${spec.replicas} are not a whole number from 0 to ${REPLICAS_MAX}.`;
  if (!whole(spec.concurrency, 1, CONCURRENCY_MAX))
    return `Its concurrency ${spec.concurrency} is not a whole number from 1 to ${CONCURRENCY_MAX}.`;
  if (!isZonePath(spec.origin)) return `Its origin '${spec.origin}' is no zone path such as cloud/eu-west.`;
  if (!whole(spec.spread, 0, ZONE_LEVELS_MAX) && spec.spread !== SPREAD_NODE)
    return `Its spread ${spec.spread} is no level of the fault domain: 0 to ${ZONE_LEVELS_MAX}, or ${SPREAD_NODE} for the node.`;
  if (spec.whenNearer === 'move' && spec.whenUnreachable === 'stay')
    return 'It goes on alone where it is out of reach (whenUnreachable: stay), and cannot move after demand (whenNearer: move) as well.';
  if (requirements.within !== null && !isZonePath(requirements.within))
    return `Its requirement to lie within '${requirements.within}' names no zone path.`;
  if (!whole(requirements.memoryBytes, 0, Number.MAX_SAFE_INTEGER))
    return `Its memory of ${requirements.memoryBytes} bytes is not a whole number from 0.`;
  if (!whole(requirements.cpuMillis, 0, Number.MAX_SAFE_INTEGER))
    return `Its CPU of ${requirements.cpuMillis} thousandths of a core is not a whole number from 0.`;
  const unknown = requirements.architectures.find((architecture) => !ARCHITECTURES.includes(architecture));
  if (unknown !== undefined) return `Its architecture '${unknown}' is none of ${ARCHITECTURES.join(', ')}.`;
  if (requirements.isaFeatures.length > FEATURES_MAX || requirements.hardware.length > FEATURES_MAX)
    return `It requires more than ${FEATURES_MAX} features.`;
  return null;
}

export function checkDeployment(spec: DeploymentSpec): Outcome<void> {
  const fault = describeFault(spec);
  if (fault === null) return ok();
  return rejected('WM_DEPLOYMENT_INVALID', {
    message: `Deployment '${spec.name}' cannot be used. ${fault}`,
    next: 'Correct this field and apply the deployment again.',
    detail: { deployment: spec.name },
  });
}
