// What the way between two zones does to messages besides delaying them: it has room for so many, loses them in bursts, repeats,
// overtakes and corrupts them. One way of one pair of zones, shared by all machines that use it. Each purpose has a random
// stream of its own, made when it is first needed.
import type { Impairment } from '../../scenarios/scenario.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { drawExponential } from './law.ts';

type Of<K extends Impairment['kind']> = Extract<Impairment, { readonly kind: K }>;

/** At most one of each kind: of several faults of a kind the latest counts. */
export type Impairments = { readonly [K in Impairment['kind']]?: Of<K> };

export class Medium {
  readonly #kernel: Kernel;
  readonly #name: string;
  readonly #streams = new Map<string, RandomStream>();
  /** When the last byte that was admitted will have left. */
  #freeMicros = 0;
  /** Gilbert and Elliott's chain in continuous time: whether it is in the bad state, and until when. */
  #bad = true;
  #changeMicros = 0;

  constructor(kernel: Kernel, name: string) {
    this.#kernel = kernel;
    this.#name = name;
  }

  /** How long `bytes` wait and take to leave; null: the queue is full and they are dropped. The message that fills it gets in. */
  admit({ bytesPerS, queueBytes }: Of<'bandwidth'>, bytes: number): number | null {
    const now = this.#kernel.now();
    const waitMicros = Math.max(0, this.#freeMicros - now);
    if ((waitMicros * bytesPerS) / MICROS_PER_S > queueBytes) return null;
    this.#freeMicros = now + waitMicros + Math.ceil((bytes * MICROS_PER_S) / bytesPerS);
    return this.#freeMicros - now;
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
