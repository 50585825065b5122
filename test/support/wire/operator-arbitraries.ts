// Any value of what operators say and are told.
import fc from 'fast-check';
import type { DeploymentSpec, DeploymentView, InstanceView, PlacementDecision, TriggerSpec } from '../../../system/domain/deployment.ts';
import { ISA_LEVEL_NAMES } from '../../../system/domain/isa.ts';
import type { LogsMessage, LogsRequest } from '../../../system/domain/logs.ts';
import { CELL_STATES, type MatrixCell } from '../../../system/domain/matrix.ts';
import type { ModuleManifest, ModuleVersion, TrustedKey } from '../../../system/domain/module.ts';
import { ARCHITECTURES, type NodeView } from '../../../system/domain/node.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply, OperatorRequest } from '../../../system/domain/operator.ts';
import { INSTANCE_ACTIONS, PLAN_ACTIONS, type DeploymentPlan, type TriggerPlan } from '../../../system/domain/plan.ts';
import type { EventView, WatchMessage, WatchRequest } from '../../../system/domain/watch.ts';
import {
  branded,
  bytes,
  capabilityText,
  count,
  digest,
  double,
  errorCode,
  facts,
  filter,
  identifier,
  instance,
  line,
  load,
  manifest,
  name,
  notAfter,
  nodeId,
  positive,
  signature,
  some,
  subject,
  text,
  trustedKey,
  uint32,
  whole,
  zone,
} from './arbitraries.ts';

const described: fc.Arbitrary<DeploymentSpec> = fc.record({
  name: branded<DeploymentSpec['name']>(name),
  module: branded<DeploymentSpec['module']>(name),
  version: fc.option(uint32),
  replicas: uint32,
  origin: zone,
  requirements: fc.record({
    architectures: some(fc.constantFrom('x86_64' as const, 'aarch64' as const, 'riscv64' as const)),
    isaFeatures: some(text),
    hardware: some(text),
    within: fc.option(zone),
    memoryBytes: whole,
    cpuMillis: uint32,
  }),
  spread: fc.nat(255),
  whenUnreachable: fc.constantFrom('move' as const, 'stay' as const),
  concurrency: positive,
});
const deployment: fc.Arbitrary<DeploymentSpec> = fc
  .tuple(described, fc.constantFrom({}, { whenNearer: 'move' as const }, { whenNearer: 'stay' as const }))
  .map(([spec, nearer]) => ({ ...spec, ...nearer }));
const trigger: fc.Arbitrary<TriggerSpec> = fc
  .record({
    name: branded<TriggerSpec['name']>(name),
    subject: filter,
    deployment: branded<DeploymentSpec['name']>(name),
    result: fc.option(subject),
    deliveriesMax: positive,
    ackWaitMs: positive,
    backoffMs: uint32,
    backoffMsMax: uint32,
  })
  .map((spec) => ({ ...spec, backoffMs: Math.min(spec.backoffMs, spec.backoffMsMax) }));
