// Who leads, of several controllers. The holder of the lease renews a record by compare-and-set; a standby takes it over when its
// revision has stood still for the length of the lease by the standby's own clock. The holder stops before that, by its own:
// civil clocks play no part. It keeps two from leading at once, and is no fence: a process that was stopped in the middle of a
// write goes on with it, and is refused by the journal.
import { describeError, failed, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Timer } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import { LEASE_MS_MAX, LEASE_MS_MIN, LOOKS_PER_LEASE } from './record.ts';
import type { LeaseOptions, LeaseRecord, Tenure } from './record.ts';
import { startTenure } from './tenure.ts';
import type { HeldLease } from './tenure.ts';

export { openNatsLeaseStore } from './nats-lease-store.ts';
export { LOOKS_PER_LEASE } from './record.ts';
export type { LeaseOptions, LeaseRecord, LeaseStore, Tenure } from './record.ts';

export interface Lease {
  /** Waits for as long as somebody else leads. One call at a time; WM_CANCELLED after `stop`. */
  acquire(): Promise<Outcome<Tenure>>;
  /** Gives the lease back, so that a standby leads at its next look. Stop leading first. Idempotent. */
  stop(): Promise<void>;
}

export function createLease(options: LeaseOptions): Outcome<Lease> {
  const { leaseMs } = options;
  if (Number.isSafeInteger(leaseMs) && leaseMs >= LEASE_MS_MIN && leaseMs <= LEASE_MS_MAX) return ok(new StandbyLease(options));
  return rejected('WM_ARGUMENT', {
    message: `A lease of ${leaseMs} ms cannot be held.`,
    next: `Give it ${LEASE_MS_MIN} to ${LEASE_MS_MAX} ms.`,
  });
}

class StandbyLease implements Lease {
  readonly #options: LeaseOptions;
  readonly #chance: RandomStream;
  readonly #own: LeaseRecord;
  /** The revision that was seen last, and since when. */
  #seen: { readonly revision: number; readonly sinceMicros: number } | null = null;
  #told: string | null = null;
  #held: HeldLease | null = null;
  #stopped = false;
  #waiting: { readonly timer: Timer; readonly resolve: () => void } | null = null;

  constructor(options: LeaseOptions) {
    const { random, holder, address, leaseMs } = options;
    this.#options = options;
    this.#chance = random.stream('lease');
    const session = Buffer.from(random.stream('lease session').bytes(16)).toString('hex');
    this.#own = { holder, session, leaseMs, address };
  }

  async acquire(): Promise<Outcome<Tenure>> {
    while (!this.#stopped) {
      const look = await this.#look();
      if (look === 'held' && this.#held !== null) return ok(this.#held);
      if (look === 'later') await this.#wait();
    }
    return failed('WM_CANCELLED', { message: 'Waiting for the lead was stopped.', next: 'Start again to wait for it.' });
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    this.#waiting?.timer.cancel();
    this.#waiting?.resolve();
    await this.#held?.giveBack();
  }

  async #look(): Promise<'held' | 'later' | 'again'> {
    const { store, clock, onTrouble = () => {}, onStandby = () => {} } = this.#options;
    const read = await store.read();
    if (!read.ok) {
      onTrouble(describeError(read.error));
      return 'later';
    }
    const { revision, record } = read.value;
    const nowMicros = clock.monotonicMicros();
    if (this.#seen?.revision !== revision) this.#seen = { revision, sinceMicros: nowMicros };
    if (!this.#isFree(record, nowMicros - this.#seen.sinceMicros)) {
      if (record !== null && record.session !== this.#told) onStandby(record);
      this.#told = record?.session ?? null;
      return 'later';
    }
    if (this.#stopped) return 'later';
    const sentMicros = clock.monotonicMicros();
    const written = await store.write(this.#own, revision);
    if (written.ok) {
      this.#held = startTenure({ ...this.#options, own: this.#own, revision: written.value, sentMicros });
      if (this.#stopped) await this.#held.giveBack();
      return 'held';
    }
    if (written.error.code === 'WM_CONFLICT') return 'again';
    onTrouble(describeError(written.error));
    return 'later';
  }

  /** The holder may have been told another length than this process; what its record says counts, unless it is less. */
  #isFree(record: LeaseRecord | null, stoodMicros: number): boolean {
    if (record === null || record.session === this.#own.session) return true;
    const lengthMs = Math.min(LEASE_MS_MAX, Math.max(record.leaseMs, this.#own.leaseMs));
    return stoodMicros >= lengthMs * MICROS_PER_MS;
  }

  /** Jitter: standbys do not look all at once. */
  #wait(): Promise<void> {
    const meanMicros = Math.floor((this.#own.leaseMs * MICROS_PER_MS) / LOOKS_PER_LEASE);
    const micros = Math.floor(meanMicros / 2) + this.#chance.below(meanMicros);
    return new Promise((resolve) => {
      if (this.#stopped) resolve();
      else this.#waiting = { timer: this.#options.clock.after(micros, resolve), resolve };
    });
  }
}
