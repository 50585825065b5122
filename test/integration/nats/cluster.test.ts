// The bus on three servers, each event on two of them before it is acknowledged: one of them may die.
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import type { ConsumerName } from '../../../system/domain/identifiers.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import { codeOf, consumerOf, eventOf, fenceOf, get } from '../../support/bus/site.ts';
import { startCluster, untilHealthy } from '../../support/nats/cluster.ts';
import { NATS, type NatsServer } from '../../support/nats/nats.ts';
import { NatsPlatform } from '../../support/nats/platform.ts';

const REPLICAS = 3;
const WORK = 'work' as ConsumerName;
const EVENTS_EACH_ROUND = 100;
/** Bound: repetitions of one request while servers elect a leader. */
const TRIES_MAX = 200;

/** Repeats what is not refused: as the product does with backoff. */
async function insist<T>(request: () => Promise<Outcome<T>>): Promise<T> {
  for (let tries = 1; ; tries++) {
    const done = await request();
    if (done.ok || done.error.kind === 'rejected' || tries >= TRIES_MAX) return get(done);
    await new SystemClock().sleep(100_000);
  }
}

// Left out where there is neither a nats-server nor Go to build one.
describe.skipIf('missing' in NATS)(`the bus on a cluster (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  let servers: readonly NatsServer[] = [];
  beforeAll(async () => {
    servers = await startCluster(REPLICAS);
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.stop()));
  });

  async function onPlatform(body: (platform: NatsPlatform) => Promise<void>): Promise<void> {
    const platform = new NatsPlatform(
      servers.map(({ url }) => url),
      { replicas: REPLICAS },
    );
    try {
      await body(platform);
    } finally {
      await platform.leave();
    }
  }

  test('refuses what a superseded instance publishes, whatever server it is connected to', async () => {
    await onPlatform(async (platform) => {
      const { bus: controller } = await platform.join('platform');
      await insist(() => controller.createConsumer(consumerOf('work')));
      await insist(() => controller.fence(fenceOf('app/0', 1)));
      const stale = [];
      for (let i = 0; i < REPLICAS; i++) stale.push((await platform.join('agent', { deaf: true })).bus);
      for (const [i, bus] of stale.entries())
        await insist(() => bus.publish(eventOf(`e${i}`), { fence: fenceOf('app/0', 1), deadlineMicros: 5_000_000 }));
      await insist(() => controller.fence(fenceOf('app/0', 2)));
      const late = await Promise.all(
        stale.map((bus, i) => bus.publish(eventOf(`late${i}`), { fence: fenceOf('app/0', 1), deadlineMicros: 20_000_000 })),
      );
      expect(late.map(codeOf)).toEqual(stale.map(() => 'WM_FENCED'));
    });
  });

  test('delivers every event that it acknowledged, while one server after the other is killed', async () => {
    await onPlatform(async (platform) => {
      const [{ bus: controller }, { bus: agent }] = [await platform.join('platform'), await platform.join('agent')];
      await insist(() =>
        controller.createConsumer(consumerOf('work', { ackWaitMs: 3_000, deliveriesMax: 100, backoffMs: 1, backoffMsMax: 1 })),
      );
      await insist(() => controller.fence(fenceOf('app/0', 1)));
      const acknowledged = new Set<string>();
      const handled = new Set<string>();
      let isPublishing = true;
      const handling = (async () => {
        while (isPublishing || handled.size < acknowledged.size) {
          const fetched = await agent.fetch(WORK, { eventsMax: 20, waitMs: 500, fence: fenceOf('app/0', 1) });
          if (!fetched.ok) await new SystemClock().sleep(50_000);
          for (const delivery of fetched.ok ? fetched.value : []) {
            handled.add(delivery.event.id);
            // What becomes of it may stay unknown: then the event is over, or comes again.
            await agent.settle(WORK, delivery, { kind: 'ack' }, { fence: fenceOf('app/0', 1) });
          }
        }
      })();
      for (const [round, server] of servers.entries()) {
        const killing = new SystemClock().sleep(200_000).then(() => server.kill());
        for (let i = 0; i < EVENTS_EACH_ROUND; i++) {
          const event = eventOf(`r${round}-${i}`);
          await insist(() => controller.publish(event, { fence: null, deadlineMicros: 2_000_000 }));
          acknowledged.add(event.id);
        }
        await killing;
        await server.restart();
        // Nobody kills a second one before the first is back: two of three are needed.
        await untilHealthy(servers);
      }
      isPublishing = false;
      await handling;
      expect(acknowledged.size).toBe(REPLICAS * EVENTS_EACH_ROUND);
      expect([...acknowledged].filter((id) => !handled.has(id))).toEqual([]);
    });
  });
});
