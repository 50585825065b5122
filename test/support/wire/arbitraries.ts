// Any value of every message, within what the doors accept.
import fc from 'fast-check';
import type * as Broker from '../../../system/domain/broker.ts';
import type { Capability } from '../../../system/domain/capability.ts';
import type { DeploymentSpec, DeploymentView, InstanceView, PlacementDecision, TriggerSpec } from '../../../system/domain/deployment.ts';
import { TOKEN_ROLES, TOKEN_SECRET_BYTES } from '../../../system/domain/enrolment.ts';
import type * as Enrolment from '../../../system/domain/enrolment.ts';
import { WM_ERRORS, type ErrorCode } from '../../../system/domain/errors.ts';
import type { BusEvent, FencingToken, PublishAck } from '../../../system/domain/event.ts';
import type { ModuleManifest, ModuleVersion, Signature, SignedArtefact, TrustedKey } from '../../../system/domain/module.ts';
import type { NodeFacts, NodeLoad, NodeView } from '../../../system/domain/node.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply, OperatorRequest } from '../../../system/domain/operator.ts';
import { INSTANCE_ACTIONS, PLAN_ACTIONS, type DeploymentPlan, type TriggerPlan } from '../../../system/domain/plan.ts';
import type {
  AgentMessage,
  Assignment,
  ControllerMessage,
  FetchReply,
  FetchRequest,
  InstanceReport,
  ModuleGrant,
} from '../../../system/domain/session.ts';

import type { EventView, WatchMessage, WatchRequest } from '../../../system/domain/watch.ts';

/** A text of the wire carries no brand until a decoder has looked at it. */
function branded<T>(arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<T> {
  return arbitrary as fc.Arbitrary<T>;
}

const whole = fc.oneof(fc.nat(1_000), fc.maxSafeNat());
const uint32 = fc.oneof(fc.nat(1_000), fc.integer({ min: 0, max: 0xffff_ffff }));
const positive = fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 0xffff_ffff }));
const text = fc.string({ unit: 'binary', maxLength: 60 });
const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 3 });
const bytes = fc.uint8Array({ maxLength: 200 });
const double = fc.double({ noDefaultInfinity: true, noNaN: true }).map((value) => value + 0);
const degrees = (most: number) => fc.double({ min: -most, max: most, noNaN: true }).map((value) => value + 0);

const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
const nodeId = branded<NodeFacts['node']>(name);
const zone = branded<NodeFacts['zone']>(
  fc.array(fc.stringMatching(/^[a-z0-9-]{1,20}$/), { minLength: 1, maxLength: 8 }).map((parts) => parts.join('/')),
);
const digest = branded<ModuleManifest['digest']>(fc.stringMatching(/^sha256:[0-9a-f]{64}$/));
const token = fc.stringMatching(/^[A-Za-z0-9_$-]{1,64}$/);
const subject = branded<BusEvent['subject']>(fc.array(token, { minLength: 1, maxLength: 16 }).map((tokens) => tokens.join('.')));
const filter = branded<TriggerSpec['subject']>(
  fc
    .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 15 }), fc.boolean())
    .map(([tokens, rest]) => [...tokens, ...(rest ? ['>'] : [])].join('.')),
);
const instance = branded<FencingToken['instance']>(
  fc.tuple(name, fc.nat(999_999)).map(([deployment, ordinal]) => `${deployment}/${ordinal}`),
);
const identifier = <T>(): fc.Arbitrary<T> => branded<T>(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }));
const errorCode = fc.constantFrom(...(Object.keys(WM_ERRORS) as ErrorCode[]));
const count = branded<never>(whole);

const fence: fc.Arbitrary<FencingToken> = fc.record({ instance, epoch: count });
const fenceOrNull = fc.option(fence);

/** `__proto__` is no name of a header: the protobuf runtime reads maps into plain objects. */
const headerName = fc.string({ unit: 'binary', maxLength: 40 }).filter((header) => header !== '__proto__');

export const busEvent: fc.Arbitrary<BusEvent> = fc.record({
  id: branded<BusEvent['id']>(fc.string({ unit: 'binary', minLength: 1, maxLength: 200 }).filter((id) => id.length <= 200)),
  subject,
  timeMs: whole,
  correlation: branded<BusEvent['correlation']>(text),
  headers: fc.dictionary(headerName, text, { maxKeys: 32, noNullPrototype: true }),
  data: bytes,
});

