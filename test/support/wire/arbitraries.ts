// Any value of every message, within what the doors accept.
import fc from 'fast-check';
import type * as Broker from '../../../system/domain/broker.ts';
import type { Capability } from '../../../system/domain/capability.ts';
import type { TriggerSpec } from '../../../system/domain/deployment.ts';
import { TOKEN_ROLES, TOKEN_SECRET_BYTES } from '../../../system/domain/enrolment.ts';
import type * as Enrolment from '../../../system/domain/enrolment.ts';
import { WM_ERRORS, type ErrorCode } from '../../../system/domain/errors.ts';
import type { BusEvent, FencingToken, PublishAck } from '../../../system/domain/event.ts';
import { LOG_LEVELS, type GuestLine } from '../../../system/domain/logs.ts';
import type { ModuleManifest, Signature, SignedArtefact, TrustedKey } from '../../../system/domain/module.ts';
import type { NodeFacts, NodeLoad } from '../../../system/domain/node.ts';
import { NODE_PHASES } from '../../../system/domain/node-service.ts';
import type { NodeStatus } from '../../../system/domain/node-service.ts';
import type {
  AgentMessage,
  Assignment,
  ControllerMessage,
  FetchReply,
  FetchRequest,
  InstanceReport,
  ModuleGrant,
} from '../../../system/domain/session.ts';

/** A text of the wire carries no brand until a decoder has looked at it. */
export function branded<T>(arbitrary: fc.Arbitrary<unknown>): fc.Arbitrary<T> {
  return arbitrary as fc.Arbitrary<T>;
}

export const whole = fc.oneof(fc.nat(1_000), fc.maxSafeNat());
export const uint32 = fc.oneof(fc.nat(1_000), fc.integer({ min: 0, max: 0xffff_ffff }));
export const positive = fc.oneof(fc.integer({ min: 1, max: 1_000 }), fc.integer({ min: 1, max: 0xffff_ffff }));
export const text = fc.string({ unit: 'binary', maxLength: 60 });
export const some = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(arbitrary, { maxLength: 3 });
export const bytes = fc.uint8Array({ maxLength: 200 });
export const double = fc.double({ noDefaultInfinity: true, noNaN: true }).map((value) => value + 0);
const degrees = (most: number) => fc.double({ min: -most, max: most, noNaN: true }).map((value) => value + 0);

export const name = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/);
export const nodeId = branded<NodeFacts['node']>(name);
export const zone = branded<NodeFacts['zone']>(
  fc.array(fc.stringMatching(/^[a-z0-9-]{1,20}$/), { minLength: 1, maxLength: 8 }).map((parts) => parts.join('/')),
);
export const digest = branded<ModuleManifest['digest']>(fc.stringMatching(/^sha256:[0-9a-f]{64}$/));
const token = fc.stringMatching(/^[A-Za-z0-9_$-]{1,64}$/);
export const subject = branded<BusEvent['subject']>(fc.array(token, { minLength: 1, maxLength: 16 }).map((tokens) => tokens.join('.')));
export const filter = branded<TriggerSpec['subject']>(
  fc
    .tuple(fc.array(fc.oneof(token, fc.constant('*')), { minLength: 1, maxLength: 15 }), fc.boolean())
    .map(([tokens, rest]) => [...tokens, ...(rest ? ['>'] : [])].join('.')),
);
export const instance = branded<FencingToken['instance']>(
  fc.tuple(name, fc.nat(999_999)).map(([deployment, ordinal]) => `${deployment}/${ordinal}`),
);
export const identifier = <T>(): fc.Arbitrary<T> => branded<T>(fc.string({ unit: 'binary', minLength: 1, maxLength: 60 }));
export const errorCode = fc.constantFrom(...(Object.keys(WM_ERRORS) as ErrorCode[]));
export const count = branded<never>(whole);

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

export const signature: fc.Arbitrary<Signature> = fc.record({ key: identifier(), bytes: fc.uint8Array({ minLength: 64, maxLength: 64 }) });
const capability: fc.Arbitrary<Capability> = fc.oneof(
  fc.record({ kind: fc.constantFrom('clock' as const, 'random' as const, 'sleep' as const, 'log' as const) }),
  fc.record({ kind: fc.constantFrom('state-read' as const, 'state-write' as const), scope: fc.stringMatching(/^[A-Za-z0-9._/-]{1,40}$/) }),
  fc.record({ kind: fc.constant('publish' as const), scope: filter }),
);
export const capabilityText = fc.string({ unit: 'binary', maxLength: 40 });
export const manifest: fc.Arbitrary<ModuleManifest> = fc.record({
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
/** Absent is another thing than any time. */
export const notAfter: fc.Arbitrary<{ readonly notAfterMs?: number }> = fc.oneof(fc.constant({}), fc.record({ notAfterMs: whole }));
export const trustedKey: fc.Arbitrary<TrustedKey> = fc
  .tuple(
    fc.record({
      key: identifier<TrustedKey['key']>(),
      publicKey: fc.uint8Array({ minLength: 32, maxLength: 32 }),
      mayGrant: some(capabilityText),
      revoked: fc.boolean(),
    }),
    notAfter,
  )
  .map(([key, until]) => ({ ...key, ...until }));
export const facts: fc.Arbitrary<NodeFacts> = fc.record({
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
export const load: fc.Arbitrary<NodeLoad> = fc.record({ cpuPermille: uint32, memoryBytesFree: whole, invocationsActive: uint32 });
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

export const line = {
  timeMs: whole,
  instance,
  version: uint32,
  level: fc.constantFrom(...LOG_LEVELS),
  event: identifier<GuestLine['event']>(),
  correlation: identifier<GuestLine['correlation']>(),
  text,
};

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
    fc.record({ kind: fc.constant('moved' as const), location: fc.record({ latitude: degrees(90), longitude: degrees(180) }) }),
    fc.record({ kind: fc.constant('logs' as const), lines: some(fc.record(line)), dropped: some(fc.record({ instance, lines: whole })) }),
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
      withdrawn: some(fc.record({ instance, epoch: count, version: uint32 })),
    }),
  ) as fc.Arbitrary<ControllerMessage>,
  fetchRequest: fc.record({ artefact: digest, offset: whole, bytesMax: positive }) as fc.Arbitrary<FetchRequest>,
  fetchReply: fc.record({ sizeBytes: whole, offset: whole, bytes }) as fc.Arbitrary<FetchReply>,
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
    bus: fc.option(
      fc.record({ kind: fc.constant('nats'), servers: some(text), user: fc.option(text), password: fc.option(text), prefix: name }),
    ),
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

export const nodeMessages = {
  nodeStatus: fc.record({
    phase: fc.constantFrom(...NODE_PHASES),
    agent: fc.option(
      fc.record({
        node: nodeId,
        agentVersion: text,
        isConnected: fc.boolean(),
        isLeaseHeld: fc.boolean(),
        instances: some(fc.record({ instance, epoch: count, module: name, version: uint32, isDraining: fc.boolean() })),
        guestsOpen: uint32,
        guestsMax: uint32,
        uptimeMs: whole,
      }),
    ),
  }) as fc.Arbitrary<NodeStatus>,
  metrics: fc.string({ unit: 'binary', maxLength: 500 }),
};
