import fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { CONFLICT, loadGuest, MemoryHost, runGuest, UNAVAILABLE, type Answer } from './guest-runner.ts';
import type { GuestModule } from './webassembly.ts';

const COUNT_KEY = 'counter/count';
const RECENT_EVENTS_MAX = 256;
const CONFLICT_RETRIES_MAX = 16;

describe('the example counter', () => {
  let counter: GuestModule;
  beforeAll(async () => {
    counter = await loadGuest('counter');
  }, 60_000);

  function countIn(host: MemoryHost): number {
    return Number(host.state.get(COUNT_KEY)?.value.split('\n')[0] ?? 0);
  }

  it('counts each event once, however often and late it is delivered', () => {
    const deliveries = fc.array(
      fc.nat({ max: 30 }).map((number) => `event-${number}`),
      { maxLength: 60 },
    );
    fc.assert(
      fc.property(deliveries, (ids) => {
        const host = new MemoryHost();
        const seen = new Set<string>();
        for (const id of ids) {
          const isNew = !seen.has(id);
          seen.add(id);
          const run = runGuest(counter, { id }, host);
          expect(run).toMatchObject({ exitCode: 0, stdout: `{"count":${seen.size},"counted":${isNew}}` });
        }
        expect(countIn(host)).toBe(seen.size);
      }),
      { numRuns: 15 },
    );
  });

  it('tells ids apart that begin or end alike', () => {
    const host = new MemoryHost();
    for (const id of ['a', 'aa', 'ab', 'b', 'ba', '\n', 'a\n', '1\n']) runGuest(counter, { id }, host);
    expect(countIn(host)).toBe(8);
  });

  it('is not misled by a variable whose name begins like the one it reads', () => {
    const host = new MemoryHost();
    for (const id of ['a', 'b']) runGuest(counter, { id, environment: { WM_EVENT_ID_BEFORE: 'same' } }, host);
    expect(countIn(host)).toBe(2);
  });

  it('counts both of two guests that race, one of them being the same event', () => {
    const host = new MemoryHost();
    const rivals = ['other-1', 'mine', 'other-2'];
    const racing = {
      state_get: host.state_get,
      state_set: (request: string): Answer => {
        const rival = rivals.shift();
        if (rival !== undefined) runGuest(counter, { id: rival }, host);
        return host.state_set(request);
      },
    };
    const run = runGuest(counter, { id: 'mine' }, racing);
    expect(run).toMatchObject({ exitCode: 0, stdout: '{"count":2,"counted":false}' });
    expect(rivals).toEqual(['other-2']);
    expect(countIn(host)).toBe(2);
  });

  it('does not count again what was written although the host could not say so', () => {
    const host = new MemoryHost();
    const uncertain = {
      state_get: host.state_get,
      state_set: (request: string): Answer => {
        host.state_set(request);
        return UNAVAILABLE;
      },
    };
    expect(runGuest(counter, { id: 'mine' }, uncertain)).toMatchObject({ exitCode: 1, stdout: '' });
    expect(runGuest(counter, { id: 'mine' }, host).stdout).toBe('{"count":1,"counted":false}');
  });

  it('gives up after a bounded number of conflicts', () => {
    let attempts = 0;
    const host = new MemoryHost();
    const run = runGuest(
      counter,
      {},
      {
        state_get: host.state_get,
        state_set: () => {
          attempts += 1;
          return CONFLICT;
        },
      },
    );
    expect(run).toMatchObject({ exitCode: 1, stdout: '', stderr: 'too many others count at the same time\n' });
    expect(attempts).toBe(CONFLICT_RETRIES_MAX + 1);
  });

  it('remembers as many events as it says, and no more', () => {
    const host = new MemoryHost();
    for (let number = 0; number < RECENT_EVENTS_MAX; number += 1) runGuest(counter, { id: `event-${number}` }, host);
    const bytes = host.state.get(COUNT_KEY)?.value.length ?? 0;
    expect(runGuest(counter, { id: 'event-0' }, host).stdout).toBe('{"count":256,"counted":false}');
    expect(runGuest(counter, { id: 'event-x' }, host).stdout).toBe('{"count":257,"counted":true}');
    expect(runGuest(counter, { id: 'event-1' }, host).stdout).toBe('{"count":257,"counted":false}');
    expect(runGuest(counter, { id: 'event-0' }, host).stdout).toBe('{"count":258,"counted":true}');
    expect(host.state.get(COUNT_KEY)?.value.length).toBeLessThan(bytes + 8);
  });

  it('fails without state, and with an id it cannot remember', () => {
    expect(runGuest(counter, {})).toMatchObject({ exitCode: 1, stderr: 'the count cannot be read\n' });
    const host = new MemoryHost();
    expect(runGuest(counter, { id: '' }, host).exitCode).toBe(1);
    expect(runGuest(counter, { id: 'x'.repeat(256) }, host).exitCode).toBe(1);
    expect(runGuest(counter, { id: 'x'.repeat(255) }, host).exitCode).toBe(0);
  });
});
