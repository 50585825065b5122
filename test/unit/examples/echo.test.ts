import { beforeAll, describe, expect, it } from 'vitest';
import { loadGuest, runGuest } from './guest-runner.ts';
import type { GuestModule } from './webassembly.ts';

describe('the example echo', () => {
  let echo: GuestModule;
  beforeAll(async () => {
    echo = await loadGuest('echo');
  }, 60_000);

  it('answers with the data of its event', () => {
    expect(runGuest(echo, { data: 'größe' })).toMatchObject({ exitCode: 0, trap: null, stdout: 'größe', stderr: '' });
  });

  it('answers an empty event with an empty result', () => {
    expect(runGuest(echo, { data: '' })).toMatchObject({ exitCode: 0, stdout: '' });
  });

  it('answers data that is larger than its memory', () => {
    const data = '0123456789abcdef'.repeat(20_000);
    expect(runGuest(echo, { data }).stdout).toBe(data);
  });
});
