// What waits to be said to the controller. Bound: one report per instance (a newer one replaces it), a bounded queue of
// refusals (the oldest is dropped), one heartbeat. Reports go first, then refusals, then the heartbeat.
import type { AgentMessage, InstanceReport } from '../../system/domain/session.ts';
import type { InstanceId } from '../../system/domain/identifiers.ts';

export type Refusal = Extract<AgentMessage, { kind: 'refusal' }>;

export class Outbox {
  readonly #refusalsMax: number;
  readonly #reports = new Map<InstanceId, InstanceReport>();
  readonly #refusals: Refusal[] = [];

  constructor(refusalsMax: number) {
    this.#refusalsMax = refusalsMax;
  }

  report(report: InstanceReport): void {
    this.#reports.delete(report.instance);
    this.#reports.set(report.instance, report);
  }

  /** False when an older refusal had to make room. */
  refuse(refusal: Refusal): boolean {
    this.#refusals.push(refusal);
    if (this.#refusals.length <= this.#refusalsMax) return true;
    this.#refusals.shift();
    return false;
  }

  take(): AgentMessage | null {
    for (const report of this.#reports.values()) {
      this.#reports.delete(report.instance);
      return { kind: 'instance', report };
    }
    return this.#refusals.shift() ?? null;
  }

  /** A hello says the state of every instance itself. */
  forgetReports(): void {
    this.#reports.clear();
  }

  isEmpty(): boolean {
    return this.#reports.size === 0 && this.#refusals.length === 0;
  }
}
