// One instance as this node serves it, in one epoch: its bindings, its running invocations, its end.
// serving: takes events. draining: takes none, finishes what runs. ended: nothing of it takes effect any more (R1.3).
import type { DeliveredEvent } from '../../system/domain/broker.ts';
import type { Capability } from '../../system/domain/capability.ts';
import type { ErrorCode } from '../../system/domain/errors.ts';
import { SOURCE_HEADER, TRIGGER_HEADER, type BusEvent, type FencingToken } from '../../system/domain/event.ts';
import { failed } from '../../system/domain/outcome.ts';
import type { WmError } from '../../system/domain/outcome.ts';
import type { Assignment, ModuleGrant, TriggerBinding } from '../../system/domain/session.ts';
import type { LogLevel } from '../../system/domain/telemetry.ts';
import type { Subject, TriggerName } from '../../system/domain/identifiers.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Timer } from '../../system/ports/clock.ts';
import type { LoadedModule } from '../../system/ports/wasm.ts';
import { Cancellation, effectIdOf, invoke } from '../guests/guests.ts';
import type { InvocationEnd } from '../guests/guests.ts';
import type { Repetition } from '../waiting/waiting.ts';
import { Binding } from './binding.ts';
import type { DeliveryTools } from './delivery.ts';
import { publishResult, settle } from './effects.ts';
import type { EffectContext } from './effects.ts';

/** What an instance runs: changes with a version switch, while running invocations finish what they began with. */
export type Program = { readonly grant: ModuleGrant; readonly module: LoadedModule; readonly grants: readonly Capability[] };

/** A delivery that waits for its turn, and the moment from which the broker gives it to another. */
export type Pending = {
  readonly delivery: DeliveredEvent;
  readonly binding: Binding;
  readonly deadlineMicros: number;
  readonly instance: ServedInstance;
};

export type InstancePhase = 'serving' | 'draining' | 'ended';

export type EndCause = { readonly text: string; readonly code: ErrorCode | null };

export class ServedInstance {
  readonly key: string;
  readonly fence: FencingToken;
  readonly #tools: DeliveryTools;
  readonly #bindings = new Map<TriggerName, Binding>();
  readonly #running = new Set<Cancellation>();
  readonly #onEnded: (cause: EndCause) => void;
  #assignment: Assignment;
  #program: Program;
  #phase: InstancePhase = 'serving';
  #endCause: WmError | null = null;
  #drainCause: EndCause | null = null;
  #drainTimer: Timer | null = null;

  constructor(tools: DeliveryTools, assignment: Assignment, program: Program, onEnded: (cause: EndCause) => void) {
    this.#tools = tools;
    this.#assignment = assignment;
    this.#program = program;
    this.#onEnded = onEnded;
    this.fence = { instance: assignment.instance, epoch: assignment.epoch };
    this.key = `${assignment.instance}#${assignment.epoch}`;
    this.#recordServing();
    this.#bind(assignment);
  }

  get assignment(): Assignment {
    return this.#assignment;
  }

  get program(): Program {
    return this.#program;
  }

  get phase(): InstancePhase {
    return this.#phase;
  }

  /** Why nothing of this instance may take effect at this moment; null: it may. */
  check(): WmError | null {
    return this.#endCause ?? this.#checkLease();
  }

  #checkLease(): WmError | null {
    if (!this.#assignment.movable || this.#tools.isLeaseHeld()) return null;
    return failed('WM_LEASE_LAPSED', {
      message: `The lease that ${this.#assignment.instance} is served under has lapsed.`,
      next: 'The event is delivered again, to whoever serves then.',
    }).error;
  }

