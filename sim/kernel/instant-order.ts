// The order of what happens at one instant, drawn from the seed: machines, and ways between them, take turns in another order at
// each instant, and each keeps the order of its own events. What comes at the same microsecond from different machines has no order in the world, so
// nothing may depend on the one that the program happens to have.
import { createStream } from './stream.ts';

/** Bound: sequence numbers of one run; with a turn before them they fit a double. */
const SEQUENCES = 2 ** 40;
const TURN_BITS = 13;
const TWO_32 = 4_294_967_296;

export class InstantOrder {
  readonly #word: number;
  /** Numbers of machines and ways in the order in which they were first met; the world is 0. Bound: those of a run. */
  readonly #numbers = new Map<object, number>();

  constructor(seed: string) {
    this.#word = createStream(seed, 'order of one instant').uint32();
  }

  /** A key that sorts events of one instant: by the turn of their machine or way, then as they were set. */
  placeOf(micros: number, owner: object | null, sequence: number): number {
    const low = micros % TWO_32;
    const high = (micros - low) / TWO_32;
    const turn = mixed(mixed(mixed(this.#word ^ low) ^ high) ^ this.#numberOf(owner)) >>> (32 - TURN_BITS);
    return turn * SEQUENCES + sequence;
  }

  #numberOf(owner: object | null): number {
    if (owner === null) return 0;
    const known = this.#numbers.get(owner);
    if (known !== undefined) return known;
    const number = this.#numbers.size + 1;
    this.#numbers.set(owner, number);
    return number;
  }
}

/** The finisher of MurmurHash3: every bit of the word changes half of the result. */
function mixed(word: number): number {
  let hash = word | 0;
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}
