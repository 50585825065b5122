// Guests that hold all the memory that they may, for tests of what becomes of it.
import type { GuestEngine } from '../../../sim/wasm/wasm.ts';
import { ok } from '../../../system/domain/outcome.ts';
import type { GuestOptions } from '../../../system/ports/wasm.ts';

export const GUEST: GuestOptions = {
  args: [],
  environment: [],
  stdin: new Uint8Array(),
  fuelMax: 1e9,
  memoryBytesMax: 65_536,
  outputBytesMax: 10,
  randomSeed: new Uint8Array(32),
  granted: { clock: true, random: false, sleep: false },
};

/** Its guests hold all the memory that they may, and wait. */
export const HOLDING: GuestEngine = {
  inspect: () => ok([]),
  load: () =>
    ok({
      imports: [],
      start: ({ memoryBytesMax }) =>
        ok({
          resume: () => ({ kind: 'request', operation: 'state.get', payload: new Uint8Array() }),
          fuelUsed: 0,
          memoryBytesPeak: memoryBytesMax,
          stdout: () => new Uint8Array(),
          stderr: () => new Uint8Array(),
          close: () => {},
        }),
    }),
};
