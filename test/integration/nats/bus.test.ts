// What the bus on JetStream promises beyond the contract: fences at the server, a server that goes away, room, strangers.
import { readFileSync } from 'node:fs';
import { headers } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNatsBus, type NatsBusOptions } from '../../../hardware/bus/bus.ts';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { connectNats } from '../../../hardware/nats/nats.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import type { DeliveredEvent } from '../../../system/domain/broker.ts';
import { EVENT_BYTES_MAX } from '../../../system/domain/event.ts';
import type { ConsumerName, Subject, SubjectFilter } from '../../../system/domain/identifiers.ts';
import type { Bus } from '../../../system/ports/bus.ts';
import { codeOf, consumerOf, eventOf, FAILURE, fenceOf, get } from '../../support/bus/site.ts';
import { NATS, startNats, type NatsServer } from '../../support/nats/nats.ts';
import { NatsPlatform } from '../../support/nats/platform.ts';
import { MemoryTelemetry } from '../../support/ports/memory-telemetry.ts';

const UNFENCED = { fence: null, deadlineMicros: 10_000_000 };
const WORK = 'work' as ConsumerName;
const DEAD = 'dead' as ConsumerName;
const S = 1_000_000;
const REFERENCE = new URL('../../../docs/reference/nats.md', import.meta.url);

