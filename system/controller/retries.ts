// When failed instances are started again: after pauses that grow with their failures (R5.4).
import { retryDelayMs, type InstanceRecord } from '../deployments/deployments.ts';
import type { InstanceId } from '../domain/identifiers.ts';
import { MICROS_PER_MS, type Clock, type Timer } from '../ports/clock.ts';
import type { Head } from './head.ts';
import type { Entry } from './state.ts';

export type RetriesOptions = {
  readonly clock: Pick<Clock, 'after' | 'civilMs'>;
  readonly head: Head;
  readonly commit: (entries: readonly Entry[]) => void;
};

export class Retries {
  readonly #options: RetriesOptions;
  /** Bound: one for each failed instance. */
  readonly #timers = new Map<InstanceId, Timer>();

  constructor(options: RetriesOptions) {
    this.#options = options;
  }

  /** Nothing for one that has not failed. */
  schedule(instance: InstanceRecord): void {
    if (instance.state !== 'failed') return;
    const { clock, head, commit } = this.#options;
    const { id, epoch, failures } = instance;
    this.#timers.get(id)?.cancel();
    const timer = clock.after(retryDelayMs(failures) * MICROS_PER_MS, () => {
      this.#timers.delete(id);
      const now = head.state.deployments.instances.get(id);
      if (now === undefined || now.state !== 'failed' || now.epoch !== epoch) return;
      commit([{ kind: 'instance-unplaced', instance: id, atMs: clock.civilMs(), cause: `started again after failure ${failures}` }]);
    });
    this.#timers.set(id, timer);
  }

  stop(): void {
    for (const timer of this.#timers.values()) timer.cancel();
  }
}
