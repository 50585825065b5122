// Pulls the events of one trigger for one instance, as many as may run (R9.4): nothing is fetched that cannot be started.
// It ends when it is stopped; trouble with the bus is waited out with backoff. What it brings after its end is given back.
import type { DeliveredEvent } from '../../system/domain/broker.ts';
import type { FencingToken } from '../../system/domain/event.ts';
import { describeError } from '../../system/domain/outcome.ts';
import type { WmError } from '../../system/domain/outcome.ts';
import type { TriggerBinding } from '../../system/domain/session.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { AgentBounds } from '../bounds.ts';
import { backoffMicros, Wait } from '../waiting/waiting.ts';

/** Bound: a fetch that is still under way after them ends when its wait is over. */
const WITHDRAWALS = 2;

export type BindingHost = {
  readonly fence: FencingToken;
  /** Events that may be asked for now. */
  readonly credit: () => number;
  /** Why nothing may be fetched now; null: it may. */
  readonly check: () => WmError | null;
  readonly delivered: (deliveries: readonly DeliveredEvent[]) => void;
  readonly givenBack: (deliveries: readonly DeliveredEvent[]) => void;
  readonly fenced: (error: WmError) => void;
  /** Lasts until nothing is on its way here any more. */
  readonly tracked: (pulling: Promise<void>) => void;
  /** There is no credit: `wake` is called when there may be. */
  readonly starved: (binding: Binding) => void;
};

type BindingPorts = Pick<Ports, 'bus' | 'clock' | 'random' | 'telemetry'>;

export class Binding {
  /** May change while it runs, except for its consumer. */
  spec: TriggerBinding;
  readonly #ports: BindingPorts;
  readonly #bounds: AgentBounds;
  readonly #host: BindingHost;
  readonly #wait: Wait;
  #isStopped = false;
  #isFetching = false;

  constructor(ports: BindingPorts, bounds: AgentBounds, spec: TriggerBinding, host: BindingHost) {
    this.#ports = ports;
    this.#bounds = bounds;
    this.spec = spec;
    this.#host = host;
    this.#wait = new Wait(ports.clock);
  }

  start(): void {
    this.#host.tracked(this.#pull());
  }

  get isStopped(): boolean {
    return this.#isStopped;
  }

  credit(): number {
    return this.#host.credit();
  }

  wake(): void {
    this.#wait.wake();
  }

  /** `withdraws`: the broker is told, so that the next event goes to somebody who takes it. */
  stop({ withdraws }: { readonly withdraws: boolean }): void {
    this.#isStopped = true;
    this.#wait.wake();
    if (withdraws) void this.#withdraw();
  }

  /** Again after the answer: the first may have overtaken the fetch that it is about. */
  async #withdraw(): Promise<void> {
    for (let times = 0; times < WITHDRAWALS; times += 1) {
      if (!this.#isFetching) return;
      await this.#ports.bus.withdraw(this.spec.consumer, { fence: this.#host.fence });
    }
  }

  async #pull(): Promise<void> {
    const random = this.#ports.random.stream(`agent/bus/${this.spec.trigger}`);
    const law = { baseMs: this.#bounds.busRetryMs, maxMs: this.#bounds.busRetryMsMax };
    let failures = 0;
    while (!this.#isStopped) {
      const credit = this.#host.credit();
      if (credit === 0) {
        this.#host.starved(this);
        await this.#wait.untilWoken();
        continue;
      }
      if (this.#host.check() !== null) {
        await this.#wait.for(backoffMicros(law, failures++, random));
        continue;
      }
      this.#isFetching = true;
      const fetched = await this.#ports.bus.fetch(this.spec.consumer, {
        eventsMax: credit,
        waitMs: this.#bounds.fetchWaitMs,
        fence: this.#host.fence,
      });
      this.#isFetching = false;
      if (fetched.ok) {
        failures = 0;
        if (fetched.value.length === 0) continue;
        if (this.#isStopped) this.#host.givenBack(fetched.value);
        else this.#host.delivered(fetched.value);
        continue;
      }
      if (this.#isStopped) return;
      if (fetched.error.code === 'WM_FENCED') {
        this.#host.fenced(fetched.error);
        return;
      }
      if (failures === 0)
        this.#ports.telemetry.log('warn', `Fetching from ${this.spec.consumer} failed, trying again: ${describeError(fetched.error)}`);
      await this.#wait.for(backoffMicros(law, failures++, random));
    }
  }
}
