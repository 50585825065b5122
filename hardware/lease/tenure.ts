// A lease while it is held: renewed until it is given back, cannot be renewed in time, or somebody else has it.
// Safety: what counts is the moment before a renewal was sent, since the standby cannot have seen it earlier. The holder stops at
// `HELD_PART` of the lease after that, so that the two clocks may run apart by a third before two lead at once.
import { describeError } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Timer } from '../../system/ports/clock.ts';
import { LOOKS_PER_LEASE } from './record.ts';
import type { LeaseOptions, LeaseRecord, Tenure } from './record.ts';

/** The part of the lease after which the holder does not lead any more. */
const HELD_PART = [2, 3] as const;

export type TenureOptions = Pick<LeaseOptions, 'clock' | 'store' | 'onTrouble'> & {
  readonly own: LeaseRecord;
  readonly revision: number;
  /** Before the lease was asked for. */
  readonly sentMicros: number;
};

export type HeldLease = Tenure & { giveBack(): Promise<void> };

export function startTenure(options: TenureOptions): HeldLease {
  return new HeldTenure(options);
}

class HeldTenure implements HeldLease {
  readonly lost: Promise<string>;
  readonly #options: TenureOptions;
  readonly #renewEveryMicros: number;
  readonly #heldForMicros: number;
  #settleLost: (cause: string) => void = () => {};
  #revision: number;
  #heldUntilMicros = 0;
  #over = false;
  #expiry: Timer | null = null;
  #next: Timer | null = null;
  /** Never rejects. */
  #renewing: Promise<void> = Promise.resolve();

  constructor(options: TenureOptions) {
    const leaseMicros = options.own.leaseMs * MICROS_PER_MS;
    this.#options = options;
    this.#revision = options.revision;
    this.#renewEveryMicros = Math.floor(leaseMicros / LOOKS_PER_LEASE);
    this.#heldForMicros = Math.floor((leaseMicros * HELD_PART[0]) / HELD_PART[1]);
    this.lost = new Promise((resolve) => (this.#settleLost = resolve));
    this.#extend(options.sentMicros);
    this.#schedule(this.#renewEveryMicros);
  }

  isHeld(): boolean {
    return !this.#over && this.#options.clock.monotonicMicros() < this.#heldUntilMicros;
  }

  async giveBack(): Promise<void> {
    const held = this.isHeld();
    this.#end('it was given back');
    await this.#renewing;
    if (held) await this.#options.store.write(null, this.#revision);
  }

  #extend(sentMicros: number): void {
    const { clock } = this.#options;
    this.#heldUntilMicros = sentMicros + this.#heldForMicros;
    this.#expiry?.cancel();
    this.#expiry = clock.after(this.#heldUntilMicros - clock.monotonicMicros(), () =>
      this.#end(`the lease could not be renewed for ${Math.floor((clock.monotonicMicros() - sentMicros) / MICROS_PER_MS)} ms`),
    );
  }

  #schedule(micros: number): void {
    if (this.#over) return;
    this.#next = this.#options.clock.after(micros, () => {
      this.#renewing = this.#renew().then((again) => this.#schedule(again));
    });
  }

  /** Microseconds until the next time. */
  async #renew(): Promise<number> {
    const { clock, store, own, onTrouble = () => {} } = this.#options;
    const sentMicros = clock.monotonicMicros();
    const written = await store.write(own, this.#revision);
    if (written.ok) {
      this.#revision = written.value;
      if (!this.#over) this.#extend(sentMicros);
      return this.#renewEveryMicros;
    }
    if (this.#over) return 0;
    if (written.error.code !== 'WM_CONFLICT') {
      onTrouble(describeError(written.error));
      return Math.floor(this.#renewEveryMicros / 2);
    }
    const read = await store.read();
    if (!read.ok) return Math.floor(this.#renewEveryMicros / 2);
    const { revision, record } = read.value;
    // A renewal of which no answer came had arrived: it counts with the next one.
    if (record?.session === own.session) {
      this.#revision = revision;
      return 0;
    }
    this.#end(record === null ? 'the lease was taken away' : `${record.holder} leads now`);
    return 0;
  }

  #end(cause: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#expiry?.cancel();
    this.#next?.cancel();
    this.#settleLost(cause);
  }
}
