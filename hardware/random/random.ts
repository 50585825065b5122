// Chance from the system's source. Every stream is independent whatever its name: names matter only where runs are repeated.
import { randomFillSync } from 'node:crypto';
import { assert } from '../../system/domain/outcome.ts';
import type { Random, RandomStream } from '../../system/ports/random.ts';

const WORDS = 256;
const WORD_VALUES = 2 ** 32;

class SystemStream implements RandomStream {
  readonly #words = new Uint32Array(WORDS);
  #next = WORDS;

  uint32(): number {
    if (this.#next === WORDS) {
      randomFillSync(this.#words);
      this.#next = 0;
    }
    const word = this.#words[this.#next]!;
    this.#words[this.#next++] = 0;
    return word;
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= WORD_VALUES, `bound ${bound} of a draw is from 1 to 2^32`);
    const fair = WORD_VALUES - (WORD_VALUES % bound);
    for (;;) {
      const word = this.uint32();
      if (word < fair) return word % bound;
    }
  }

  chance(numerator: number, denominator: number): boolean {
    assert(Number.isInteger(numerator) && numerator >= 0 && numerator <= denominator, `chance ${numerator}/${denominator} is from 0 to 1`);
    return this.below(denominator) < numerator;
  }

  bytes(length: number): Uint8Array {
    return randomFillSync(new Uint8Array(length));
  }
}

export class SystemRandom implements Random {
  /** Bound: names are fixed texts or built from identifiers. */
  readonly #streams = new Map<string, RandomStream>();

  stream(name: string): RandomStream {
    let stream = this.#streams.get(name);
    if (stream === undefined) {
      stream = new SystemStream();
      this.#streams.set(name, stream);
    }
    return stream;
  }
}
