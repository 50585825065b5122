// Chance by name. A stream's state is drawn from seedrandom, seeded with (seed, name), and nothing else; its numbers come
// from sfc32, an integer generator of 128 bits of state. A draw in one stream therefore never changes another.
// Determinism: integer operations only; a chance is a ratio, never a fraction.
import seedrandom from 'seedrandom';
import type { RandomStream } from '../../system/ports/random.ts';
import { assert } from '../../system/domain/outcome.ts';

/** Bound: bytes of one draw. */
export const RANDOM_BYTES_MAX = 16 * 1024 * 1024;

const TWO_32 = 4_294_967_296;
/** Draws thrown away at the start, as sfc32's author does, so that the words of the state are mixed. */
const WARM_UP_DRAWS = 12;
const SEED = /^(?:0x[0-9a-f]{1,16}|[0-9]{1,20})$/i;

/** The one text of a seed: `0x` and lower-case digits without leading zeros. Null when it is no number of 64 bits. */
export function canonicalSeed(text: string): string | null {
  if (!SEED.test(text)) return null;
  const seed = BigInt(text);
  return seed < 1n << 64n ? `0x${seed.toString(16)}` : null;
}

/** seedrandom sees the low eight bits of each character only, so everything else is spelled out. */
function spelled(text: string): string {
  return text.replace(/[^\x20-\x7e]|\\/g, (character) => `\\${character.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

export function createStream(seed: string, name: string): RandomStream {
  return new Sfc32(seed, name);
}

/** Seeded by its first draw: most streams of a large fleet are never drawn from, and seeding takes longer than a thousand draws. */
class Sfc32 implements RandomStream {
  readonly #seed: string;
  readonly #name: string;
  #isSeeded = false;
  #a = 0;
  #b = 0;
  #c = 0;
  #counter = 1;

  constructor(seed: string, name: string) {
    this.#seed = seed;
    this.#name = name;
  }

  #begin(): void {
    this.#isSeeded = true;
    const source = seedrandom(`${spelled(this.#seed)}\n${spelled(this.#name)}`);
    this.#a = source.int32() | 0;
    this.#b = source.int32() | 0;
    this.#c = source.int32() | 0;
    for (let draw = 0; draw < WARM_UP_DRAWS; draw++) this.uint32();
  }

  uint32(): number {
    if (!this.#isSeeded) this.#begin();
    const sum = (this.#a + this.#b + this.#counter) | 0;
    this.#counter = (this.#counter + 1) | 0;
    this.#a = this.#b ^ (this.#b >>> 9);
    this.#b = (this.#c + (this.#c << 3)) | 0;
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0;
    return sum >>> 0;
  }

  below(bound: number): number {
    assert(Number.isInteger(bound) && bound >= 1 && bound <= TWO_32, `a draw is below 1 to 2^32, not ${bound}`);
    // Numbers past the last whole multiple of the bound would favour small answers: draw again (less than once on average).
    const limit = TWO_32 - (TWO_32 % bound);
    let draw = this.uint32();
    while (draw >= limit) draw = this.uint32();
    return draw % bound;
  }

  chance(numerator: number, denominator: number): boolean {
    assert(Number.isInteger(numerator) && numerator >= 0, `a chance has a whole numerator, not ${numerator}`);
    return this.below(denominator) < numerator;
  }

  bytes(length: number): Uint8Array {
    assert(
      Number.isInteger(length) && length >= 0 && length <= RANDOM_BYTES_MAX,
      `a draw has 0 to ${RANDOM_BYTES_MAX} bytes, not ${length}`,
    );
    const bytes = new Uint8Array(length);
    for (let index = 0; index < length; index += 4) {
      const word = this.uint32();
      // Little-endian on every machine: written byte by byte; what lies past the end falls away.
      bytes[index] = word;
      bytes[index + 1] = word >>> 8;
      bytes[index + 2] = word >>> 16;
      bytes[index + 3] = word >>> 24;
    }
    return bytes;
  }
}
