// An agent on real ports: joins when it has not joined yet, keeps its identity, serves its node's own endpoint, runs guests on
// the engine. A composition root: it decides nothing that the product should decide.
// Everything that must survive is in one folder: `store/` (artefacts, desired state), `identity.json`.
import { availableParallelism, totalmem } from 'node:os';
import { join as joinPath } from 'node:path';
import { createAgent, type Agent } from '../agents/agent.ts';
import type { Endpoint, NodeId, ZonePath } from '../system/domain/identifiers.ts';
import type { AgentStatus } from '../system/domain/node-service.ts';
import type { NodeFacts } from '../system/domain/node.ts';
import { Bug, describeError, ok, rejected, type Err, type Outcome } from '../system/domain/outcome.ts';
import type { Network } from '../system/ports/network.ts';
import { createStateClient } from '../system/state/state.ts';
import { SystemClock } from './clock/clock.ts';
import { acceptsName, addressesInEndpoint, advertisedOf, CONTROLLER, endpointAt, hostsOf, VERSION } from './compose.main.ts';
import { openAgentBus } from './buses.main.ts';
import { readLocation } from './location/location.ts';
import { FileKeys } from './keys/keys.ts';
import {
  createGrpcNetwork,
  IdentityKeeper,
  join,
  keepaliveOf,
  loadIdentity,
  NodeService,
  renewThrough,
  saveIdentity,
  type KeptIdentity,
} from './network/network.ts';
import type { Resolved } from './process/process.ts';
import { countStart } from './process/starts.ts';
import { SystemRandom } from './random/random.ts';
import { openStorage } from './storage/storage.ts';
import { openTelemetry, serveAdmin } from './telemetry/telemetry.ts';
import type { EngineAddon } from './wasm/native/native.ts';
import { chooseLevel, readCpuFeatures } from './wasm/cpu-features.ts';
import { architectureOf, createNodeWasm } from './wasm/node-engine.ts';

export type AgentProcess = {
  readonly node: string;
  /** Where other nodes reach it. */
  readonly address: string;
  readonly admin: string;
  readonly controllers: readonly string[];
  readonly ended: Promise<string>;
  /** In order: running invocations finish, the controller is told. */
  stop(): Promise<void>;
};

type Cleanup = () => Promise<void> | void;
type Values = Resolved['values'];

