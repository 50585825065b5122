// Chance, by named stream: a new draw in one place changes nothing elsewhere. Integers only; chances are ratios.
// Determinism: in the simulator a stream is derived from (seed, node, name); in reality it comes from the system's source.

export interface RandomStream {
  /** 0 to 4,294,967,295. */
  uint32(): number;
  /** 0 to `bound` - 1, without bias; `bound` from 1 to 2^32. */
  below(bound: number): number;
  /** True in `numerator` of `denominator` cases. */
  chance(numerator: number, denominator: number): boolean;
  bytes(length: number): Uint8Array;
}

export interface Random {
  /** The same name gives the same stream object. Names are fixed texts or built from identifiers, never from times. */
  stream(name: string): RandomStream;
}
