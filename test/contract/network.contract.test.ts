// What any network promises while nothing is broken. What each fault does to the simulated one: test/unit/sim-network.
import { describe, expect, it } from 'vitest';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { ByteStream, Connection, Network, ServiceHandler } from '../../system/ports/network.ts';
import { GrpcWorld, TestAuthority } from './grpc-world.ts';
import { CLOUD, FLEET, SimWorld } from './sim-world.ts';

/** `server` and `client` are the ports of two machines whose identities are `server` and `client`. */
type Sides = { readonly server: Network; readonly client: Network; readonly sleep: (micros: number) => Promise<void> };
type Arm = { readonly world: string; readonly play: <T>(body: (sides: Sides) => Promise<T>) => Promise<T> };

const ARMS: readonly Arm[] = [
  {
    world: 'simulated',
    play: (body) => {
      const world = new SimWorld({ latency: { law: 'uniform', microsMin: 1_000, microsMax: 9_000 }, loss: [1, 20] });
      world.add('server', CLOUD);
      world.add('client', FLEET);
      const sleep = (micros: number) => new Promise<void>((resolve) => world.kernel.after(micros, null, 'sleep', resolve));
      return world.play(null, () => body({ server: world.network.portOf('server'), client: world.network.portOf('client'), sleep }));
    },
  },
  {
    world: 'real',
    play: async (body) => {
      const authority = await TestAuthority.create();
      const world = new GrpcWorld();
      const server = world.machine((await authority.issue('server')).identity);
      const client = world.machine((await authority.issue('client')).identity);
      try {
        return await body({ server, client, sleep: (micros) => new Promise((resolve) => setTimeout(resolve, micros / 1_000)) });
      } finally {
        await world.close();
      }
    },
  },
];