export async function startAgent(settings: Values, addon: EngineAddon): Promise<Outcome<AgentProcess>> {
  const cleanups: Cleanup[] = [];
  const undo = async (): Promise<void> => {
    for (const cleanup of cleanups.reverse()) await cleanup();
  };
  const fail = async (error: Err): Promise<Err> => {
    await undo();
    return error;
  };
  const text = (name: string): string => String(settings[name]);
  const data = text('data');
  const node = text('name');

  const architecture = architectureOf(addon.build.host);
  if (architecture === null) {
    return rejected('WM_PROFILE_MISMATCH', {
      message: `This machine's architecture (${addon.build.host}) is none that nodes may have.`,
      next: 'Run agents on x86-64, arm64 or riscv64.',
    });
  }
  const isa = chooseLevel(architecture, readCpuFeatures(architecture), text('isa'));
  if (!isa.ok) return isa;
  const clock = new SystemClock();
  const random = new SystemRandom();
  const storage = await openStorage({ folder: joinPath(data, 'store') });
  if (!storage.ok) return storage;
  cleanups.push(() => storage.value.close());
  const start = await countStart(storage.value);
  if (!start.ok) return fail(start);
  const identityFile = joinPath(data, 'identity.json');
  const identity = await identityOf(settings, identityFile);
  if (!identity.ok) return fail(identity);
  const controllers = (settings['controllers'] as readonly string[] | null) ?? identity.value.addresses;

  const telemetry = openTelemetry({
    source: node,
    incarnation: start.value,
    role: 'agent',
    log: { level: text('log.level') as 'info', format: text('log.format') as 'json', path: null },
    records: settings['log.records'] === null ? null : { path: text('log.records') },
  });
  if (!telemetry.ok) return fail(telemetry);
  cleanups.push(() => telemetry.value.close());
  const say = (sentence: string): void => telemetry.value.log('warn', sentence);

  const network = createGrpcNetwork({
    addresses: (endpoint) => (endpoint === CONTROLLER ? controllers : addressesInEndpoint(endpoint)),
    listen: () => text('listen'),
    identity: identity.value.identity,
    accepts: acceptsName,
    keepalive: keepaliveOf(Number(settings['keepalive'])),
    onRefused: say,
  });
  cleanups.push(() => network.close());
  let endKeeping: (cause: string) => void = () => {};
  const keepingEnded = new Promise<string>((resolve) => (endKeeping = resolve));
  const keeper = new IdentityKeeper({
    kept: { ...identity.value, addresses: controllers },
    clock,
    random: random.stream('identity'),
    renew: renewThrough(network, CONTROLLER, hostsOf([])),
    save: (kept) => saveIdentity(identityFile, kept),
    onRenewed: (kept) => network.renew(kept.identity),
    onTrouble: (error) => say(describeError(error)),
    onEnded: (error) => endKeeping(describeError(error)),
  });
  keeper.start();
  cleanups.push(() => keeper.stop());

  const place = `agent/${node}` as Endpoint;
  let agent: Agent | null = null;
  let endAgent: (cause: string) => void = () => {};
  const agentEnded = new Promise<string>((resolve) => (endAgent = resolve));
  let create: () => Agent = () => {
    throw new Bug('Invariant broken: a node starts its agent after its ports are there');
  };
  const service = await NodeService.open({
    network,
    endpoint: place,
    name: `node/${node}`,
    status: () => agent?.status() ?? null,
    metrics: () => telemetry.value.metrics(),
    start: async () => {
      const made = create();
      const started = await made.start();
      if (!started.ok) {
        await made.stop();
        return started;
      }
      agent = made;
      void made.ended.then(endAgent);
      return started;
    },
    stop: async () => {
      await agent?.stop();
      agent = null;
    },
  });
  if (!service.ok) return fail(service);
  cleanups.push(() => service.value.close());
  const advertised = advertisedOf(
    settings['advertise'] as readonly string[] | null,
    network.addressOf(place) ?? text('listen'),
    `Node ${node}`,
  );
  if (!advertised.ok) return fail(advertised);
  const address = advertised.value[0] ?? '';

  const wasm = createNodeWasm(addon, {
    clock,
    level: isa.value.level,
    speed: settings['speed'] === null ? null : Number(settings['speed']),
  });
  const zone = text('zone') as ZonePath;
  const [latitude, longitude] = settings['location'] as readonly [number, number];
  const facts: NodeFacts = {
    node: node as NodeId,
    architecture,
    isaFeatures: isa.value.features,
    cores: settings['cores'] === null ? availableParallelism() : Number(settings['cores']),
    memoryBytes: settings['memory'] === null ? Math.floor(totalmem() / 2) : Number(settings['memory']),
    hardware: [...(settings['hardware'] as readonly string[])].sort(),
    location: { latitude, longitude },
    zone,
    faultDomain: settings['faultDomain'] === null ? (`${zone}/${node}` as ZonePath) : (text('faultDomain') as ZonePath),
    profile: wasm.profile.profile,
    target: wasm.profile.target,
    agentVersion: VERSION,
    endpoint: endpointAt(place, advertised.value),
  };
  const agentNetwork: Network = {
    connect: network.connect,
    // The node's endpoint has its address in its name, which is known only after the service listens.
    listen: (_endpoint, handler) => service.value.network.listen(place, handler),
  };
  const ports = {
    clock,
    random,
    network: agentNetwork,
    storage: storage.value,
    wasm,
    keys: new FileKeys(joinPath(data, 'keys')),
    telemetry: telemetry.value,
  };
  const bus = await openAgentBus(keeper.current.bus, ports, node);
  if (!bus.ok) return fail(bus);
  cleanups.push(() => bus.value.close());
  const state = createStateClient(ports, { store: CONTROLLER });
  const locationFile = settings['locationFile'] === null ? null : text('locationFile');
  create = () =>
    createAgent(
      { ...ports, bus: bus.value.bus, state },
      {
        facts,
        joinToken: '',
        controller: CONTROLLER,
        version: VERSION,
        // What runs may finish in all of the time that whoever stops this agent waits.
        bounds: { stopDrainMs: Number(settings['drain']) },
        ...(locationFile === null ? {} : { locate: () => readLocation(locationFile) }),
      },
    );
  const started = await service.value.start();
  cleanups.push(async () => void (await service.value.stop()));
  if (!started.ok) return fail(started);

  const admin = await serveAdmin({
    address: text('admin'),
    metrics: () => telemetry.value.metrics(),
    ready: () => partsOf(agent?.status() ?? null),
  });
  if (!admin.ok) return fail(admin);
  cleanups.push(() => admin.value.close());
  return ok({
    node,
    address,
    admin: admin.value.address,
    controllers,
    ended: Promise.race([agentEnded, keepingEnded]),
    stop: undo,
  });
}

async function identityOf(settings: Values, file: string): Promise<Outcome<KeptIdentity>> {
  const name = `node/${String(settings['name'])}`;
  const loaded = await loadIdentity(file);
  if (!loaded.ok) return loaded;
  const token = settings['join'] ?? null;
  const expired = loaded.value !== null && loaded.value.notAfterMs <= new SystemClock().civilMs();
  if (loaded.value !== null && !(expired && token !== null)) {
    if (loaded.value.name === name && !expired) return ok(loaded.value);
    if (loaded.value.name === name) {
      return rejected('WM_CERTIFICATE_REFUSED', {
        message: `The certificate of ${name} expired on ${new Date(loaded.value.notAfterMs).toISOString()}, while the agent was off.`,
        next: 'Join again with --join <token>; `wasmmatrix token show` prints it.',
      });
    }
    return rejected('WM_ARGUMENT', {
      message: `${file} is the identity of ${loaded.value.name}, and this is to be ${name}.`,
      next: 'Give each node a folder of its own with --data, or its own name.',
    });
  }
  if (token === null) {
    return rejected('WM_ARGUMENT', {
      message: `${name} has not joined a control plane yet, and there is no join token.`,
      next: 'Give it with --join <token> or WASMMATRIX_JOIN; `wasmmatrix up` and `wasmmatrix token show` print it.',
    });
  }
  const joined = await join({ token: String(token), name });
  if (!joined.ok) return joined;
  const saved = await saveIdentity(file, joined.value);
  return saved.ok ? joined : saved;
}

type Part = { readonly part: string; readonly ready: boolean; readonly why: string };

/** What readiness is told from. */
function partsOf(status: AgentStatus | null): readonly Part[] {
  if (status === null) return [{ part: 'agent', ready: false, why: 'The agent is stopped.' }];
  const { isConnected, isLeaseHeld } = status;
  return [
    { part: 'session', ready: isConnected, why: isConnected ? '' : 'There is no session with the controller.' },
    { part: 'lease', ready: isLeaseHeld, why: isLeaseHeld ? '' : 'The lease is not held: movable work stands still.' },
  ];
}
