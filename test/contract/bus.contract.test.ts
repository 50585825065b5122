// What any bus promises to those who publish and consume. The embedded broker runs in the simulated world, on a machine of its
// own, with its client on another; and on real ones, over gRPC and SQLite. NATS JetStream stands beside it.
import { mkdtempSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openNatsBus } from '../../hardware/bus/bus.ts';
import { SystemClock } from '../../hardware/clock/clock.ts';
import { connectNats } from '../../hardware/nats/nats.ts';
import { PROTOCOL_METHODS } from '../../hardware/network/network.ts';
import { SystemRandom } from '../../hardware/random/random.ts';
import { openStorage } from '../../hardware/storage/storage.ts';
import { createClock } from '../../sim/clock/clock.ts';
import { DISK_COSTS } from '../../sim/costs/costs.ts';
import { createRandom } from '../../sim/random/random.ts';
import { createDisk, SimStorage } from '../../sim/storage/storage.ts';
import { RecordSink } from '../../sim/telemetry/telemetry.ts';
import { createBroker, createBusClient } from '../../system/bus/bus.ts';
import type { ConsumerSpec } from '../../system/domain/broker.ts';
import type { BusEvent, FencingToken } from '../../system/domain/event.ts';
import type {
  ConsumerName,
  CorrelationId,
  Endpoint,
  Epoch,
  EventId,
  InstanceId,
  Subject,
  SubjectFilter,
} from '../../system/domain/identifiers.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Bus } from '../../system/ports/bus.ts';
import type { ServiceHandler } from '../../system/ports/network.ts';
import { admitAll } from '../support/bus/site.ts';
import { NATS, startNats, type NatsServer } from '../support/nats/nats.ts';
import { MemoryTelemetry } from '../support/ports/memory-telemetry.ts';
import { GrpcWorld, TestAuthority } from './grpc-world.ts';
import { CLOUD, FLEET, SimWorld } from './sim-world.ts';

type Sides = {
  readonly bus: Bus;
  /** As the platform does when an instance was placed anew. */
  readonly fence: (token: FencingToken) => void | Promise<void>;
  readonly sleep: (micros: number) => Promise<void>;
  readonly nowMicros: () => number;
};
type Arm = { readonly world: string; readonly play: <T>(queueEventsMax: number, body: (sides: Sides) => Promise<T>) => Promise<T> };

const BROKER = 'broker' as Endpoint;

const CLIENT = 'node/client';
/** One for all, started by the first who needs it; each play has streams of its own. */
let server: Promise<NatsServer> | null = null;
let plays = 0;
afterAll(async () => (await server)?.stop());

const realSleep = (micros: number): Promise<void> => new SystemClock().sleep(micros);

const JETSTREAM: Arm = {
  // As short as the runner shows it whole: which server it was stands in the table at the end.
  world: 'missing' in NATS ? 'NATS' : NATS.title,
  play: async (queueEventsMax, body) => {
    server ??= startNats();
    const { url } = await server;
    const clock = new SystemClock();
    const ports = { clock, random: new SystemRandom(), telemetry: new MemoryTelemetry() };
    const prefix = `play-${(plays += 1)}`;
    const enter = async () => get(await connectNats({ servers: [url], name: prefix, credentials: { kind: 'none' }, tls: null }));
    const [platformLink, agentLink] = [await enter(), await enter()];
    const platform = get(await openNatsBus({ link: platformLink, ports, role: 'platform', prefix, queueEventsMax }));
    const bus = get(await openNatsBus({ link: agentLink, ports, role: 'agent', prefix }));
    try {
      return await body({
        bus,
        fence: async (token) => get(await platform.fence(token)),
        sleep: realSleep,
        nowMicros: () => clock.monotonicMicros(),
      });
    } finally {
      for (const each of [bus, platform]) each.close();
      for (const link of [agentLink, platformLink]) await link.close();
    }
  },
};