const SERVICE = 'service' as Endpoint;
const SECOND = 1_000_000;
const UNUSED: ServiceHandler['stream'] = async () => {};

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const textOf = (message: Uint8Array): string => new TextDecoder().decode(message);
const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.kind} ${outcome.error.code}`);

function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(outcome.error.message);
  return outcome.value;
}

async function connect({ server, client }: Sides, handler: ServiceHandler): Promise<Connection> {
  get(await server.listen(SERVICE, handler));
  return get(await client.connect(SERVICE, { deadlineMicros: 5 * SECOND }));
}

async function drain(stream: ByteStream): Promise<string[]> {
  const all: string[] = [];
  for (;;) {
    const message = get(await stream.receive());
    if (message === null) return all;
    all.push(textOf(message));
  }
}

describe.each(ARMS)('the $world network', ({ play }) => {
  it('carries a call with its method and the identity of each side to the other', async () => {
    await play(async (sides) => {
      const connection = await connect(sides, {
        call: async (method, peer, request) => ok(bytes(`${method} ${peer.name} ${textOf(request)}`)),
        stream: UNUSED,
      });
      expect(connection.peer.name).toBe('server');
      expect(textOf(get(await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND })))).toBe('/a/B client x');
    });
  });

  it('brings an error of the handler back whole', async () => {
    await play(async (sides) => {
      const refusal = rejected('WM_CONFLICT', { message: 'Ünique.', next: 'Again.', detail: { version: 3, key: 'k', open: true } });
      const connection = await connect(sides, { call: async () => refusal, stream: UNUSED });
      expect(await connection.call('/a/B', bytes(''), { deadlineMicros: SECOND })).toEqual(refusal);
    });
  });

  it('keeps calls apart: a late answer holds up no other', async () => {
    await play(async (sides) => {
      const order: string[] = [];
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => {
          if (textOf(request) === 'slow') await sides.sleep(300_000);
          return ok(request);
        },
        stream: UNUSED,
      });
      await Promise.all(
        ['slow', 'quick'].map(async (text) =>
          order.push(textOf(get(await connection.call('/a/B', bytes(text), { deadlineMicros: SECOND })))),
        ),
      );
      expect(order).toEqual(['quick', 'slow']);
    });
  });

  it('ends a call at its deadline as unknown', async () => {
    await play(async (sides) => {
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => (await sides.sleep(2 * SECOND), ok(request)),
        stream: UNUSED,
      });
      expect(codeOf(await connection.call('/a/B', bytes('x'), { deadlineMicros: 100_000 }))).toBe('unknown WM_DEADLINE');
    });
  });

  it('takes a message as it was when it was sent', async () => {
    await play(async (sides) => {
      const connection = await connect(sides, { call: async (_method, _peer, request) => ok(request), stream: UNUSED });
      const request = bytes('before');
      const answer = connection.call('/a/B', request, { deadlineMicros: SECOND });
      request.set(bytes('after!'));
      expect(textOf(get(await answer))).toBe('before');
    });
  });

  it('refuses messages that are too large, both ways, and carries the largest', async () => {
    await play(async (sides) => {
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => ok(new Uint8Array(request.length * 2)),
        stream: async (_method, stream) => void (await drain(stream)),
      });
      const largest = new Uint8Array(MESSAGE_BYTES_MAX);
      expect(codeOf(await connection.call('/a/B', new Uint8Array(MESSAGE_BYTES_MAX + 1), { deadlineMicros: SECOND }))).toBe(
        'rejected WM_MESSAGE_TOO_LARGE',
      );
      expect(codeOf(await connection.call('/a/B', largest, { deadlineMicros: SECOND }))).toBe('rejected WM_MESSAGE_TOO_LARGE');
      expect(get(await connection.call('/a/B', largest.subarray(largest.length / 2), { deadlineMicros: SECOND })).length).toBe(
        MESSAGE_BYTES_MAX,
      );
      const stream = get(await connection.open('/a/S'));
      expect(codeOf(await stream.send(new Uint8Array(MESSAGE_BYTES_MAX + 1)))).toBe('rejected WM_MESSAGE_TOO_LARGE');
      expect(codeOf(await stream.send(largest))).toBe('ok');
    });
  });

  it('carries the messages of a stream in order both ways and ends it in order', async () => {
    await play(async (sides) => {
      const heard: string[] = [];
      let method = '';
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => ok(request),
        stream: async (path, stream) => {
          method = path;
          get(await stream.send(bytes('welcome')));
          heard.push(...(await drain(stream)));
        },
      });
      const stream = get(await connection.open('/a/S'));
      for (let i = 0; i < 50; i++) get(await stream.send(bytes(`${i}`)));
      expect(textOf(get(await stream.receive())!)).toBe('welcome');
      stream.close();
      stream.close();
      expect(get(await stream.receive())).toBeNull();
      await sides.sleep(SECOND);
      expect(method).toBe('/a/S');
      expect(heard).toEqual(Array.from({ length: 50 }, (_, i) => `${i}`));
      expect(codeOf(await stream.send(bytes('late')))).toBe('failed WM_CANCELLED');
    });
  });

  it('lets a sender run no further ahead of its receiver than the window', async () => {
    await play(async (sides) => {
      const message = new Uint8Array(64 * 1024);
      const count = 100;
      let begin = (): void => {};
      const begun = new Promise<void>((resolve) => (begin = resolve));
      let taken = 0;
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => ok(request),
        stream: async (_method, stream) => {
          await begun;
          while (get(await stream.receive()) !== null) taken += 1;
        },
      });
      const stream = get(await connection.open('/a/S'));
      let admitted = 0;
      const sending = (async () => {
        for (; admitted < count; admitted++) get(await stream.send(message));
      })();
      for (let n = 0; n < 40 && admitted < 2; n++) await sides.sleep(300_000);
      expect(admitted).toBeGreaterThan(1);
      // The window is of the order of 256 KiB; 1 MiB would be somebody else's buffer.
      expect(admitted).toBeLessThan(12);
      begin();
      await sending;
      stream.close();
      for (let n = 0; n < 40 && taken < count; n++) await sides.sleep(SECOND / 4);
      expect(taken).toBe(count);
    });
  });

  it('ends a stream when its handler does, after everything that it sent', async () => {
    await play(async (sides) => {
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => ok(request),
        stream: async (_method, stream) => {
          for (const text of ['a', 'b', 'c']) get(await stream.send(bytes(text)));
        },
      });
      expect(await drain(get(await connection.open('/a/S')))).toEqual(['a', 'b', 'c']);
    });
  });

  it('settles everything outstanding when a connection is closed', async () => {
    await play(async (sides) => {
      const ends: (string | null)[] = [];
      const connection = await connect(sides, {
        call: () => new Promise(() => {}),
        stream: async (_method, stream) => {
          ends.push(...(await drain(stream)), null);
        },
      });
      const stream = get(await connection.open('/a/S'));
      get(await stream.send(bytes('one')));
      const pending = Promise.all([connection.call('/a/B', bytes('x'), { deadlineMicros: 60 * SECOND }), stream.receive()]);
      await sides.sleep(200_000);
      connection.close();
      const [call, received] = await pending;
      expect(codeOf(call)).toBe('unknown WM_CONNECTION_LOST');
      expect(get(received)).toBeNull();
      await sides.sleep(SECOND);
      expect(ends).toEqual(['one', null]);
      expect(codeOf(await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND }))).toBe('failed WM_UNREACHABLE');
      expect(codeOf(await connection.open('/a/S'))).toBe('failed WM_UNREACHABLE');
    });
  });

  it('delivers what was sent on a stream before its connection was closed', async () => {
    await play(async (sides) => {
      const heard: string[] = [];
      const connection = await connect(sides, {
        call: async (_method, _peer, request) => ok(request),
        stream: async (_method, stream) => void heard.push(...(await drain(stream)), 'end'),
      });
      const stream = get(await connection.open('/a/S'));
      for (let i = 0; i < 20; i++) get(await stream.send(bytes(`${i}`)));
      connection.close();
      await sides.sleep(5 * SECOND);
      expect(heard).toEqual([...Array.from({ length: 20 }, (_, i) => `${i}`), 'end']);
    });
  });

  it('ends the streams of a listener that closes, after everything that was sent on them', async () => {
    await play(async (sides) => {
      const { server, client, sleep } = sides;
      const ends: (string | null)[] = [];
      const listener = get(
        await server.listen(SERVICE, {
          call: async (_method, _peer, request) => ok(request),
          stream: async (_method, stream) => {
            for (const text of ['a', 'b', 'c']) get(await stream.send(bytes(text)));
            ends.push(...(await drain(stream)), null);
          },
        }),
      );
      const stream = get(await get(await client.connect(SERVICE, { deadlineMicros: 5 * SECOND })).open('/a/S'));
      get(await stream.send(bytes('one')));
      await sleep(200_000);
      listener.close();
      expect(await drain(stream)).toEqual(['a', 'b', 'c']);
      for (let n = 0; n < 40 && ends.length < 2; n++) await sleep(SECOND / 4);
      expect(ends).toEqual(['one', null]);
      expect(codeOf(await stream.send(bytes('late')))).toBe('failed WM_CANCELLED');
    });
  });

  it('connects to nobody where nobody listens, before, and after a listener closed', async () => {
    await play(async (sides) => {
      const { server, client, sleep } = sides;
      const handler: ServiceHandler = { call: async (_method, _peer, request) => ok(request), stream: UNUSED };
      expect(codeOf(await client.connect(SERVICE, { deadlineMicros: SECOND }))).toBe('failed WM_UNREACHABLE');
      const listener = get(await server.listen(SERVICE, handler));
      expect(codeOf(await server.listen(SERVICE, handler))).toBe('rejected WM_ARGUMENT');
      const connection = get(await client.connect(SERVICE, { deadlineMicros: SECOND }));
      listener.close();
      listener.close();
      await sleep(SECOND);
      expect(codeOf(await connection.call('/a/B', bytes('x'), { deadlineMicros: SECOND }))).toBe('failed WM_UNREACHABLE');
      expect(codeOf(await client.connect(SERVICE, { deadlineMicros: SECOND }))).toBe('failed WM_UNREACHABLE');
      get(await server.listen(SERVICE, handler));
      expect(codeOf(await client.connect(SERVICE, { deadlineMicros: SECOND }))).toBe('ok');
    });
  });
});
