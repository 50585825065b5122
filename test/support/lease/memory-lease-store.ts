// A record of a lease in memory, whose answers take as long and get lost as often as a test says.
import { failed, ok, rejected, unknown } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { LeaseRecord, LeaseStore } from '../../../hardware/lease/lease.ts';
import type { MemoryTime } from '../ports/memory-clock.ts';

export type Weather = {
  readonly thereMicros: number;
  readonly backMicros: number;
  /** `answer`: it happened, and nobody hears of it. */
  readonly lost: 'nothing' | 'request' | 'answer';
};

export const FAIR: Weather = { thereMicros: 1_000, backMicros: 1_000, lost: 'nothing' };
/** How long a client waits for an answer that does not come. */
const ANSWER_MICROS = 400_000;

export class MemoryLease {
  readonly #time: MemoryTime;
  revision = 0;
  record: LeaseRecord | null = null;

  constructor(time: MemoryTime) {
    this.#time = time;
  }

  /** The way of one process to it. */
  from(weather: () => Weather): LeaseStore {
    const ask = <T>(act: () => Outcome<T>, silent: Outcome<T>): Promise<Outcome<T>> => {
      const { thereMicros, backMicros, lost } = weather();
      return new Promise((resolve) => {
        const giveUp = this.#time.set(ANSWER_MICROS, () => resolve(silent));
        if (lost === 'request') return;
        // It may arrive after its sender has given up.
        this.#time.set(thereMicros, () => {
          const answer = act();
          if (lost === 'answer') return;
          this.#time.set(backMicros, () => {
            giveUp.isCancelled = true;
            resolve(answer);
          });
        });
      });
    };
    return {
      read: () =>
        ask(
          () => ok({ revision: this.revision, record: this.record }),
          failed('WM_UNREACHABLE', { message: 'Nobody answered.', next: 'Try again.' }),
        ),
      write: (record, expectedRevision) =>
        ask<number>(
          () => {
            if (expectedRevision !== this.revision) return rejected('WM_CONFLICT', { message: 'Another revision.', next: 'Read.' });
            this.record = record;
            return ok(++this.revision);
          },
          unknown('WM_DEADLINE', { message: 'Nobody answered.', next: 'Read.' }),
        ),
    };
  }
}