const ARMS: readonly Arm[] = [
  {
    world: 'embedded broker in the simulated world',
    play: (queueEventsMax, body) => {
      const world = new SimWorld();
      const machine = world.add('broker', CLOUD);
      world.add('client', FLEET);
      const disk = createDisk(world.kernel.stream('disk'), DISK_COSTS);
      const host = {
        nowMicros: () => world.kernel.now(),
        after: (delay: number, label: string, fn: () => void) => void world.kernel.after(delay, machine, label, fn),
      };
      const broker = createBroker(
        {
          clock: createClock(world.kernel, machine),
          random: createRandom(world.kernel, machine),
          storage: new SimStorage(disk, host, DISK_COSTS),
          telemetry: new RecordSink(world.kernel).portOf('broker', 1, () => true),
        },
        { queueEventsMax },
      );
      return world.play(null, async () => {
        get(await broker.start());
        get(
          await world.network.portOf('broker').listen(BROKER, {
            call: (method, _peer, request) => broker.handleCall(method, admitAll, request),
            stream: async () => {},
          }),
        );
        return body({
          bus: createBusClient({ network: world.network.portOf('client') }, { broker: BROKER }),
          fence: (token) => broker.fence(token),
          sleep: (micros) => new Promise((resolve) => world.kernel.after(micros, null, 'sleep', resolve)),
          nowMicros: () => world.kernel.now(),
        });
      });
    },
  },
  {
    world: 'embedded broker over gRPC and SQLite',
    play: async (queueEventsMax, body) => {
      const folder = mkdtempSync(join(tmpdir(), 'wasmmatrix-bus-'));
      const authority = await TestAuthority.create();
      const world = new GrpcWorld();
      const machine = async (name: string) => world.machine((await authority.issue(name)).identity, { methods: PROTOCOL_METHODS });
      const [controller, client] = [await machine('controller'), await machine(CLIENT)];
      const storage = get(await openStorage({ folder }));
      const clock = new SystemClock();
      const broker = createBroker({ clock, random: new SystemRandom(), storage, telemetry: new MemoryTelemetry() }, { queueEventsMax });
      const bus = createBusClient({ network: client }, { broker: BROKER });
      try {
        get(await broker.start());
        const call: ServiceHandler['call'] = (method, _peer, request) => broker.handleCall(method, admitAll, request);
        const handler = { call, stream: async () => {} };
        get(await controller.listen(BROKER, handler));
        return await body({ bus, fence: (token) => broker.fence(token), sleep: realSleep, nowMicros: () => clock.monotonicMicros() });
      } finally {
        bus.close();
        await broker.stop();
        await world.close();
        await storage.close();
        await rm(folder, { recursive: true, force: true });
      }
    },
  },
  ...('missing' in NATS ? [] : [JETSTREAM]),
];

const SECOND = 1_000_000;
const UNFENCED = { fence: null, deadlineMicros: 5 * SECOND } as const;
const CONSUMER = 'workers' as ConsumerName;
const SPEC: ConsumerSpec = {
  name: CONSUMER,
  filter: 'jobs.>' as SubjectFilter,
  /** Longer than a busy machine takes for any test that does not wait for it. */
  ackWaitMs: 30_000,
  deliveriesMax: 3,
  backoffMs: 100,
  backoffMsMax: 1_000,
  pendingMax: 10,
  idleMsMax: null,
};
const FETCH = { eventsMax: 5, waitMs: 1_000, fence: null } as const;

function eventOf(id: string, subject = 'jobs.a'): BusEvent {
  return {
    id: id as EventId,
    subject: subject as Subject,
    timeMs: 1,
    correlation: `c-${id}` as CorrelationId,
    headers: { source: 'test' },
    data: new TextEncoder().encode(id),
  };
}

function tokenOf(epoch: number): FencingToken {
  return { instance: 'jobs/0' as InstanceId, epoch: epoch as Epoch };
}

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : outcome.error.code);

async function idsOf(bus: Bus, consumer = CONSUMER): Promise<string[]> {
  return get(await bus.fetch(consumer, FETCH)).map(({ event }) => event.id);
}

// Left out, and said aloud, where there is neither a nats-server nor Go to build one.
it.skipIf('missing' in NATS)(`plays on NATS JetStream too (${'missing' in NATS ? NATS.missing : NATS.title})`, () => {
  expect(ARMS).toHaveLength(3);
});

