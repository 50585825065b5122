import { beforeAll, describe, expect, it } from 'vitest';
import { loadGuest, runGuest } from './guest-runner.ts';
import type { GuestModule } from './webassembly.ts';

/** The same generator, so that a guest that skips its work is found out. */
function burn(steps: number): bigint {
  let value = 0x9e37_79b9_7f4a_7c15n;
  for (let step = 0; step < steps; step += 1) {
    value ^= BigInt.asUintN(64, value << 13n);
    value ^= value >> 7n;
    value ^= BigInt.asUintN(64, value << 17n);
  }
  return value >> 11n;
}

describe('the example burn', () => {
  let guest: GuestModule;
  beforeAll(async () => {
    guest = await loadGuest('burn');
  }, 60_000);

  it.each([0, 1, 2, 1000, 54_321])('makes %d steps', (steps) => {
    expect(runGuest(guest, { data: `${steps}\n` })).toMatchObject({
      exitCode: 0,
      stdout: `{"steps":${steps},"value":${burn(steps)}}`,
    });
  });

  it.each(['', ' ', 'x', '-1', '1.5', '1 2', '1'.repeat(19)])('fails on "%s"', (data) => {
    expect(runGuest(guest, { data })).toMatchObject({ exitCode: 1, trap: null, stdout: '' });
  });
});
