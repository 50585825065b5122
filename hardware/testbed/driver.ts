// What the driver of a run does through the product's own doors: the operator API from the controller's zone, the bus from a
// publisher in each zone, a subscription and reads of state. Each has a certificate and a link of its own. It repeats under the
// same identifier until answered.
import { createOperatorClient, repeat, type OperatorClient } from '../../system/api/api.ts';
import { createBusClient } from '../../system/bus/bus.ts';
import type { StateEntry } from '../../system/domain/broker.ts';
import type { BusEvent, PublishAck } from '../../system/domain/event.ts';
import type { ConsumerName, Endpoint, SubjectFilter, ZonePath } from '../../system/domain/identifiers.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply } from '../../system/domain/operator.ts';
import { rejected, type Outcome } from '../../system/domain/outcome.ts';
import type { Bus } from '../../system/ports/bus.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { State } from '../../system/ports/state.ts';
import { createStateClient } from '../../system/state/state.ts';
import { SystemClock } from '../clock/clock.ts';
import { createGrpcNetwork, isController, keepaliveOf, type GrpcNetwork, type KeptIdentity } from '../network/network.ts';
import { SystemRandom } from '../random/random.ts';

const CONTROLLER = 'controller' as Endpoint;
const SUBSCRIBE_MICROS_MAX = 30_000 * MICROS_PER_MS;
const READ_MICROS_MAX = 30_000 * MICROS_PER_MS;
const FETCH_EVENTS_MAX = 64;
const FETCH_WAIT_MS = 2_000;
const FETCH_AGAIN_MICROS = 200 * MICROS_PER_MS;

export type DriverOptions = {
  readonly operator: KeptIdentity;
  /** One for each zone; their addresses are those of their links. */
  readonly publishers: ReadonlyMap<ZonePath, KeptIdentity>;
  /** Of its connections; those of the machines have the same. */
  readonly keepaliveMs: number;
};

export class Driver {
  readonly #clock = new SystemClock();
  readonly #stream = new SystemRandom().stream('pauses');
  readonly #networks: GrpcNetwork[] = [];
  readonly #publishers = new Map<ZonePath, Bus>();
  readonly #bus: Bus;
  readonly #state: State;
  readonly #operator: OperatorClient;
  readonly #observations: Promise<void>[] = [];
  readonly #keepaliveMs: number;
  #over = false;

  constructor({ operator, publishers, keepaliveMs }: DriverOptions) {
    this.#keepaliveMs = keepaliveMs;
    for (const [zone, identity] of publishers) {
      this.#publishers.set(zone, createBusClient({ network: this.#networkOf(identity) }, { broker: CONTROLLER }));
    }
    const network = this.#networkOf(operator);
    this.#bus = createBusClient({ network }, { broker: CONTROLLER });
    this.#state = createStateClient({ network }, { store: CONTROLLER });
    this.#operator = createOperatorClient({ clock: this.#clock, random: new SystemRandom(), network }, { controller: CONTROLLER });
  }

  execute(id: string, command: OperatorCommand, deadlineMicros: number): Promise<Outcome<OperatorReply>> {
    return this.#operator.execute(id, command, { deadlineMicros });
  }

  query(query: OperatorQuery, deadlineMicros: number): Promise<Outcome<OperatorAnswer>> {
    return this.#operator.query(query, { deadlineMicros });
  }

  async publish(zone: ZonePath, event: BusEvent, deadlineMicros: number): Promise<Outcome<PublishAck>> {
    const publisher = this.#publishers.get(zone);
    if (publisher === undefined)
      return rejected('WM_SCENARIO_INVALID', { message: `There is no zone ${zone}.`, next: 'Name a zone of the fleet.' });
    return this.#repeat(deadlineMicros, (micros) => publisher.publish(event, { fence: null, deadlineMicros: micros }));
  }

  async readState(key: string): Promise<Outcome<StateEntry | null>> {
    return this.#repeat(READ_MICROS_MAX, (micros) => this.#state.get(key, { deadlineMicros: micros }));
  }

  async subscribe(filter: SubjectFilter, handle: (event: BusEvent) => void): Promise<Outcome<void>> {
    const name = `observer-${this.#observations.length + 1}` as ConsumerName;
    const spec = {
      name,
      filter,
      ackWaitMs: 30_000,
      deliveriesMax: 1_000,
      backoffMs: 100,
      backoffMsMax: 2_000,
      pendingMax: 256,
      idleMsMax: null,
    };
    const created = await this.#repeat(SUBSCRIBE_MICROS_MAX, () => this.#bus.createConsumer(spec));
    if (created.ok) this.#observations.push(this.#observe(name, handle));
    return created;
  }

  /** Ends subscriptions; nothing is sent any more. */
  async close(): Promise<void> {
    this.#over = true;
    this.#bus.close();
    this.#operator.close();
    for (const publisher of this.#publishers.values()) publisher.close();
    await Promise.all(this.#networks.map((network) => network.close()));
    await Promise.all(this.#observations);
  }

  async #observe(name: ConsumerName, handle: (event: BusEvent) => void): Promise<void> {
    while (!this.#over) {
      const fetched = await this.#bus.fetch(name, { eventsMax: FETCH_EVENTS_MAX, waitMs: FETCH_WAIT_MS, fence: null });
      if (this.#over) return;
      if (!fetched.ok) {
        await this.#clock.sleep(FETCH_AGAIN_MICROS);
        continue;
      }
      for (const { event } of fetched.value) handle(event);
      // All at once, so that a busy machine does not make the observer the slowest part. One that is not acknowledged is
      // delivered, and handed over, again.
      await Promise.all(fetched.value.map((delivery) => this.#bus.settle(name, delivery, { kind: 'ack' }, { fence: null })));
    }
  }

  #repeat<T>(deadlineMicros: number, attempt: (deadlineMicros: number) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    if (this.#over) return Promise.resolve(rejected('WM_CANCELLED', { message: 'The run is over.', next: 'Start another run.' }));
    return repeat({ clock: this.#clock, stream: this.#stream, deadlineMicros }, attempt);
  }

  #networkOf({ identity, addresses }: KeptIdentity): GrpcNetwork {
    const network = createGrpcNetwork({
      addresses: (endpoint) => (endpoint === CONTROLLER ? addresses : null),
      listen: () => '127.0.0.1:0',
      identity,
      accepts: (endpoint, name) => endpoint === CONTROLLER && isController(name),
      keepalive: keepaliveOf(this.#keepaliveMs),
    });
    this.#networks.push(network);
    return network;
  }
}