describe.each(ARMS)('a bus: $world', ({ play }) => {
  it('delivers whole events in the order of their publication, from the creation of the consumer on', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.publish(eventOf('too-early'), UNFENCED));
      get(await bus.createConsumer(SPEC));
      for (const id of ['one', 'two', 'three']) get(await bus.publish(eventOf(id), UNFENCED));
      get(await bus.publish(eventOf('other', 'elsewhere.a'), UNFENCED));
      const deliveries = get(await bus.fetch(CONSUMER, FETCH));
      expect(deliveries.map(({ event, attempt }) => [event.id, attempt])).toEqual([
        ['one', 1],
        ['two', 1],
        ['three', 1],
      ]);
      expect(deliveries[0]!.event).toEqual(eventOf('one'));
    });
  });

  it('stores an event once, however often it is published', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.createConsumer(SPEC));
      const first = get(await bus.publish(eventOf('one'), UNFENCED));
      const second = get(await bus.publish(eventOf('one'), UNFENCED));
      expect([first.duplicate, second.duplicate, second.sequence]).toEqual([false, true, first.sequence]);
      expect(await idsOf(bus)).toEqual(['one']);
      expect(await idsOf(bus)).toEqual([]);
    });
  });

  it('waits for the first event as long as it was told, and answers as soon as there is one', async () => {
    await play(100, async ({ bus, sleep, nowMicros }) => {
      get(await bus.createConsumer(SPEC));
      const before = nowMicros();
      expect(await idsOf(bus)).toEqual([]);
      expect(nowMicros() - before).toBeGreaterThanOrEqual(SECOND);
      const fetched = bus.fetch(CONSUMER, { ...FETCH, waitMs: 20_000 });
      await sleep(300_000);
      const published = nowMicros();
      get(await bus.publish(eventOf('one'), UNFENCED));
      expect(get(await fetched).map(({ event }) => event.id)).toEqual(['one']);
      // Long before its wait is over, also on a real machine that is busy.
      expect(nowMicros() - published).toBeLessThan(10 * SECOND);
    });
  });

  it('hands nothing to an instance that has withdrawn, and the next event to others at once', async () => {
    await play(100, async ({ bus, fence, sleep, nowMicros }) => {
      get(await bus.createConsumer(SPEC));
      const leaving = { instance: 'leaving/0' as InstanceId, epoch: 3 as Epoch };
      await fence(leaving);
      const fetched = bus.fetch(CONSUMER, { ...FETCH, waitMs: 20_000, fence: leaving });
      await sleep(1_500_000);
      const withdrawn = nowMicros();
      get(await bus.withdraw(CONSUMER, { fence: leaving }));
      expect(get(await fetched)).toEqual([]);
      expect(nowMicros() - withdrawn).toBeLessThan(10 * SECOND);
      get(await bus.publish(eventOf('one'), UNFENCED));
      expect(await idsOf(bus)).toEqual(['one']);
    });
  });

  it('lets those wait who have not withdrawn: another instance, or another epoch of the same', async () => {
    await play(100, async ({ bus, fence, sleep }) => {
      get(await bus.createConsumer(SPEC));
      const staying = { instance: 'staying/0' as InstanceId, epoch: 3 as Epoch };
      await fence(staying);
      const fetched = bus.fetch(CONSUMER, { ...FETCH, waitMs: 20_000, fence: staying });
      await sleep(1_500_000);
      get(await bus.withdraw(CONSUMER, { fence: { ...staying, epoch: 2 as Epoch } }));
      get(await bus.withdraw(CONSUMER, { fence: { ...staying, instance: 'leaving/0' as InstanceId } }));
      get(await bus.publish(eventOf('one'), UNFENCED));
      expect(get(await fetched).map(({ event }) => event.id)).toEqual(['one']);
    });
  });

  it('gives each event to one of those who fetch', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.createConsumer(SPEC));
      const fetches = [idsOf(bus), idsOf(bus)];
      for (const id of ['one', 'two', 'three', 'four']) get(await bus.publish(eventOf(id), UNFENCED));
      const ids = [...(await Promise.all(fetches)).flat(), ...(await idsOf(bus))];
      expect(ids.toSorted()).toEqual(['four', 'one', 'three', 'two']);
    });
  });

  it('delivers again what was refused or not settled in time, and a dead letter after the last delivery', async () => {
    await play(100, async ({ bus, sleep }) => {
      get(await bus.createConsumer({ ...SPEC, ackWaitMs: 1_000 }));
      get(await bus.createConsumer({ ...SPEC, name: 'dead' as ConsumerName, filter: 'dead.>' as SubjectFilter }));
      get(await bus.publish(eventOf('one'), UNFENCED));
      const [first] = get(await bus.fetch(CONSUMER, FETCH));
      get(await bus.settle(CONSUMER, first!, { kind: 'nak', reason: { code: 'WM_GUEST_TRAPPED', message: 'no' } }, { fence: null }));
      const [second] = get(await bus.fetch(CONSUMER, FETCH));
      expect([second!.event.id, second!.attempt]).toEqual(['one', 2]);
      await sleep(1_500_000);
      expect(codeOf(await bus.settle(CONSUMER, second!, { kind: 'ack' }, { fence: null }))).toBe('WM_NOT_FOUND');
      const [third] = get(await bus.fetch(CONSUMER, { ...FETCH, waitMs: 3_000 }));
      expect([third!.event.id, third!.attempt]).toEqual(['one', 3]);
      get(await bus.settle(CONSUMER, third!, { kind: 'nak', reason: { code: 'WM_GUEST_TRAPPED', message: 'never' } }, { fence: null }));
      expect(await idsOf(bus)).toEqual([]);
      const [dead] = get(await bus.fetch('dead' as ConsumerName, FETCH));
      expect(dead!.event.subject).toBe(`dead.${CONSUMER}`);
      expect(dead!.event.data).toEqual(eventOf('one').data);
      expect([dead!.event.correlation, dead!.event.headers]).toEqual([
        'c-one',
        {
          source: 'one',
          subject: 'jobs.a',
          attempts: '3',
          code: 'WM_GUEST_TRAPPED',
          reason: 'never',
          history: 'WM_GUEST_TRAPPED WM_DEADLINE WM_GUEST_TRAPPED',
        },
      ]);
    });
  });

  it('ends what can never succeed at once, with a dead letter', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.createConsumer(SPEC));
      get(await bus.createConsumer({ ...SPEC, name: 'dead' as ConsumerName, filter: 'dead.>' as SubjectFilter }));
      get(await bus.publish(eventOf('one'), UNFENCED));
      const [only] = get(await bus.fetch(CONSUMER, FETCH));
      get(await bus.settle(CONSUMER, only!, { kind: 'term', reason: { code: 'WM_EVENT_INVALID', message: 'no' } }, { fence: null }));
      const [dead] = get(await bus.fetch('dead' as ConsumerName, FETCH));
      expect(dead!.event.headers).toMatchObject({ attempts: '1', history: 'WM_EVENT_INVALID' });
      expect(await idsOf(bus)).toEqual([]);
    });
  });

  it('counts no delivery that was given back, and gives it to the next who asks', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.createConsumer(SPEC));
      get(await bus.publish(eventOf('one'), UNFENCED));
      for (let i = 0; i < 4; i++) {
        const [delivery] = get(await bus.fetch(CONSUMER, FETCH));
        expect(delivery!.attempt).toBe(1);
        get(await bus.settle(CONSUMER, delivery!, { kind: 'release' }, { fence: null }));
      }
      const [last] = get(await bus.fetch(CONSUMER, FETCH));
      get(await bus.settle(CONSUMER, last!, { kind: 'nak', reason: { code: 'WM_GUEST_TRAPPED', message: 'no' } }, { fence: null }));
      const [second] = get(await bus.fetch(CONSUMER, FETCH));
      expect(second!.attempt).toBe(2);
    });
  });

  it('takes an acknowledgement again that was given already', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.createConsumer(SPEC));
      get(await bus.publish(eventOf('one'), UNFENCED));
      const [delivery] = get(await bus.fetch(CONSUMER, FETCH));
      for (let i = 0; i < 2; i++) expect(codeOf(await bus.settle(CONSUMER, delivery!, { kind: 'ack' }, { fence: null }))).toBe('ok');
    });
  });

  it('lets go of a consumer that nobody fetched from for as long as it says', async () => {
    await play(100, async ({ bus, sleep }) => {
      get(await bus.createConsumer({ ...SPEC, name: 'kept' as ConsumerName }));
      get(await bus.createConsumer({ ...SPEC, idleMsMax: 2_000 }));
      expect(await idsOf(bus)).toEqual([]);
      await sleep(6 * SECOND);
      expect(codeOf(await bus.fetch(CONSUMER, FETCH))).toBe('WM_BUS_CONSUMER_UNKNOWN');
      expect(await idsOf(bus, 'kept' as ConsumerName)).toEqual([]);
    });
  });

  it('never delivers again what was acknowledged', async () => {
    await play(100, async ({ bus, sleep }) => {
      get(await bus.createConsumer({ ...SPEC, ackWaitMs: 1_000 }));
      get(await bus.publish(eventOf('one'), UNFENCED));
      const [delivery] = get(await bus.fetch(CONSUMER, FETCH));
      get(await bus.settle(CONSUMER, delivery!, { kind: 'ack' }, { fence: null }));
      await sleep(3 * SECOND);
      expect(await idsOf(bus)).toEqual([]);
    });
  });

  it('refuses events beyond its bound, stores nothing of them, and takes them when there is room', async () => {
    await play(8, async ({ bus }) => {
      get(await bus.createConsumer({ ...SPEC, pendingMax: 100 }));
      const codes: string[] = [];
      for (let i = 0; i < 12; i++) codes.push(codeOf(await bus.publish(eventOf(`e${i}`), UNFENCED)));
      const accepted = codes.filter((code) => code === 'ok').length;
      expect(new Set(codes)).toEqual(new Set(['ok', 'WM_BUS_FULL']));
      expect(accepted).toBeLessThanOrEqual(8);
      const deliveries = get(await bus.fetch(CONSUMER, { ...FETCH, eventsMax: 100 }));
      expect(deliveries).toHaveLength(accepted);
      for (const delivery of deliveries) get(await bus.settle(CONSUMER, delivery, { kind: 'ack' }, { fence: null }));
      expect(codeOf(await bus.publish(eventOf('e11'), UNFENCED))).toBe('ok');
    });
  });

  it('holds back what goes beyond the outstanding deliveries of a consumer', async () => {
    await play(100, async ({ bus }) => {
      get(await bus.createConsumer({ ...SPEC, pendingMax: 2 }));
      for (const id of ['one', 'two', 'three']) get(await bus.publish(eventOf(id), UNFENCED));
      const deliveries = get(await bus.fetch(CONSUMER, FETCH));
      expect(deliveries).toHaveLength(2);
      get(await bus.settle(CONSUMER, deliveries[0]!, { kind: 'ack' }, { fence: null }));
      expect(await idsOf(bus)).toEqual(['three']);
    });
  });

  it('refuses every effect of an instance that was superseded', async () => {
    await play(100, async ({ bus, fence }) => {
      get(await bus.createConsumer(SPEC));
      get(await bus.publish(eventOf('one'), UNFENCED));
      await fence(tokenOf(1));
      const [delivery] = get(await bus.fetch(CONSUMER, { ...FETCH, fence: tokenOf(1) }));
      await fence(tokenOf(2));
      expect(codeOf(await bus.settle(CONSUMER, delivery!, { kind: 'ack' }, { fence: tokenOf(1) }))).toBe('WM_FENCED');
      expect(codeOf(await bus.publish(eventOf('result', 'results.a'), { ...UNFENCED, fence: tokenOf(1) }))).toBe('WM_FENCED');
      expect(codeOf(await bus.fetch(CONSUMER, { ...FETCH, fence: tokenOf(1) }))).toBe('WM_FENCED');
      expect(codeOf(await bus.publish(eventOf('result', 'results.a'), { ...UNFENCED, fence: tokenOf(2) }))).toBe('ok');
    });
  });

  it('knows no consumer that was not created or was deleted', async () => {
    await play(100, async ({ bus }) => {
      expect(codeOf(await bus.fetch(CONSUMER, FETCH))).toBe('WM_BUS_CONSUMER_UNKNOWN');
      get(await bus.createConsumer(SPEC));
      get(await bus.deleteConsumer(CONSUMER));
      expect(codeOf(await bus.fetch(CONSUMER, FETCH))).toBe('WM_BUS_CONSUMER_UNKNOWN');
    });
  });
});