  /** What an instance that was given up in order still holds may be given back, since its fence is the newest. */
  #checkGiveBack(): WmError | null {
    return this.#drainCause === null ? this.check() : this.#checkLease();
  }

  /** Running invocations finish with the version, grants and triggers they began with; each is bounded by its ack wait. */
  change(assignment: Assignment, program: Program): void {
    const isOther = program.module !== this.#program.module || assignment.version !== this.#assignment.version;
    this.#assignment = assignment;
    this.#program = program;
    if (this.#phase === 'draining') {
      this.#phase = 'serving';
      this.#drainCause = null;
      this.#drainTimer?.cancel();
    }
    if (isOther) this.#recordServing();
    this.#bind(assignment);
  }

  /** Bound: what still runs after `boundMs` is closed. */
  drain(cause: EndCause, boundMs: number): void {
    if (this.#phase !== 'serving') return;
    this.#phase = 'draining';
    this.#drainCause = cause;
    const pending = this.#unbind({ withdraws: true });
    this.#giveBack(pending.map((item) => [item.binding.spec, item.delivery]));
    if (this.#running.size === 0) return this.end(cause);
    this.#drainTimer = this.#tools.ports.clock.after(boundMs * MICROS_PER_MS, () => this.end(cause));
  }

  /** At once: from here on every invocation is closed before its next host request or result takes effect. */
  end(cause: EndCause): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#drainTimer?.cancel();
    const error = failed(cause.code ?? 'WM_CANCELLED', {
      message: `${this.#assignment.instance} ended: ${cause.text}`,
      next: 'The event is delivered again, to whoever serves then.',
    }).error;
    this.#endCause = error;
    this.#unbind({ withdraws: false });
    for (const cancellation of this.#running) cancellation.cancel(error);
    this.#tools.dispatch.forget(this.key);
    const { node, ports } = this.#tools;
    ports.telemetry.record('instance.ended', { node, instance: this.fence.instance, epoch: this.fence.epoch, cause: cause.text });
    this.#onEnded(cause);
  }

  /** One event, from its turn to its settlement. The dispatcher counts it as running until this resolves. */
  async run(pending: Pending): Promise<void> {
    const cancellation = new Cancellation();
    this.#running.add(cancellation);
    await this.#process(pending, cancellation);
    this.#running.delete(cancellation);
    if (this.#phase === 'draining' && this.#running.size === 0 && this.#drainCause !== null) this.end(this.#drainCause);
  }

  async #process(pending: Pending, cancellation: Cancellation): Promise<void> {
    const { clock } = this.#tools.ports;
    const check = (): WmError | null => {
      const obstacle = cancellation.cause ?? this.check();
      if (obstacle !== null || clock.monotonicMicros() < pending.deadlineMicros) return obstacle;
      return failed('WM_CANCELLED', { message: 'The ack wait of the delivery is over.', next: 'The event is delivered again.' }).error;
    };
    if (check() !== null) return;
    const { delivery, binding } = pending;
    const { spec } = binding;
    const end = await this.#invoke(pending, cancellation, check);
    const context = this.#context(check);
    let error = end.outcome.error;
    if (error === null && spec.result !== null) {
      const published = await publishResult(context, this.#resultOf(delivery.event, spec.trigger, spec.result, end.outcome.result));
      if (!published.ok) error = published.error;
    }
    end.tell(error);
    if (error?.code === 'WM_FENCED') this.#tools.fenced(this, error);
    if (end.outcome.isCancelled || check() !== null) return;
    // Safety: an acknowledgement says that the guest ran and that its result is durable (R9.1).
    const settled = await settle(
      context,
      spec.consumer,
      delivery,
      error === null ? { kind: 'ack' } : { kind: 'nak', reason: { code: error.code, message: error.message } },
    );
    if (!settled.ok && settled.error.code === 'WM_FENCED') this.#tools.fenced(this, settled.error);
  }

  #resultOf(event: BusEvent, trigger: TriggerName, subject: Subject, data: Uint8Array): BusEvent {
    const { clock, keys } = this.#tools.ports;
    return {
      id: effectIdOf(event.id, trigger, null, (bytes) => keys.digest(bytes)),
      subject,
      timeMs: clock.civilMs(),
      correlation: event.correlation,
      headers: { [SOURCE_HEADER]: event.id, [TRIGGER_HEADER]: trigger },
      data,
    };
  }

  /** `tell` records the end of the invocation, once it is known whether its result is durable. */
  async #invoke(
    pending: Pending,
    cancellation: Cancellation,
    check: () => WmError | null,
  ): Promise<{ readonly outcome: InvocationEnd; readonly tell: (error: WmError | null) => void }> {
    const { ports, bounds, node, meter } = this.#tools;
    const { delivery, binding } = pending;
    const { event } = delivery;
    const { trigger } = binding.spec;
    const program = this.#program;
    const { manifest } = program.grant;
    const fields = { node, ...this.fence, version: program.grant.version, trigger, event: event.id, attempt: delivery.attempt };
    ports.telemetry.record('invocation.started', fields, event.correlation);
    const logged = (level: LogLevel, text: string): void => {
      ports.telemetry.log(level, `guest ${this.fence.instance}: ${text}`, event.correlation);
      this.#log(level, text, program.grant.version, event);
    };
    meter.started(manifest.limits.memoryBytesMax);
    const outcome = await invoke(ports, bounds, this.#tools.seeds, {
      module: program.module,
      limits: manifest.limits,
      attempt: delivery.attempt,
      scope: {
        fence: this.fence,
        module: manifest.name,
        trigger,
        event,
        grants: program.grants,
        cancellation,
        deadlineMicros: pending.deadlineMicros,
        check,
        repetition: this.#repetition(check),
        refused: (capability, operation) => this.#tools.refused(this, manifest.name, capability, operation, event.correlation),
        logged,
        fenced: (error) => this.#tools.fenced(this, error),
      },
    });
    const { fuel, memoryBytesPeak, micros, busyMicros, hostCalls } = outcome;
    const tell = (error: WmError | null): void => {
      meter.finished(manifest.limits.memoryBytesMax, { hasFailed: error !== null, fuel, busyMicros });
      const told = error === null ? 'completed' : error.code;
      ports.telemetry.record(
        'invocation.finished',
        { ...fields, outcome: told, fuel, memoryBytesPeak, micros, hostCalls },
        event.correlation,
      );
      if (error !== null && !outcome.isCancelled)
        this.#log('warn', `attempt ${delivery.attempt} failed: ${error.code}: ${error.message}`, program.grant.version, event);
    };
    if (outcome.diagnostics !== '') logged(outcome.error === null ? 'info' : 'warn', outcome.diagnostics);
    return { outcome, tell };
  }

  #log(level: LogLevel, text: string, version: number, event: BusEvent): void {
    const { ports, bounds, logged } = this.#tools;
    const { instance } = this.fence;
    const line = { timeMs: ports.clock.civilMs(), instance, version, level, event: event.id, correlation: event.correlation };
    logged({ ...line, text: text.slice(0, bounds.logCharactersMax) });
  }

  #context(check: () => WmError | null): EffectContext {
    const { ports, bounds } = this.#tools;
    const publishDeadlineMicros = bounds.publishDeadlineMs * MICROS_PER_MS;
    return { bus: ports.bus, fence: this.fence, publishDeadlineMicros, repetition: this.#repetition(check) };
  }

  #repetition(check: () => WmError | null): Repetition {
    const { ports, bounds, effectsRandom } = this.#tools;
    const law = { baseMs: bounds.effectRetryMs, maxMs: bounds.effectRetryMsMax };
    return { clock: ports.clock, random: effectsRandom, law, attemptsMax: bounds.effectAttemptsMax, check };
  }

  #bind(assignment: Assignment): void {
    const { dispatch } = this.#tools;
    dispatch.setConcurrency(this.key, assignment.concurrency);
    const wanted = new Map(assignment.triggers.map((trigger) => [trigger.trigger, trigger]));
    for (const [trigger, binding] of this.#bindings) {
      if (wanted.get(trigger)?.consumer !== binding.spec.consumer) this.#unbindOne(trigger, binding);
    }
    for (const [trigger, spec] of wanted) {
      const bound = this.#bindings.get(trigger);
      if (bound !== undefined) bound.spec = spec;
      else this.#bindOne(trigger, spec);
    }
    this.#tools.pump();
  }

  #bindOne(trigger: TriggerName, spec: TriggerBinding): void {
    const { ports, bounds, dispatch } = this.#tools;
    const laneKey = this.#laneKey(trigger);
    dispatch.open(laneKey, this.key);
    const binding: Binding = new Binding(ports, bounds, spec, {
      fence: this.fence,
      credit: () => dispatch.credit(laneKey),
      check: () => this.check(),
      delivered: (deliveries) => this.#delivered(laneKey, binding, deliveries),
      givenBack: (deliveries) => this.#giveBack(deliveries.map((delivery) => [binding.spec, delivery])),
      fenced: (error) => this.#tools.fenced(this, error),
      tracked: this.#tools.tracked,
      starved: this.#tools.starved,
    });
    this.#bindings.set(trigger, binding);
    binding.start();
  }

  #delivered(laneKey: string, binding: Binding, deliveries: readonly DeliveredEvent[]): void {
    const { clock } = this.#tools.ports;
    const deadlineMicros = clock.monotonicMicros() + binding.spec.ackWaitMs * MICROS_PER_MS;
    for (const delivery of deliveries) this.#tools.dispatch.offer(laneKey, { delivery, binding, deadlineMicros, instance: this });
    this.#tools.pump();
  }

  /** What was fetched and has not begun. */
  #unbind(options: { readonly withdraws: boolean }): readonly Pending[] {
    const all: Pending[] = [];
    for (const [trigger, binding] of this.#bindings) {
      binding.stop(options);
      all.push(...this.#tools.dispatch.close(this.#laneKey(trigger)));
    }
    this.#bindings.clear();
    return all;
  }

  #unbindOne(trigger: TriggerName, binding: Binding): void {
    binding.stop({ withdraws: true });
    this.#bindings.delete(trigger);
    this.#giveBack(this.#tools.dispatch.close(this.#laneKey(trigger)).map((item) => [item.binding.spec, item.delivery]));
  }

  /** Another may have them at once instead of after their ack wait. */
  #giveBack(deliveries: readonly (readonly [TriggerBinding, DeliveredEvent])[]): void {
    for (const [spec, delivery] of deliveries) {
      const context = this.#context(() => this.#checkGiveBack());
      this.#tools.tracked(settle(context, spec.consumer, delivery, { kind: 'release' }));
    }
  }

  #laneKey(trigger: TriggerName): string {
    return `${this.key}/${trigger}`;
  }

  #recordServing(): void {
    const { node, ports } = this.#tools;
    ports.telemetry.record('instance.serving', {
      node,
      instance: this.fence.instance,
      epoch: this.fence.epoch,
      version: this.#assignment.version,
    });
  }
}
