// What a real network meets that a simulated one does not: processes that are killed or stopped, ports that are taken, load.
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { afterEach, beforeAll, expect, it } from 'vitest';
import { CALLS_OPEN_MAX } from '../../../hardware/network/transport.ts';
import { LOST_WITHIN_MS, WINDOW_BYTES } from '../../../hardware/network/network.ts';
import { NETWORK_COSTS } from '../../../sim/costs/costs.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { Connection, ServiceHandler } from '../../../system/ports/network.ts';
import { get, GrpcWorld, SHORT_KEEPALIVE, TestAuthority } from '../../contract/grpc-world.ts';

const SERVICE = 'service' as Endpoint;
const SECOND = 1_000_000;
/** Of a busy machine, beside what is promised. */
const SLACK_MS = 10_000;
const ECHO: ServiceHandler = { call: async (_method, _peer, request) => ok(request), stream: async () => {} };

let authority: TestAuthority;
let world: GrpcWorld;
const children: ChildProcess[] = [];

beforeAll(async () => {
  authority = await TestAuthority.create();
});

afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await world.close();
});

const codeOf = (outcome: Outcome<unknown>): string => (outcome.ok ? 'ok' : `${outcome.error.kind} ${outcome.error.code}`);

/** A connection to a process of its own. */
async function reachPeer(): Promise<{ readonly child: ChildProcess; readonly connection: Connection }> {
  world = new GrpcWorld();
  const child = fork(join(import.meta.dirname, 'peer.main.ts'));
  children.push(child);
  child.send((await authority.issue('node/peer')).identity);
  const [address] = (await once(child, 'message')) as [string];
  world.addresses.set(SERVICE, address);
  const client = world.machine((await authority.issue('operator/ops')).identity, { keepalive: SHORT_KEEPALIVE });
  return { child, connection: get(await client.connect(SERVICE, { deadlineMicros: 10 * SECOND })) };
}

/** Both sides in this process. */
async function connectHere(handler: ServiceHandler): Promise<Connection> {
  world = new GrpcWorld();
  const server = world.machine((await authority.issue('controller')).identity);
  get(await server.listen(SERVICE, handler));
  const client = world.machine((await authority.issue('operator/ops')).identity);
  return get(await client.connect(SERVICE, { deadlineMicros: 10 * SECOND }));
}

it.each(['SIGKILL', 'SIGSTOP'] as const)('loses a peer that got %s within the named time, with all that is outstanding', async (signal) => {
  const { child, connection } = await reachPeer();
  expect(codeOf(await connection.call('/a/B', Buffer.from('x'), { deadlineMicros: SECOND }))).toBe('ok');
  const stream = get(await connection.open('/a/S'));
  get(await stream.send(Buffer.from('ping')));
  expect(Buffer.from(get(await stream.receive())!).toString()).toBe('ping');
  const pending = Promise.all([connection.call('/a/B', new Uint8Array(0), { deadlineMicros: 60 * SECOND }), stream.receive()]);
  const killed = performance.now();
  child.kill(signal);
  expect((await pending).map(codeOf)).toEqual(['unknown WM_CONNECTION_LOST', 'unknown WM_CONNECTION_LOST']);
  expect(performance.now() - killed).toBeLessThan(SHORT_KEEPALIVE.idleMs + SHORT_KEEPALIVE.answerMs + SLACK_MS);
  expect(codeOf(await stream.send(Buffer.from('late')))).toBe('unknown WM_CONNECTION_LOST');
  expect(codeOf(await connection.call('/a/B', Buffer.from('x'), { deadlineMicros: SECOND }))).toBe('failed WM_UNREACHABLE');
});

it('is lost as soon as the simulated network says', () => {
  expect(LOST_WITHIN_MS * 1_000).toBe(NETWORK_COSTS.keepaliveMicros);
});

it('gives up a connection at its deadline when the other side accepts and says nothing', async () => {
  const { child } = await reachPeer();
  child.kill('SIGSTOP');
  const client = world.machine((await authority.issue('operator/ops')).identity);
  const begun = performance.now();
  const refused = await client.connect(SERVICE, { deadlineMicros: SECOND / 2 });
  expect(codeOf(refused)).toBe('failed WM_UNREACHABLE');
  expect(performance.now() - begun).toBeLessThan(500 + SLACK_MS);
});

