// The lease at work: a timer says when it lapses, and `isHeld` asks the clock again before each effect, because a machine
// that was paused wakes with its timers late (R1.3). It decides nothing about instances.
import type { Clock, Timer } from '../../system/ports/clock.ts';
import type { Ports } from '../../system/ports/ports.ts';
import type { NodeId } from '../../system/domain/identifiers.ts';
import { holdsAt, renewedExpiry } from './law.ts';
import type { LeaseExpiry } from './law.ts';

export class Lease {
  readonly #ports: Pick<Ports, 'clock' | 'telemetry'>;
  readonly #clock: Clock;
  readonly #node: NodeId;
  readonly #onChange: (state: 'held' | 'lapsed') => void;
  #expiry: LeaseExpiry = null;
  #isAnnounced = false;
  #timer: Timer | null = null;
  readonly #onDue = (): void => this.#due();

  /** `onChange` is called once for each change, before anything else happens under the lease. */
  constructor(ports: Pick<Ports, 'clock' | 'telemetry'>, node: NodeId, onChange: (state: 'held' | 'lapsed') => void) {
    this.#ports = ports;
    this.#clock = ports.clock;
    this.#node = node;
    this.#onChange = onChange;
  }

  /** Asks the clock: true says that the lease holds at this very moment. */
  isHeld(): boolean {
    return this.#isAnnounced && holdsAt(this.#expiry, this.#clock.monotonicMicros());
  }

  /** An answer arrived to what was sent at `sentMicros`. */
  renew(sentMicros: number, leaseMs: number): void {
    this.observe();
    this.#expiry = renewedExpiry(this.#expiry, sentMicros, leaseMs);
    if (this.#isAnnounced || !holdsAt(this.#expiry, this.#clock.monotonicMicros())) return;
    this.#isAnnounced = true;
    this.#ports.telemetry.record('agent.lease', { node: this.#node, state: 'held' });
    this.#arm();
    this.#onChange('held');
  }

  /** Notices a lapse whose timer has not fired yet; true when there was one. */
  observe(): boolean {
    if (!this.#isAnnounced || holdsAt(this.#expiry, this.#clock.monotonicMicros())) return false;
    this.#isAnnounced = false;
    this.#timer?.cancel();
    this.#timer = null;
    this.#ports.telemetry.record('agent.lease', { node: this.#node, state: 'lapsed' });
    this.#onChange('lapsed');
    return true;
  }

  close(): void {
    this.#timer?.cancel();
    this.#timer = null;
    this.#isAnnounced = false;
    this.#expiry = null;
  }

  /** One timer for many renewals: it looks at the expiry of the day when it fires. */
  #arm(): void {
    const left = (this.#expiry ?? 0) - this.#clock.monotonicMicros();
    this.#timer = this.#clock.after(left, this.#onDue);
  }

  #due(): void {
    this.#timer = null;
    this.observe();
    if (this.#isAnnounced) this.#arm();
  }
}