const command: fc.Arbitrary<OperatorCommand> = fc.oneof(
  fc
    .tuple(
      fc.record({
        kind: fc.constant('trust-add' as const),
        publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
        mayGrant: some(capabilityText),
      }),
      notAfter,
    )
    .map(([add, until]) => ({ ...add, ...until })),
  fc.record({ kind: fc.constant('trust-revoke' as const), key: identifier<TrustedKey['key']>() }),
  fc.record({ kind: fc.constant('module-push' as const), manifest, signature: fc.option(signature), bytes }),
  fc.record({ kind: fc.constant('deployment-apply' as const), spec: deployment }),
  fc.record({ kind: fc.constant('deployment-scale' as const), deployment: branded<DeploymentSpec['name']>(name), replicas: uint32 }),
  fc.record({ kind: fc.constant('deployment-delete' as const), deployment: branded<DeploymentSpec['name']>(name) }),
  fc.record({ kind: fc.constant('rollback' as const), deployment: branded<DeploymentSpec['name']>(name), version: uint32 }),
  fc.record({ kind: fc.constant('trigger-apply' as const), spec: trigger }),
  fc.record({ kind: fc.constant('trigger-delete' as const), trigger: branded<TriggerSpec['name']>(name) }),
  fc.record({ kind: fc.constantFrom('node-drain' as const, 'node-undrain' as const, 'node-remove' as const), node: nodeId }),
);
const candidate = fc.record({
  node: nodeId,
  score: double,
  factors: some(fc.record({ name: text, points: double, weight: double, why: text })),
});
const decision: fc.Arbitrary<PlacementDecision> = fc.record({
  instance,
  chosen: fc.option(candidate),
  runnersUp: some(candidate),
  refused: some(fc.record({ reason: text, nodes: uint32, example: nodeId })),
  feasible: uint32,
});
const nodeView: fc.Arbitrary<NodeView> = fc.record({
  facts,
  status: fc.constantFrom('healthy' as const, 'suspect' as const, 'unavailable' as const, 'draining' as const),
  incarnation: count,
  sinceMs: whole,
  cause: text,
  load: fc.option(load),
});
const instanceView: fc.Arbitrary<InstanceView> = fc.record({
  id: instance,
  deployment: branded<DeploymentSpec['name']>(name),
  state: fc.constantFrom('pending' as const, 'assigned' as const, 'running' as const, 'failed' as const, 'stopped' as const),
  node: fc.option(nodeId),
  nodeIncarnation: fc.option(count),
  epoch: count,
  module: branded<DeploymentSpec['module']>(name),
  version: uint32,
  sinceMs: whole,
  cause: text,
});
const version: fc.Arbitrary<ModuleVersion> = fc.record({ manifest, version: uint32, signature, sizeBytes: whole });
const deploymentView: fc.Arbitrary<DeploymentView> = fc.record({
  spec: deployment,
  revision: whole,
  version: uint32,
  triggers: some(trigger),
  decisions: some(decision),
});

const fields = some(fc.record({ field: text, from: fc.option(text), to: fc.option(text) }));
const deploymentPlan: fc.Arbitrary<DeploymentPlan> = fc.record({
  name: branded<DeploymentSpec['name']>(name),
  action: fc.constantFrom(...PLAN_ACTIONS),
  version: uint32,
  fields,
  instances: some(
    fc.record({ instance, action: fc.constantFrom(...INSTANCE_ACTIONS), from: fc.option(nodeId), decision: fc.option(decision) }),
  ),
  instancesChanged: uint32,
});
const triggerPlan: fc.Arbitrary<TriggerPlan> = fc.record({
  name: branded<TriggerSpec['name']>(name),
  deployment: branded<DeploymentSpec['name']>(name),
  action: fc.constantFrom(...PLAN_ACTIONS),
  fields,
});
const cell: fc.Arbitrary<MatrixCell> = fc.record({
  module: branded<MatrixCell['module']>(name),
  version: uint32,
  architecture: fc.constantFrom(...ARCHITECTURES),
  level: fc.constantFrom(...ISA_LEVEL_NAMES),
  features: some(fc.constantFrom('avx2', 'lse', 'sse4.1', 'v')),
  target: fc.constantFrom('aarch64-unknown-linux-gnu', 'riscv64gc-unknown-linux-gnu'),
  profile: identifier<MatrixCell['profile']>(),
  state: fc.constantFrom(...CELL_STATES),
  artefact: fc.option(digest),
  sizeBytes: fc.option(whole),
  compileMicros: fc.option(whole),
  code: fc.option(errorCode),
  why: text,
});
const fieldName = fc.stringMatching(/^[a-z][A-Za-z]{0,20}$/);
const event: fc.Arbitrary<EventView> = fc.record({
  sequence: whole,
  part: whole,
  timeMs: whole,
  correlation: fc.option(identifier<NonNullable<EventView['correlation']>>()),
  kind: text,
  fields: fc.dictionary(fieldName, fc.oneof(text, double, fc.boolean(), fc.constant(null)), { maxKeys: 4, noNullPrototype: true }),
});
const frame = { term: count, sequence: whole, phase: fc.constantFrom('present' as const, 'change' as const), more: fc.boolean() };
const removals = some(text);
const ended = fc.record({ kind: fc.constant('ended' as const), code: errorCode, message: text, next: text });