const consumerName = branded<Broker.ConsumerSpec['name']>(name);
export const consumerSpec: fc.Arbitrary<Broker.ConsumerSpec> = fc.record({
  name: consumerName,
  filter,
  ackWaitMs: positive,
  deliveriesMax: positive,
  backoffMs: uint32,
  backoffMsMax: uint32,
  pendingMax: positive,
  idleMsMax: fc.option(positive, { nil: null }),
});

const reason = fc.record({ code: errorCode, message: text });
const settlement: fc.Arbitrary<Broker.Settlement> = fc.oneof(
  fc.constant({ kind: 'ack' as const }),
  fc.record({ kind: fc.constantFrom('nak' as const, 'term' as const), reason }),
  fc.constant({ kind: 'release' as const }),
);

export const brokerMessages = {
  publishRequest: fc.record({ event: busEvent, fence: fenceOrNull }) as fc.Arbitrary<Broker.PublishRequest>,
  publishReply: fc.record({ sequence: whole, duplicate: fc.boolean() }) as fc.Arbitrary<PublishAck>,
  consumerRequest: fc.oneof(
    fc.record({ kind: fc.constant('create' as const), spec: consumerSpec }),
    fc.record({ kind: fc.constant('delete' as const), name: consumerName }),
  ),
  fetchRequest: fc.record({
    consumer: consumerName,
    eventsMax: positive,
    waitMs: uint32,
    fence: fenceOrNull,
  }) as fc.Arbitrary<Broker.FetchEventsRequest>,
  fetchReply: fc.record({
    deliveries: some(fc.record({ event: busEvent, sequence: whole, delivery: whole, attempt: uint32 })),
  }) as fc.Arbitrary<Broker.FetchEventsReply>,
  settleRequest: fc.record({
    consumer: consumerName,
    sequence: whole,
    delivery: whole,
    settlement,
    fence: fenceOrNull,
  }) as fc.Arbitrary<Broker.SettleRequest>,
  stateGetRequest: fc.record({ key: fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }) }),
  stateGetReply: fc.record({ entry: fc.option(fc.record({ version: whole, value: bytes })) }) as fc.Arbitrary<Broker.StateGetReply>,
  statePutRequest: fc.record({
    key: fc.string({ unit: 'binary', minLength: 1, maxLength: 100 }),
    value: bytes,
    expectedVersion: fc.option(whole),
    fence: fenceOrNull,
  }) as fc.Arbitrary<Broker.StatePutRequest>,
  statePutReply: fc.record({ version: whole }),
};

const signature: fc.Arbitrary<Signature> = fc.record({ key: identifier(), bytes: fc.uint8Array({ minLength: 64, maxLength: 64 }) });
const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.record({ kind: fc.constantFrom('clock' as const, 'random' as const, 'sleep' as const, 'log' as const) }),
  fc.record({ kind: fc.constantFrom('state-read' as const, 'state-write' as const), scope: fc.stringMatching(/^[A-Za-z0-9._/-]{1,40}$/) }),
  fc.record({ kind: fc.constant('publish' as const), scope: filter }),
);
const capabilityText = fc.string({ unit: 'binary', maxLength: 40 });
const manifest: fc.Arbitrary<ModuleManifest> = fc.record({
  name: branded<ModuleManifest['name']>(name),
  digest,
  capabilities: some(capabilityText),
  limits: fc.record({ fuelMax: whole, memoryBytesMax: whole, outputBytesMax: whole }),
});
const artefact: fc.Arbitrary<SignedArtefact> = fc.record({
  statement: fc.record({
    module: digest,
    target: text,
    profile: identifier<SignedArtefact['statement']['profile']>(),
    artefact: digest,
    sizeBytes: whole,
  }),
  signature,
});
const trustedKey: fc.Arbitrary<TrustedKey> = fc.record({
  key: identifier(),
  publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
  mayGrant: some(capabilityText),
  revoked: fc.boolean(),
});
const facts: fc.Arbitrary<NodeFacts> = fc.record({
  node: nodeId,
  architecture: fc.constantFrom('x86_64' as const, 'aarch64' as const, 'riscv64' as const),
  isaFeatures: some(text),
  cores: uint32,
  memoryBytes: whole,
  hardware: some(text),
  location: fc.record({ latitude: degrees(90), longitude: degrees(180) }),
  zone,
  faultDomain: zone,
  profile: identifier<NodeFacts['profile']>(),
  target: text,
  agentVersion: text,
  endpoint: identifier<NodeFacts['endpoint']>(),
});
const load: fc.Arbitrary<NodeLoad> = fc.record({ cpuPermille: uint32, memoryBytesFree: whole, invocationsActive: uint32 });
const report: fc.Arbitrary<InstanceReport> = fc.record({
  instance,
  epoch: count,
  state: fc.constantFrom('running' as const, 'failed' as const, 'stopped' as const),
  version: uint32,
  cause: text,
  code: fc.option(errorCode),
});
const grant: fc.Arbitrary<ModuleGrant> = fc.record({ version: uint32, manifest, signature, artefact });
const assignment: fc.Arbitrary<Assignment> = fc.record({
  instance,
  epoch: count,
  deployment: branded<Assignment['deployment']>(name),
  module: branded<Assignment['module']>(name),
  version: uint32,
  grants: some(capability),
  concurrency: positive,
  triggers: some(
    fc.record({ trigger: branded<TriggerSpec['name']>(name), consumer: consumerName, result: fc.option(subject), ackWaitMs: uint32 }),
  ),
  movable: fc.boolean(),
});

