// More than one message holds: what a node is told, what an operator asks.
import { describe, expect, test } from 'vitest';
import { createOperatorClient } from '../../../system/api/api.ts';
import { buildDesired, DESIRED_BYTES_MAX } from '../../../system/controller/desired.ts';
import { Head } from '../../../system/controller/head.ts';
import { createState, type Entry } from '../../../system/controller/state.ts';
import type {
  DeploymentName,
  Digest,
  Endpoint,
  Epoch,
  Incarnation,
  InstanceId,
  KeyId,
  ModuleName,
  NodeId,
  Subject,
  SubjectFilter,
  Term,
  TriggerName,
  ZonePath,
} from '../../../system/domain/identifiers.ts';
import type { NodeFacts } from '../../../system/domain/node.ts';
import { SESSION_METHOD } from '../../../system/domain/session.ts';
import { MESSAGE_BYTES_MAX } from '../../../system/ports/network.ts';
import { decodeControllerMessage, encodeAgentMessage, encodeControllerMessage } from '../../../system/wire/codec/session.ts';
import { PROFILE } from '../../support/agent/scripted-wasm.ts';
import { ControllerWorld, deploymentOf, S, triggerOf } from '../../support/controller/world.ts';

const N1 = 'n1' as NodeId;
const MODULE = 'm'.repeat(63) as ModuleName;
const DEPLOYMENT = 'd'.repeat(63) as DeploymentName;
const digest = (digit: string): Digest => `sha256:${digit.repeat(64)}` as Digest;
const FACTS: NodeFacts = {
  node: N1,
  architecture: 'x86_64',
  isaFeatures: [],
  cores: 2,
  memoryBytes: 1_000_000,
  hardware: [],
  location: { latitude: 0, longitude: 0 },
  zone: 'cloud/eu' as ZonePath,
  faultDomain: 'cloud/eu/n1' as ZonePath,
  profile: PROFILE.profile,
  target: PROFILE.target,
  agentVersion: '1',
  endpoint: 'agent/n1' as Endpoint,
};

/** A node that holds so many instances of one deployment with so many triggers; its module has `versions` versions. */
function headOf({ instances = 1, triggers = 0, versions = 1, capabilities = 0, keys = 1 }): Head {
  const journal = { append: () => 1, whenDurable: () => {} };
  const head = new Head(createState(), { journal, tell: () => {}, raiseFence: () => {} });
  const long = Array.from({ length: capabilities }, (_, at) => `publish:${'s'.repeat(60)}.${'t'.repeat(60)}.${at}`);
  const key = `ed25519:${'0'.repeat(64)}` as KeyId;
  const entries: Entry[] = [{ kind: 'node-enrolled', facts: FACTS, bootId: 'b', incarnation: 1 as Incarnation, atMs: 1, cause: 'first' }];
  for (let at = 0; at < keys; at++) {
    const name = at === 0 ? key : (`ed25519:${String(at).padStart(64, '0')}` as KeyId);
    entries.push({
      kind: 'module-trust',
      key: { key: name, publicKey: new Uint8Array(32), mayGrant: at === 0 ? long : [], revoked: false },
    });
  }
  const signature = { key, bytes: new Uint8Array(64) };
  for (let version = 1; version <= versions; version++) {
    const limits = { fuelMax: 1, memoryBytesMax: 1, outputBytesMax: 1 };
    const module = digest(String(version));
    const manifest = { name: MODULE, digest: module, capabilities: long, limits };
    const statement = { module, target: PROFILE.target, profile: PROFILE.profile, artefact: digest('a'), sizeBytes: 1 };
    entries.push({ kind: 'module-stored', version: { manifest, signature, version, sizeBytes: 1 } });
    entries.push({ kind: 'module-artefact', module: MODULE, version, artefact: { statement, signature } });
  }
  const spec = deploymentOf({ name: DEPLOYMENT, module: MODULE, replicas: instances });
  entries.push({ kind: 'deployment-applied', spec, version: 1, revision: 1 });
  for (let at = 0; at < triggers; at++) {
    const name = `${'t'.repeat(50)}${at}` as TriggerName;
    const subject = `${'x'.repeat(60)}.${'y'.repeat(60)}.${at}`;
    entries.push({
      kind: 'trigger-applied',
      spec: triggerOf({ name, deployment: DEPLOYMENT, subject: subject as SubjectFilter, result: subject as Subject }),
    });
  }
  const common = { deployment: DEPLOYMENT, module: MODULE, atMs: 1, cause: 'c' };
  for (let ordinal = 0; ordinal < instances; ordinal++) {
    const instance = `${DEPLOYMENT}/${ordinal}` as InstanceId;
    const decision = { instance, chosen: { node: N1, score: 1, factors: [] }, runnersUp: [], refused: [], feasible: 1 };
    const place = { node: N1, nodeIncarnation: 1 as Incarnation, epoch: 1 as Epoch, version: 1, memoryBytes: 0, cpuMillis: 0 };
    entries.push({ ...common, kind: 'instance-created', instance, ordinal });
    entries.push({ ...common, ...place, kind: 'instance-assigned', instance, decision });
  }
  head.commit(entries);
  return head;
}

