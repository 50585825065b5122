// Who leads, with time that passes when the test says so.
import { beforeEach, expect, it } from 'vitest';
import { createLease } from '../../../hardware/lease/lease.ts';
import type { Lease, LeaseOptions, Tenure } from '../../../hardware/lease/lease.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { FAIR, MemoryLease } from '../../support/lease/memory-lease-store.ts';
import type { Weather } from '../../support/lease/memory-lease-store.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';

const MS = 1_000;
const LEASE_MS = 3_000;
/** A standby looks at least so often. */
const LOOK_MS = (LEASE_MS / 5) * 1.5;

let time: MemoryTime;
let record: MemoryLease;
let weather: Record<string, Weather>;
let told: string[];
beforeEach(() => {
  time = new MemoryTime();
  record = new MemoryLease(time);
  weather = {};
  told = [];
});

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

function candidate(holder: string, options: Partial<LeaseOptions> = {}): Lease {
  const store = record.from(() => weather[holder] ?? FAIR);
  return get(
    createLease({
      clock: time.process(),
      random: new SystemRandom(),
      store,
      holder,
      address: `${holder}:7070`,
      leaseMs: LEASE_MS,
      onStandby: (leader) => told.push(`${holder} waits: ${leader.holder} leads at ${leader.address}`),
      onTrouble: (sentence) => told.push(`${holder}: ${sentence}`),
      ...options,
    }),
  );
}

async function lead(lease: Lease): Promise<Tenure> {
  return get(await time.until(lease.acquire()));
}

/** Null while it waits. */
function waiting(lease: Lease): { tenure: Tenure | null; ended: string | null } {
  const state: { tenure: Tenure | null; ended: string | null } = { tenure: null, ended: null };
  void lease.acquire().then((acquired) => {
    if (acquired.ok) state.tenure = acquired.value;
    else state.ended = acquired.error.code;
  });
  return state;
}

it('is held by one, and by nobody else for as long as that one renews it', async () => {
  const first = await lead(candidate('a'));
  const second = waiting(candidate('b'));
  await time.advance(20 * LEASE_MS * MS);
  expect(first.isHeld()).toBe(true);
  expect(second.tenure).toBeNull();
  expect(told).toEqual(['b waits: a leads at a:7070']);
});

it('goes over when the holder does not renew it, after it has stopped by itself', async () => {
  const first = await lead(candidate('a'));
  const second = waiting(candidate('b'));
  await time.advance(LEASE_MS * MS);
  weather['a'] = { ...FAIR, lost: 'request' };
  const cause = await time.until(first.lost);
  expect(cause).toMatch(/^the lease could not be renewed for 2\d\d\d ms$/);
  expect(first.isHeld()).toBe(false);
  expect(second.tenure).toBeNull();
  await time.advance((LEASE_MS + LOOK_MS) * MS);
  expect(second.tenure?.isHeld()).toBe(true);
});

it('counts from the moment a renewal was sent, however long its answer took', async () => {
  const first = await lead(candidate('a'));
  const since = time.nowMicros;
  weather['a'] = { thereMicros: 0, backMicros: 390 * MS, lost: 'nothing' };
  await time.advance(1_000 * MS);
  weather['a'] = { ...FAIR, lost: 'request' };
  await time.until(first.lost);
  expect(time.nowMicros - since).toBe((LEASE_MS / 5 + (LEASE_MS * 2) / 3) * MS);
});

it('waits for the length that the record of the holder says, when that is longer', async () => {
  await lead(candidate('a', { leaseMs: 4 * LEASE_MS }));
  weather['a'] = { ...FAIR, lost: 'request' };
  const second = waiting(candidate('b'));
  await time.advance(3 * LEASE_MS * MS);
  expect(second.tenure).toBeNull();
  await time.advance(2 * LEASE_MS * MS);
  expect(second.tenure?.isHeld()).toBe(true);
});

it('goes over at the next look when it is given back', async () => {
  const lease = candidate('a');
  const first = await lead(lease);
  const second = waiting(candidate('b'));
  await time.advance(LEASE_MS * MS);
  await time.until(lease.stop());
  expect(await first.lost).toBe('it was given back');
  await time.advance(LOOK_MS * MS);
  expect(second.tenure?.isHeld()).toBe(true);
});

it('tells a holder that was stopped, when it goes on, that somebody else leads', async () => {
  const first = await lead(candidate('a'));
  // What it sends while it is stopped arrives when it goes on.
  weather['a'] = { thereMicros: 3 * LEASE_MS * MS, backMicros: 0, lost: 'nothing' };
  const second = waiting(candidate('b'));
  await time.advance(4 * LEASE_MS * MS);
  expect(first.isHeld()).toBe(false);
  expect(second.tenure?.isHeld()).toBe(true);
  weather['a'] = FAIR;
  await time.advance(10 * LEASE_MS * MS);
  expect(second.tenure?.isHeld()).toBe(true);
});

it('goes on leading when the answer to a renewal was lost and the renewal was not', async () => {
  const first = await lead(candidate('a'));
  weather['a'] = { ...FAIR, lost: 'answer' };
  await time.advance(700 * MS);
  weather['a'] = FAIR;
  await time.advance(10 * LEASE_MS * MS);
  expect(first.isHeld()).toBe(true);
  expect(told).toEqual(['a: WM_DEADLINE (unknown): Nobody answered. Read.']);
});

it('goes to one of two that ask at the same moment', async () => {
  const both = [waiting(candidate('a')), waiting(candidate('b'))];
  await time.advance(LEASE_MS * MS);
  expect(both.filter(({ tenure }) => tenure?.isHeld() === true)).toHaveLength(1);
});

it('is not waited for any more after stop', async () => {
  await lead(candidate('a'));
  const lease = candidate('b');
  const second = waiting(lease);
  await time.advance(LEASE_MS * MS);
  await time.until(lease.stop());
  await time.advance(1);
  expect(second.ended).toBe('WM_CANCELLED');
});

it('refuses a length that cannot be held', () => {
  const options = { clock: time.process(), random: new SystemRandom(), store: record.from(() => FAIR), holder: 'a', address: '' };
  for (const leaseMs of [0, 999, 600_001, 1_500.5]) expect(createLease({ ...options, leaseMs }).ok).toBe(false);
});
