// The figures of a gateway as Prometheus reads them. The names are an interface: alert rules and dashboards use them.
import type { GatewayCounters } from './counters.ts';
import type { GatewayStatus } from './config.ts';

const COUNTERS: Readonly<Record<keyof GatewayCounters, { readonly name: string; readonly help: string }>> = {
  connections: { name: 'wasmmatrix_gateway_connections_total', help: 'Connections to the broker.' },
  connectionsFailed: { name: 'wasmmatrix_gateway_connections_failed_total', help: 'Attempts to connect to the broker that failed.' },
  received: { name: 'wasmmatrix_gateway_messages_received_total', help: 'Messages from the broker, those that came again among them.' },
  redelivered: { name: 'wasmmatrix_gateway_messages_redelivered_total', help: 'Messages that the broker sent again.' },
  published: { name: 'wasmmatrix_gateway_events_published_total', help: 'Messages that became durable events, or were known already.' },
  duplicates: { name: 'wasmmatrix_gateway_events_duplicate_total', help: 'Messages whose event the bus held already.' },
  publishRetries: { name: 'wasmmatrix_gateway_publish_retries_total', help: 'Events that the bus did not take and that were tried again.' },
  refused: { name: 'wasmmatrix_gateway_messages_refused_total', help: 'Messages that can never be events.' },
  dropped: { name: 'wasmmatrix_gateway_messages_dropped_total', help: 'Messages of QoS 0 that were lost here.' },
  sent: { name: 'wasmmatrix_gateway_messages_sent_total', help: 'Events that the broker confirmed as messages.' },
  sendFailures: { name: 'wasmmatrix_gateway_send_failures_total', help: 'Events that the broker did not confirm; they are tried again.' },
  unsendable: { name: 'wasmmatrix_gateway_events_unsendable_total', help: 'Events that can never be messages; they are dead-lettered.' },
};
const CONNECTED = { name: 'wasmmatrix_gateway_connected', help: '1 while the gateway is connected to its broker, otherwise 0.' };
const HELD = { name: 'wasmmatrix_gateway_held', help: '1 while the bus takes nothing from the gateway, otherwise 0.' };

export const GATEWAY_METRICS: readonly string[] = [...Object.values(COUNTERS), CONNECTED, HELD].map(({ name }) => name);

export function exposition(gateway: string, counters: Readonly<GatewayCounters>, status: GatewayStatus): string {
  const family = ({ name, help }: { readonly name: string; readonly help: string }, type: string, value: number): string =>
    `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${name}{gateway="${gateway}"} ${value}\n`;
  return [
    ...Object.entries(COUNTERS).map(([key, row]) => family(row, 'counter', counters[key as keyof GatewayCounters])),
    family(CONNECTED, 'gauge', status.state === 'connected' ? 1 : 0),
    family(HELD, 'gauge', status.held === null ? 0 : 1),
  ].join('');
}