function build(head: Head): { readonly told: number; readonly leftOut: number; readonly bytes: number; readonly modules: number } {
  const ready = new Set(head.state.events.triggers.keys());
  const { message, leftOut } = buildDesired(head, N1, { term: 1 as Term, revision: 1, ready });
  const bytes = encodeControllerMessage(message).length;
  return { told: message.assignments.length, leftOut: leftOut.length, bytes, modules: message.modules.length };
}

describe('what a node is told', () => {
  test('fits into one message, and says which instances it has no room for', () => {
    for (const shape of [{ instances: 8_000 }, { instances: 40, triggers: 300 }, { instances: 200, capabilities: 40, versions: 5 }]) {
      const { told, leftOut, bytes } = build(headOf(shape));
      expect([told > 0, leftOut > 0, told + leftOut]).toEqual([true, true, shape.instances]);
      expect(bytes).toBeLessThan(MESSAGE_BYTES_MAX);
    }
  });

  test('counts no less than it takes, whatever it is that takes it', () => {
    for (const shape of [
      { keys: 15_000 },
      { instances: 6_000 },
      { triggers: 2_000, instances: 5 },
      { capabilities: 128, versions: 5, instances: 20 },
    ]) {
      const { bytes, leftOut } = build(headOf(shape));
      expect(leftOut).toBe(0);
      expect(bytes).toBeGreaterThan(DESIRED_BYTES_MAX / 10);
      expect(bytes).toBeLessThan(DESIRED_BYTES_MAX);
    }
  });

  test('lets go of warm versions before it leaves out an instance', () => {
    const roomy = build(headOf({ instances: 150, versions: 5, capabilities: 40 }));
    expect(roomy).toMatchObject({ told: 150, leftOut: 0, modules: 5 });
    const most = 186;
    const full = build(headOf({ instances: most, versions: 5, capabilities: 40 }));
    expect(full).toMatchObject({ told: most, leftOut: 0, modules: 1 });
  });
});

describe('a node that holds more than it can be told', () => {
  test('keeps its session and what fits, and the rest fails there with a reason', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      world.addMachine('n1', 'node/n1');
      const told: number[] = [];
      let open = true;
      void world.stream('n1', SESSION_METHOD, async (opened) => {
        if (!opened.ok) throw new Error(opened.error.message);
        const hello = { kind: 'hello', facts: FACTS, joinToken: world.config.joinToken, bootId: 'b', incarnation: null } as const;
        await opened.value.send(encodeAgentMessage({ ...hello, instances: [], artefacts: [] }));
        for (let sequence = 0; ; sequence++) {
          const received = await opened.value.receive();
          if (!received.ok || received.value === null) break;
          const message = decodeControllerMessage(received.value);
          if (message.ok && message.value.kind === 'desired') told.push(message.value.assignments.length);
          const load = { cpuPermille: 0, memoryBytesFree: 1, invocationsActive: 0 };
          if (message.ok && message.value.kind !== 'heartbeat-ack')
            await opened.value.send(encodeAgentMessage({ kind: 'heartbeat', sequence, load, latencies: [] }));
        }
        open = false;
      });
      await world.pass(S);
      const requirements = { ...deploymentOf().requirements, memoryBytes: 0, cpuMillis: 0 };
      const deploy = (replicas: number): Promise<unknown> =>
        world.must({ kind: 'deployment-apply', spec: deploymentOf({ replicas, requirements }) });
      await deploy(0);
      const long = `${'x'.repeat(60)}.${'y'.repeat(60)}.${'z'.repeat(60)}` as Subject;
      const names = Array.from({ length: 200 }, (_, at) => `t${at}` as TriggerName);
      await Promise.all(names.map((name) => world.must({ kind: 'trigger-apply', spec: triggerOf({ name, result: long }) })));
      await deploy(150);
      await world.pass(S);
      expect(open).toBe(true);
      expect(told.at(-1)).toBeGreaterThan(10);
      expect(told.at(-1)).toBeLessThan(150);
      const failed = world.of('instance.state').filter(({ fields }) => fields.to === 'failed');
      expect(failed[0]?.fields.cause).toContain('more is placed on n1 than one message tells it of');
    });
  });
});

describe('a question', () => {
  test('whose answer is larger than a message is answered whole, in the same order', async () => {
    const world = new ControllerWorld();
    await world.play(async () => {
      await world.trust();
      await world.push('echo', 'echo 1');
      const features = Array.from({ length: 64 }, (_, at) => `${'f'.repeat(60)}${at}`);
      const requirements = { ...deploymentOf().requirements, isaFeatures: features, hardware: features };
      const names = Array.from({ length: 600 }, (_, at) => `d${at}` as DeploymentName);
      const specs = names.map((name) => deploymentOf({ name, replicas: 0, requirements }));
      await Promise.all(specs.map((spec) => world.must({ kind: 'deployment-apply', spec })));
      expect(await world.ask({ kind: 'deployments' })).toMatchObject({ ok: false, error: { code: 'WM_MESSAGE_TOO_LARGE' } });
      const answer = await world.on('operator', async () => {
        const ports = world.portsOf('operator');
        const client = createOperatorClient(ports, { controller: world.config.endpoint });
        const answered = await client.query({ kind: 'deployments' }, { deadlineMicros: 60 * S });
        client.close();
        return answered;
      });
      if (!answer.ok || answer.value.kind !== 'deployments') throw new Error('it is answered');
      expect(answer.value.deployments.map(({ spec }) => spec.name)).toEqual([...names].sort());
    });
  });
});
