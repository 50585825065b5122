// Arguments of the simulator's verbs that are numbers, refused in words.
import { InvalidArgumentError } from 'commander';
import { canonicalSeed } from '../kernel/kernel.ts';

export function seedOf(text: string): string {
  const seed = canonicalSeed(text);
  if (seed === null) throw new InvalidArgumentError('Give 0x and up to 16 hexadecimal digits, or a whole number.');
  return seed;
}

export function positive(text: string): number {
  const value = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || value <= 0) throw new InvalidArgumentError('Give a number above 0.');
  return value;
}

export function count(most: number, least = 1): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < least || value > most)
      throw new InvalidArgumentError(`Give a whole number from ${least} to ${most}.`);
    return value;
  };
}
