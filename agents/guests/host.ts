// Answers what a guest asks of the host: each operation is checked against the grants of its instance, refusals are recorded
// (R2.3, R8.1, R8.2), effects carry the fencing token. Nothing takes effect when `check` says that the invocation must not go on.
import { describeCapability, grants, grantsPublish, grantsState } from '../../system/domain/capability.ts';
import type { Capability } from '../../system/domain/capability.ts';
import { SOURCE_HEADER, TRIGGER_HEADER, type BusEvent, type FencingToken } from '../../system/domain/event.ts';
import { describeError } from '../../system/domain/outcome.ts';
import type { Outcome, WmError } from '../../system/domain/outcome.ts';
import type { ModuleName, TriggerName } from '../../system/domain/identifiers.ts';
import type { LogLevel } from '../../system/domain/telemetry.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { HostAnswer } from '../../system/ports/wasm.ts';
import type { AgentBounds } from '../bounds.ts';
import { repeat, Wait } from '../waiting/waiting.ts';
import type { Repetition } from '../waiting/waiting.ts';
import type { Cancellation } from './cancellation.ts';
import {
  effectIdOf,
  readOperation,
  stateAnswer,
  STATUS_CONFLICT,
  STATUS_DENIED,
  STATUS_INVALID,
  STATUS_LIMIT_EXCEEDED,
  STATUS_NOT_FOUND,
  STATUS_UNAVAILABLE,
  statusAnswer,
  textAnswer,
  wasiCapability,
} from './operations.ts';
import type { Operation } from './operations.ts';

export type HostPorts = Pick<Ports, 'bus' | 'clock' | 'keys' | 'state' | 'telemetry'>;

export type HostScope = {
  readonly fence: FencingToken;
  readonly module: ModuleName;
  readonly trigger: TriggerName;
  readonly event: BusEvent;
  readonly grants: readonly Capability[];
  readonly cancellation: Cancellation;
  /** When the broker gives the event to another: nothing sleeps longer. */
  readonly deadlineMicros: number;
  /** Why nothing may take effect now; null: it may. Asks lease and epoch at this moment. */
  readonly check: () => WmError | null;
  /** How reads and publications are repeated while their end is unknown; a write is not, the guest decides on it. */
  readonly repetition: Repetition;
  readonly refused: (capability: string, operation: string) => void;
  /** What the guest says, to whoever reads its log. */
  readonly logged: (level: LogLevel, text: string) => void;
  /** The broker or the store said that this instance was superseded. */
  readonly fenced: (error: WmError) => void;
};

export class GuestHost {
  readonly #ports: HostPorts;
  readonly #bounds: AgentBounds;
  readonly #scope: HostScope;
  #published = 0;
  #refused = 0;
  #logged = 0;

  constructor(ports: HostPorts, bounds: AgentBounds, scope: HostScope) {
    this.#ports = ports;
    this.#bounds = bounds;
    this.#scope = scope;
  }

