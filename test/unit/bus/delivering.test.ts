// What a consumer may rely on: credit, order, time to settle, and that one delivery is settled once.
import { describe, expect, it } from 'vitest';
import type { DeliveredEvent } from '../../../system/domain/broker.ts';
import { MESSAGE_BYTES_MAX } from '../../../system/ports/network.ts';
import type { CorrelationId, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { codeOf, consumerOf, eventOf, FAILURE, get, Site } from '../../support/bus/site.ts';

const ids = (deliveries: readonly DeliveredEvent[]) => deliveries.map((delivery) => delivery.event.id);

async function siteWith(count: number, changes: Parameters<typeof consumerOf>[1] = {}): Promise<Site> {
  const site = await Site.open();
  get(await site.broker.createConsumer(consumerOf('work', changes)));
  for (let i = 0; i < count; i++) get(await site.publish(`e${i}`));
  return site;
}

describe('delivering', () => {
  it('gives as many as asked for, oldest first, each once', async () => {
    const site = await siteWith(5);
    expect(ids(get(await site.fetch('work', { eventsMax: 2 })))).toEqual(['e0', 'e1']);
    expect(ids(await site.drain('work'))).toEqual(['e2', 'e3', 'e4']);
    expect(await site.drain('work')).toEqual([]);
  });

  it('refuses who asks for a consumer that is not there', async () => {
    const site = await siteWith(0);
    expect(codeOf(await site.fetch('other'))).toBe('WM_BUS_CONSUMER_UNKNOWN');
  });

  it('keeps at most pendingMax outstanding, over all who fetch', async () => {
    const site = await siteWith(5, { pendingMax: 2 });
    const [first] = await site.drain('work');
    expect(await site.drain('work')).toEqual([]);
    const waiting = site.fetch('work', { waitMs: 500 });
    get(await site.settle('work', first!));
    expect(ids(get(await site.time.until(waiting)))).toEqual(['e2']);
  });

  it('holds a fetch open until something comes, first come first served', async () => {
    const site = await siteWith(0);
    const [a, b] = [site.fetch('work', { eventsMax: 1, waitMs: 1_000 }), site.fetch('work', { eventsMax: 1, waitMs: 1_000 })];
    await site.time.advance(500_000);
    get(await site.publish('e1'));
    get(await site.publish('e2'));
    expect(ids(get(await a))).toEqual(['e1']);
    expect(ids(get(await b))).toEqual(['e2']);
  });

  it('deletes a consumer that nobody fetched from for as long as it allows, with what waited for it', async () => {
    const site = await siteWith(3, { idleMsMax: 2_000 });
    await site.time.advance(1_900_000);
    expect(ids(get(await site.fetch('work', { eventsMax: 1 })))).toEqual(['e0']);
    await site.time.advance(1_900_000);
    expect(codeOf(await site.fetch('work'))).toBe('ok');
    await site.time.advance(2_100_000);
    expect(codeOf(await site.fetch('work'))).toBe('WM_BUS_CONSUMER_UNKNOWN');
    await site.crash();
    expect(codeOf(await site.fetch('work'))).toBe('WM_BUS_CONSUMER_UNKNOWN');
  });

  it('keeps one that somebody waits at, however long nothing comes, and gives it its time again after a crash', async () => {
    const site = await siteWith(0, { idleMsMax: 1_000 });
    const waiting = site.fetch('work', { waitMs: 5_000 });
    await site.time.advance(4_900_000);
    get(await site.publish('e1'));
    expect(ids(get(await waiting))).toEqual(['e1']);
    await site.crash();
    await site.time.advance(900_000);
    expect(codeOf(await site.fetch('work'))).toBe('ok');
  });

  it('answers with nothing when the wait is over', async () => {
    const site = await siteWith(0);
    const waiting = site.fetch('work', { waitMs: 200 });
    await site.time.advance(200_000);
    expect(get(await waiting)).toEqual([]);
    get(await site.publish('e1'));
    expect(ids(await site.drain('work'))).toEqual(['e1']);
  });

  it('keeps a reply within one message, whatever the events carry', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    const headers = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`h${i}`, '\u{ffff}'.repeat(4_000)]));
    for (let i = 0; i < 12; i++) get(await site.publish(eventOf(`e${i}`, { headers, data: new Uint8Array(8) })));
    let got = 0;
    for (let round = 0; round < 12 && got < 12; round++) {
      const deliveries = await site.drain('work');
      const bytes = deliveries.reduce((sum, { event }) => sum + event.data.length + Object.values(event.headers).join('').length * 3, 0);
      expect(bytes).toBeLessThan(MESSAGE_BYTES_MAX);
      got += deliveries.length;
    }
    expect(got).toBe(12);
  });

  it('delivers again what was not settled in time, with backoff and the next attempt', async () => {
    const site = await siteWith(1);
    const [first] = await site.drain('work');
    expect(first).toMatchObject({ attempt: 1 });
    await site.time.advance(1_000_000);
    const [retried] = site.telemetry.of('event.retried');
    expect(retried).toMatchObject({ consumer: 'work', event: 'e0', attempt: 1, code: 'WM_DEADLINE' });
    expect(retried!.delayMs).toBeLessThanOrEqual(100);
    await site.time.advance(100_000);
    const [second] = await site.drain('work');
    expect(second).toMatchObject({ sequence: 1, attempt: 2 });
    expect(second!.delivery).not.toBe(first!.delivery);
    expect(codeOf(await site.settle('work', first!))).toBe('WM_NOT_FOUND');
    get(await site.settle('work', second!));
  });

  it('waits longer after each refusal, at random, never beyond the largest backoff', async () => {
    const site = await siteWith(1, { deliveriesMax: 50, backoffMs: 100, backoffMsMax: 400 });
    for (let attempt = 1; attempt <= 20; attempt++) {
      const [delivery] = get(await site.time.until(site.fetch('work', { waitMs: 1_000 })));
      expect(delivery).toMatchObject({ attempt });
      get(await site.settle('work', delivery!, { kind: 'nak', reason: FAILURE }));
    }
    const delays = site.telemetry.of('event.retried').map(({ delayMs }) => delayMs);
    expect(delays[0]).toBeLessThanOrEqual(100);
    expect(delays[1]).toBeLessThanOrEqual(200);
    expect(Math.max(...delays)).toBeLessThanOrEqual(400);
    expect(new Set(delays).size).toBeGreaterThan(10);
  });

  it('gives what was given back untried to the next who asks, as the same attempt', async () => {
    const site = await siteWith(1, { deliveriesMax: 1 });
    const [first] = await site.drain('work');
    get(await site.settle('work', first!, { kind: 'release' }));
    const [again] = await site.drain('work');
    expect(again).toMatchObject({ sequence: first!.sequence, attempt: 1 });
    expect(codeOf(await site.settle('work', first!))).toBe('WM_NOT_FOUND');
    get(await site.settle('work', again!));
  });

  it('lets others pass while one waits for its next attempt', async () => {
    const site = await siteWith(1);
    get(await site.settle('work', (await site.drain('work'))[0]!, { kind: 'nak', reason: FAILURE }));
    get(await site.publish('e1'));
    expect(ids(await site.drain('work'))).toEqual(['e1']);
    await site.time.advance(100_000);
    expect(ids(await site.drain('work'))).toEqual(['e0']);
  });
});

