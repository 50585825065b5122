// What survives: everything that was answered, whatever the moment of the crash and however much of the tail it kept.
import { describe, expect, it } from 'vitest';
import type { CorrelationId, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { codeOf, consumerOf, eventOf, FAILURE, get, Site } from '../../support/bus/site.ts';

const DAY_MICROS = 86_400_000_000;

const ids = async (site: Site, consumer = 'work') => (await site.drain(consumer)).map((delivery) => delivery.event.id);

describe('recovering', () => {
  it('knows its consumers, its events and its identifiers again', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    for (const id of ['e0', 'e1', 'e2']) get(await site.publish(id));
    const [first] = await site.drain('work');
    get(await site.settle('work', first!));
    await site.crash();
    expect(get(await site.publish('e0'))).toEqual({ sequence: 1, duplicate: true });
    expect(await ids(site)).toEqual(['e1', 'e2']);
    expect(get(await site.publish('e3')).sequence).toBe(4);
  });

  it('loses what was not answered, and may keep it', async () => {
    for (const keep of [0, 1]) {
      const site = await Site.open();
      get(await site.broker.createConsumer(consumerOf('work')));
      site.disk.syncMicros = 2_000;
      void site.publish('e0');
      await site.time.advance(1_000);
      await site.crash(() => keep);
      expect(await ids(site)).toEqual(keep === 1 ? ['e0'] : []);
      expect(get(await site.time.until(site.publish('e0'))).duplicate).toBe(keep === 1);
    }
  });

  it('tells settlements again that were stored when it died before it could tell them', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work', { deliveriesMax: 1 })));
    get(await site.publish('e0'));
    get(await site.publish('e1'));
    const [a, b] = await site.drain('work');
    site.disk.syncMicros = 2_000;
    void site.settle('work', a!);
    void site.settle('work', b!, { kind: 'nak', reason: FAILURE });
    await site.time.advance(1_000);
    await site.crash((unsynced) => unsynced);
    expect(await ids(site)).toEqual([]);
    expect(site.telemetry.of('event.acknowledged')).toEqual([
      { consumer: 'work', event: 'e0', sequence: 1, attempt: 1, instance: null, epoch: null },
    ]);
    expect(site.telemetry.of('event.deadlettered')).toMatchObject([{ consumer: 'work', event: 'e1', attempts: 1 }]);
  });

  it('tells nothing again that it told long ago', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    for (let i = 0; i < 20; i++) {
      get(await site.publish(`e${i}`));
      get(await site.settle('work', (await site.drain('work'))[0]!));
    }
    await site.crash();
    expect(site.telemetry.of('event.acknowledged').length).toBeLessThanOrEqual(21);
  });

  it('gives no number again that was given after the copy which it is put back to', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    get(await site.publish('old'));
    const file = site.disk.file('broker');
    const { first, durable, dropped } = file;
    const copy = { first, durable, dropped, records: [...file.records] };
    get(await site.publish('lost'));
    // Of later starts, as many as it takes for the same delivery to be numbered alike.
    for (let starts = 0; starts < 2; starts++) await site.crash();
    const [held, lost] = await site.drain('work');
    expect(lost?.event.id).toBe('lost');
    site.clock.end();
    await site.time.advance(DAY_MICROS);
    Object.assign(file, copy);
    get(await site.boot({ restored: true }));
    // The start after it, of which nobody says anything and before which nothing was published, goes on from there.
    await site.crash();
    get(await site.publish('new'));
    const [again, fresh] = await site.drain('work');
    expect([again?.event.id, fresh?.event.id]).toEqual(['old', 'new']);
    expect(again!.delivery).toBeGreaterThan(lost!.delivery);
    expect(fresh!.sequence).toBeGreaterThan(lost!.sequence);
    expect(codeOf(await site.settle('work', held!, { kind: 'term', reason: FAILURE }))).toBe('WM_NOT_FOUND');
    expect(codeOf(await site.settle('work', lost!))).toBe('ok');
    // What was settled was the lost one.
    await site.crash();
    expect(await ids(site)).toEqual(['old', 'new']);
    expect(get(await site.publish('newer')).sequence).toBe(fresh!.sequence + 1);
  });

  it('refuses to settle a delivery of the process before it', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    get(await site.publish('e0'));
    const [before] = await site.drain('work');
    await site.crash();
    const [after] = await site.drain('work');
    expect(codeOf(await site.settle('work', before!, { kind: 'term', reason: FAILURE }))).toBe('WM_NOT_FOUND');
    get(await site.settle('work', after!));
  });

  it('calls nothing a duplicate of what it may still lose', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    site.disk.syncMicros = 2_000;
    void site.publish('e0');
    void site.publish('e0');
    await site.time.advance(1_000);
    expect(site.telemetry.of('event.duplicate')).toEqual([]);
    await site.crash(() => 0);
    expect(get(await site.time.until(site.publish('e0'))).duplicate).toBe(false);
    expect(get(await site.time.until(site.publish('e0'))).duplicate).toBe(true);
    expect(site.telemetry.of('event.duplicate')).toHaveLength(1);
  });

  it('does not forget a failure that it has told, however quiet it was since', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work', { ackWaitMs: 500 })));
    get(await site.publish('refused'));
    get(await site.publish('ignored'));
    const [refused] = await site.drain('work');
    get(await site.time.until(site.settle('work', refused!, { kind: 'nak', reason: FAILURE })));
    await site.time.advance(600_000);
    expect(site.telemetry.of('event.retried')).toMatchObject([
      { event: 'refused', attempt: 1 },
      { event: 'ignored', attempt: 1 },
    ]);
    await site.crash();
    expect((await site.drain('work')).map(({ event, attempt }) => [event.id, attempt])).toEqual([
      ['refused', 2],
      ['ignored', 2],
    ]);
  });

  it('counts failed attempts over restarts, and never delivers more often than allowed', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work', { deliveriesMax: 2 })));
    get(await site.publish('e0'));
    get(await site.settle('work', (await site.drain('work'))[0]!, { kind: 'nak', reason: FAILURE }));
    get(await site.publish('other'));
    await site.crash();
    const deliveries = await site.drain('work');
    expect(deliveries.map(({ event, attempt }) => [event.id, attempt])).toEqual([
      ['e0', 2],
      ['other', 1],
    ]);
    site.disk.syncMicros = 2_000;
    void site.settle('work', deliveries[0]!, { kind: 'nak', reason: FAILURE });
    await site.time.advance(1_000);
    // Whatever part of the burial survives: no third attempt.
    for (const keep of [1, 2, 3]) {
      await site.crash((unsynced) => Math.min(keep, unsynced));
      expect((await site.drain('work')).filter(({ event }) => event.id === 'e0')).toEqual([]);
    }
  });
});

