// A simulated machine that calls a real one: over a simulated link, through its stand-in, over gRPC with a certificate of its own.
import { createConnection, createServer, type AddressInfo, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { systemWall } from '../../../hardware/loop/wall.ts';
import type { GrpcNetwork } from '../../../hardware/network/network.ts';
import { Pace } from '../../../sim/kernel/kernel.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { failed, ok, rejected, type Outcome } from '../../../system/domain/outcome.ts';
import type { Connection, ServiceHandler } from '../../../system/ports/network.ts';
import { GrpcWorld, TestAuthority, get } from '../../contract/grpc-world.ts';
import { CLOUD, FLEET, SimWorld } from '../../contract/sim-world.ts';

const SERVICE = 'service' as Endpoint;
const DELAY_MICROS = 20_000;
const SECOND = 1_000_000;
/** Four flights of a handshake, and a call each way. */
const CALL_ROUND_TRIP_MICROS = 2 * DELAY_MICROS;

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
const said = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.kind} ${outcome.error.code}`);

const ECHO: ServiceHandler = {
  call: async (method, peer, request) =>
    method === '/a/B'
      ? ok(encode(`${peer.name} said ${decode(request)}`))
      : rejected('WM_MESSAGE_INVALID', { message: 'No such method.', next: 'Call another.' }),
  stream: async (_method, stream) => {
    for (;;) {
      const message = await stream.receive();
      if (!message.ok || message.value === null) return;
      await stream.send(encode(`${stream.peer.name} streamed ${decode(message.value)}`));
    }
  },
};

const worlds: GrpcWorld[] = [];
afterEach(async () => {
  await Promise.all(worlds.splice(0).map((world) => world.close()));
});

/** Stands between the two networks, and can break what goes through it as a cable can. */
class Cable {
  readonly #server = createServer((socket) => this.#lead(socket));
  readonly #sockets = new Set<Socket>();
  #target = '';

  async lay(target: string): Promise<string> {
    this.#target = target;
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.#server.close();
    for (const socket of this.#sockets) socket.resetAndDestroy();
  }

  #lead(socket: Socket): void {
    const further = createConnection({ host: '127.0.0.1', port: Number(this.#target.split(':').at(-1)) });
    for (const end of [socket, further]) {
      this.#sockets.add(end);
      end.on('error', () => {});
    }
    socket.pipe(further).pipe(socket);
  }
}

const cables: Cable[] = [];
afterEach(() => {
  for (const cable of cables.splice(0)) cable.cut();
});

async function setUp(handler: ServiceHandler = ECHO) {
  const authority = await TestAuthority.create();
  const outside = new GrpcWorld();
  worlds.push(outside);
  const server = outside.machine((await authority.issue('controller')).identity);
  get(await server.listen(SERVICE, handler));
  const cable = new Cable();
  cables.push(cable);
  const address = await cable.lay(server.addressOf(SERVICE) ?? '');
  const networks = new Map<string, GrpcNetwork>();
  for (const name of ['node/truck-1', 'node/truck-2'])
    networks.set(name, outside.machine((await authority.issue(name)).identity, { addresses: () => address }));
  const world = new SimWorld({ pace: new Pace(systemWall, SECOND), latency: { law: 'constant', micros: DELAY_MICROS } });
  world.add('controller', CLOUD);
  const trucks = ['node/truck-1', 'node/truck-2'].map((name) => world.add(name, FLEET));
  world.network.bridge(
    'controller',
    (endpoint) => endpoint === SERVICE,
    async (peer, endpoint, deadlineMicros) =>
      (await networks.get(peer.name)?.connect(endpoint, { deadlineMicros })) ??
      failed('WM_UNREACHABLE', { message: 'Nobody.', next: 'Stop.' }),
  );
  const connect = async (name: string): Promise<Connection> =>
    get(await world.network.portOf(name).connect(SERVICE, { deadlineMicros: 10 * SECOND }));
  return { world, cable, trucks, connect };
}

describe('a bridged endpoint', () => {
  it('answers as the real one does, to whom the real certificate names, after the delay of the simulated link', async () => {
    const { world, trucks, connect } = await setUp();
    const answers = await world.play(trucks[0]!, async () => {
      const [one, two] = [await connect('node/truck-1'), await connect('node/truck-2')];
      const began = world.kernel.now();
      const answered = await one.call('/a/B', encode('one'), { deadlineMicros: 10 * SECOND });
      const tookMicros = world.kernel.now() - began;
      const other = await two.call('/a/B', encode('two'), { deadlineMicros: 10 * SECOND });
      const refused = await two.call('/a/C', encode('two'), { deadlineMicros: 10 * SECOND });
      return { texts: [answered, other].map((outcome) => decode(get(outcome))), tookMicros, refused: said(refused) };
    });
    expect(answers.texts).toEqual(['node/truck-1 said one', 'node/truck-2 said two']);
    expect(answers.refused).toBe('rejected WM_MESSAGE_INVALID');
    expect(answers.tookMicros).toBeGreaterThanOrEqual(CALL_ROUND_TRIP_MICROS);
  });

  it('carries streams both ways, in order, and their end', async () => {
    const { world, trucks, connect } = await setUp();
    const heard = await world.play(trucks[0]!, async () => {
      const connection = await connect('node/truck-1');
      const stream = get(await connection.open('/a/S'));
      const texts: string[] = [];
      for (const word of ['a', 'b', 'c']) get(await stream.send(encode(word)));
      for (let i = 0; i < 3; i++) texts.push(decode(get(await stream.receive())!));
      stream.close();
      return [...texts, get(await stream.receive())];
    });
    expect(heard).toEqual([...['a', 'b', 'c'].map((word) => `node/truck-1 streamed ${word}`), null]);
  });

  it('is cut off by a fault of the simulated link, and reached again after it', async () => {
    const { world, trucks, connect } = await setUp();
    const outcomes = await world.play(trucks[0]!, async () => {
      const connection = await connect('node/truck-1');
      world.network.begin('cut', { kind: 'partition', a: ['node/truck-1'], b: ['controller'] });
      const overdue = await connection.call('/a/B', encode('one'), { deadlineMicros: SECOND / 4 });
      world.network.end('cut');
      return [overdue, await connection.call('/a/B', encode('two'), { deadlineMicros: 10 * SECOND })].map(said);
    });
    expect(outcomes).toEqual(['unknown WM_DEADLINE', 'ok']);
  });

  it('loses its connections with the real one, and refuses new ones, when nobody answers there any more', async () => {
    const { world, cable, trucks, connect } = await setUp();
    const outcomes = await world.play(trucks[0]!, async () => {
      const connection = await connect('node/truck-1');
      const stream = get(await connection.open('/a/S'));
      get(await stream.send(encode('a')));
      get(await stream.receive());
      cable.cut();
      const lost = await stream.receive();
      const again = await world.network.portOf('node/truck-1').connect(SERVICE, { deadlineMicros: 5 * SECOND });
      return [lost, again].map(said);
    });
    expect(outcomes).toEqual(['unknown WM_CONNECTION_LOST', 'failed WM_UNREACHABLE']);
  });

  it('gives up the real connection when the simulated machine has closed it', async () => {
    let isOver = false;
    const { world, trucks, connect } = await setUp({
      ...ECHO,
      stream: async (_method, stream) => {
        for (;;) {
          const message = await stream.receive();
          if (message.ok && message.value !== null) continue;
          isOver = true;
          return;
        }
      },
    });
    await world.play(trucks[0]!, async () => {
      const connection = await connect('node/truck-1');
      const stream = get(await connection.open('/a/S'));
      get(await stream.send(encode('a')));
      connection.close();
      while (!isOver) await new Promise<void>((resolve) => world.kernel.after(1_000, trucks[0]!, 'look', resolve));
    });
    expect(isOver).toBe(true);
  });
});
