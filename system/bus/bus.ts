// The embedded broker (architecture §8): product code over storage and clock, hosted by the controller or any named node,
// and its client, which is the `bus` port of whoever sits elsewhere. It runs unchanged in the simulator. It knows events,
// consumers and fences; which triggers exist and who may do what is not its business: it asks for each call.
// Surprising: an event that no consumer asks for is accepted and dropped, but its identifier is remembered. What a consumer
// has not settled when it is deleted is let go with it. A letter of a letter is not written.
import type { Admission, ConsumerSpec } from '../domain/broker.ts';
import type { BusEvent, FencingToken, PublishAck } from '../domain/event.ts';
import type { ConsumerName } from '../domain/identifiers.ts';
import { ok, type Outcome } from '../domain/outcome.ts';
import type { Ports } from '../ports/ports.ts';
import { EmbeddedBroker, type BrokerConfig, type BrokerPorts } from './broker.ts';
import { BusGateway, type FencedBus } from './gateway.ts';
import { createInProcess, handleBrokerCall, publishInProcess } from './service.ts';

export { createBusClient } from './client.ts';
export type { BrokerConfig } from './broker.ts';
export type { FencedBus } from './gateway.ts';

/** What a controller asks of the broker behind its endpoint, whatever make it is of. */
export interface ControllerBroker {
  /** Reads the journal; afterwards calls are answered. Once: a broker that stopped or ended is not started again. */
  start(): Promise<Outcome<void>>;
  stop(): Promise<void>;
  /** Resolves, with the cause, when the journal failed and the broker must not go on. */
  readonly ended: Promise<string>;
  /** Events that are stored and awaited, and how many may be; null when this broker does not know. */
  backlog(): { readonly depth: number; readonly bound: number } | null;
  /** Answers the methods of `/wasmmatrix.v1.Bus/` to a caller of whom `admit` says what it may ask for. */
  handleCall(method: string, admit: Admission, request: Uint8Array): Promise<Outcome<Uint8Array>>;
  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>>;
  deleteConsumer(name: ConsumerName): Promise<Outcome<void>>;
  /** Names of all consumers that there are, whoever created them. */
  listConsumers(): Promise<Outcome<readonly ConsumerName[]>>;
  /** From now on, effects of this instance with a lower epoch are refused. Not journalled: raise all again after a start. */
  fence(token: FencingToken): void;
}

export interface Broker extends ControllerBroker {
  /** Publishes as the platform itself, in process. */
  publishLocal(event: BusEvent): Promise<Outcome<PublishAck>>;
}

export function createBroker(ports: BrokerPorts, config: BrokerConfig): Broker {
  const broker = new EmbeddedBroker(ports, config);
  return {
    start: () => broker.start(),
    stop: () => broker.stop(),
    ended: broker.ended,
    backlog: () => broker.backlog(),
    handleCall: (method, admit, request) => handleBrokerCall(broker, method, admit, request),
    createConsumer: (spec) => createInProcess(broker, spec),
    deleteConsumer: (name) => broker.deleteConsumer(name),
    listConsumers: () => broker.listConsumers(),
    fence: (token) => broker.fence(token),
    publishLocal: (event) => publishInProcess(broker, { event, fence: null }),
  };
}

/** Puts a bus that others use directly behind a controller's endpoint. Whoever opened the bus closes it, after the stop. */
export function createBusGateway(ports: Pick<Ports, 'clock' | 'random' | 'telemetry'>, bus: FencedBus): ControllerBroker {
  const gateway = new BusGateway(ports, bus);
  return {
    start: () => Promise.resolve(ok()),
    stop: () => gateway.stop(),
    ended: gateway.ended,
    backlog: () => gateway.backlog(),
    handleCall: (method, admit, request) => gateway.handleCall(method, admit, request),
    createConsumer: (spec) => gateway.createConsumer(spec),
    deleteConsumer: (name) => gateway.deleteConsumer(name),
    listConsumers: () => gateway.listConsumers(),
    fence: (token) => gateway.fence(token),
  };
}
