// What faults of services do to a caller on the network port, and to the service behind it.
import { expect, it } from 'vitest';
import { createClock } from '../../../sim/clock/clock.ts';
import { Rogue } from '../../../sim/faults/rogue.ts';
import { ServiceFaults, type ServiceFault } from '../../../sim/faults/services.ts';
import { FETCH_EVENTS_METHOD, PUBLISH_METHOD } from '../../../system/domain/broker.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { ok, type Outcome } from '../../../system/domain/outcome.ts';
import { FETCH_METHOD } from '../../../system/domain/session.ts';
import { CLOUD, FLEET, SimWorld } from '../../contract/sim-world.ts';

const ENDPOINT = 'controller' as Endpoint;
const SECOND = 1_000_000;

/** A service that counts calls and echoes them, and a client far away. */
function setUp(witness = 'witness') {
  const world = new SimWorld();
  const { kernel, network } = world;
  const controller = world.add('controller', CLOUD);
  const client = world.add('client', FLEET);
  const faults = new ServiceFaults(kernel, witness);
  const calls: string[] = [];
  const said = { streams: 0, bytes: 0, waitMicros: 0 };
  const listen = () =>
    faults.wrap(network.portOf('controller'), createClock(kernel, controller)).listen(ENDPOINT, {
      call: async (method, _, request) => {
        calls.push(method);
        said.bytes += request.length;
        if (said.waitMicros > 0) await new Promise<void>((resolve) => kernel.after(said.waitMicros, controller, 'wait', resolve));
        return ok(request);
      },
      stream: async (_, stream) => {
        said.streams++;
        for (let got = await stream.receive(); got.ok && got.value !== null; got = await stream.receive()) said.bytes += got.value.length;
      },
    });
  const play = <T>(body: (call: (method: string, bytes: readonly number[]) => Promise<Outcome<Uint8Array>>) => Promise<T>): Promise<T> =>
    world.play(client, async () => {
      await listen();
      const connected = await network.portOf('client').connect(ENDPOINT, { deadlineMicros: SECOND });
      if (!connected.ok) throw new Error(connected.error.message);
      return body((method, bytes) => connected.value.call(method, new Uint8Array(bytes), { deadlineMicros: 10 * SECOND }));
    });
  return { world, kernel, network, client, faults, calls, said, play };
}

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.code} ${outcome.error.kind}`);

it.each<[ServiceFault, string, number]>([
  [{ kind: 'broker-outage', forMicros: 1 }, 'WM_UNREACHABLE failed', 0],
  [{ kind: 'broker-loses-answers', ratio: [1, 1], forMicros: 1 }, 'WM_CONNECTION_LOST unknown', 1],
  [{ kind: 'broker-repeats', ratio: [1, 1], forMicros: 1 }, 'ok', 2],
  [{ kind: 'broker-slow', byMicros: 1, forMicros: 1 }, 'ok', 1],
])('%o: the broker is called otherwise, other services as ever, and it ends', async (fault, code, handled) => {
  const { faults, calls, play } = setUp();
  await play(async (call) => {
    faults.begin('f', fault);
    expect(codeOf(await call(PUBLISH_METHOD, [1]))).toBe(code);
    expect(calls).toHaveLength(handled);
    expect(codeOf(await call(FETCH_METHOD, [1]))).toBe('ok');
    faults.end('f');
    expect(codeOf(await call(PUBLISH_METHOD, [1]))).toBe('ok');
    expect(calls).toHaveLength(handled + 2);
  });
});

it('an outage is the end of calls that wait or are slow when it begins', async () => {
  const { kernel, faults, calls, said, play } = setUp();
  await play(async (call) => {
    said.waitMicros = SECOND;
    const waiting = call(FETCH_EVENTS_METHOD, [1]);
    kernel.after(SECOND / 2, null, 'outage', () => faults.begin('f', { kind: 'broker-outage', forMicros: SECOND }));
    expect(codeOf(await waiting)).toBe('WM_CONNECTION_LOST unknown');
    faults.end('f');
    said.waitMicros = 0;
    faults.begin('s', { kind: 'broker-slow', byMicros: SECOND, forMicros: 1 });
    const slow = call(PUBLISH_METHOD, [1]);
    kernel.after(SECOND / 2, null, 'outage', () => faults.begin('f', { kind: 'broker-outage', forMicros: SECOND }));
    expect(codeOf(await slow)).toBe('WM_UNREACHABLE failed');
  });
  expect(calls).toEqual([FETCH_EVENTS_METHOD]);
});

it('the one who watches is spared', async () => {
  const { faults, play } = setUp('client');
  await play(async (call) => {
    faults.begin('f', { kind: 'broker-outage', forMicros: 1 });
    expect(codeOf(await call(PUBLISH_METHOD, [1]))).toBe('ok');
  });
});

it('a chance is one for each call', async () => {
  const { faults, calls, play } = setUp();
  await play(async (call) => {
    faults.begin('f', { kind: 'broker-repeats', ratio: [1, 4], forMicros: 1 });
    for (let i = 0; i < 200; i++) await call(PUBLISH_METHOD, [1]);
  });
  expect(calls.length).toBeGreaterThan(225);
  expect(calls.length).toBeLessThan(275);
});

it('a slow broker answers so much later', async () => {
  const { kernel, faults, play } = setUp();
  const [usual, slow] = await play(async (call) => {
    const times: number[] = [];
    for (let i = 0; i < 2; i++) {
      const before = kernel.now();
      await call(PUBLISH_METHOD, [1]);
      times.push(kernel.now() - before);
      if (i === 0) faults.begin('f', { kind: 'broker-slow', byMicros: 40_000, forMicros: 1 });
    }
    return times;
  });
  expect((slow ?? 0) - (usual ?? 0)).toBe(40_000);
});

it('an artefact is cut short, changed in one bit, or comes in the place of another', async () => {
  const { faults, play } = setUp();
  const bytes = [1, 2, 3, 4, 5, 6, 7, 8];
  await play(async (call) => {
    const fetch = async (value: readonly number[]): Promise<number[]> => {
      const answer = await call(FETCH_METHOD, value);
      return answer.ok ? [...answer.value] : [];
    };
    faults.begin('cut', { kind: 'spoil-artefact', how: 'truncated', forMicros: 1 });
    expect(await fetch(bytes)).toEqual([1, 2, 3, 4, 5, 6]);
    faults.end('cut');
    faults.begin('bit', { kind: 'spoil-artefact', how: 'changed', forMicros: 1 });
    expect((await fetch(bytes)).filter((byte, at) => byte !== bytes[at])).toHaveLength(1);
    faults.end('bit');
    faults.begin('other', { kind: 'spoil-artefact', how: 'swapped', forMicros: 1 });
    expect([await fetch([1]), await fetch([2]), await fetch([3])]).toEqual([[1], [1], [2]]);
    faults.end('other');
    expect(await fetch([4])).toEqual([4]);
    // What was sent under a fault that is over is nothing that this one knows.
    faults.begin('again', { kind: 'spoil-artefact', how: 'swapped', forMicros: 1 });
    expect([await fetch([5]), await fetch([6])]).toEqual([[5], [5]]);
  });
});

it('a reset of connections is heard of on both sides, and who dials again is let in', async () => {
  const { network, play } = setUp();
  await play(async (call) => {
    const pending = call('/never/answered', []);
    network.reset('controller', 'witness');
    expect(codeOf(await pending)).toBe('WM_CONNECTION_LOST unknown');
    const again = await network.portOf('client').connect(ENDPOINT, { deadlineMicros: SECOND });
    expect(again.ok).toBe(true);
  });
});

it('garbage comes as calls and streams, until it ends', async () => {
  const { kernel, network, client, calls, said, play } = setUp();
  await play(async () => {
    const rogue = new Rogue({ kernel, network, machine: client, controller: ENDPOINT });
    rogue.start();
    await createClock(kernel, client).sleep(10 * SECOND);
    rogue.stop();
    await createClock(kernel, client).sleep(SECOND);
    const before = calls.length + said.streams;
    expect(before).toBeGreaterThan(90);
    expect(new Set(calls).size).toBeGreaterThan(4);
    expect(said.streams).toBeGreaterThan(20);
    expect(said.bytes).toBeGreaterThan(10_000);
    await createClock(kernel, client).sleep(SECOND);
    expect(calls.length + said.streams).toBe(before);
  });
});
