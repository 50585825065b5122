// R1.3: once a fence is raised, nothing that carries an older epoch has an effect.
import { describe, expect, it } from 'vitest';
import { codeOf, consumerOf, fenceOf, get, Site } from '../../support/bus/site.ts';

const OLD = fenceOf('app/0', 1);
const NEW = fenceOf('app/0', 2);

async function open(): Promise<Site> {
  const site = await Site.open();
  get(await site.broker.createConsumer(consumerOf('work')));
  return site;
}

describe('fencing', () => {
  it('refuses to publish, fetch and settle in an older epoch, and records each', async () => {
    const site = await open();
    get(await site.publish('e0'));
    const [delivery] = get(await site.fetch('work', { fence: OLD }));
    site.broker.fence(NEW);
    expect(codeOf(await site.publish('r0', OLD))).toBe('WM_FENCED');
    expect(codeOf(await site.fetch('work', { fence: OLD }))).toBe('WM_FENCED');
    expect(codeOf(await site.settle('work', delivery!, { kind: 'ack' }, OLD))).toBe('WM_FENCED');
    expect(site.telemetry.of('effect.fenced')).toHaveLength(3);
    expect(site.telemetry.of('effect.fenced')[0]).toMatchObject({ instance: 'app/0', epoch: 1, current: 2 });
    expect(site.telemetry.of('fence.raised')).toEqual([{ instance: 'app/0', epoch: 2 }]);
    expect(codeOf(await site.publish('r0', NEW))).toBe('ok');
  });

  it('ends the waiting fetches of the superseded placement, and only those', async () => {
    const site = await open();
    const waiting = [OLD, fenceOf('app/1', 1), null].map((fence) => site.fetch('work', { waitMs: 1_000, eventsMax: 1, fence }));
    site.broker.fence(NEW);
    expect(codeOf(await waiting[0]!)).toBe('WM_FENCED');
    get(await site.publish('e0'));
    get(await site.publish('e1'));
    expect(get(await waiting[1]!)).toHaveLength(1);
    expect(get(await waiting[2]!)).toHaveLength(1);
  });

  it('gives the event to the successor when the time of the old delivery is over', async () => {
    const site = await open();
    get(await site.publish('e0'));
    get(await site.fetch('work', { fence: OLD }));
    site.broker.fence(NEW);
    await site.time.advance(1_100_000);
    const [delivery] = get(await site.fetch('work', { fence: NEW }));
    expect(delivery).toMatchObject({ attempt: 2 });
    expect(codeOf(await site.settle('work', delivery!, { kind: 'ack' }, NEW))).toBe('ok');
  });

  it('never lowers a fence, and keeps instances apart', async () => {
    const site = await open();
    site.broker.fence(NEW);
    site.broker.fence(OLD);
    expect(codeOf(await site.publish('r0', OLD))).toBe('WM_FENCED');
    expect(codeOf(await site.publish('r1', fenceOf('app/1', 1)))).toBe('ok');
    expect(site.telemetry.of('fence.raised')).toHaveLength(1);
  });
});
