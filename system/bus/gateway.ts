// A bus of another make behind the controller's endpoint: what operators and gateways publish and fetch goes through it, while
// agents use that bus themselves. The controller sees no difference to its embedded broker, except that this one may be away:
// fences and consumers wait for it and are tried again, since nothing that was placed may act before its fence is raised.
import type { Admission, ConsumerSpec, PublishRequest, FetchEventsRequest, SettleRequest } from '../domain/broker.ts';
import type { FencingToken } from '../domain/event.ts';
import type { ConsumerName, InstanceId } from '../domain/identifiers.ts';
import { describeError, failed, type Outcome } from '../domain/outcome.ts';
import type { Bus } from '../ports/bus.ts';
import { MICROS_PER_MS, MICROS_PER_S, type Timer } from '../ports/clock.ts';
import type { Ports } from '../ports/ports.ts';
import { handleBrokerCall, type BrokerCalls } from './service.ts';

/** Bound: time for a publish on behalf of a caller. */
const PUBLISH_MICROS = 4 * MICROS_PER_S;
/** Wait before a fence or a consumer is tried again: doubled up to the bound, with jitter. Repeated until the gateway stops. */
const RETRY_MS = 100;
const RETRY_MS_MAX = 5_000;

/** A bus that keeps fences itself. */
export type FencedBus = Bus & {
  /** Resolves when effects of this instance with a lower epoch are refused. */
  fence(token: FencingToken): Promise<Outcome<void>>;
  /** Names of all consumers that there are. */
  listConsumers(): Promise<Outcome<readonly ConsumerName[]>>;
  /** As well as it knows; null when it does not. */
  backlog(): { readonly depth: number; readonly bound: number } | null;
};

type GatewayPorts = Pick<Ports, 'clock' | 'random' | 'telemetry'>;

export class BusGateway {
  readonly #ports: GatewayPorts;
  readonly #bus: FencedBus;
  readonly #calls: BrokerCalls;
  /** The newest epoch of each instance whose fence is not raised yet. Bound: the instances of the controller. */
  readonly #unraised = new Map<InstanceId, FencingToken>();
  readonly #waits = new Map<Timer, () => void>();
  #isRaising = false;
  #isStopped = false;
  /** Nothing of ours can fail for good: the bus keeps what it has. */
  readonly ended: Promise<string> = new Promise(() => {});

  constructor(ports: GatewayPorts, bus: FencedBus) {
    this.#ports = ports;
    this.#bus = bus;
    this.#calls = {
      publish: ({ event, fence }: PublishRequest) => bus.publish(event, { fence, deadlineMicros: PUBLISH_MICROS }),
      fetch: ({ consumer, ...options }: FetchEventsRequest) => bus.fetch(consumer, options),
      withdraw: (consumer, fence) => bus.withdraw(consumer, { fence }),
      settle: ({ consumer, sequence, delivery, settlement, fence }: SettleRequest) =>
        bus.settle(consumer, { sequence, delivery }, settlement, { fence }),
      createConsumer: (spec) => bus.createConsumer(spec),
      deleteConsumer: (name) => bus.deleteConsumer(name),
    };
  }

  stop(): Promise<void> {
    this.#isStopped = true;
    for (const [timer, wake] of this.#waits) {
      timer.cancel();
      wake();
    }
    this.#waits.clear();
    return Promise.resolve();
  }

  backlog(): { readonly depth: number; readonly bound: number } | null {
    return this.#bus.backlog();
  }

  handleCall(method: string, admit: Admission, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    return handleBrokerCall(this.#calls, method, admit, request);
  }

  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>> {
    return this.#insist(`consumer ${spec.name}`, () => this.#bus.createConsumer(spec));
  }

  deleteConsumer(name: ConsumerName): Promise<Outcome<void>> {
    return this.#insist(`the end of consumer ${name}`, () => this.#bus.deleteConsumer(name));
  }

  listConsumers(): Promise<Outcome<readonly ConsumerName[]>> {
    return this.#insist('the list of consumers', () => this.#bus.listConsumers());
  }

  fence(token: FencingToken): void {
    const waiting = this.#unraised.get(token.instance);
    if (waiting !== undefined && waiting.epoch >= token.epoch) return;
    // To the end, so that a loop that is under way comes to it.
    this.#unraised.delete(token.instance);
    this.#unraised.set(token.instance, token);
    if (!this.#isRaising) void this.#raise();
  }

  async #raise(): Promise<void> {
    this.#isRaising = true;
    for (const [instance, token] of this.#unraised) {
      const raised = await this.#insist(`the fence of ${instance}`, () => this.#bus.fence(token));
      if (this.#isStopped) return;
      if (!raised.ok) this.#ports.telemetry.log('error', `The fence of ${instance} cannot be raised: ${describeError(raised.error)}`);
      // A newer epoch of it may have come meanwhile.
      if (this.#unraised.get(instance) === token) this.#unraised.delete(instance);
    }
    this.#isRaising = false;
  }

  /** Again and again while the bus is away or full; what it refuses it refuses. */
  async #insist<T>(what: string, request: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const stream = this.#ports.random.stream('bus/gateway');
    for (let delayMs = RETRY_MS; !this.#isStopped; delayMs = Math.min(delayMs * 2, RETRY_MS_MAX)) {
      const done = await request();
      if (done.ok || (done.error.kind === 'rejected' && done.error.code !== 'WM_BUS_FULL')) return done;
      if (delayMs === RETRY_MS) this.#ports.telemetry.log('warn', `${what} is tried again until it succeeds: ${describeError(done.error)}`);
      await this.#wait(delayMs + stream.below(delayMs));
    }
    return failed('WM_CANCELLED', { message: `The gateway to the bus was stopped before ${what} was done.`, next: 'Start it again.' });
  }

  #wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = this.#ports.clock.after(delayMs * MICROS_PER_MS, () => {
        this.#waits.delete(timer);
        resolve();
      });
      this.#waits.set(timer, resolve);
    });
  }
}