it('finds the one of several controllers that answers, and the other when that is gone', async () => {
  world = new GrpcWorld();
  const { identity } = await authority.issue('controller');
  const first = world.machine(identity);
  const second = world.machine(identity);
  const saying = (text: string): ServiceHandler => ({ ...ECHO, call: async () => ok(Buffer.from(text)) });
  get(await first.listen(SERVICE, saying('first')));
  get(await second.listen(SERVICE, saying('second')));
  const addresses = ['127.0.0.1:1', first.addressOf(SERVICE)!, second.addressOf(SERVICE)!];
  const client = world.machine((await authority.issue('node/truck')).identity, { addresses: () => addresses });
  const ask = async (): Promise<string> => {
    const connection = get(await client.connect(SERVICE, { deadlineMicros: 10 * SECOND }));
    const answer = get(await connection.call('/a/B', new Uint8Array(1), { deadlineMicros: 10 * SECOND }));
    connection.close();
    return Buffer.from(answer).toString();
  };
  expect([await ask(), await ask()]).toEqual(['first', 'first']);
  await first.close();
  expect([await ask(), await ask()]).toEqual(['second', 'second']);
  await second.close();
  expect(codeOf(await client.connect(SERVICE, { deadlineMicros: 10 * SECOND }))).toBe('failed WM_UNREACHABLE');
});

it('says in a sentence that a port is in use', async () => {
  world = new GrpcWorld();
  const { identity } = await authority.issue('controller');
  const first = world.machine(identity);
  get(await first.listen(SERVICE, ECHO));
  const address = first.addressOf(SERVICE)!;
  const refused = await world.machine(identity, { listen: () => address }).listen(SERVICE, ECHO);
  expect(refused).toMatchObject({ ok: false, error: { kind: 'rejected', code: 'WM_ARGUMENT' } });
  const port = address.split(':')[1];
  expect(refused.ok ? '' : refused.error.message).toBe(`service cannot listen on ${address}: port ${port} of 127.0.0.1 is in use.`);
});

it('answers 1,000 calls at a time', async () => {
  let open = 0;
  let openMax = 0;
  let release = (): void => {};
  const all = new Promise<void>((resolve) => (release = resolve));
  const connection = await connectHere({
    ...ECHO,
    call: async (_method, _peer, request) => {
      openMax = Math.max(openMax, ++open);
      if (open === 1_000) release();
      await all;
      return ok(request);
    },
  });
  const answers = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => connection.call('/a/B', Buffer.from(`${i}`), { deadlineMicros: 30 * SECOND })),
  );
  expect(answers.map((answer) => Buffer.from(get(answer)).toString())).toEqual(Array.from({ length: 1_000 }, (_, i) => `${i}`));
  expect(openMax).toBe(1_000);
});

it('sends nothing past the bound of open calls', async () => {
  const connection = await connectHere({ ...ECHO, call: () => new Promise(() => {}) });
  const pending = Array.from({ length: CALLS_OPEN_MAX }, () => connection.call('/a/B', Buffer.from('x'), { deadlineMicros: 60 * SECOND }));
  expect(codeOf(await connection.call('/a/B', Buffer.from('x'), { deadlineMicros: SECOND }))).toBe('failed WM_UNREACHABLE');
  connection.close();
  expect(new Set((await Promise.all(pending)).map(codeOf))).toEqual(new Set(['unknown WM_CONNECTION_LOST']));
});

it('holds no more of a stream of 100 MB than its window', async () => {
  const message = new Uint8Array(100_000);
  const count = 1_000;
  let admittedBytes = 0;
  let takenBytes = 0;
  let aheadBytesMax = 0;
  const connection = await connectHere({
    ...ECHO,
    stream: async (_method, stream) => {
      for (let n = 0; ; n++) {
        const next = get(await stream.receive());
        if (next === null) return;
        takenBytes += next.length;
        // Now and then the receiver has something else to do, and the sender would run away.
        if (n % 100 === 0) await new Promise((resolve) => setTimeout(resolve, 50));
      }
    },
  });
  const stream = get(await connection.open('/a/S'));
  for (let n = 0; n < count; n++) {
    get(await stream.send(message));
    admittedBytes += message.length;
    aheadBytesMax = Math.max(aheadBytesMax, admittedBytes - takenBytes);
  }
  stream.close();
  while (takenBytes < admittedBytes) await new Promise((resolve) => setImmediate(resolve));
  expect(takenBytes).toBe(100_000_000);
  // The window with the message that passed it, HTTP/2's own window, and the messages that are being read or read ahead.
  expect(aheadBytesMax).toBeLessThan(WINDOW_BYTES + 65_535 + 5 * message.length);
});
