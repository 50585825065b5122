// The rolling digest: two lanes of 32 bits over (micros, machine, label) of every event and over every note. It names what
// happened and never the seed. It is a checksum against accidents, not against attackers.
// Determinism: only integer operations that every architecture does alike.

/** Bound: texts whose hash is kept. Labels and machine names are fixed texts; beyond this they are hashed each time. */
export const HASHED_TEXTS_MAX = 65_536;

/** Hash of a text, one word for each lane. */
export type TextHash = { readonly a: number; readonly b: number };

const PRIME_A = 0x9e3779b1 | 0;
const PRIME_B = 0x85ebca77 | 0;
const PRIME_C = 0xc2b2ae3d | 0;
const TWO_32 = 4_294_967_296;
/** Opens a note, so that a note never equals an event. */
const NOTE = 0x6e6f7465;

function finish(word: number): number {
  let mixed = Math.imul(word ^ (word >>> 16), PRIME_B);
  mixed = Math.imul(mixed ^ (mixed >>> 13), PRIME_C);
  return mixed ^ (mixed >>> 16);
}

export function hashText(text: string): TextHash {
  let a = text.length;
  let b = ~text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    a = Math.imul(a ^ unit, PRIME_A);
    a ^= a >>> 15;
    b = Math.imul(((b << 13) | (b >>> 19)) ^ unit, PRIME_B);
  }
  return { a: finish(a), b: finish(b) };
}

type Slot = { text: string; hash: TextHash };

const SLOT_MASK = 127;
const EMPTY_HASH = hashText('');

export class RollingDigest {
  #a = 0x57617331 | 0;
  #b = 0x4d617472 | 0;
  readonly #texts = new Map<string, TextHash>();
  readonly #recent = Array.from({ length: SLOT_MASK + 1 }, (): Slot => ({ text: '', hash: EMPTY_HASH }));

  event(micros: number, machine: TextHash, label: string): void {
    this.#mix(micros, machine, this.#hashOf(label));
  }

  note(micros: number, machine: string, text: string): void {
    this.#a = Math.imul(this.#a ^ NOTE, PRIME_C);
    this.#b = Math.imul(this.#b ^ NOTE, PRIME_A);
    this.#mix(micros, this.#hashOf(machine), hashText(text));
  }

  /** 32 bits of it, for comparing step by step. */
  get word(): number {
    return (this.#a ^ ((this.#b << 16) | (this.#b >>> 16))) >>> 0;
  }

  /** 16 hexadecimal digits. */
  text(): string {
    const high = finish(this.#a ^ Math.imul(this.#b, PRIME_C)) >>> 0;
    const low = finish(this.#b ^ Math.imul(this.#a, PRIME_A)) >>> 0;
    return high.toString(16).padStart(8, '0') + low.toString(16).padStart(8, '0');
  }

  #mix(micros: number, first: TextHash, second: TextHash): void {
    const low = micros | 0;
    const high = (micros / TWO_32) | 0;
    let a = Math.imul(this.#a ^ low, PRIME_A);
    a ^= a >>> 15;
    a = Math.imul(a ^ first.a ^ high, PRIME_B);
    a ^= a >>> 13;
    a = Math.imul(a ^ second.a, PRIME_C);
    this.#a = a ^ (a >>> 16);
    let b = this.#b;
    b = Math.imul(((b << 13) | (b >>> 19)) ^ low, PRIME_B);
    b = Math.imul(((b << 13) | (b >>> 19)) ^ first.b ^ high, PRIME_C);
    this.#b = Math.imul(((b << 13) | (b >>> 19)) ^ second.b, PRIME_A);
  }

  #hashOf(text: string): TextHash {
    // Nearly all events have one of a dozen labels: most are found here, without hashing.
    const slot = (text.length * 8 + (text.charCodeAt(0) & 7)) & SLOT_MASK;
    const recent = this.#recent[slot] as Slot;
    if (recent.text === text) return recent.hash;
    let hash = this.#texts.get(text);
    if (hash === undefined) {
      hash = hashText(text);
      if (this.#texts.size < HASHED_TEXTS_MAX) this.#texts.set(text, hash);
    }
    recent.text = text;
    recent.hash = hash;
    return hash;
  }
}
