// What the way between two zones does to messages besides delaying them: it has room for so many, loses them in bursts, repeats,
// overtakes and corrupts them. One way of one pair of zones, shared by all machines that use it. Each purpose has a random
// stream of its own, made when it is first needed.
import type { Impairment } from '../../scenarios/scenario.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import { Fifo } from '../kernel/kernel.ts';
import type { Kernel, ScheduledEvent } from '../kernel/kernel.ts';
import { drawExponential } from './law.ts';

type Of<K extends Impairment['kind']> = Extract<Impairment, { readonly kind: K }>;

/** At most one of each kind: of several the worst counts. */
export type Impairments = { readonly [K in Impairment['kind']]?: Of<K> };

/** What has a place in the queue. */
type Waiting = {
  /** That have not left. */
  bytes: number;
  /** Bytes a second at which it leaves now; null: nothing holds it any more. */
  readonly rateOf: () => number | null;
  readonly left: () => void;
};

/** With `impairment` added to those that a way has. */
export function worsen(impairments: Impairments | null, impairment: Impairment): Impairments {
  const other = impairments?.[impairment.kind];
  return other !== undefined && badnessOf(other) > badnessOf(impairment)
    ? (impairments as Impairments)
    : { ...impairments, [impairment.kind]: impairment };
}

/** Comparable between impairments of one kind. */
function badnessOf(impairment: Impairment): number {
  const share = 'ratio' in impairment ? impairment.ratio[0] / impairment.ratio[1] : 0;
  switch (impairment.kind) {
    case 'bandwidth':
      return 1 / impairment.bytesPerS;
    case 'burst-loss':
      return (share * impairment.burstMicros) / (impairment.burstMicros + impairment.apartMicros);
    case 'reordering':
      return share * impairment.microsMax;
    case 'duplication':
    case 'corruption':
      return share;
  }
}

export class Medium {
  readonly #kernel: Kernel;
  readonly #name: string;
  readonly #streams = new Map<string, RandomStream>();
  /** First come, first out; the first is on its way out. Bound: `queueBytes`, as each message takes more than none. */
  readonly #waiting = new Fifo<Waiting>();
  #first: Waiting | null = null;
  /** Bytes of all that wait, the first among them as of `#sinceMicros`. */
  #waitingBytes = 0;
  #sinceMicros = 0;
  #rate: number | null = null;
  #leaves: ScheduledEvent | null = null;
  /** Gilbert and Elliott's chain in continuous time: whether it is in the bad state, and until when. */
  #bad = true;
  #changeMicros = 0;

  constructor(kernel: Kernel, name: string) {
    this.#kernel = kernel;
    this.#name = name;
  }

  /**
   * `left` is called when the bytes have left, at the rates that `rateOf` says until then. False: the queue is full and they are
   * dropped. The message that fills it gets in.
   */
  admit(queueBytes: number, bytes: number, rateOf: () => number | null, left: () => void): boolean {
    if (this.#waitingBytes - this.#gone() > queueBytes) return false;
    const waiting: Waiting = { bytes, rateOf, left };
    this.#waitingBytes += bytes;
    if (this.#first === null) this.#begin(waiting);
    else this.#waiting.push(waiting);
    return true;
  }

  /** The state of a way over it changed: what is on its way out goes on at the rate that it has from here on. */
  retime(): void {
    const first = this.#first;
    if (first === null || first.rateOf() === this.#rate) return;
    const gone = this.#gone();
    first.bytes -= gone;
    this.#waitingBytes -= gone;
    this.#leaves?.cancel();
    this.#begin(first);
  }

  #begin(waiting: Waiting): void {
    this.#first = waiting;
    this.#sinceMicros = this.#kernel.now();
    this.#rate = waiting.rateOf();
    const micros = this.#rate === null ? 0 : Math.ceil((waiting.bytes * MICROS_PER_S) / this.#rate);
    this.#leaves = this.#kernel.after(
      micros,
      null,
      'left the queue',
      () => {
        this.#waitingBytes -= waiting.bytes;
        this.#first = null;
        const next = this.#waiting.shift();
        if (next !== undefined) this.#begin(next);
        waiting.left();
      },
      this,
    );
  }

  /** Bytes of the first that have left already. */
  #gone(): number {
    if (this.#first === null || this.#rate === null) return 0;
    return Math.min(this.#first.bytes, ((this.#kernel.now() - this.#sinceMicros) * this.#rate) / MICROS_PER_S);
  }

  losesInBurst({ ratio, burstMicros, apartMicros }: Of<'burst-loss'>): boolean {
    const stream = this.#stream('burst-loss');
    while (this.#changeMicros <= this.#kernel.now()) {
      this.#bad = !this.#bad;
      this.#changeMicros += Math.max(1, drawExponential(this.#bad ? burstMicros : apartMicros, stream));
    }
    return this.#bad && stream.chance(ratio[0], ratio[1]);
  }

  duplicates({ ratio }: Of<'duplication'>): boolean {
    return this.#stream('duplication').chance(ratio[0], ratio[1]);
  }

  /** By how much a message is held back, so that later ones overtake it. */
  heldBackMicros({ ratio, microsMax }: Of<'reordering'>): number {
    const stream = this.#stream('reordering');
    return stream.chance(ratio[0], ratio[1]) ? 1 + stream.below(microsMax) : 0;
  }

  /** `found`: a check of the transport finds it; `missed`: it reaches the secure channel. */
  corrupts({ ratio }: Of<'corruption'>): 'no' | 'found' | 'missed' {
    const stream = this.#stream('corruption');
    if (!stream.chance(ratio[0], ratio[1])) return 'no';
    return stream.chance(CHECK_MISSES[0], CHECK_MISSES[1]) ? 'missed' : 'found';
  }

  #stream(purpose: string): RandomStream {
    let stream = this.#streams.get(purpose);
    if (stream === undefined) {
      stream = this.#kernel.stream(`way ${this.#name} ${purpose}`);
      this.#streams.set(purpose, stream);
    }
    return stream;
  }
}

/**
 * Assumption: one corrupt packet in 50 passes TCP's checksum. Random bits would pass it once in 65,536 (RFC 1071), but what
 * breaks packets in routers and network cards often breaks them before the checksum is made.
 */
const CHECK_MISSES = [1, 50] as const;
