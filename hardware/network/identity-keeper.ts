// Keeps an identity from expiring: asks for the next certificate in time, with a new key, and again with backoff while nobody
// answers. What is told: each new identity, each trouble, and once that it has expired for good. Civil time decides here, since
// certificates are about nothing else; long waits are cut in pieces, so that a clock that jumps or a machine that slept is noticed.
import type { EnrolReply } from '../../system/domain/enrolment.ts';
import type { Err, Outcome, WmError } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Clock, Timer } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import { createIdentityKey } from './authority.ts';
import type { KeptIdentity } from './identity-file.ts';
import { certificateRefused } from './status.ts';

/** Bound: the waits between two tries, doubled each time, each drawn between half of it and all. */
export const RENEW_RETRY_MS = 10_000;
export const RENEW_RETRY_MS_MAX = 10 * 60_000;
/** Bound: the longest wait without a look at the civil clock. */
const LOOK_MS_MAX = 10 * 60_000;
/** The first try is spread over this part of what is left after `renewAtMs`, so that a fleet does not ask at once. */
const SPREAD_PART = 8;

export type IdentityKeeperOptions = {
  readonly kept: KeptIdentity;
  readonly clock: Clock;
  readonly random: RandomStream;
  readonly renew: (publicKey: Uint8Array) => Promise<Outcome<EnrolReply>>;
  /** To disk, before the new identity is used. */
  readonly save?: (kept: KeptIdentity) => Promise<Outcome<void>>;
  readonly onRenewed: (kept: KeptIdentity) => void;
  /** A try failed; the next follows by itself. */
  readonly onTrouble?: (error: WmError) => void;
  /** It has expired. Nothing more is tried. */
  readonly onEnded: (error: WmError) => void;
};

export class IdentityKeeper {
  readonly #options: IdentityKeeperOptions;
  #current: KeptIdentity;
  #timer: Timer | null = null;
  #dueMs = 0;
  #retryMs = RENEW_RETRY_MS;
  #lastTrouble: WmError | null = null;
  #isRunning = false;

  constructor(options: IdentityKeeperOptions) {
    this.#options = options;
    this.#current = options.kept;
  }

  get current(): KeptIdentity {
    return this.#current;
  }

  start(): void {
    if (this.#isRunning) return;
    this.#isRunning = true;
    this.#plan();
  }

  stop(): void {
    this.#isRunning = false;
    this.#timer?.cancel();
  }

  #plan(): void {
    const { notAfterMs, renewAtMs } = this.#current;
    const spreadMs = Math.max(1, Math.floor((notAfterMs - renewAtMs) / SPREAD_PART));
    this.#retryMs = RENEW_RETRY_MS;
    this.#lastTrouble = null;
    this.#wait(renewAtMs + this.#options.random.below(spreadMs));
  }

  #wait(dueMs: number): void {
    const { clock } = this.#options;
    this.#dueMs = dueMs;
    const waitMs = Math.min(LOOK_MS_MAX, Math.max(0, Math.min(dueMs, this.#current.notAfterMs) - clock.civilMs()));
    this.#timer = clock.after(waitMs * MICROS_PER_MS, () => this.#look());
  }

  #look(): void {
    const nowMs = this.#options.clock.civilMs();
    if (nowMs >= this.#current.notAfterMs) return this.#end();
    if (nowMs < this.#dueMs) return this.#wait(this.#dueMs);
    void this.#renew();
  }

  async #renew(): Promise<void> {
    const { renew, save, onRenewed, random, clock } = this.#options;
    const { privateKey, publicKey } = createIdentityKey();
    const renewed = await renew(publicKey);
    if (!this.#isRunning) return;
    if (!renewed.ok) {
      this.#tell(renewed);
      const waitMs = this.#retryMs / 2 + random.below(Math.ceil(this.#retryMs / 2));
      this.#retryMs = Math.min(RENEW_RETRY_MS_MAX, this.#retryMs * 2);
      this.#wait(clock.civilMs() + waitMs);
      return;
    }
    const { certificate, authorities, notAfterMs, renewAtMs, bus } = renewed.value;
    this.#current = { ...this.#current, identity: { certificate, privateKey, authorities }, notAfterMs, renewAtMs, bus };
    const saved = await save?.(this.#current);
    // The old one is still on disk and still holds for a while; this one holds for longer while the process lives.
    if (saved !== undefined && !saved.ok) this.#tell(saved);
    onRenewed(this.#current);
    if (this.#isRunning) this.#plan();
  }

  #tell({ error }: Err): void {
    this.#lastTrouble = error;
    this.#options.onTrouble?.(error);
  }

  #end(): void {
    const { name, notAfterMs } = this.#current;
    this.stop();
    const why = this.#lastTrouble === null ? '' : ` and could not be renewed: ${this.#lastTrouble.message}`;
    const message = `The certificate of ${name} expired on ${new Date(notAfterMs).toISOString()}${why || '.'}`;
    const refused = certificateRefused(message, { name }, 'Join again with a join token (`wasmmatrix token` prints the current one).');
    this.#options.onEnded(refused.error);
  }
}