describe('compaction', () => {
  const BUSY = { compactAfterRecords: 20 };

  async function churn(site: Site, from: number, to: number): Promise<void> {
    for (let i = from; i < to; i++) {
      get(await site.publish(eventOf(`churn${i}`, { subject: 'churn.a' as Subject })));
      get(await site.settle('churn', (await site.drain('churn'))[0]!));
    }
  }

  async function busySite(): Promise<Site> {
    const site = await Site.open(BUSY);
    get(await site.broker.createConsumer(consumerOf('churn', { filter: 'churn.>' as SubjectFilter })));
    get(await site.broker.createConsumer(consumerOf('work')));
    return site;
  }

  it('keeps the journal as long as what it holds, not as what it did', async () => {
    const site = await busySite();
    get(await site.publish('kept'));
    await churn(site, 0, 200);
    expect(site.disk.file('broker').records.length).toBeLessThan(60);
    await site.crash();
    expect(await ids(site)).toEqual(['kept']);
    expect(get(await site.publish(eventOf('churn0', { subject: 'churn.a' as Subject }))).duplicate).toBe(true);
    expect(get(await site.publish('next')).sequence).toBe(202);
  });

  it('compacts in a storm that never pauses', async () => {
    const site = await busySite();
    site.disk.syncMicros = 1_000;
    let i = 0;
    // Something is always on its way to the disk.
    const publish = async (): Promise<void> => {
      while (i < 600) get(await site.publish(eventOf(`s${i++}`, { subject: 'nobody.asks' as Subject })));
    };
    const storm = Promise.all([publish(), site.clock.sleep(500).then(publish)]);
    await site.time.until(storm);
    expect(site.disk.file('broker').records.length).toBeLessThan(100);
  });

  it('keeps failures, and who settled what', async () => {
    const site = await busySite();
    get(await site.broker.createConsumer(consumerOf('audit')));
    get(await site.publish('e0'));
    get(await site.settle('audit', (await site.drain('audit'))[0]!));
    get(await site.settle('work', (await site.drain('work'))[0]!, { kind: 'nak', reason: FAILURE }));
    await churn(site, 0, 60);
    await site.crash();
    expect(await ids(site, 'audit')).toEqual([]);
    expect(await site.drain('work')).toMatchObject([{ attempt: 2, event: { id: 'e0' } }]);
  });

  it('keeps events that were accepted under a filter which has changed since', async () => {
    const site = await busySite();
    get(await site.publish('old'));
    get(await site.broker.createConsumer(consumerOf('work', { filter: 'engine.>' as SubjectFilter })));
    get(await site.publish('unwanted'));
    await churn(site, 0, 60);
    await site.crash();
    expect(await ids(site)).toEqual(['old']);
  });

  /** A site whose journal ends with an event and a whole snapshot, none of it synced; and how many records that is. */
  async function siteInSnapshot(): Promise<{ readonly site: Site; readonly unsynced: number }> {
    const site = await busySite();
    get(await site.publish('kept'));
    site.disk.syncMicros = 5_000;
    for (let i = 0; ; i++) {
      const published = site.publish(eventOf(`filler${i}`, { subject: 'nobody.asks' as Subject }));
      await site.time.advance(0);
      const { last, durable } = site.disk.file('broker');
      if (last - durable > 1) return { site, unsynced: last - durable };
      get(await site.time.until(published));
    }
  }

  it('survives a crash in the middle of a snapshot, and the next crash', async () => {
    const { unsynced } = await siteInSnapshot();
    expect(unsynced).toBeGreaterThan(5);
    for (let keep = 0; keep <= unsynced; keep++) {
      const { site } = await siteInSnapshot();
      await site.crash(() => keep);
      get(await site.time.until(site.publish('after')));
      await site.crash();
      expect(await ids(site)).toEqual(['kept', 'after']);
      expect(get(await site.time.until(site.publish('after'))).duplicate).toBe(true);
      expect(get(await site.time.until(site.publish('kept'))).duplicate).toBe(true);
    }
  });

  it('takes identifiers of any characters', async () => {
    const site = await Site.open({ compactAfterRecords: 3_000 });
    get(await site.broker.createConsumer(consumerOf('work')));
    for (let i = 0; i < 3_100; i++)
      get(
        await site.publish(
          eventOf(`${i}${'\u0001'.repeat(190)}`, { subject: 'nobody.asks' as Subject, correlation: 'c' as CorrelationId }),
        ),
      );
    let ended = '';
    void site.broker.ended.then((cause) => (ended = cause));
    await site.time.advance(1_000);
    expect(ended).toBe('');
    await site.crash();
    expect(get(await site.publish(eventOf(`7${'\u0001'.repeat(190)}`, { correlation: 'c' as CorrelationId }))).duplicate).toBe(true);
  });
});

