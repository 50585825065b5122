import { describe, expect, it } from 'vitest';
import { RENEW_RETRY_MS, RENEW_RETRY_MS_MAX } from '../../../hardware/network/identity-keeper.ts';
import { IdentityKeeper } from '../../../hardware/network/network.ts';
import type { KeptIdentity } from '../../../hardware/network/network.ts';
import type { EnrolReply } from '../../../system/domain/enrolment.ts';
import { failed, ok } from '../../../system/domain/outcome.ts';
import type { Outcome, WmError } from '../../../system/domain/outcome.ts';
import { MemoryTime } from '../../support/ports/memory-clock.ts';
import { drawing } from '../../support/agent/random.ts';

const HOUR_MS = 3_600_000;
const MICROS = 1_000;
const GONE = failed('WM_UNREACHABLE', { message: 'controller could not be reached.', next: 'Again.' });
const KEPT: KeptIdentity = {
  name: 'node/truck-7',
  identity: { certificate: 'first', privateKey: 'key', authorities: ['authority'] },
  addresses: ['127.0.0.1:1'],
  notAfterMs: 24 * HOUR_MS,
  renewAtMs: 16 * HOUR_MS,
  bus: null,
};

function world(renewals: (nowMs: number) => Outcome<EnrolReply>, save: () => Outcome<void> = () => ok()) {
  const time = new MemoryTime();
  const clock = time.process();
  const asked: number[] = [];
  const told: string[] = [];
  const renewed: KeptIdentity[] = [];
  const saved: KeptIdentity[] = [];
  const ended: WmError[] = [];
  const keeper = new IdentityKeeper({
    kept: KEPT,
    clock,
    random: drawing(2 ** 31),
    renew: async () => {
      asked.push(clock.civilMs());
      return renewals(clock.civilMs());
    },
    save: async (kept) => {
      saved.push(kept);
      return save();
    },
    onRenewed: (kept) => renewed.push(kept),
    onTrouble: (error) => told.push(error.code),
    onEnded: (error) => ended.push(error),
  });
  return { time, clock, keeper, asked, told, renewed, saved, ended, pass: (ms: number) => time.advance(ms * MICROS) };
}

const next = (nowMs: number): Outcome<EnrolReply> =>
  ok({
    certificate: `at ${nowMs}`,
    authorities: ['authority'],
    notAfterMs: nowMs + 24 * HOUR_MS,
    renewAtMs: nowMs + 16 * HOUR_MS,
    bus: null,
  });

describe('a keeper of an identity', () => {
  it('renews in time, with a new key, saves first, and goes on from there', async () => {
    const { keeper, pass, asked, renewed, saved } = world(next);
    keeper.start();
    await pass(15 * HOUR_MS);
    expect(asked).toEqual([]);
    await pass(2 * HOUR_MS);
    expect(asked).toHaveLength(1);
    expect(asked[0]).toBeGreaterThanOrEqual(16 * HOUR_MS);
    expect(saved).toEqual(renewed);
    expect(renewed[0]!.identity).toMatchObject({ certificate: `at ${asked[0]}` });
    expect(renewed[0]!.identity.privateKey).toMatch(/BEGIN PRIVATE KEY/);
    await pass(18 * HOUR_MS);
    expect(asked).toHaveLength(2);
    expect(keeper.current.notAfterMs).toBe(asked[1]! + 24 * HOUR_MS);
  });

  it('asks again with growing waits while nobody answers, and is well when somebody does', async () => {
    const { keeper, pass, asked, told, ended, renewed } = world((nowMs) => (nowMs < 18 * HOUR_MS ? GONE : next(nowMs)));
    keeper.start();
    await pass(20 * HOUR_MS);
    const waits = asked.slice(1).map((at, index) => at - asked[index]!);
    expect(waits[0]).toBeLessThanOrEqual(RENEW_RETRY_MS);
    expect(Math.max(...waits)).toBeLessThanOrEqual(RENEW_RETRY_MS_MAX);
    expect(waits.at(-1)).toBeGreaterThanOrEqual(RENEW_RETRY_MS_MAX / 2);
    expect(new Set(told)).toEqual(new Set(['WM_UNREACHABLE']));
    expect(renewed).toHaveLength(1);
    expect(ended).toEqual([]);
  });

  it('says once that the certificate expired, since when nobody answered, and what to do', async () => {
    const { keeper, pass, ended, asked, time } = world(() => GONE);
    keeper.start();
    await pass(30 * HOUR_MS);
    expect(ended).toHaveLength(1);
    expect(ended[0]).toMatchObject({ code: 'WM_CERTIFICATE_REFUSED' });
    expect(ended[0]!.message).toBe(
      'The certificate of node/truck-7 expired on 1970-01-02T00:00:00.000Z and could not be renewed: controller could not be reached.',
    );
    expect(ended[0]!.next).toMatch(/^Join again with a join token/);
    expect(asked.at(-1)).toBeLessThan(24 * HOUR_MS);
    expect(time.pending).toBe(0);
  });

  it('uses a new certificate that could not be saved, and says that it was not', async () => {
    const { keeper, pass, renewed, told } = world(next, () => GONE);
    keeper.start();
    await pass(18 * HOUR_MS);
    expect(renewed).toHaveLength(1);
    expect(told).toEqual(['WM_UNREACHABLE']);
  });

  it('does nothing any more once it is stopped', async () => {
    const { keeper, pass, asked, time } = world(next);
    keeper.start();
    keeper.stop();
    await pass(30 * HOUR_MS);
    expect(asked).toEqual([]);
    expect(time.pending).toBe(0);
  });
});
