// A server and a client on the simulated network, for tests of what a raw port does under faults.
import { ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import type { ByteStream, Connection, ServiceHandler } from '../../../system/ports/network.ts';
import { CLOUD, FLEET, SimWorld } from '../../contract/sim-world.ts';

export const SERVER = 'server' as Endpoint;
export const SECOND = 1_000_000;

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

/** Answers calls with their request, and streams with what they send. */
export function echo(calls: string[] = []): ServiceHandler {
  return {
    call: async (_method, _peer, request) => {
      calls.push(new TextDecoder().decode(request));
      return ok(request);
    },
    stream: async (_method, stream) => {
      for (;;) {
        const message = await stream.receive();
        if (!message.ok || message.value === null) return;
        await stream.send(message.value);
      }
    },
  };
}

export function codeOf(outcome: Outcome<unknown>): string {
  return outcome.ok ? 'ok' : `${outcome.error.kind} ${outcome.error.code}`;
}

export async function connected(world: SimWorld, from: string): Promise<Connection> {
  const connection = await world.network.portOf(from).connect(SERVER, { deadlineMicros: 30 * SECOND });
  if (!connection.ok) throw new Error(connection.error.message);
  return connection.value;
}

/** `server` in the cloud and `client` in the fleet, 5 ms apart where the options say nothing. */
export function setUp(options: ConstructorParameters<typeof SimWorld>[0] = {}) {
  const world = new SimWorld(options);
  const server = world.add('server', CLOUD);
  const client = world.add('client', FLEET);
  const serve = (handler = echo()) => world.network.portOf('server').listen(SERVER, handler);
  return { world, server, client, serve };
}

/** Sends each text on a stream to an echo, and gives what comes back with the virtual time it took. */
export async function echoed(world: SimWorld, stream: ByteStream, texts: readonly string[]) {
  const before = world.kernel.now();
  for (const text of texts) await stream.send(bytes(text));
  const received: string[] = [];
  while (received.length < texts.length) {
    const message = await stream.receive();
    if (!message.ok || message.value === null) throw new Error('the stream ended');
    received.push(new TextDecoder().decode(message.value));
  }
  return { received, micros: world.kernel.now() - before };
}
