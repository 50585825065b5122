// An agent gone mad: from its own machine, with its own certificate, it sends what no agent says, and asks in due form for what is
// not its own. What comes back is nobody's concern here; the controller must refuse it and go on. The agent that the machine really has works beside it.
import { FETCH_METHOD, SESSION_METHOD } from '../../system/domain/session.ts';
import { FETCH_EVENTS_METHOD, PUBLISH_METHOD, SETTLE_METHOD, STATE_PUT_METHOD } from '../../system/domain/broker.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import type { Connection } from '../../system/ports/network.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';
import type { SimNetwork } from '../network/network.ts';

const EVERY_MICROS = 100_000;
const PATIENCE_MICROS = 2_000_000;
const BYTES_MAX = 4_096;
const METHODS = [FETCH_METHOD, PUBLISH_METHOD, FETCH_EVENTS_METHOD, SETTLE_METHOD, STATE_PUT_METHOD, SESSION_METHOD, '/no/such'] as const;

export type RogueOptions = {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly machine: Machine;
  readonly controller: Endpoint;
  /** Called when the controller took a connection of it. */
  readonly felt?: () => void;
  /** Calls in due form that it must be refused. */
  readonly lies?: readonly (() => Promise<unknown>)[];
};

export class Rogue {
  readonly #options: RogueOptions;
  readonly #stream: RandomStream;
  readonly #lying: RandomStream;
  #over = false;

  constructor(options: RogueOptions) {
    this.#options = options;
    this.#stream = options.kernel.stream(`faults/garbage/${options.machine.name}`);
    this.#lying = options.kernel.stream(`faults/lies/${options.machine.name}`);
  }

  start(): void {
    this.#next();
  }

  stop(): void {
    this.#over = true;
  }

  #next(): void {
    const { kernel, machine } = this.#options;
    kernel.after(EVERY_MICROS, null, 'garbage', () => {
      if (this.#over) return;
      if (machine.alive) kernel.after(0, machine, 'garbage', () => kernel.own(`garbage of ${machine.name}`, this.#babble()));
      this.#next();
    });
  }

  async #babble(): Promise<void> {
    const { network, machine, controller } = this.#options;
    const connected = await network.portOf(machine.name).connect(controller, { deadlineMicros: PATIENCE_MICROS });
    if (!connected.ok) return;
    this.#options.felt?.();
    await (this.#stream.chance(1, 2) ? this.#callIt(connected.value) : this.#streamIt(connected.value));
    connected.value.close();
    const { lies = [] } = this.#options;
    await lies[this.#lying.below(Math.max(1, lies.length))]?.();
  }

  async #callIt(connection: Connection): Promise<void> {
    const method = METHODS[this.#stream.below(METHODS.length)] ?? SESSION_METHOD;
    await connection.call(method, this.#garbage(), { deadlineMicros: PATIENCE_MICROS });
  }

  async #streamIt(connection: Connection): Promise<void> {
    const opened = await connection.open(this.#stream.chance(3, 4) ? SESSION_METHOD : '/no/such');
    if (!opened.ok) return;
    for (let left = 1 + this.#stream.below(3); left > 0; left--) await opened.value.send(this.#garbage());
    opened.value.close();
  }

  #garbage(): Uint8Array {
    return this.#stream.bytes(this.#stream.below(this.#stream.chance(1, 2) ? 16 : BYTES_MAX));
  }
}