describe('a disk that fails', () => {
  it('ends the broker: nobody is told that it worked, nobody is served any more', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    get(await site.publish('e0'));
    const waiting = site.fetch('work', { waitMs: 5_000, eventsMax: 1 });
    get(await waiting);
    const held = site.fetch('work', { waitMs: 5_000 });
    site.disk.isBroken = true;
    const published = await site.publish('e1');
    expect(published).toMatchObject({ ok: false, error: { kind: 'unknown', code: 'WM_STORAGE_FAILED' } });
    expect(await site.broker.ended).toContain('journal');
    expect((await site.time.until(held)).ok).toBe(false);
    expect(codeOf(await site.publish('e2'))).toBe('WM_CANCELLED');
    expect(codeOf(await site.fetch('work'))).toBe('WM_CANCELLED');
    expect(site.clock.timers).toBe(0);
  });

  it('says that it is not running rather than that a consumer is missing', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    const waiting = site.fetch('work', { waitMs: 5_000 });
    await site.broker.stop();
    expect(await waiting).toMatchObject({ ok: false, error: { kind: 'failed', code: 'WM_CANCELLED' } });
    expect(await site.publish('e0')).toMatchObject({ ok: false, error: { kind: 'failed', code: 'WM_CANCELLED' } });
    expect(codeOf(await site.fetch('work'))).toBe('WM_CANCELLED');
    expect(site.clock.timers).toBe(0);
  });
});
