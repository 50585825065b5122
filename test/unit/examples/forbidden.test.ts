import { beforeAll, describe, expect, it } from 'vitest';
import { DENIED, loadGuest, MemoryHost, runGuest, WASI_NOT_CAPABLE } from './guest-runner.ts';
import type { GuestModule } from './webassembly.ts';

const WASI_NO_ENTRY = 44;

describe('the example forbidden', () => {
  let forbidden: GuestModule;
  beforeAll(async () => {
    forbidden = await loadGuest('forbidden');
  }, 60_000);

  it('reports every attempt as refused on a host that grants nothing', () => {
    const run = runGuest(forbidden, { data: '' });
    expect(run).toMatchObject({ exitCode: 0, stderr: '' });
    expect(JSON.parse(run.stdout)).toEqual([
      { attempt: 'open', refused: true, errno: WASI_NOT_CAPABLE },
      { attempt: 'clock', refused: true, errno: WASI_NOT_CAPABLE },
      { attempt: 'random', refused: true, errno: WASI_NOT_CAPABLE },
      { attempt: 'env', refused: true, errno: WASI_NO_ENTRY },
      { attempt: 'sleep', refused: true, errno: WASI_NOT_CAPABLE },
      { attempt: 'publish', refused: true, errno: DENIED },
      { attempt: 'state', refused: true, errno: DENIED },
    ]);
  });

  it('tries only what its event names, in that order', () => {
    const run = runGuest(forbidden, { data: ' state\n clock ' });
    expect(JSON.parse(run.stdout)).toEqual([
      { attempt: 'state', refused: true, errno: DENIED },
      { attempt: 'clock', refused: true, errno: WASI_NOT_CAPABLE },
    ]);
  });

  it('does not call refused what a host lets it do', () => {
    const host = new MemoryHost();
    const run = runGuest(forbidden, { data: 'clock random env sleep publish state', environment: { HOME: '/root' } }, host, [
      'clock_time_get',
      'random_get',
      'poll_oneoff',
    ]);
    expect((JSON.parse(run.stdout) as { refused: boolean }[]).map(({ refused }) => refused)).toEqual(
      Array.from({ length: 6 }, () => false),
    );
    expect(host.published).toEqual([{ subject: 'forbidden.subject', payload: 'x' }]);
  });

  it('fails on a word it does not know', () => {
    expect(runGuest(forbidden, { data: 'clock steal' })).toMatchObject({ exitCode: 1, stdout: '' });
  });
});
