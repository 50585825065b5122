// Counts what a node's invocations cost, for heartbeats and metrics (R12.1). Decides nothing.
import type { NodeFacts, NodeLoad } from '../../system/domain/node.ts';
import type { RecordKinds } from '../../system/domain/telemetry.ts';
import type { Ports } from '../../system/ports/ports.ts';

const PERMILLE = 1_000;

export class Meter {
  readonly #clock: Ports['clock'];
  readonly #facts: NodeFacts;
  readonly #onWork: () => void;
  #invocations = 0;
  #failures = 0;
  #fuel = 0;
  #active = 0;
  #memoryBytes = 0;
  #busyMicros = 0;
  #sinceMicros: number;
  #cpuPermille = 0;
  /** Of the period that ended last. */
  #hasWorked = false;
  #invocationsBefore = 0;

  /** `onWork` is called before each invocation is counted. */
  constructor(clock: Ports['clock'], facts: NodeFacts, onWork: () => void) {
    this.#clock = clock;
    this.#facts = facts;
    this.#onWork = onWork;
    this.#sinceMicros = clock.monotonicMicros();
  }

  get active(): number {
    return this.#active;
  }

  get invocations(): number {
    return this.#invocations;
  }

  /** No work is going on, and none was in the last period: until there is some, there is nothing new to tell. */
  get rests(): boolean {
    return this.#active === 0 && !this.#hasWorked;
  }

  started(memoryBytesMax: number): void {
    this.#onWork();
    this.#active += 1;
    this.#memoryBytes += memoryBytesMax;
  }

  finished(memoryBytesMax: number, cost: { readonly hasFailed: boolean; readonly fuel: number; readonly busyMicros: number }): void {
    this.#active -= 1;
    this.#memoryBytes -= memoryBytesMax;
    this.#invocations += 1;
    this.#fuel += cost.fuel;
    this.#busyMicros += cost.busyMicros;
    if (cost.hasFailed) this.#failures += 1;
  }

  /** Share of the cores that guests used between the last two calls of `turn`. */
  load(): NodeLoad {
    return {
      cpuPermille: this.#cpuPermille,
      memoryBytesFree: Math.max(0, this.#facts.memoryBytes - this.#memoryBytes),
      invocationsActive: this.#active,
    };
  }

  /** Ends a period of measurement. */
  turn(): void {
    const nowMicros = this.#clock.monotonicMicros();
    const capacity = (nowMicros - this.#sinceMicros) * this.#facts.cores;
    if (capacity <= 0) return;
    this.#cpuPermille = Math.min(PERMILLE, Math.round((this.#busyMicros * PERMILLE) / capacity));
    this.#hasWorked = this.#invocations !== this.#invocationsBefore;
    this.#invocationsBefore = this.#invocations;
    this.#busyMicros = 0;
    this.#sinceMicros = nowMicros;
  }

  /** Totals since the agent started, load of now. */
  fields(): RecordKinds['agent.metrics'] {
    const load = this.load();
    return { node: this.#facts.node, invocations: this.#invocations, failures: this.#failures, fuel: this.#fuel, ...load };
  }
}
