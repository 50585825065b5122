// From the bus to the broker: one durable consumer for each route. A delivery is acknowledged when the broker confirmed the
// message, and given back with the reason when it did not. Nothing is fetched while there is no broker, so that a broker that
// is away costs no event a try.
import type { ConsumerSpec, DeliveredEvent, Settlement } from '../../system/domain/broker.ts';
import type { ConsumerName } from '../../system/domain/identifiers.ts';
import { describeError, type WmError } from '../../system/domain/outcome.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { GatewayCounters } from './counters.ts';
import type { Link } from './link.ts';
import { checkPublication, publicationOf } from './message.ts';
import { backoffMs, pause, type BackoffLaw } from './pause.ts';
import type { OutboundRoute, SubjectMapping } from './route.ts';

/** Bound: events of one route in flight to the broker. */
export const OUTBOUND_WINDOW = 32;
/** How long a fetch is held open, and with it how long a stop may take. */
const FETCH_WAIT_MS = 2_000;
/** Tries have no bound: the bus is asked again for as long as the gateway runs. */
const RETRY: BackoffLaw = { baseMs: 100, maxMs: 5_000 };
/** Bounds of a delivery: longer than the broker may take to confirm, and tries before the event is dead-lettered. */
const ACK_WAIT_MS = 30_000;
const DELIVERIES_MAX = 20;
const BACKOFF_MS = 200;
const BACKOFF_MS_MAX = 60_000;
/** Bound: deliveries outstanding, in windows: those of gateways that were killed a moment ago among them. */
const PENDING_WINDOWS = 8;

/** The broker says that it will never take it (MQTT 5, 3.4.2.1): topic name and payload format. */
const NEVER: readonly unknown[] = [0x90, 0x99];

export type OutboundOptions = {
  readonly gateway: string;
  readonly route: OutboundRoute;
  readonly mapping: SubjectMapping;
  readonly counters: GatewayCounters;
  /** The connection there is, or the next one; null when the gateway stops. */
  readonly link: () => Promise<Link | null>;
  readonly stopping: AbortSignal;
};

export function consumerOf(gateway: string, route: OutboundRoute): ConsumerSpec {
  return {
    name: `mqtt-${gateway}-${route.name}` as ConsumerName,
    filter: route.subjects,
    ackWaitMs: ACK_WAIT_MS,
    deliveriesMax: DELIVERIES_MAX,
    backoffMs: BACKOFF_MS,
    backoffMsMax: BACKOFF_MS_MAX,
    // What a killed gateway held must not hold its successor up until it runs out.
    pendingMax: OUTBOUND_WINDOW * PENDING_WINDOWS,
    // Events wait for a gateway that is away, however long.
    idleMsMax: null,
  };
}

export async function runOutbound(ports: Pick<Ports, 'bus' | 'clock' | 'random' | 'telemetry'>, options: OutboundOptions): Promise<void> {
  const { bus, clock, random, telemetry } = ports;
  const { gateway, route, stopping } = options;
  const spec = consumerOf(gateway, route);
  let known = false;
  let attempt = 0;
  const again = async (error: WmError): Promise<void> => {
    telemetry.log('warn', `gateway ${gateway}, route ${route.name}: ${describeError(error)}`);
    await pause(clock, backoffMs(RETRY, attempt++, random.stream('mqtt-retry')), stopping);
  };
  while (!stopping.aborted) {
    if (!known) {
      const created = await bus.createConsumer(spec);
      if (!created.ok) {
        await again(created.error);
        continue;
      }
      known = true;
    }
    if ((await options.link()) === null) break;
    const fetched = await bus.fetch(spec.name, { eventsMax: OUTBOUND_WINDOW, waitMs: FETCH_WAIT_MS, fence: null });
    if (!fetched.ok) {
      // It may have been deleted, or the bus may be a new one.
      known = fetched.error.code !== 'WM_BUS_CONSUMER_UNKNOWN';
      await again(fetched.error);
      continue;
    }
    attempt = 0;
    await Promise.all(fetched.value.map((delivery) => send(ports, options, delivery)));
  }
}

async function send(ports: Pick<Ports, 'bus' | 'telemetry'>, options: OutboundOptions, delivery: DeliveredEvent): Promise<void> {
  const settlement = await settlementOf(ports, options, delivery);
  const settled = await ports.bus.settle(consumerOf(options.gateway, options.route).name, delivery, settlement, { fence: null });
  // It comes again, with the same identifier.
  if (!settled.ok)
    ports.telemetry.log(
      'warn',
      `gateway ${options.gateway}: ${delivery.event.id}: ${describeError(settled.error)}`,
      delivery.event.correlation,
    );
}

async function settlementOf(ports: Pick<Ports, 'telemetry'>, options: OutboundOptions, { event }: DeliveredEvent): Promise<Settlement> {
  const { route, mapping, counters, stopping } = options;
  const topic = mapping.topicOf(event.subject);
  if (!topic.ok) return never(ports, options, event, '', topic.error);
  const link = stopping.aborted ? null : await options.link();
  if (link === null) return { kind: 'release' };
  const publication = publicationOf(event);
  const fits = checkPublication(topic.value, publication, link.packetBytesMax);
  if (!fits.ok) return never(ports, options, event, topic.value, fits.error);
  const sent = await link.publish(topic.value, publication.payload, { retain: route.retain, properties: publication.properties });
  if (sent.ok) {
    counters.sent++;
    return { kind: 'ack' };
  }
  // Not handed over at all: no try is counted.
  if (sent.error.code === 'WM_UNREACHABLE') return { kind: 'release' };
  if (NEVER.includes(sent.error.detail['reasonCode'])) return never(ports, options, event, topic.value, sent.error);
  counters.sendFailures++;
  return { kind: 'nak', reason: { code: sent.error.code, message: sent.error.message } };
}

function never(
  { telemetry }: Pick<Ports, 'telemetry'>,
  { gateway, counters }: OutboundOptions,
  event: DeliveredEvent['event'],
  topic: string,
  error: WmError,
): Settlement {
  counters.unsendable++;
  telemetry.record(
    'gateway.refused',
    { gateway, direction: 'out', topic, event: event.id, code: error.code, message: describeError(error) },
    event.correlation,
  );
  return { kind: 'term', reason: { code: error.code, message: error.message } };
}
