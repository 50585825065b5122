// When a machine's times say nothing about the product: while something slows it down, and until it has worked off what gathered then.
import type { RunRecord } from '../record.ts';

/** Faults that slow a machine down while they last. */
const SLOWING: readonly string[] = ['throttle', 'disk-slow'];
/**
 * A machine that was slow is given as long again to work off its queue: what came in that time and found it busy is at most what it can
 * do in as much time. At least a second, for what was sent to it again; more than ten seconds no queue of ours holds.
 */
const DRAIN_MICROS_MIN = 1_000_000;
const DRAIN_MICROS_MAX = 10_000_000;

type Slow = { readonly reasons: Set<string>; sinceMicros: number; untilMicros: number };

export class Slowness {
  /** Bound: the machines of a run. */
  readonly #machines = new Map<string, Slow>();

  observe(record: RunRecord): void {
    switch (record.kind) {
      case 'fault.begun':
        if (SLOWING.includes(record.fields.kind)) this.#begin(record.fields.target, record.fields.fault, record.micros);
        return;
      case 'fault.ended':
        if (SLOWING.includes(record.fields.kind)) this.#end(record.fields.target, record.fields.fault, record.micros);
        return;
      case 'machine.throttled':
        if (record.fields.factor > 1) this.#begin(record.fields.machine, 'power', record.micros);
        else this.#end(record.fields.machine, 'power', record.micros);
        return;
      default:
    }
  }

  /** Whether the machine was slow, or had to catch up, at any time between these. */
  excuses(machine: string, fromMicros: number): boolean {
    const slow = this.#machines.get(machine);
    return slow !== undefined && (slow.reasons.size > 0 || fromMicros < slow.untilMicros);
  }

  #begin(machine: string, reason: string, micros: number): void {
    const slow = this.#machines.get(machine) ?? { reasons: new Set<string>(), sinceMicros: micros, untilMicros: 0 };
    this.#machines.set(machine, slow);
    if (slow.reasons.size === 0) slow.sinceMicros = micros;
    slow.reasons.add(reason);
  }

  #end(machine: string, reason: string, micros: number): void {
    const slow = this.#machines.get(machine);
    if (slow === undefined || !slow.reasons.delete(reason) || slow.reasons.size > 0) return;
    const drainMicros = Math.min(DRAIN_MICROS_MAX, Math.max(DRAIN_MICROS_MIN, micros - slow.sinceMicros));
    slow.untilMicros = Math.max(slow.untilMicros, micros + drainMicros);
  }
}