export const watchMessages = {
  request: fc.record({
    kind: fc.constantFrom('nodes', 'modules', 'deployments', 'instances', 'trust', 'matrix', 'events'),
    after: fc.option(fc.record({ sequence: whole, part: whole })),
  }) as fc.Arbitrary<WatchRequest>,
  message: fc.oneof(
    fc.record({ ...frame, kind: fc.constant('nodes' as const), upserts: some(nodeView), removals }),
    fc.record({ ...frame, kind: fc.constant('modules' as const), upserts: some(version), removals }),
    fc.record({ ...frame, kind: fc.constant('deployments' as const), upserts: some(deploymentView), removals }),
    fc.record({ ...frame, kind: fc.constant('instances' as const), upserts: some(instanceView), removals }),
    fc.record({ ...frame, kind: fc.constant('trust' as const), upserts: some(trustedKey), removals }),
    fc.record({ ...frame, kind: fc.constant('matrix' as const), upserts: some(cell), removals }),
    fc.record({ ...frame, kind: fc.constant('events' as const), events: some(event), gap: fc.boolean() }),
    ended,
  ) as fc.Arbitrary<WatchMessage>,
};

export const logsMessages = {
  request: fc.record({
    deployment: branded<DeploymentSpec['name']>(name),
    follow: fc.boolean(),
    lines: uint32,
  }) as fc.Arbitrary<LogsRequest>,
  message: fc.oneof(
    fc.record({ kind: fc.constant('lines' as const), lines: some(fc.record({ node: nodeId, ...line })), dropped: whole }),
    ended,
  ) as fc.Arbitrary<LogsMessage>,
};

export const operatorMessages = {
  operatorRequest: fc.record({ id: fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }), command }) as fc.Arbitrary<OperatorRequest>,
  operatorReply: fc.oneof(
    fc.record({ kind: fc.constant('done' as const), sequence: whole }),
    fc.record({
      kind: fc.constant('module-stored' as const),
      sequence: whole,
      module: branded<ModuleManifest['name']>(name),
      version: uint32,
    }),
  ) as fc.Arbitrary<OperatorReply>,
  operatorQuery: fc.oneof(
    fc.record({ kind: fc.constantFrom('nodes', 'modules', 'deployments', 'instances', 'trust', 'matrix', 'events') }),
    fc.record({ kind: fc.constant('plan' as const), deployments: some(deployment), triggers: some(trigger) }),
  ) as fc.Arbitrary<OperatorQuery>,
  operatorAnswer: fc.oneof(
    fc.record({ kind: fc.constant('nodes' as const), term: count, nodes: some(nodeView) }),
    fc.record({ kind: fc.constant('modules' as const), term: count, modules: some(version) }),
    fc.record({ kind: fc.constant('deployments' as const), term: count, deployments: some(deploymentView) }),
    fc.record({ kind: fc.constant('instances' as const), term: count, instances: some(instanceView) }),
    fc.record({ kind: fc.constant('trust' as const), term: count, keys: some(trustedKey) }),
    fc.record({ kind: fc.constant('events' as const), term: count, events: some(event) }),
    fc.record({ kind: fc.constant('matrix' as const), term: count, cells: some(cell) }),
    fc.record({ kind: fc.constant('plan' as const), term: count, deployments: some(deploymentPlan), triggers: some(triggerPlan) }),
  ) as fc.Arbitrary<OperatorAnswer>,
};
