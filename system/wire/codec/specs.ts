// What operators want, both ways: deployments and triggers.
import type { MessageInitShape } from '@bufbuild/protobuf';
import type { DeploymentSpec, TriggerSpec } from '../../domain/deployment.ts';
import { ARCHITECTURES } from '../../domain/node.ts';
import type {
  DeploymentSpec as WireDeployment,
  DeploymentSpecSchema,
  TriggerSpec as WireTrigger,
  TriggerSpecSchema,
} from '../generated/wasmmatrix/v1/operator_pb.js';
import { name, oneOf, optional, orNull, present, subject, subjectFilter, text, whole, wrong, zone } from './fields.ts';

export function deploymentTo(spec: DeploymentSpec): MessageInitShape<typeof DeploymentSpecSchema> {
  const { requirements, version, whenNearer, ...same } = spec;
  return {
    ...same,
    ...optional('version', version),
    ...(whenNearer === undefined ? {} : { whenNearer }),
    requirements: {
      architectures: [...requirements.architectures],
      isaFeatures: [...requirements.isaFeatures],
      hardware: [...requirements.hardware],
      ...optional('within', requirements.within),
      memoryBytes: BigInt(requirements.memoryBytes),
      cpuMillis: requirements.cpuMillis,
    },
  };
}

export function deploymentFrom(wire: WireDeployment): DeploymentSpec {
  const needs = present(wire.requirements, 'deployment.requirements');
  return {
    name: name(wire.name, 'deployment.name'),
    module: name(wire.module, 'deployment.module'),
    version: wire.version ?? null,
    replicas: wire.replicas,
    origin: zone(wire.origin, 'deployment.origin'),
    requirements: {
      architectures: needs.architectures.map((architecture) => oneOf(architecture, 'deployment.requirements.architectures', ARCHITECTURES)),
      isaFeatures: needs.isaFeatures.map((feature) => text(feature, 'deployment.requirements.isa_features', 64)),
      hardware: needs.hardware.map((hardware) => text(hardware, 'deployment.requirements.hardware', 64)),
      within: orNull(needs.within, (within) => zone(within, 'deployment.requirements.within')),
      memoryBytes: whole(needs.memoryBytes, 'deployment.requirements.memory_bytes'),
      cpuMillis: needs.cpuMillis,
    },
    spread: wire.spread <= 255 ? wire.spread : wrong('deployment.spread', 'at most 255'),
    whenUnreachable: oneOf(wire.whenUnreachable, 'deployment.when_unreachable', ['move', 'stay']),
    ...(wire.whenNearer === undefined ? {} : { whenNearer: oneOf(wire.whenNearer, 'deployment.when_nearer', ['move', 'stay']) }),
    concurrency: wire.concurrency > 0 ? wire.concurrency : wrong('deployment.concurrency', 'at least 1'),
  };
}

export function triggerTo(spec: TriggerSpec): MessageInitShape<typeof TriggerSpecSchema> {
  const { result, ...same } = spec;
  return { ...same, ...optional('result', result) };
}

export function triggerFrom(wire: WireTrigger): TriggerSpec {
  return {
    name: name(wire.name, 'trigger.name'),
    subject: subjectFilter(wire.subject, 'trigger.subject'),
    deployment: name(wire.deployment, 'trigger.deployment'),
    result: orNull(wire.result, (result) => subject(result, 'trigger.result')),
    deliveriesMax: wire.deliveriesMax > 0 ? wire.deliveriesMax : wrong('trigger.deliveries_max', 'at least 1'),
    ackWaitMs: wire.ackWaitMs > 0 ? wire.ackWaitMs : wrong('trigger.ack_wait_ms', 'at least 1'),
    backoffMs: wire.backoffMs,
    backoffMsMax: wire.backoffMsMax >= wire.backoffMs ? wire.backoffMsMax : wrong('trigger.backoff_ms_max', 'at least backoff_ms'),
  };
}
