// A stream of chance that gives what a test says.
import type { RandomStream } from '../../../system/ports/random.ts';

/** Every draw is `uint32`, scaled to its bound. */
export function drawing(uint32: number): RandomStream {
  return {
    uint32: () => uint32,
    below: (bound) => Math.floor((uint32 / 0x1_0000_0000) * bound),
    chance: (numerator, denominator) => Math.floor((uint32 / 0x1_0000_0000) * denominator) < numerator,
    bytes: (length) => new Uint8Array(length).fill(uint32 & 0xff),
  };
}