  async answer(name: string, payload: Uint8Array): Promise<HostAnswer> {
    const operation = readOperation(name, payload, this.#bounds);
    switch (operation.kind) {
      case 'bad':
        return statusAnswer(operation.status);
      case 'state-get':
        return this.#stateGet(operation);
      case 'state-set':
        return this.#stateSet(operation);
      case 'publish':
        return this.#publish(operation);
      case 'log':
        return this.#log(operation);
      case 'sleep':
        return this.#sleep(operation.micros);
      case 'denied':
        return this.#deny(wasiCapability(operation.function), operation.function);
      default:
        return operation satisfies never;
    }
  }

  async #stateGet(operation: Extract<Operation, { kind: 'state-get' }>): Promise<HostAnswer> {
    if (!grantsState(this.#scope.grants, 'state-read', operation.key)) {
      return this.#deny(describeCapability({ kind: 'state-read', scope: operation.key }), 'state_get');
    }
    const deadlineMicros = this.#bounds.stateDeadlineMs * MICROS_PER_MS;
    const entry = await repeat(this.#scope.repetition, () => this.#ports.state.get(operation.key, { deadlineMicros }));
    if (!entry.ok) return this.#failure('state_get', entry.error);
    return entry.value === null ? statusAnswer(STATUS_NOT_FOUND) : stateAnswer(entry.value.version, entry.value.value);
  }

  async #stateSet(operation: Extract<Operation, { kind: 'state-set' }>): Promise<HostAnswer> {
    if (!grantsState(this.#scope.grants, 'state-write', operation.key)) {
      return this.#deny(describeCapability({ kind: 'state-write', scope: operation.key }), 'state_set');
    }
    const written = await this.#effect(() =>
      this.#ports.state.put(operation.key, operation.value, {
        expectedVersion: operation.expectedVersion,
        fence: this.#scope.fence,
        deadlineMicros: this.#bounds.stateDeadlineMs * MICROS_PER_MS,
      }),
    );
    return written.ok ? textAnswer(String(written.value)) : this.#failure('state_set', written.error);
  }

  async #publish(operation: Extract<Operation, { kind: 'publish' }>): Promise<HostAnswer> {
    if (!grantsPublish(this.#scope.grants, operation.subject)) {
      return this.#deny(`publish:${operation.subject}`, 'publish');
    }
    // Counted whether it succeeds or not: a repeated invocation then gives the same names to the same events.
    this.#published += 1;
    const { event, trigger, fence } = this.#scope;
    const publication: BusEvent = {
      id: effectIdOf(event.id, trigger, this.#published, (bytes) => this.#ports.keys.digest(bytes)),
      subject: operation.subject,
      timeMs: this.#ports.clock.civilMs(),
      correlation: event.correlation,
      headers: { [SOURCE_HEADER]: event.id, [TRIGGER_HEADER]: trigger },
      data: operation.data,
    };
    const deadlineMicros = this.#bounds.publishDeadlineMs * MICROS_PER_MS;
    const published = await repeat(this.#scope.repetition, () => this.#ports.bus.publish(publication, { fence, deadlineMicros }));
    return published.ok ? statusAnswer(0) : this.#failure('publish', published.error);
  }

  #log({ level, text }: Extract<Operation, { kind: 'log' }>): HostAnswer {
    if (!grants(this.#scope.grants, 'log')) return this.#deny('log', 'log');
    this.#logged += 1;
    if (this.#logged > this.#bounds.logLinesMax) return statusAnswer(STATUS_LIMIT_EXCEEDED);
    this.#scope.logged(level, text);
    return statusAnswer(0);
  }

  async #sleep(micros: number): Promise<HostAnswer> {
    if (!grants(this.#scope.grants, 'sleep')) return this.#deny('sleep', 'poll_oneoff');
    if (this.#scope.cancellation.cause !== null) return statusAnswer(STATUS_UNAVAILABLE);
    const wait = new Wait(this.#ports.clock);
    this.#scope.cancellation.onCancel(() => wait.wake());
    await wait.for(Math.min(micros, this.#scope.deadlineMicros - this.#ports.clock.monotonicMicros()));
    this.#scope.cancellation.onCancel(null);
    return statusAnswer(0);
  }

  /** Safety: the lease and the epoch are asked here, in the same turn in which the effect leaves. */
  #effect<T>(act: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    const obstacle = this.#scope.check();
    return obstacle === null ? act() : Promise.resolve({ ok: false, error: obstacle });
  }

  #deny(capability: string, operation: string): HostAnswer {
    this.#refused += 1;
    if (this.#refused <= this.#bounds.refusalsToldMax) this.#scope.refused(capability, operation);
    return statusAnswer(STATUS_DENIED);
  }

  #failure(operation: string, error: WmError): HostAnswer {
    switch (error.code) {
      case 'WM_CONFLICT':
        return statusAnswer(STATUS_CONFLICT);
      case 'WM_NOT_FOUND':
        return statusAnswer(STATUS_NOT_FOUND);
      case 'WM_FENCED':
        this.#scope.fenced(error);
        return statusAnswer(STATUS_UNAVAILABLE);
      case 'WM_EVENT_INVALID':
      case 'WM_ARGUMENT':
        return statusAnswer(STATUS_INVALID);
      case 'WM_MESSAGE_TOO_LARGE':
        return statusAnswer(STATUS_LIMIT_EXCEEDED);
      default:
        this.#ports.telemetry.log(
          'warn',
          `guest ${this.#scope.fence.instance}: ${operation}: ${describeError(error)}`,
          this.#scope.event.correlation,
        );
        return statusAnswer(STATUS_UNAVAILABLE);
    }
  }
}
