import { createContext, Script } from 'node:vm';
import { beforeAll, describe, expect, it } from 'vitest';
import { loadGuest, runGuest } from './guest-runner.ts';
import type { GuestModule } from './webassembly.ts';

const SPIN_TIMEOUT_MS = 200;

describe('the example trap', () => {
  let trap: GuestModule;
  beforeAll(async () => {
    trap = await loadGuest('trap');
  }, 60_000);

  it.each(['', 'anything else', 'traps', 'TRAP'])('does nothing wrong when told "%s"', (data) => {
    expect(runGuest(trap, { data })).toMatchObject({ exitCode: 0, trap: null, stdout: 'ok', stderr: '' });
  });

  it.each([
    ['trap', 'unreachable'],
    ['bounds', 'memory access out of bounds'],
    ['stack', 'Maximum call stack size exceeded'],
  ])('told to %s, traps: %s', (data, message) => {
    expect(runGuest(trap, { data })).toMatchObject({ exitCode: null, trap: message, stdout: '' });
  });

  it('told to fail, exits with a code and says why', () => {
    expect(runGuest(trap, { data: 'fail' })).toMatchObject({ exitCode: 1, trap: null, stdout: '', stderr: 'told to fail\n' });
  });

  it('told to spin, never ends by itself', () => {
    const context = createContext({ run: () => runGuest(trap, { data: 'spin' }) });
    expect(() => new Script('run()').runInContext(context, { timeout: SPIN_TIMEOUT_MS })).toThrow(/timed out/);
  });

  it('told to grow, takes all the memory there is and says how much', () => {
    const run = runGuest(trap, { data: 'grow' });
    expect(run).toMatchObject({ exitCode: 0, stdout: `{"memoryBytes":${run.memoryBytes}}` });
    expect(run.memoryBytes).toBeGreaterThan(2 ** 20);
  });
});
