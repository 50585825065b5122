// The consumers that triggers are at the broker, made and deleted one after the other in the order of the journal, once their
// entries are durable. What the broker refuses is kept in mind and tried again: one trigger that cannot be served ends nothing.
// Surprising: a process may end between an entry and its consumer. So a start deletes what is called like a trigger and is none.
import type { ConsumerSpec } from '../domain/broker.ts';
import { consumerOf, TRIGGER_CONSUMER_PREFIX, type TriggerSpec } from '../domain/deployment.ts';
import type { ConsumerName, DeploymentName, TriggerName } from '../domain/identifiers.ts';
import { describeError, type Outcome, type WmError } from '../domain/outcome.ts';
import { consumerSpecOf } from '../events/events.ts';
import { MICROS_PER_S, type Clock, type Timer } from '../ports/clock.ts';
import type { Telemetry } from '../ports/telemetry.ts';

export type ConsumerBroker = {
  createConsumer(spec: ConsumerSpec): Promise<Outcome<void>>;
  deleteConsumer(name: ConsumerName): Promise<Outcome<void>>;
  listConsumers(): Promise<Outcome<readonly ConsumerName[]>>;
};

export type TriggersOptions = {
  readonly broker: ConsumerBroker;
  readonly clock: Pick<Clock, 'after'>;
  readonly telemetry: Pick<Telemetry, 'log'>;
  /** The consumer exists: agents of this deployment may fetch from it. */
  readonly onReady: (deployment: DeploymentName) => void;
  /** The broker cannot be relied on any more: the process must end. */
  readonly onBroken: (cause: string) => void;
};

/** Wait before consumers that the broker refused are asked for again; until it takes them, or nobody wants them. */
const REFUSED_MICROS = 10 * MICROS_PER_S;

type Refused = { readonly trigger: TriggerSpec; readonly error: WmError };

export class Triggers {
  readonly #options: TriggersOptions;
  readonly ready = new Set<TriggerName>();
  /** Bound: the triggers. */
  readonly #refused = new Map<TriggerName, Refused>();
  #again: Timer | null = null;
  #last: Promise<void> = Promise.resolve();
  #stopped = false;

  constructor(options: TriggersOptions) {
    this.#options = options;
  }

  /** Resolves when every trigger has its consumer, or was refused one, and no other consumer is called like one. */
  start(triggers: ReadonlyMap<TriggerName, TriggerSpec>): Promise<void> {
    for (const trigger of triggers.values()) this.apply(trigger);
    const wanted = new Set([...triggers.keys()].map(consumerOf));
    return this.#then(async () => {
      const { broker, onBroken } = this.#options;
      const listed = await broker.listConsumers();
      if (!listed.ok) return onBroken(`consumers of triggers: ${describeError(listed.error)}`);
      for (const name of listed.value) if (name.startsWith(TRIGGER_CONSUMER_PREFIX) && !wanted.has(name)) await this.#delete(name);
    });
  }

  stop(): void {
    this.#stopped = true;
    this.#again?.cancel();
  }

  /** Its entry is durable. */
  apply(trigger: TriggerSpec): void {
    void this.#then(() => this.#create(trigger));
  }

  /** The entry that deletes it is durable. */
  delete(trigger: TriggerName): void {
    this.ready.delete(trigger);
    void this.#then(() => {
      this.#refused.delete(trigger);
      return this.#delete(consumerOf(trigger));
    });
  }

  /** Resolves when all that was asked for so far is done, or was refused. */
  settled(): Promise<void> {
    return this.#last;
  }

  /** Why the broker has no consumer of this trigger as it was applied last; null: it has. */
  refusalOf(trigger: TriggerName): WmError | null {
    return this.#refused.get(trigger)?.error ?? null;
  }

  async #create(trigger: TriggerSpec): Promise<void> {
    const { broker, telemetry, onReady, onBroken } = this.#options;
    const created = await broker.createConsumer(consumerSpecOf(trigger));
    if (created.ok) {
      this.#refused.delete(trigger.name);
      this.ready.add(trigger.name);
      return onReady(trigger.deployment);
    }
    const { error } = created;
    const cause = `consumer of trigger ${trigger.name}: ${describeError(error)}`;
    if (error.kind !== 'rejected') return onBroken(cause);
    if (!this.#refused.has(trigger.name)) telemetry.log('error', `The broker refused the ${cause} It is asked again until it takes it.`);
    this.#refused.set(trigger.name, { trigger, error });
    this.#scheduleAgain();
  }

  async #delete(name: ConsumerName): Promise<void> {
    const deleted = await this.#options.broker.deleteConsumer(name);
    if (deleted.ok || deleted.error.code === 'WM_BUS_CONSUMER_UNKNOWN') return;
    if (deleted.error.kind === 'rejected') this.#options.telemetry.log('error', `Consumer ${name} stays: ${describeError(deleted.error)}`);
    else this.#options.onBroken(`the end of consumer ${name}: ${describeError(deleted.error)}`);
  }

  #scheduleAgain(): void {
    if (this.#stopped) return;
    this.#again ??= this.#options.clock.after(REFUSED_MICROS, () => {
      this.#again = null;
      for (const name of this.#refused.keys()) {
        // What was refused may be gone, or another one, when its turn comes.
        void this.#then(async () => {
          const refused = this.#refused.get(name);
          if (refused !== undefined) await this.#create(refused.trigger);
        });
      }
    });
  }

  #then(step: () => Promise<void>): Promise<void> {
    this.#last = this.#last.then(() => (this.#stopped ? undefined : step()));
    return this.#last;
  }
}
