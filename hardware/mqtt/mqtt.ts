// The gateway between a broker of MQTT 5 and a bus (R9.1): what devices publish becomes events, and events become messages for
// them, at least once in both directions, and once by identifier. Nothing is acknowledged to either side before the other has it.
// It knows the bus as a port and no more of the platform; what may be published where is for the two brokers to say.
// Surprising: the session outlives the process, so the name of a gateway is its place in both streams. Two gateways of one
// name take the session from each other, and the one that lost it ends.
import { connectionLoop } from './session.ts';
import { ok, type Outcome, type WmError } from '../../system/domain/outcome.ts';
import type { Ports } from '../../system/ports/ports.ts';
import { createCounters, type GatewayCounters } from './counters.ts';
import { runOutbound } from './outbound.ts';
import { NONCE_BYTES, Receipts } from './receipts.ts';
import { compileRoutes, type GatewayConfig, type GatewayStatus } from './config.ts';

export { exposition, GATEWAY_METRICS } from './exposition.ts';
export { readGatewayFile } from './settings.ts';
export { compileRoutes } from './config.ts';
export type { GatewayConfig, GatewayStatus } from './config.ts';
export type { GatewayCounters } from './counters.ts';
export type { BrokerAddress } from './link.ts';
export type { InboundRoute, OutboundRoute } from './route.ts';

/** Bound: messages of which it is remembered that they came, more than any broker leaves unacknowledged. */
const RECEIPTS_MAX = 4_096;
/** Bound: time that a stop leaves to what is in flight. */
const STOP_MS_MAX = 10_000;

export type GatewayPorts = Pick<Ports, 'bus' | 'clock' | 'random' | 'telemetry'>;

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
