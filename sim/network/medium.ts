// What the way between two zones does to messages besides delaying them: it has room for so many, loses them in bursts, repeats,
// overtakes and corrupts them. One way of one pair of zones, shared by all machines that use it. Each purpose has a random
// stream of its own, made when it is first needed.
import type { Impairment } from '../../scenarios/scenario.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { drawExponential } from './law.ts';

type Of<K extends Impairment['kind']> = Extract<Impairment, { readonly kind: K }>;

/** At most one of each kind: of several the worst counts. */
export type Impairments = { readonly [K in Impairment['kind']]?: Of<K> };

/** What has a place in the queue. */
type Waiting = {
  /** That have not left, as of the last change of its rate. */
  bytes: number;
  /** Bytes a second at which it leaves now; null: nothing holds it any more. */
  readonly rateOf: () => number | null;
  readonly moved: (departsMicros: number, before: number) => void;
  rate: number;
  departsMicros: number;
};

/** With `impairment` added to those that a way has. */
export function worsen(impairments: Impairments | null, impairment: Impairment): Impairments {
  const other = impairments?.[impairment.kind];
  return other !== undefined && badnessOf(other) > badnessOf(impairment)
    ? (impairments as Impairments)
    : { ...impairments, [impairment.kind]: impairment };
}

/** Bytes of the first in a queue that have not left. */
function leftOf({ bytes, rate, departsMicros }: Waiting, now: number): number {
  return rate === Infinity ? 0 : Math.min(bytes, ((departsMicros - now) * rate) / MICROS_PER_S);
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
  /** First come, first out; who has left goes with who comes next. Bound: `queueBytes`, as each message takes more than none. */
  readonly #waiting: Waiting[] = [];
  /** Place of the first that may not have left. */
  #first = 0;
  /** Bytes of all from there on. */
  #waitingBytes = 0;
  /** Gilbert and Elliott's chain in continuous time: whether it is in the bad state, and until when. */
  #bad = true;
  #changeMicros = 0;

  constructor(kernel: Kernel, name: string) {
    this.#kernel = kernel;
    this.#name = name;
  }

  /**
   * When the bytes will have left, if the way stays as it is; `moved` is called with another time when it does not, and with the one
   * before. Null: the queue is full and they are dropped. The message that fills it gets in.
   */
  admit({ bytesPerS, queueBytes }: Of<'bandwidth'>, bytes: number, rateOf: Waiting['rateOf'], moved: Waiting['moved']): number | null {
    const now = this.#kernel.now();
    this.#forget(now);
    if (this.#bytesLeft(now) > queueBytes) return null;
    const freeMicros = Math.max(now, this.#waiting.at(-1)?.departsMicros ?? 0);
    const departsMicros = freeMicros + Math.ceil((bytes * MICROS_PER_S) / bytesPerS);
    this.#waiting.push({ bytes, rateOf, moved, rate: bytesPerS, departsMicros });
    this.#waitingBytes += bytes;
    return departsMicros;
  }

  /** The state of a way over it changed: what waits leaves at the rate that it has from here on. */
  retime(): void {
    if (this.#waiting.length === 0) return;
    const now = this.#kernel.now();
    this.#forget(now);
    const first = this.#waiting[this.#first];
    if (first === undefined) return;
    this.#waitingBytes = this.#bytesLeft(now);
    first.bytes = leftOf(first, now);
    let freeMicros = now;
    for (const waiting of this.#waiting.slice(this.#first)) {
      const before = waiting.departsMicros;
      const rate = waiting.rateOf();
      waiting.rate = rate ?? Infinity;
      freeMicros += rate === null ? 0 : Math.ceil((waiting.bytes * MICROS_PER_S) / rate);
      waiting.departsMicros = freeMicros;
      if (freeMicros !== before) waiting.moved(freeMicros, before);
    }
  }

  #forget(now: number): void {
    for (let first = this.#waiting[this.#first]; first !== undefined && first.departsMicros <= now; first = this.#waiting[++this.#first])
      this.#waitingBytes -= first.bytes;
    if (this.#first * 2 < this.#waiting.length) return;
    this.#waiting.splice(0, this.#first);
    this.#first = 0;
  }

  #bytesLeft(now: number): number {
    const first = this.#waiting[this.#first];
    return first === undefined ? 0 : this.#waitingBytes - first.bytes + leftOf(first, now);
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