export const sessionMessages = {
  agentMessage: fc.oneof(
    fc.record({
      kind: fc.constant('hello' as const),
      facts,
      joinToken: text,
      bootId: identifier<string>(),
      incarnation: fc.option(count),
      instances: some(report),
      artefacts: some(digest),
    }),
    fc.record({
      kind: fc.constant('heartbeat' as const),
      sequence: whole,
      load,
      latencies: some(fc.record({ landmark: nodeId, rttMicros: whole })),
    }),
    fc.record({ kind: fc.constant('instance' as const), report }),
    fc.record({ kind: fc.constant('refusal' as const), code: errorCode, subject: text, message: text }),
  ) as fc.Arbitrary<AgentMessage>,
  controllerMessage: fc.oneof(
    fc.record({
      kind: fc.constant('welcome' as const),
      term: count,
      incarnation: count,
      heartbeatIntervalMs: positive,
      leaseMs: uint32,
      controllerKey: trustedKey,
    }),
    fc.record({ kind: fc.constant('refused' as const), code: errorCode, message: text, next: text }),
    fc.record({ kind: fc.constant('heartbeat-ack' as const), term: count, sequence: whole, leaseMs: uint32 }),
    fc.record({
      kind: fc.constant('desired' as const),
      term: count,
      revision: whole,
      trust: some(trustedKey),
      modules: some(grant),
      assignments: some(assignment),
      landmarks: some(fc.record({ node: nodeId, endpoint: identifier<NodeFacts['endpoint']>() })),
    }),
  ) as fc.Arbitrary<ControllerMessage>,
  fetchRequest: fc.record({ artefact: digest, offset: whole, bytesMax: positive }) as fc.Arbitrary<FetchRequest>,
  fetchReply: fc.record({ sizeBytes: whole, offset: whole, bytes }) as fc.Arbitrary<FetchReply>,
};