describe('settling', () => {
  it('answers an acknowledgement only when it is on the disk, the repeated one too', async () => {
    const site = await siteWith(1);
    const [delivery] = await site.drain('work');
    site.disk.syncMicros = 2_000;
    const answers: string[] = [];
    void site.settle('work', delivery!).then((outcome) => answers.push(`first ${codeOf(outcome)}`));
    await site.time.advance(1_000);
    void site.settle('work', delivery!).then((outcome) => answers.push(`again ${codeOf(outcome)}`));
    await site.time.advance(500);
    expect(answers).toEqual([]);
    expect(site.telemetry.of('event.acknowledged')).toEqual([]);
    await site.time.advance(10_000);
    expect(answers.sort()).toEqual(['again ok', 'first ok']);
    expect(site.telemetry.of('event.acknowledged')).toEqual([
      { consumer: 'work', event: 'e0', sequence: 1, attempt: 1, instance: null, epoch: null },
    ]);
  });

  it('refuses to settle what never was', async () => {
    const site = await siteWith(1);
    expect(codeOf(await site.settle('work', { sequence: 99, delivery: 1 }))).toBe('WM_NOT_FOUND');
    expect(codeOf(await site.settle('work', { sequence: 1, delivery: 1 }))).toBe('WM_NOT_FOUND');
    expect(codeOf(await site.settle('other', { sequence: 1, delivery: 1 }))).toBe('WM_BUS_CONSUMER_UNKNOWN');
  });

  it('keeps an event until every consumer that wants it has settled it', async () => {
    const site = await siteWith(0);
    get(await site.broker.createConsumer(consumerOf('audit')));
    get(await site.publish('e0'));
    get(await site.settle('work', (await site.drain('work'))[0]!));
    await site.crash();
    expect(await site.drain('work')).toEqual([]);
    expect(ids(await site.drain('audit'))).toEqual(['e0']);
  });

  it('forgets a consumer that is deleted, and ends what waits there', async () => {
    const site = await siteWith(1);
    await site.drain('work');
    const waiting = site.fetch('work', { waitMs: 5_000 });
    get(await site.broker.deleteConsumer(consumerOf('work').name));
    expect(codeOf(await waiting)).toBe('WM_BUS_CONSUMER_UNKNOWN');
    get(await site.broker.deleteConsumer(consumerOf('work').name));
    expect(site.clock.timers).toBe(0);
  });
});