async function fetchAll(bus: Bus, consumer = WORK, waitMs = 2_000): Promise<readonly DeliveredEvent[]> {
  return get(await bus.fetch(consumer, { eventsMax: 100, waitMs, fence: null }));
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`the bus on NATS JetStream (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNats();
  });
  afterAll(() => server.stop());

  async function onPlatform<T>(body: (platform: NatsPlatform) => Promise<T>, options: Partial<NatsBusOptions> = {}, url = server.url) {
    const platform = new NatsPlatform(url, options);
    try {
      return await body(platform);
    } finally {
      await platform.leave();
    }
  }

  describe('fences (R1.3)', () => {
    test('the server refuses what a superseded instance publishes, also one that never heard of its successor', async () => {
      await onPlatform(async (platform) => {
        const [{ bus: controller }, { bus: stale }] = [await platform.join('platform'), await platform.join('agent', { deaf: true })];
        get(await controller.createConsumer(consumerOf('work')));
        get(await controller.fence(fenceOf('app/0', 1)));
        get(await stale.publish(eventOf('e1'), { ...UNFENCED, fence: fenceOf('app/0', 1) }));
        get(await controller.fence(fenceOf('app/0', 2)));
        expect(codeOf(await stale.publish(eventOf('e2'), { ...UNFENCED, fence: fenceOf('app/0', 1) }))).toBe('WM_FENCED');
        expect((await fetchAll(controller)).map(({ event }) => event.id)).toEqual(['e1']);
      });
    });

    test('a fetch that waits ends when its instance is superseded, and swallows nothing', async () => {
      await onPlatform(async (platform) => {
        const [{ bus: controller }, { bus: stale, telemetry }] = [await platform.join('platform'), await platform.join('agent')];
        get(await controller.createConsumer(consumerOf('work')));
        get(await controller.fence(fenceOf('app/0', 1)));
        const waiting = stale.fetch(WORK, { eventsMax: 10, waitMs: 30_000, fence: fenceOf('app/0', 1) });
        await new SystemClock().sleep(0.3 * S);
        get(await controller.fence(fenceOf('app/0', 2)));
        expect(codeOf(await waiting)).toBe('WM_FENCED');
        expect(telemetry.of('effect.fenced')).toMatchObject([{ what: 'fetch', epoch: 1, current: 2 }]);
        get(await controller.publish(eventOf('e1'), UNFENCED));
        const [delivery] = await fetchAll(controller);
        expect(delivery).toMatchObject({ event: { id: 'e1' }, attempt: 1 });
      });
    });

    test('an instance whose fence is not raised yet has no effect, and has one as soon as it is', async () => {
      await onPlatform(async (platform) => {
        const [{ bus: controller }, { bus: agent }] = [await platform.join('platform'), await platform.join('agent')];
        get(await controller.createConsumer(consumerOf('work')));
        const fence = fenceOf('app/0', 3);
        expect(codeOf(await agent.publish(eventOf('e1'), { ...UNFENCED, fence }))).toBe('WM_UNREACHABLE');
        expect(codeOf(await agent.fetch(WORK, { eventsMax: 1, waitMs: 0, fence }))).toBe('WM_UNREACHABLE');
        get(await controller.fence(fence));
        expect(codeOf(await agent.publish(eventOf('e1'), { ...UNFENCED, fence }))).toBe('ok');
        expect(get(await agent.fetch(WORK, { eventsMax: 1, waitMs: 0, fence })).map(({ event }) => event.id)).toEqual(['e1']);
      });
    });

    test('lasts, and is never lowered', async () => {
      await onPlatform(async (platform) => {
        const first = await platform.join('platform');
        get(await first.bus.fence(fenceOf('app/0', 2)));
        get(await first.bus.fence(fenceOf('app/0', 1)));
        const second = await platform.join('platform');
        expect(codeOf(await second.bus.publish(eventOf('e1'), { ...UNFENCED, fence: fenceOf('app/0', 1) }))).toBe('WM_FENCED');
        expect(codeOf(await second.bus.publish(eventOf('e2'), { ...UNFENCED, fence: fenceOf('app/0', 2) }))).toBe('ok');
        expect(first.telemetry.of('fence.raised')).toEqual([{ instance: 'app/0', epoch: 2 }]);
      });
    });

    test('is raised in a full stream too, and takes no place of an event', async () => {
      await onPlatform(
        async (platform) => {
          const { bus } = await platform.join('platform');
          get(await bus.createConsumer(consumerOf('work')));
          get(await bus.fence(fenceOf('app/0', 1)));
          const codes: string[] = [];
          const fence = fenceOf('app/0', 1);
          for (let i = 0; i < 12; i++) codes.push(codeOf(await bus.publish(eventOf(`e${i}`), { ...UNFENCED, fence })));
          // One place more than the bound is kept for the fence that comes, and may be taken by an event.
          expect(codes.filter((code) => code === 'ok')).toHaveLength(9);
          for (let epoch = 2; epoch < 5; epoch++) get(await bus.fence(fenceOf('app/0', epoch)));
          for (let ordinal = 1; ordinal < 4; ordinal++) get(await bus.fence(fenceOf(`app/${ordinal}`, 1)));
          expect(codeOf(await bus.publish(eventOf('late'), { ...UNFENCED, fence: fenceOf('app/0', 3) }))).toBe('WM_FENCED');
          expect(await fetchAll(bus)).toHaveLength(9);
        },
        { queueEventsMax: 8 },
      );
    });
  });

  test('keeps a quarter of its room for what instances publish', async () => {
    await onPlatform(
      async (platform) => {
        const { bus, telemetry } = await platform.join('platform');
        get(await bus.createConsumer(consumerOf('work')));
        get(await bus.fence(fenceOf('app/0', 1)));
        const codes: string[] = [];
        for (let i = 0; i < 10; i++) codes.push(codeOf(await bus.publish(eventOf(`e${i}`), UNFENCED)));
        expect(codes.filter((code) => code === 'ok')).toHaveLength(6);
        expect(codeOf(await bus.publish(eventOf('result'), { ...UNFENCED, fence: fenceOf('app/0', 1) }))).toBe('ok');
        expect(telemetry.of('event.refused').map(({ code }) => code)).toEqual(Array.from({ length: 4 }, () => 'WM_BUS_FULL'));
        expect(bus.backlog()).toEqual({ depth: 6, bound: 8 });
      },
      { queueEventsMax: 8 },
    );
  });

  test('buries a last delivery that ran out when somebody fetches next, with one letter', async () => {
    await onPlatform(async (platform) => {
      const [{ bus }, { bus: other, telemetry }] = [await platform.join('platform'), await platform.join('agent')];
      get(await bus.createConsumer(consumerOf('work', { ackWaitMs: 300, deliveriesMax: 2, backoffMs: 1, backoffMsMax: 1 })));
      get(await bus.createConsumer(consumerOf('dead', { filter: 'dead.>' as SubjectFilter })));
      get(await bus.publish(eventOf('e1', { headers: { a: 'ä\n' } }), UNFENCED));
      const [first] = await fetchAll(bus);
      get(await bus.settle(WORK, first!, { kind: 'nak', reason: FAILURE }, { fence: null }));
      expect((await fetchAll(other)).map(({ attempt }) => attempt)).toEqual([2]);
      expect(await fetchAll(other, WORK, 1_500)).toEqual([]);
      const letters = await fetchAll(bus, DEAD);
      expect(letters.map(({ event }) => event)).toMatchObject([
        {
          id: 'dead/work/1',
          subject: 'dead.work',
          headers: { a: 'ä\n', attempts: '2', code: 'WM_DEADLINE', history: 'WM_GUEST_TRAPPED WM_DEADLINE' },
        },
      ]);
      expect(telemetry.of('event.deadlettered')).toEqual([
        { consumer: 'work', event: 'e1', sequence: 1, attempts: 2, code: 'WM_DEADLINE' },
      ]);
    });
  });

  test('a fetch that was held back by outstanding deliveries swallows nothing afterwards', async () => {
    await onPlatform(async (platform) => {
      const { bus } = await platform.join('platform');
      get(await bus.createConsumer(consumerOf('work', { pendingMax: 2, ackWaitMs: 30_000 })));
      for (const id of ['e1', 'e2', 'e3', 'e4']) get(await bus.publish(eventOf(id), UNFENCED));
      const held = await fetchAll(bus);
      expect(held.map(({ event }) => event.id)).toEqual(['e1', 'e2']);
      expect(await fetchAll(bus, WORK, 0)).toEqual([]);
      for (const delivery of held) get(await bus.settle(WORK, delivery, { kind: 'ack' }, { fence: null }));
      expect((await fetchAll(bus)).map(({ event, attempt }) => [event.id, attempt])).toEqual([
        ['e3', 1],
        ['e4', 1],
      ]);
    });
  });

  test('takes what other programs publish as events, and lets go of what cannot be one', async () => {
    await onPlatform(async (platform) => {
      const { bus, link } = await platform.join('platform');
      get(await bus.createConsumer(consumerOf('work', { filter: '>' as SubjectFilter })));
      const own = headers();
      own.set('source', 'plc-7');
      await link.jetstream.publish(`${platform.prefix}.events.sensor.brake`, 'hot', { headers: own });
      await link.jetstream.publish(`${platform.prefix}.events.sensor.bräke`, 'no subject of ours');
      await link.jetstream.publish(`${platform.prefix}.events.sensor.big`, new Uint8Array(EVENT_BYTES_MAX + 1));
      const [only, ...rest] = await fetchAll(bus);
      expect(only!.event).toMatchObject({ id: 'nats/1', subject: 'sensor.brake', headers: { source: 'plc-7' } });
      expect(new TextDecoder().decode(only!.event.data)).toBe('hot');
      expect(rest).toEqual([]);
      get(await bus.settle(WORK, only!, { kind: 'ack' }, { fence: null }));
      expect((await link.manager.streams.info(`${platform.prefix}-events`)).state.messages).toBe(0);
    });
  });

  test('carries every event that it takes as it is, and refuses with a sentence what NATS could not carry', async () => {
    await onPlatform(async (platform) => {
      const { bus } = await platform.join('platform');
      get(await bus.createConsumer(consumerOf('work', { filter: '>' as SubjectFilter })));
      const odd = eventOf('id with spaces/é\r\n.*>', { headers: { 'näme: x': 'line\r\nline', empty: '' }, data: new Uint8Array(0) });
      const large = eventOf('x'.repeat(200), { data: new Uint8Array(EVENT_BYTES_MAX).fill(7) });
      for (const event of [odd, large]) get(await bus.publish(event, UNFENCED));
      expect((await fetchAll(bus)).map(({ event }) => event)).toEqual([odd, large]);
      expect(get(await bus.publish(odd, UNFENCED)).duplicate).toBe(true);
      const refusals = [
        eventOf(''),
        eventOf('x'.repeat(201)),
        eventOf('a', { subject: 'a b' as Subject }),
        eventOf('a', { subject: 'a.>' as Subject }),
        eventOf('a', { data: new Uint8Array(EVENT_BYTES_MAX + 1) }),
        eventOf('a', { headers: { h: 'x'.repeat(100_000) } }),
      ];
      for (const event of refusals) expect(codeOf(await bus.publish(event, UNFENCED))).toBe('WM_EVENT_INVALID');
      expect(codeOf(await bus.createConsumer(consumerOf('no.dots')))).toBe('WM_ARGUMENT');
      expect(codeOf(await bus.createConsumer(consumerOf('ok', { filter: 'a.>.b' as SubjectFilter })))).toBe('WM_ARGUMENT');
      expect(codeOf(await bus.fetch('no/slashes' as ConsumerName, { eventsMax: 1, waitMs: 0, fence: null }))).toBe('WM_ARGUMENT');
    });
  });

  test('changes a consumer without losing what waits for it', async () => {
    await onPlatform(async (platform) => {
      const { bus } = await platform.join('platform');
      get(await bus.createConsumer(consumerOf('work', { deliveriesMax: 5 })));
      get(await bus.publish(eventOf('e1'), UNFENCED));
      get(await bus.createConsumer(consumerOf('work', { deliveriesMax: 1, filter: 'other.>' as SubjectFilter })));
      get(await bus.publish(eventOf('e2', { subject: 'other.a' as Subject }), UNFENCED));
      const ids = (await fetchAll(bus)).map(({ event }) => event.id);
      expect(ids).toContain('e2');
    });
  });

  test('names the consumers that there are', async () => {
    await onPlatform(async (platform) => {
      const { bus } = await platform.join('platform');
      const names = Array.from({ length: 4 }, (_, at) => `work-${at}`);
      for (const name of names) get(await bus.createConsumer(consumerOf(name)));
      get(await bus.deleteConsumer('work-2' as ConsumerName));
      expect([...get(await bus.listConsumers())].sort()).toEqual(names.filter((name) => name !== 'work-2').sort());
    });
  });

  test('says what is wrong with its prefix, and that streams are not there yet', async () => {
    await onPlatform(async (platform) => {
      const { link, bus } = await platform.join('agent');
      const ports = { clock: new SystemClock(), random: new SystemRandom(), telemetry: new MemoryTelemetry() };
      expect(codeOf(await openNatsBus({ link, ports, role: 'agent', prefix: 'not.one.token' }))).toBe('WM_ARGUMENT');
      const published = await bus.publish(eventOf('e1'), UNFENCED);
      expect(published).toMatchObject({ ok: false, error: { code: 'WM_UNREACHABLE' } });
    });
  });

  test('an agent with the permissions of the reference works, and may make no streams, consumers or fences', async () => {
    const [example] = /^authorization \{[\s\S]*?^\}/m.exec(readFileSync(REFERENCE, 'utf8')) ?? [''];
    const own = await startNats({ config: example.replace('$CONTROLLER_PASSWORD', 'c').replace('$AGENT_PASSWORD', 'a') });
    const ports = { clock: new SystemClock(), random: new SystemRandom(), telemetry: new MemoryTelemetry() };
    const enter = async (user: string, password: string) =>
      get(await connectNats({ servers: [own.url], name: user, credentials: { kind: 'password', user, password }, tls: null }));
    const [platformLink, agentLink] = [await enter('controller', 'c'), await enter('agent', 'a')];
    const controller = get(await openNatsBus({ link: platformLink, ports, role: 'platform' }));
    const agent = get(await openNatsBus({ link: agentLink, ports, role: 'agent' }));
    try {
      const fence = fenceOf('app/0', 1);
      get(await controller.createConsumer(consumerOf('work', { backoffMs: 1, deliveriesMax: 2 })));
      get(await controller.fence(fence));
      get(await agent.publish(eventOf('e1'), { ...UNFENCED, fence }));
      for (const settlement of [{ kind: 'release' }, { kind: 'nak', reason: FAILURE }, { kind: 'nak', reason: FAILURE }] as const) {
        const [delivery] = get(await agent.fetch(WORK, { eventsMax: 1, waitMs: 5_000, fence }));
        get(await agent.settle(WORK, delivery!, settlement, { fence }));
      }
      const refused = [
        await agent.createConsumer(consumerOf('mine')),
        await agent.deleteConsumer(WORK),
        await agent.fence(fenceOf('app/0', 2)),
        await openNatsBus({ link: agentLink, ports, role: 'platform', prefix: 'mine' }),
      ];
      expect(refused.map(codeOf)).toEqual(Array.from({ length: 4 }, () => 'WM_NATS_REFUSED'));
      expect(refused[0]).toMatchObject({
        error: { message: expect.stringContaining('may not publish $JS.API.CONSUMER.CREATE.') as string },
      });
    } finally {
      for (const bus of [agent, controller]) bus.close();
      for (const link of [agentLink, platformLink]) await link.close();
      await own.stop();
    }
  });

  test('a server that is killed ends the fetches that wait; everything acknowledged is there afterwards, and work goes on', async () => {
    const own = await startNats();
    try {
      await onPlatform(
        async (platform) => {
          const [{ bus: controller, link }, { bus: agent }] = [await platform.join('platform'), await platform.join('agent')];
          get(await controller.createConsumer(consumerOf('work', { ackWaitMs: 2_000 })));
          get(await controller.createConsumer(consumerOf('idle')));
          get(await controller.fence(fenceOf('app/0', 1)));
          get(await controller.publish(eventOf('e1'), UNFENCED));
          const [held] = await fetchAll(agent);
          const waiting = agent.fetch('idle' as ConsumerName, { eventsMax: 1, waitMs: 30_000, fence: fenceOf('app/0', 1) });
          // `idle` has e1 too: what waits is the second fetch.
          expect(get(await waiting)).toHaveLength(1);
          const second = agent.fetch('idle' as ConsumerName, { eventsMax: 1, waitMs: 30_000, fence: null });
          await new SystemClock().sleep(0.2 * S);
          await own.kill();
          expect(['WM_CONNECTION_LOST', 'WM_UNREACHABLE']).toContain(codeOf(await second));
          expect(codeOf(await agent.settle(WORK, held!, { kind: 'ack' }, { fence: null }))).toBe('WM_UNREACHABLE');
          expect(codeOf(await controller.publish(eventOf('e2'), UNFENCED))).toBe('WM_UNREACHABLE');
          expect(codeOf(await controller.createConsumer(consumerOf('new')))).toBe('WM_UNREACHABLE');
          expect(codeOf(await controller.fence(fenceOf('app/0', 2)))).toBe('WM_UNREACHABLE');
          const back = new Promise<void>((resolve) => link.watch((state) => state === 'connected' && resolve()));
          await own.restart();
          await back;
          get(await controller.publish(eventOf('e2'), UNFENCED));
          const ids = new Set<string>();
          for (let i = 0; i < 20 && ids.size < 2; i++) {
            const fetched = await agent.fetch(WORK, { eventsMax: 10, waitMs: 1_000, fence: fenceOf('app/0', 1) });
            // The agent's own connection may come back a little later.
            if (!fetched.ok) await new SystemClock().sleep(0.2 * S);
            else for (const { event } of fetched.value) ids.add(event.id);
          }
          expect(ids).toEqual(new Set(['e1', 'e2']));
          expect(codeOf(await agent.publish(eventOf('e3'), { ...UNFENCED, fence: fenceOf('app/0', 1) }))).toBe('ok');
        },
        {},
        own.url,
      );
    } finally {
      await own.stop();
    }
  });

  test('ends what waits when it is closed, and refuses from then on', async () => {
    await onPlatform(async (platform) => {
      const { bus } = await platform.join('platform');
      get(await bus.createConsumer(consumerOf('work')));
      const waiting = bus.fetch(WORK, { eventsMax: 1, waitMs: 30_000, fence: null });
      await new SystemClock().sleep(0.2 * S);
      bus.close();
      expect(codeOf(await waiting)).toBe('WM_CANCELLED');
      expect(codeOf(await bus.publish(eventOf('e1'), UNFENCED))).toBe('WM_CANCELLED');
    });
  });
});
