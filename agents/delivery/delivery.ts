// Events to guests: pulls with credit, one fresh guest per event, results and settlements back to the bus (R9, P11, P13).
// It serves what it is told to serve; which instances those are is decided elsewhere.
// Bounds: invocations of the node, concurrency of each instance; an event is not fetched before there is room for it.
import type { CorrelationId, ModuleName, NodeId } from '../../system/domain/identifiers.ts';
import type { WmError } from '../../system/domain/outcome.ts';
import type { GuestLine } from '../../system/domain/logs.ts';
import type { Assignment } from '../../system/domain/session.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { AgentBounds } from '../bounds.ts';
import type { Meter } from '../metering/metering.ts';
import type { Binding } from './binding.ts';
import { Dispatch } from './dispatch.ts';
import { ServedInstance } from './instance.ts';
import type { EndCause, Pending, Program } from './instance.ts';

export type { EndCause, Program, ServedInstance } from './instance.ts';

type DeliveryPorts = Pick<Ports, 'bus' | 'clock' | 'keys' | 'random' | 'state' | 'telemetry' | 'wasm'>;

/** What every instance of the node shares. */
export type DeliveryTools = {
  readonly ports: DeliveryPorts;
  readonly bounds: AgentBounds;
  readonly node: NodeId;
  readonly meter: Meter;
  readonly dispatch: Dispatch<Pending>;
  readonly seeds: RandomStream;
  readonly effectsRandom: RandomStream;
  readonly isLeaseHeld: () => boolean;
  /** Starts whatever may run now. */
  readonly pump: () => void;
  /** What must have ended before the process may: fetches that something may come of, and what is given back. */
  readonly tracked: (work: Promise<unknown>) => void;
  /** Asks to be woken when there may be credit. */
  readonly starved: (binding: Binding) => void;
  readonly refused: (
    instance: ServedInstance,
    module: ModuleName,
    capability: string,
    operation: string,
    correlation: CorrelationId,
  ) => void;
  readonly fenced: (instance: ServedInstance, error: WmError) => void;
  readonly logged: (line: GuestLine) => void;
};

export type DeliveryHost = Pick<DeliveryTools, 'isLeaseHeld' | 'refused' | 'fenced' | 'logged'>;

export class Delivery {
  readonly #tools: DeliveryTools;
  /** Bindings without credit, the longest waiting first. */
  readonly #starved = new Set<Binding>();
  /** Bound: bindings, and deliveries that were handed out to them. */
  readonly #open = new Set<Promise<unknown>>();

  constructor(
    ports: DeliveryPorts,
    options: { readonly bounds: AgentBounds; readonly node: NodeId; readonly meter: Meter },
    host: DeliveryHost,
  ) {
    const { bounds, node, meter } = options;
    const invocationsMax = Math.min(bounds.invocationsMax, ports.wasm.guests().max);
    this.#tools = {
      ports,
      bounds,
      node,
      meter,
      dispatch: new Dispatch<Pending>({ invocationsMax, fetchEventsMax: bounds.fetchEventsMax }),
      seeds: ports.random.stream('agent/guests'),
      effectsRandom: ports.random.stream('agent/effects'),
      ...host,
      pump: () => this.#pump(),
      tracked: (work) => {
        this.#open.add(work);
        void work.then(() => this.#open.delete(work));
      },
      starved: (binding) => void this.#starved.add(binding),
    };
  }

  serve(assignment: Assignment, program: Program, onEnded: (cause: EndCause) => void): ServedInstance {
    return new ServedInstance(this.#tools, assignment, program, onEnded);
  }

  /** Resolves when nothing is fetched for anybody any more, and what was given back is with the broker. */
  async settled(): Promise<void> {
    while (this.#open.size > 0) await Promise.all(this.#open);
  }

  #pump(): void {
    for (let next = this.#tools.dispatch.next(); next !== null; next = this.#tools.dispatch.next())
      void this.#run(next.instance, next.item);
    for (const binding of this.#starved) {
      if (!binding.isStopped && binding.credit() === 0) continue;
      this.#starved.delete(binding);
      binding.wake();
    }
  }

  async #run(key: string, pending: Pending): Promise<void> {
    await pending.instance.run(pending);
    this.#tools.dispatch.release(key);
    this.#pump();
  }
}
