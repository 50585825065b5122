// What a gateway counted since it started: plain numbers that only grow, for metrics and for tests.
export type GatewayCounters = {
  /** Connections made, and attempts that failed. */
  connections: number;
  connectionsFailed: number;
  /** Messages from the broker, those of QoS 1 that came again among them. */
  received: number;
  redelivered: number;
  /** Accepted by the bus, and of those the ones it held already. */
  published: number;
  duplicates: number;
  /** Publishing again, because the bus was full or not there. */
  publishRetries: number;
  /** Messages that can never become events, told to the broker. */
  refused: number;
  /** Messages of QoS 0 that were lost here: the bus did not take them at once, or too many waited. */
  dropped: number;
  /** Events that the broker confirmed, and those that it did not. */
  sent: number;
  sendFailures: number;
  /** Events that no topic can be made of, or that the broker can never take: dead-lettered. */
  unsendable: number;
};

export function createCounters(): GatewayCounters {
  return {
    connections: 0,
    connectionsFailed: 0,
    received: 0,
    redelivered: 0,
    published: 0,
    duplicates: 0,
    publishRetries: 0,
    refused: 0,
    dropped: 0,
    sent: 0,
    sendFailures: 0,
    unsendable: 0,
  };
}
