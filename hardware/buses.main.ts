// Which bus a process uses: the one embedded in the controller, reached over its endpoint, or NATS JetStream, reached directly.
// A composition root. What agents need to reach NATS they are told when they join.
import { createBusClient, createBusGateway, type ControllerBroker } from '../system/bus/bus.ts';
import type { BusSettings } from '../system/domain/enrolment.ts';
import { ok, rejected, type Outcome } from '../system/domain/outcome.ts';
import type { Bus } from '../system/ports/bus.ts';
import type { Ports } from '../system/ports/ports.ts';
import { openNatsBus } from './bus/bus.ts';
import { CONTROLLER } from './compose.main.ts';
import { checkSyncAlways, connectNats, type NatsCredentials, type NatsLink } from './nats/nats.ts';
import type { Resolved } from './process/process.ts';

type Values = Resolved['values'];
type BusPorts = Pick<Ports, 'clock' | 'random' | 'telemetry'>;

/** Said where the settings ask for NATS and do not say where it is. */
export function natsServersOf(settings: Values): Outcome<readonly string[]> {
  const servers = (settings['nats.servers'] as readonly string[] | null) ?? [];
  const odd = servers.find((server) => !/^(?:nats|tls):\/\/[^/\s]+$/.test(server));
  if (servers.length > 0 && odd === undefined) return ok(servers);
  return rejected('WM_ARGUMENT', {
    message: odd === undefined ? 'NATS is to be used, and no server of it is named.' : `'${odd}' is no server of NATS.`,
    next: 'Name them with --nats-servers nats://host:4222,….',
  });
}

export function natsCredentialsOf(settings: Values): NatsCredentials {
  const file = settings['nats.credentials'] ?? null;
  if (file !== null) return { kind: 'file', path: String(file) };
  const user = settings['nats.user'] ?? null;
  return user === null ? { kind: 'none' } : { kind: 'password', user: String(user), password: String(settings['nats.password'] ?? '') };
}

/** Connects as the platform, and asks the servers whether they keep what they acknowledge. */
export async function connectPlatform(settings: Values): Promise<Outcome<NatsLink>> {
  const servers = natsServersOf(settings);
  if (!servers.ok) return servers;
  const monitors = (settings['nats.monitors'] as readonly string[] | null) ?? [];
  const accepts = settings['nats.acceptLossAtPowerCut'] === true;
  if (monitors.length === 0 && !accepts) {
    return rejected('WM_ARGUMENT', {
      message: 'Whether the servers of NATS sync what they acknowledge cannot be asked: their monitoring addresses are not named.',
      next: 'Name them with --nats-monitors http://host:8222, or say --nats-accept-loss-at-power-cut (docs/howto/production.md).',
    });
  }
  const link = await connectNats({
    servers: servers.value,
    name: 'wasmmatrix controller',
    credentials: natsCredentialsOf(settings),
    tls: null,
  });
  if (!link.ok || accepts) return link;
  const synced = await checkSyncAlways(monitors);
  if (synced.ok) return link;
  await link.value.close();
  return synced;
}

export type ControllerBus = {
  /** Null: the controller's own. */
  readonly broker: ControllerBroker | null;
  /** What agents are told. */
  readonly settings: BusSettings | null;
  /** After the controller has stopped. */
  close(): Promise<void>;
};

export async function openControllerBus(settings: Values, ports: BusPorts): Promise<Outcome<ControllerBus>> {
  if (settings['bus'] !== 'nats') return ok({ broker: null, settings: null, close: async () => {} });
  const link = await connectPlatform(settings);
  if (!link.ok) return link;
  const prefix = String(settings['nats.prefix']);
  const bus = await openNatsBus({
    link: link.value,
    ports,
    role: 'platform',
    prefix,
    queueEventsMax: Number(settings['queue']),
    replicas: Number(settings['nats.replicas']),
  });
  if (!bus.ok) {
    await link.value.close();
    return bus;
  }
  const servers = settings['nats.servers'] as readonly string[];
  const own = settings['nats.user'] ?? null;
  const agentUser = settings['nats.agentUser'] ?? own;
  const agentPassword = settings['nats.agentUser'] === null ? settings['nats.password'] : settings['nats.agentPassword'];
  return ok({
    broker: createBusGateway(ports, bus.value),
    settings: {
      kind: 'nats',
      servers,
      user: agentUser === null ? null : String(agentUser),
      password: agentPassword === null || agentPassword === undefined ? null : String(agentPassword),
      prefix,
    },
    close: async () => {
      bus.value.close();
      await link.value.close();
    },
  });
}

export type AgentBus = { readonly bus: Bus; close(): Promise<void> };

/** `told`: what the controller said of the bus when the node joined. */
export async function openAgentBus(
  told: BusSettings | null,
  ports: BusPorts & Pick<Ports, 'network'>,
  node: string,
): Promise<Outcome<AgentBus>> {
  if (told === null) {
    const bus = createBusClient(ports, { broker: CONTROLLER });
    return ok({ bus, close: async () => bus.close() });
  }
  const credentials: NatsCredentials =
    told.user === null ? { kind: 'none' } : { kind: 'password', user: told.user, password: told.password ?? '' };
  const link = await connectNats({ servers: told.servers, name: `wasmmatrix agent ${node}`, credentials, tls: null });
  if (!link.ok) return link;
  const bus = await openNatsBus({ link: link.value, ports, role: 'agent', prefix: told.prefix });
  if (!bus.ok) {
    await link.value.close();
    return bus;
  }
  return ok({
    bus: bus.value,
    close: async () => {
      bus.value.close();
      await link.value.close();
    },
  });
}