const deployment: fc.Arbitrary<DeploymentSpec> = fc.record({
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
  fc.record({
    kind: fc.constant('trust-add' as const),
    publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
    mayGrant: some(capabilityText),
  }),
  fc.record({ kind: fc.constant('trust-revoke' as const), key: identifier<TrustedKey['key']>() }),
  fc.record({ kind: fc.constant('module-push' as const), manifest, signature: fc.option(signature), bytes }),
  fc.record({ kind: fc.constant('deployment-apply' as const), spec: deployment }),
  fc.record({ kind: fc.constant('deployment-scale' as const), deployment: branded<DeploymentSpec['name']>(name), replicas: uint32 }),
  fc.record({ kind: fc.constant('deployment-delete' as const), deployment: branded<DeploymentSpec['name']>(name) }),
  fc.record({ kind: fc.constant('rollback' as const), deployment: branded<DeploymentSpec['name']>(name), version: uint32 }),
  fc.record({ kind: fc.constant('trigger-apply' as const), spec: trigger }),
  fc.record({ kind: fc.constant('trigger-delete' as const), trigger: branded<TriggerSpec['name']>(name) }),
  fc.record({ kind: fc.constantFrom('node-drain' as const, 'node-undrain' as const), node: nodeId }),
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
    kind: fc.constantFrom('nodes', 'modules', 'deployments', 'instances', 'trust', 'events'),
    after: fc.option(fc.record({ sequence: whole, part: whole })),
  }) as fc.Arbitrary<WatchRequest>,
  message: fc.oneof(
    fc.record({ ...frame, kind: fc.constant('nodes' as const), upserts: some(nodeView), removals }),
    fc.record({ ...frame, kind: fc.constant('modules' as const), upserts: some(version), removals }),
    fc.record({ ...frame, kind: fc.constant('deployments' as const), upserts: some(deploymentView), removals }),
    fc.record({ ...frame, kind: fc.constant('instances' as const), upserts: some(instanceView), removals }),
    fc.record({ ...frame, kind: fc.constant('trust' as const), upserts: some(trustedKey), removals }),
    fc.record({ ...frame, kind: fc.constant('events' as const), events: some(event), gap: fc.boolean() }),
    ended,
  ) as fc.Arbitrary<WatchMessage>,
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
    fc.record({ kind: fc.constantFrom('nodes', 'modules', 'deployments', 'instances', 'trust', 'events') }),
    fc.record({ kind: fc.constant('plan' as const), deployments: some(deployment), triggers: some(trigger) }),
  ) as fc.Arbitrary<OperatorQuery>,
  operatorAnswer: fc.oneof(
    fc.record({ kind: fc.constant('nodes' as const), term: count, nodes: some(nodeView) }),
    fc.record({ kind: fc.constant('modules' as const), term: count, modules: some(version) }),
    fc.record({ kind: fc.constant('deployments' as const), term: count, deployments: some(deploymentView) }),
    fc.record({ kind: fc.constant('instances' as const), term: count, instances: some(instanceView) }),
    fc.record({ kind: fc.constant('trust' as const), term: count, keys: some(trustedKey) }),
    fc.record({ kind: fc.constant('events' as const), term: count, events: some(event) }),
    fc.record({ kind: fc.constant('plan' as const), term: count, deployments: some(deploymentPlan), triggers: some(triggerPlan) }),
  ) as fc.Arbitrary<OperatorAnswer>,
};

const pem = fc.string({ unit: 'binary', maxLength: 200 });
const role = fc.constantFrom(...TOKEN_ROLES);
const publicKey = fc.uint8Array({ maxLength: 512 });

export const enrolmentMessages = {
  enrolRequest: fc.record({
    name: text,
    secret: fc.uint8Array({ minLength: TOKEN_SECRET_BYTES, maxLength: TOKEN_SECRET_BYTES }),
    publicKey,
    hosts: some(text),
  }) as fc.Arbitrary<Enrolment.EnrolRequest>,
  enrolReply: fc.record({
    certificate: pem,
    authorities: some(pem),
    notAfterMs: whole,
    renewAtMs: whole,
    bus: fc.option(fc.record({ kind: fc.constant('nats'), servers: some(text), user: fc.option(text), password: fc.option(text) })),
  }) as fc.Arbitrary<Enrolment.EnrolReply>,
  renewRequest: fc.record({ publicKey, hosts: some(text) }) as fc.Arbitrary<Enrolment.RenewRequest>,
  revokeRequest: fc.record({ name: text }) as fc.Arbitrary<Enrolment.RevokeRequest>,
  revokeReply: fc.record({ serials: some(text) }) as fc.Arbitrary<Enrolment.RevokeReply>,
  tokensRequest: fc.oneof(
    fc.record({ kind: fc.constant('list') }),
    fc.record({ kind: fc.constantFrom('current', 'create', 'rotate'), role }),
  ) as fc.Arbitrary<Enrolment.TokensRequest>,
  tokensReply: fc.record({
    tokens: some(fc.record({ id: text, role, createdAtMs: whole })),
    token: fc.option(pem),
  }) as fc.Arbitrary<Enrolment.TokensReply>,
};
