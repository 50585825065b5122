// Whoever waits until what it changed is durable; all are told when this process ends before.
import type { Journal } from '../journal/journal.ts';
import type { Entry } from './state.ts';

export class Durability {
  readonly #journal: Pick<Journal<Entry>, 'whenDurable'>;
  /** Bound: the calls that are under way. */
  readonly #waiting = new Set<(durable: boolean) => void>();
  #stopped = false;

  constructor(journal: Pick<Journal<Entry>, 'whenDurable'>) {
    this.#journal = journal;
  }

  /** True when everything applied so far is durable; false when this process ends before. */
  reached(): Promise<boolean> {
    if (this.#stopped) return Promise.resolve(false);
    return new Promise((resolve) => {
      const settle = (durable: boolean): void => {
        this.#waiting.delete(settle);
        resolve(durable);
      };
      this.#waiting.add(settle);
      this.#journal.whenDurable(() => settle(true));
    });
  }

  stop(): void {
    this.#stopped = true;
    for (const settle of [...this.#waiting]) settle(false);
  }
}
