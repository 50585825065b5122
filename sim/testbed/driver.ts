// What the driver of a run does through the product's own doors: the operator API from a machine at the controller's zone, the
// bus from a publisher in each zone, a subscription and reads of state. It repeats under the same identifier until answered.
import { createOperatorClient, repeat } from '../../system/api/api.ts';
import type { OperatorClient } from '../../system/api/api.ts';
import { createBusClient } from '../../system/bus/bus.ts';
import type { StateEntry } from '../../system/domain/broker.ts';
import type { BusEvent, PublishAck } from '../../system/domain/event.ts';
import type { ConsumerName, Endpoint, SubjectFilter, ZonePath } from '../../system/domain/identifiers.ts';
import type { OperatorAnswer, OperatorCommand, OperatorQuery, OperatorReply } from '../../system/domain/operator.ts';
import { rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Bus } from '../../system/ports/bus.ts';
import type { Clock } from '../../system/ports/clock.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Random, RandomStream } from '../../system/ports/random.ts';
import type { State } from '../../system/ports/state.ts';
import { createStateClient } from '../../system/state/state.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { SimNetwork } from '../network/network.ts';

const OPERATOR = 'operator';
/** By which the driver commands and watches. */
export const OPERATOR_IDENTITY = 'operator/ops';
const SUBSCRIBE_MICROS_MAX = 30_000 * MICROS_PER_MS;
const READ_MICROS_MAX = 30_000 * MICROS_PER_MS;
const FETCH_EVENTS_MAX = 64;
const FETCH_WAIT_MS = 2_000;
const FETCH_AGAIN_MICROS = 200 * MICROS_PER_MS;

export type DriverOptions = {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly clock: Clock;
  readonly random: Random;
  readonly controller: Endpoint;
  readonly controllerZone: ZonePath;
  readonly zones: readonly ZonePath[];
};

export class Driver {
  readonly #options: DriverOptions;
  readonly #publishers = new Map<ZonePath, Bus>();
  readonly #bus: Bus;
  readonly #state: State;
  readonly #stream: RandomStream;
  readonly #operator: OperatorClient;
  #subscriptions = 0;
  #over = false;

  constructor(options: DriverOptions) {
    const { zones, controllerZone, controller } = options;
    this.#options = options;
    this.#stream = options.random.stream('pauses');
    this.#addMachine(OPERATOR, OPERATOR_IDENTITY, controllerZone);
    for (const zone of zones) {
      const machine = `publisher in ${zone}`;
      this.#addMachine(machine, `publisher/${zone}`, zone);
      this.#publishers.set(zone, createBusClient({ network: options.network.portOf(machine) }, { broker: controller }));
    }
    this.#bus = createBusClient({ network: options.network.portOf(OPERATOR) }, { broker: controller });
    this.#operator = createOperatorClient(
      { clock: options.clock, random: options.random, network: options.network.portOf(OPERATOR) },
      { controller },
    );
    this.#state = createStateClient({ network: options.network.portOf(OPERATOR) }, { store: controller });
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
    const name = `observer-${++this.#subscriptions}` as ConsumerName;
    const spec = {
      name,
      filter,
      // Long enough for any queue of results, and short beside the quiet after faults: what was handed to a fetch that is gone comes again.
      ackWaitMs: 5_000,
      deliveriesMax: 1_000,
      backoffMs: 100,
      backoffMsMax: 2_000,
      pendingMax: 256,
      idleMsMax: null,
    };
    const created = await this.#repeat(SUBSCRIBE_MICROS_MAX, () => this.#bus.createConsumer(spec));
    if (created.ok) this.#options.kernel.own(`subscription to ${filter}`, this.#observe(name, handle));
    return created;
  }

  /** Ends subscriptions; nothing is sent any more. */
  close(): void {
    this.#over = true;
    this.#bus.close();
    this.#operator.close();
    for (const publisher of this.#publishers.values()) publisher.close();
  }

  async #observe(name: ConsumerName, handle: (event: BusEvent) => void): Promise<void> {
    while (!this.#over) {
      const fetched = await this.#bus.fetch(name, { eventsMax: FETCH_EVENTS_MAX, waitMs: FETCH_WAIT_MS, fence: null });
      if (this.#over) return;
      if (!fetched.ok) {
        await this.#options.clock.sleep(FETCH_AGAIN_MICROS);
        continue;
      }
      for (const delivery of fetched.value) {
        handle(delivery.event);
        // One that is not acknowledged is delivered, and handed over, again.
        await this.#bus.settle(name, delivery, { kind: 'ack' }, { fence: null });
      }
    }
  }

  #repeat<T>(deadlineMicros: number, attempt: (deadlineMicros: number) => Promise<Outcome<T>>): Promise<Outcome<T>> {
    if (this.#over) return Promise.resolve(rejected('WM_CANCELLED', { message: 'The run is over.', next: 'Start another run.' }));
    return repeat({ clock: this.#options.clock, stream: this.#stream, deadlineMicros }, attempt);
  }

  #addMachine(name: string, identity: string, zone: ZonePath): void {
    const machine = this.#options.kernel.machine(name);
    this.#options.network.addMachine({ machine, identity, zone });
    machine.boot();
  }
}
