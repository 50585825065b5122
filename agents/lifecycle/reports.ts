// The last report of each instance, as a hello would say it. Bound: what is desired, and `endedMax` instances that are gone;
// of those the oldest are forgotten first.
import type { InstanceId } from '../../system/domain/identifiers.ts';
import type { InstanceReport } from '../../system/domain/session.ts';

export class Reports {
  readonly #endedMax: number;
  /** In the order of their making. */
  readonly #reports = new Map<InstanceId, InstanceReport>();
  readonly #ended = new Set<InstanceId>();

  constructor(endedMax: number) {
    this.#endedMax = endedMax;
  }

  find(instance: InstanceId): InstanceReport | null {
    return this.#reports.get(instance) ?? null;
  }

  all(): readonly InstanceReport[] {
    return [...this.#reports.values()];
  }

  /** False when it says nothing new. */
  add(report: InstanceReport): boolean {
    const last = this.#reports.get(report.instance);
    if (last !== undefined && isSameReport(last, report)) return false;
    this.#forget(report.instance);
    this.#reports.set(report.instance, report);
    if (report.state === 'stopped') this.#ended.add(report.instance);
    for (const oldest of this.#ended) {
      if (this.#ended.size <= this.#endedMax) break;
      this.#forget(oldest);
    }
    return true;
  }

  /** The controller has heard these: what is gone need not be told again. */
  told(reports: readonly InstanceReport[]): void {
    for (const report of reports) {
      if (report.state === 'stopped' && this.#reports.get(report.instance) === report) this.#forget(report.instance);
    }
  }

  #forget(instance: InstanceId): void {
    this.#reports.delete(instance);
    this.#ended.delete(instance);
  }
}

function isSameReport(a: InstanceReport, b: InstanceReport): boolean {
  return (
    a.instance === b.instance &&
    a.epoch === b.epoch &&
    a.state === b.state &&
    a.version === b.version &&
    a.cause === b.cause &&
    a.code === b.code
  );
}
