// What a publisher may rely on: stored once, stored durably, or refused with nothing stored.
import { describe, expect, it } from 'vitest';
import type { Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import { codeOf, consumerOf, eventOf, fenceOf, get, Site } from '../../support/bus/site.ts';

describe('publishing', () => {
  it('answers only when the event is on the disk', async () => {
    const site = await Site.open();
    site.disk.syncMicros = 2_000;
    const created = site.broker.createConsumer(consumerOf('work'));
    get(await site.time.until(created));
    let answered = false;
    const published = site.publish('e1').then((ack) => ((answered = true), ack));
    await site.time.advance(1_999);
    expect(answered).toBe(false);
    expect(site.telemetry.of('event.accepted')).toEqual([]);
    await site.time.advance(1);
    expect(get(await published)).toEqual({ sequence: 1, duplicate: false });
    expect(site.telemetry.of('event.accepted')).toEqual([
      { event: 'e1', subject: 'sensor.brake', sequence: 1, bytes: 3, instance: null, epoch: null },
    ]);
  });

  it('delivers nothing that a crash could still take back', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    site.disk.syncMicros = 2_000;
    void site.publish('e1');
    await site.time.advance(1_000);
    expect(await site.drain('work')).toEqual([]);
  });

  it('syncs once for everything that waits', async () => {
    const site = await Site.open();
    site.disk.syncMicros = 1_000;
    const before = site.disk.syncs;
    const acks = Promise.all(Array.from({ length: 50 }, (_, i) => site.publish(`e${i}`)));
    const settled = await site.time.until(acks);
    expect(settled.map((ack) => get(ack).sequence)).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(site.disk.syncs - before).toBe(2);
  });

  it('recognises an identifier that it knows, and answers with its first sequence', async () => {
    const site = await Site.open();
    get(await site.publish('e1'));
    expect(get(await site.publish('e1'))).toEqual({ sequence: 1, duplicate: true });
    expect(site.telemetry.of('event.duplicate')).toEqual([{ event: 'e1', subject: 'sensor.brake', sequence: 1 }]);
  });

  it('answers a duplicate of an event under way only when that one is durable', async () => {
    const site = await Site.open();
    site.disk.syncMicros = 2_000;
    const first = site.publish('e1');
    await site.time.advance(1_000);
    let answered = false;
    const second = site.publish('e1').then((ack) => ((answered = true), ack));
    await site.time.advance(500);
    expect(answered).toBe(false);
    expect(get(await site.time.until(second))).toEqual({ sequence: 1, duplicate: true });
    expect(get(await site.time.until(first))).toEqual({ sequence: 1, duplicate: false });
  });

  it('accepts and drops what nobody asked for', async () => {
    const site = await Site.open({ queueEventsMax: 4 });
    for (let i = 0; i < 20; i++) get(await site.publish(`e${i}`));
    get(await site.broker.createConsumer(consumerOf('late')));
    expect(await site.drain('late')).toEqual([]);
    expect(get(await site.publish('e20')).sequence).toBe(21);
    expect((await site.drain('late')).map((delivery) => delivery.event.id)).toEqual(['e20']);
  });

  it('refuses beyond the bound of events, stores nothing, and keeps a quarter for instances', async () => {
    const site = await Site.open({ queueEventsMax: 8 });
    get(await site.broker.createConsumer(consumerOf('work')));
    for (let i = 0; i < 6; i++) get(await site.publish(`e${i}`));
    expect(codeOf(await site.publish('e6'))).toBe('WM_BUS_FULL');
    expect(site.telemetry.of('event.refused')).toEqual([{ event: 'e6', subject: 'sensor.brake', code: 'WM_BUS_FULL' }]);
    get(await site.publish('r0', fenceOf('app/0', 1)));
    get(await site.publish('r1', fenceOf('app/0', 1)));
    expect(codeOf(await site.publish('r2', fenceOf('app/0', 1)))).toBe('WM_BUS_FULL');
    const held = await site.drain('work');
    expect(held.map((delivery) => delivery.event.id)).toEqual(['e0', 'e1', 'e2', 'e3', 'e4', 'e5', 'r0', 'r1']);
    for (const delivery of held) get(await site.settle('work', delivery));
    expect(get(await site.publish('e6'))).toEqual({ sequence: 9, duplicate: false });
  });

  it('refuses beyond the bound of bytes', async () => {
    const site = await Site.open({ queueBytesMax: 100_000 });
    get(await site.broker.createConsumer(consumerOf('work')));
    get(await site.publish(eventOf('big', { data: new Uint8Array(70_000) })));
    expect(codeOf(await site.publish(eventOf('more', { data: new Uint8Array(70_000) })))).toBe('WM_BUS_FULL');
    get(await site.settle('work', (await site.drain('work'))[0]!));
    get(await site.publish(eventOf('more', { data: new Uint8Array(70_000) })));
  });

  it('holds what is published in process to the same door', async () => {
    const site = await Site.open();
    expect(codeOf(await site.broker.publishLocal(eventOf('e1', { subject: 'not a subject' as Subject })))).toBe('WM_MESSAGE_INVALID');
    expect(codeOf(await site.broker.createConsumer(consumerOf('Not A Name')))).toBe('WM_MESSAGE_INVALID');
    get(await site.broker.publishLocal(eventOf('e1')));
  });

  it('routes by filter, exactly', async () => {
    const site = await Site.open();
    const filters = { exact: 'sensor.brake', star: 'sensor.*', rest: 'sensor.>', other: 'engine.>' };
    for (const [name, filter] of Object.entries(filters))
      get(await site.broker.createConsumer(consumerOf(name, { filter: filter as SubjectFilter })));
    for (const subject of ['sensor.brake', 'sensor.speed', 'sensor.brake.front', 'sensor', 'engine.heat'])
      get(await site.publish(eventOf(subject, { subject: subject as Subject })));
    const got = async (name: string) => (await site.drain(name)).map((delivery) => delivery.event.id);
    expect(await got('exact')).toEqual(['sensor.brake']);
    expect(await got('star')).toEqual(['sensor.brake', 'sensor.speed']);
    expect(await got('rest')).toEqual(['sensor.brake', 'sensor.speed', 'sensor.brake.front']);
    expect(await got('other')).toEqual(['engine.heat']);
  });

  it('says how deep the queue is when it grows past a power of two, and when a storm is over, but not in calm', async () => {
    const site = await Site.open();
    get(await site.broker.createConsumer(consumerOf('work')));
    for (let i = 0; i < 50; i++) {
      get(await site.publish(`calm${i}`));
      get(await site.settle('work', (await site.drain('work'))[0]!));
    }
    expect(site.telemetry.of('queue.depth').length).toBeLessThanOrEqual(2);
    for (let i = 0; i < 9; i++) get(await site.publish(`storm${i}`));
    for (const delivery of await site.drain('work')) get(await site.settle('work', delivery));
    expect(site.telemetry.of('queue.depth').map(({ depth }) => depth)).toEqual([1, 2, 4, 8, 0]);
  });
});
