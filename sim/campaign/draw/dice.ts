// Choices from a named stream, in the notation of scenario files. Determinism: whole numbers and lists only.
import type { RandomStream } from '../../../system/ports/random.ts';
import { assert } from '../../../system/domain/outcome.ts';
import { createStream } from '../../kernel/stream.ts';

/** Fields of a scenario as they are written in its file. */
export type Fields = Readonly<Record<string, unknown>>;

const MS_PER_S = 1_000;
const MICROS_PER_MS = 1_000;

export class Dice {
  readonly #stream: RandomStream;

  /** One purpose, one stream: a further draw for one thing leaves the others as they were. */
  constructor(seed: string, purpose: string) {
    this.#stream = createStream(seed, `fuzz ${purpose}`);
  }

  /** A whole number from `least` to `most`, both included. */
  between(least: number, most: number): number {
    assert(most >= least, `a draw between ${least} and ${most} has an answer`);
    return least + this.#stream.below(most - least + 1);
  }

  chance(numerator: number, denominator: number): boolean {
    return this.#stream.chance(numerator, denominator);
  }

  pick<T>(list: readonly T[]): T {
    const picked = list[this.#stream.below(list.length)];
    assert(picked !== undefined, 'a draw from a list that holds something');
    return picked;
  }

  /** `count` different ones, in drawn order; all of them when there are fewer. */
  sample<T>(list: readonly T[], count: number): readonly T[] {
    const left = [...list];
    const taken: T[] = [];
    while (taken.length < count && left.length > 0) taken.push(...left.splice(this.#stream.below(left.length), 1));
    return taken;
  }
}

/** `1500` to `1500us`, whole milliseconds and seconds as such. */
export function writtenMicros(micros: number): string {
  return micros % MICROS_PER_MS === 0 ? written(micros / MICROS_PER_MS) : `${micros}us`;
}

/** `1500` to `1500ms`, whole seconds to `2s`. */
export function written(ms: number): string {
  return ms % MS_PER_S === 0 ? `${ms / MS_PER_S}s` : `${ms}ms`;
}

/** The milliseconds of a written duration. */
export function msOf(duration: unknown): number {
  const text = String(duration);
  return text.endsWith('ms') ? Number(text.slice(0, -2)) : Number(text.slice(0, -1)) * MS_PER_S;
}
