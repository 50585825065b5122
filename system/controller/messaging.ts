// The consumers that triggers are at the broker, made and deleted one after the other in the order of the journal.
import { consumerOf, type TriggerSpec } from '../domain/deployment.ts';
import type { DeploymentName, TriggerName } from '../domain/identifiers.ts';
import { describeError, type Outcome } from '../domain/outcome.ts';
import type { ConsumerSpec } from '../domain/broker.ts';
import type { ConsumerName } from '../domain/identifiers.ts';
import { consumerSpecOf } from '../events/events.ts';

export type ConsumerBroker = {
  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>>;
  deleteConsumer(name: ConsumerName): Promise<Outcome<void>>;
};

export type TriggersOptions = {
  readonly broker: ConsumerBroker;
  /** The consumer exists: agents of this deployment may fetch from it. */
  readonly onReady: (deployment: DeploymentName) => void;
  /** The broker cannot be relied on any more: the process must end. */
  readonly onBroken: (cause: string) => void;
};

export class Triggers {
  readonly #options: TriggersOptions;
  readonly ready = new Set<TriggerName>();
  #last: Promise<void> = Promise.resolve();

  constructor(options: TriggersOptions) {
    this.#options = options;
  }

  /** Resolves when the consumer exists, so that events accepted from then on reach it. */
  create(trigger: TriggerSpec): Promise<void> {
    return this.#then(async () => {
      const created = await this.#options.broker.createConsumer(consumerSpecOf(trigger));
      if (!created.ok) return this.#options.onBroken(`consumer of trigger ${trigger.name}: ${describeError(created.error)}`);
      this.ready.add(trigger.name);
      this.#options.onReady(trigger.deployment);
    });
  }

  delete(trigger: TriggerName): Promise<void> {
    this.ready.delete(trigger);
    return this.#then(async () => {
      const deleted = await this.#options.broker.deleteConsumer(consumerOf(trigger));
      if (!deleted.ok && deleted.error.code !== 'WM_BUS_CONSUMER_UNKNOWN')
        this.#options.onBroken(`consumer of trigger ${trigger}: ${describeError(deleted.error)}`);
    });
  }

  #then(step: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(step);
    return this.#last;
  }
}
