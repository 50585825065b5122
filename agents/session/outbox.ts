// What waits to be said to the controller. Bound: one report per instance (a newer one replaces it), a bounded queue of
// refusals (the oldest is dropped), one place, one heartbeat, a bounded queue of guests' lines (the oldest is dropped and counted).
// Reports go first, then refusals, the place and the heartbeat: what guests say must not cost a lease.
import type { AgentMessage, InstanceReport } from '../../system/domain/session.ts';
import type { InstanceId } from '../../system/domain/identifiers.ts';
import type { GeoPoint } from '../../system/domain/node.ts';
import type { GuestLine } from '../../system/domain/logs.ts';
import type { AgentBounds } from '../bounds.ts';

export type Refusal = Extract<AgentMessage, { kind: 'refusal' }>;

type OutboxBounds = Pick<AgentBounds, 'refusalsQueuedMax' | 'logLinesQueuedMax' | 'logLinesPerMessageMax'>;

export class Outbox {
  readonly #bounds: OutboxBounds;
  readonly #reports = new Map<InstanceId, InstanceReport>();
  readonly #refusals: Refusal[] = [];
  readonly #lines: GuestLine[] = [];
  #location: GeoPoint | null = null;
  /** False: neither a report nor a refusal nor a place waits, which nearly every heartbeat asks. */
  #isDue = false;
  /** Lost lines by instance. Bound: the instances that the node served since the last message of lines. */
  readonly #dropped = new Map<InstanceId, number>();

  constructor(bounds: OutboxBounds) {
    this.#bounds = bounds;
  }

  report(report: InstanceReport): void {
    this.#reports.delete(report.instance);
    this.#reports.set(report.instance, report);
    this.#isDue = true;
  }

  /** False when an older refusal had to make room. */
  refuse(refusal: Refusal): boolean {
    this.#refusals.push(refusal);
    this.#isDue = true;
    if (this.#refusals.length <= this.#bounds.refusalsQueuedMax) return true;
    this.#refusals.shift();
    return false;
  }

  take(): AgentMessage | null {
    if (!this.#isDue) return null;
    for (const report of this.#reports.values()) {
      this.#reports.delete(report.instance);
      return { kind: 'instance', report };
    }
    const next = this.#refusals.shift() ?? this.#takeMove();
    this.#isDue = next !== null;
    return next;
  }

  move(location: GeoPoint): void {
    this.#location = location;
    this.#isDue = true;
  }

  #takeMove(): AgentMessage | null {
    if (this.#location === null) return null;
    const location = this.#location;
    this.#location = null;
    return { kind: 'moved', location };
  }

  log(line: GuestLine): void {
    this.#lines.push(line);
    if (this.#lines.length <= this.#bounds.logLinesQueuedMax) return;
    const oldest = this.#lines.shift();
    if (oldest !== undefined) this.dropLine(oldest.instance);
  }

  dropLine(instance: InstanceId): void {
    this.#dropped.set(instance, (this.#dropped.get(instance) ?? 0) + 1);
  }

  takeLogs(): AgentMessage | null {
    if (this.#lines.length === 0) return null;
    const lines = this.#lines.splice(0, this.#bounds.logLinesPerMessageMax);
    const dropped = [...this.#dropped].map(([instance, count]) => ({ instance, lines: count }));
    this.#dropped.clear();
    return { kind: 'logs', lines, dropped };
  }

  /** A hello says the state of every instance, and where the node is, itself. */
  forgetReports(): void {
    this.#reports.clear();
    this.#location = null;
  }

  isEmpty(): boolean {
    return this.#location === null && this.#reports.size === 0 && this.#refusals.length === 0 && this.#lines.length === 0;
  }
}