describe('dead letters', () => {
  const DEAD = consumerOf('undertaker', { filter: 'dead.>' as SubjectFilter, deliveriesMax: 2 });

  async function fail(site: Site, times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const [delivery] = get(await site.time.until(site.fetch('work', { waitMs: 1_000 })));
      get(await site.settle('work', delivery!, { kind: 'nak', reason: FAILURE }));
    }
  }

  it('takes an event out after its last attempt and publishes it with its history', async () => {
    const site = await siteWith(1);
    get(await site.broker.createConsumer(DEAD));
    await fail(site, 3);
    await site.time.advance(0);
    expect(site.telemetry.of('event.deadlettered')).toEqual([
      { consumer: 'work', event: 'e0', sequence: 1, attempts: 3, code: 'WM_GUEST_TRAPPED' },
    ]);
    const [letter] = await site.drain('undertaker');
    expect(letter!.event).toMatchObject({
      subject: 'dead.work',
      correlation: 'c-e0',
      data: new Uint8Array([1, 2, 3]),
      headers: {
        source: 'e0',
        subject: 'sensor.brake',
        attempts: '3',
        code: 'WM_GUEST_TRAPPED',
        history: 'WM_GUEST_TRAPPED WM_GUEST_TRAPPED WM_GUEST_TRAPPED',
        reason: 'unreachable',
      },
    });
    expect(await site.drain('work')).toEqual([]);
    expect(site.telemetry.of('event.delivered').filter(({ consumer }) => consumer === 'work')).toHaveLength(3);
  });

  it('tells every reason when the last is a termination', async () => {
    const site = await siteWith(1);
    get(await site.broker.createConsumer(DEAD));
    await fail(site, 1);
    const [delivery] = get(await site.time.until(site.fetch('work', { waitMs: 1_000 })));
    get(await site.settle('work', delivery!, { kind: 'term', reason: { code: 'WM_MODULE_INVALID', message: 'broken' } }));
    const [letter] = await site.drain('undertaker');
    expect(letter!.event.headers).toMatchObject({
      history: 'WM_GUEST_TRAPPED WM_MODULE_INVALID',
      code: 'WM_MODULE_INVALID',
      attempts: '2',
    });
  });

  it('can be read back, however large the event and its identifier are', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work', { deliveriesMax: 1, name: consumerOf('w'.repeat(63)).name })));
    get(await site.broker.createConsumer(DEAD));
    const headers = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`h${i}`, 'x']));
    get(await site.publish(eventOf('i'.repeat(200), { headers, correlation: 'c' as CorrelationId })));
    const [delivery] = await site.drain('w'.repeat(63));
    get(
      await site.settle('w'.repeat(63), delivery!, {
        kind: 'nak',
        reason: { code: 'WM_GUEST_TRAPPED', message: '\u{1f600}'.repeat(2_000) },
      }),
    );
    await site.crash();
    const [letter] = await site.drain('undertaker');
    expect(letter!.event.headers).toMatchObject({ source: 'i'.repeat(200), h31: 'x' });
  });

  it('makes no letter of a letter, so that a broken undertaker does not work for ever', async () => {
    const site = await siteWith(1, { deliveriesMax: 1 });
    get(await site.broker.createConsumer(DEAD));
    await fail(site, 1);
    for (let i = 0; i < 2; i++) {
      const [delivery] = get(await site.time.until(site.fetch('undertaker', { waitMs: 1_000 })));
      get(await site.settle('undertaker', delivery!, { kind: 'nak', reason: FAILURE }));
    }
    await site.time.advance(2_000_000);
    expect(await site.drain('undertaker')).toEqual([]);
    expect(site.telemetry.of('event.deadlettered').map(({ consumer }) => consumer)).toEqual(['work', 'undertaker']);
  });

  it('writes a letter of whatever else is published where letters are', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer({ ...DEAD, deliveriesMax: 1 }));
    get(await site.publish(eventOf('dead/x', { subject: 'dead.x' as Subject })));
    const [delivery] = await site.drain('undertaker');
    get(await site.settle('undertaker', delivery!, { kind: 'nak', reason: FAILURE }));
    const [letter, ...more] = await site.drain('undertaker');
    expect(letter!.event).toMatchObject({ subject: 'dead.undertaker', headers: { source: 'dead/x', subject: 'dead.x' } });
    expect(more).toEqual([]);
    get(await site.settle('undertaker', letter!, { kind: 'nak', reason: FAILURE }));
    expect(await site.drain('undertaker')).toEqual([]);
  });

  it('buries at once what has had its attempts when fewer are allowed', async () => {
    const site = await siteWith(1, { deliveriesMax: 10 });
    await fail(site, 4);
    get(await site.broker.createConsumer(consumerOf('work', { deliveriesMax: 3 })));
    await site.time.advance(2_000_000);
    expect(await site.drain('work')).toEqual([]);
    expect(site.telemetry.of('event.deadlettered')).toMatchObject([{ event: 'e0', attempts: 4 }]);
  });
});

it('delivers ten thousand in the order of their publication, and settles each in constant time', async () => {
  const site = await Site.open({ queueEventsMax: 20_000 });
  get(await site.broker.createConsumer(consumerOf('work', { pendingMax: 20_000, filter: 'a.>' as SubjectFilter })));
  await Promise.all(Array.from({ length: 10_000 }, (_, i) => site.publish(eventOf(`e${i}`, { subject: 'a.b' as Subject }))));
  const order: string[] = [];
  for (;;) {
    const deliveries = await site.drain('work');
    if (deliveries.length === 0) break;
    await Promise.all(deliveries.map((delivery) => site.settle('work', delivery)));
    order.push(...ids(deliveries));
  }
  expect(order).toEqual(Array.from({ length: 10_000 }, (_, i) => `e${i}`));
});
