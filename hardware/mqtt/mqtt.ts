// The gateway between a broker of MQTT 5 and a bus (R9.1): what devices publish becomes events, and events become messages for
// them, at least once in both directions, and once by identifier. Nothing is acknowledged to either side before the other has it.
// It knows the bus as a port and no more of the platform; what may be published where is for the two brokers to say.
// Surprising: the session outlives the process, so the name of a gateway is its place in both streams. Two gateways of one
// name take the session from each other, and the one that lost it ends.
import { connectionLoop } from './session.ts';
import type { BrokerAddress } from './link.ts';
import { ok, rejected, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import { isName } from '../../system/domain/identifiers.ts';
import type { Ports } from '../../system/ports/ports.ts';
import { createCounters, type GatewayCounters } from './counters.ts';
import { runOutbound } from './outbound.ts';
import { NONCE_BYTES, Receipts } from './receipts.ts';
import { compileInbound, compileOutbound, type InboundRoute, type OutboundRoute, type SubjectMapping, type TopicMapping } from './route.ts';
import { overlaps } from './topic.ts';

export type { GatewayCounters } from './counters.ts';
export type { BrokerAddress } from './link.ts';
export type { InboundRoute, OutboundRoute } from './route.ts';

/** Bound: routes of one gateway, in each direction. */
export const ROUTES_MAX = 64;
/** Bound: messages of which it is remembered that they came, more than any broker leaves unacknowledged. */
const RECEIPTS_MAX = 4_096;
/** Bound: time that a stop leaves to what is in flight. */
const STOP_MS_MAX = 10_000;

export type GatewayPorts = Pick<Ports, 'bus' | 'clock' | 'random' | 'telemetry'>;

export type GatewayConfig = {
  /** A name as of a DNS label, up to 32 characters: part of the names of its consumers. */
  readonly name: string;
  readonly broker: BrokerAddress;
  readonly inbound: readonly InboundRoute[];
  readonly outbound: readonly OutboundRoute[];
  /** Where a restart finds which messages came before; null: nowhere. */
  readonly receiptsFile: string | null;
};

export type GatewayStatus = {
  readonly state: 'connecting' | 'connected' | 'ended';
  /** Why there is no connection; null while there is one. */
  readonly cause: string | null;
  /** Why the bus takes nothing at present. */
  readonly held: string | null;
};

export type MqttGateway = {
  /** Starts both directions. A broker or a bus that is not there yet is tried again until it is. */
  start(): Outcome<void>;
  /** Takes nothing new, ends what is in flight within a bound, and says goodbye to the broker, which keeps the session. */
  stop(): Promise<void>;
  readonly status: GatewayStatus;
  readonly counters: Readonly<GatewayCounters>;
  /** Resolves when it stopped (null), or must not go on: another client took its session. */
  readonly ended: Promise<WmError | null>;
};

const NAME_LENGTH_MAX = 32;

type Compiled = {
  readonly inbound: readonly TopicMapping[];
  readonly outbound: readonly { readonly route: OutboundRoute; readonly mapping: SubjectMapping }[];
};

export function createMqttGateway(ports: GatewayPorts, config: GatewayConfig): MqttGateway {
  const counters = createCounters();
  const stopping = new AbortController();
  let status: GatewayStatus = { state: 'connecting', cause: 'it was not started', held: null };
  let end: (error: WmError | null) => void = () => {};
  const ended = new Promise<WmError | null>((resolve) => (end = resolve));
  let running: Promise<unknown> | null = null;

  return {
    start() {
      const compiled = compileRoutes(config);
      if (!compiled.ok) return compiled;
      const receipts = Receipts.open({
        file: config.receiptsFile,
        slots: RECEIPTS_MAX,
        nonce: ports.random.stream('mqtt-nonce').bytes(NONCE_BYTES),
        prefix: config.name,
        onTrouble: (sentence) => ports.telemetry.log('error', `gateway ${config.name}: ${sentence}`),
      });
      if (!receipts.ok) return receipts;
      const session = connectionLoop(ports, {
        config,
        mappings: compiled.value.inbound,
        receipts: receipts.value,
        counters,
        stopping: stopping.signal,
        stopMsMax: STOP_MS_MAX,
        onStatus: (change) => (status = { ...status, ...change }),
      });
      const routes = compiled.value.outbound.map(({ route, mapping }) =>
        runOutbound(ports, { gateway: config.name, route, mapping, counters, link: session.link, stopping: stopping.signal }),
      );
      const outbound = Promise.all(routes);
      running = session.run(outbound).then(async (error) => {
        stopping.abort();
        await outbound;
        receipts.value.close();
        status = { state: 'ended', cause: error?.message ?? 'it was stopped', held: null };
        end(error);
      });
      return ok();
    },
    async stop() {
      stopping.abort();
      await running;
      if (running === null) end(null);
    },
    get status() {
      return status;
    },
    counters,
    ended,
  };
}

/** All that can be said about routes before a message comes. */
export function compileRoutes({ name, inbound, outbound }: Pick<GatewayConfig, 'name' | 'inbound' | 'outbound'>): Outcome<Compiled> {
  const wrong = (message: string, next: string): Outcome<never> => rejected('WM_ARGUMENT', { message, next });
  if (!isName(name) || name.length > NAME_LENGTH_MAX)
    return wrong(`'${name}' is no name of a gateway.`, `Use up to ${NAME_LENGTH_MAX} lower-case letters, digits and inner hyphens.`);
  if (inbound.length + outbound.length === 0)
    return wrong(`The gateway ${name} has no route.`, 'Give it at least one, inbound or outbound.');
  if (inbound.length > ROUTES_MAX || outbound.length > ROUTES_MAX)
    return wrong(`The gateway ${name} has more than ${ROUTES_MAX} routes in one direction.`, 'Use wildcards, or a second gateway.');
  for (const [i, route] of inbound.entries()) {
    const other = inbound.slice(0, i).find(({ topics }) => overlaps(topics, route.topics));
    if (other !== undefined)
      return wrong(
        `The routes '${other.topics}' and '${route.topics}' may match the same topic.`,
        'Make them exclude each other, so that each message is taken once.',
      );
  }
  for (const [i, route] of outbound.entries()) {
    if (!isName(route.name) || route.name.length > ROUTE_NAME_LENGTH_MAX)
      return wrong(
        `'${route.name}' is no name of a route.`,
        `Use up to ${ROUTE_NAME_LENGTH_MAX} lower-case letters, digits and inner hyphens.`,
      );
    if (outbound.slice(0, i).some((other) => other.name === route.name))
      return wrong(
        `Two outbound routes are called '${route.name}'.`,
        'Give each a name of its own: it is the name of its place in the stream.',
      );
  }
  const mappings: TopicMapping[] = [];
  for (const route of inbound) {
    const compiled = compileInbound(route);
    if (!compiled.ok) return compiled;
    mappings.push(compiled.value);
  }
  const sending: { readonly route: OutboundRoute; readonly mapping: SubjectMapping }[] = [];
  for (const route of outbound) {
    const compiled = compileOutbound(route);
    if (!compiled.ok) return compiled;
    sending.push({ route, mapping: compiled.value });
  }
  return ok({ inbound: mappings, outbound: sending });
}

/** With `mqtt-`, the name of the gateway and a hyphen, the name of a consumer must be a DNS label. */
const ROUTE_NAME_LENGTH_MAX = 63 - 'mqtt-'.length - NAME_LENGTH_MAX - 1;
