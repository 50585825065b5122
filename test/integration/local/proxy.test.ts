// Links on loopback, with real sockets: what is delayed, what a cut does to bytes and to both ends, what is lost and sent again,
// and what a machine without power leaves behind.
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { Links, type Place } from '../../../hardware/local/links.ts';
import { ownerOfPort } from '../../../hardware/local/owner.ts';
import { Proxy } from '../../../hardware/local/proxy.ts';
import { Tunnel } from '../../../hardware/local/tunnel.ts';
import type { LatencyLaw, Ratio } from '../../../scenarios/scenario.ts';
import type { ZonePath } from '../../../system/domain/identifiers.ts';

const NEAR: Place = { name: 'truck', zone: 'fleet/truck' as ZonePath };
const FAR: Place = { name: 'controller', zone: 'cloud/eu' as ZonePath };

const cleanups: (() => void)[] = [];
afterEach(() => {
  for (const cleanup of cleanups.splice(0).reverse()) cleanup();
});

/** A machine behind a link, which keeps what it hears and says `said` back to each piece. */
async function setUp(options: { latency?: LatencyLaw; loss?: Ratio; random?: () => number; said?: string; slowness?: number } = {}) {
  const heard: { text: string; atMs: number }[] = [];
  const sockets: Socket[] = [];
  const server: Server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      heard.push({ text: bytes.toString(), atMs: performance.now() });
      if (options.said !== undefined) socket.write(options.said);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  const latency = options.latency ?? { law: 'constant', micros: 0 };
  const links = new Links([]);
  links.replaceLaws([{ a: NEAR.zone, b: FAR.zone, latency, loss: options.loss ?? [0, 1], impairments: [] }], options.slowness);
  const proxy = new Proxy(links, options.random);
  const address = await proxy.open({ from: NEAR, to: FAR, port: () => port });
  cleanups.push(
    () => server.close(),
    () => proxy.close(),
    () => sockets.forEach((socket) => socket.destroy()),
  );
  return { proxy, heard, sockets, port, dial: () => dial(address) };
}

function dial(address: string) {
  const [host = '', port = ''] = address.split(':');
  const client = connect({ host, port: Number(port), allowHalfOpen: true });
  const heard: string[] = [];
  let end: 'open' | 'ended' | 'reset' = 'open';
  client.on('data', (bytes) => heard.push(bytes.toString()));
  client.on('end', () => (end = 'ended'));
  client.on('error', () => (end = 'reset'));
  cleanups.push(() => client.destroy());
  return { client, heard, end: () => end };
}

const until = async (isSo: () => boolean): Promise<void> => {
  await expect.poll(isSo, { timeout: 20_000, interval: 5 }).toBe(true);
};
const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
const texts = (heard: readonly { readonly text: string }[]): string => heard.map(({ text }) => text).join('');

describe('a link', () => {
  it('carries bytes both ways, and the end of each way by itself', async () => {
    const { dial: open, heard, sockets } = await setUp({ said: 'pong' });
    const { client, heard: back, end } = open();
    client.end('ping');
    await until(() => texts(heard) === 'ping' && back.join('') === 'pong');
    expect(end()).toBe('open');
    sockets[0]?.end('bye');
    await until(() => end() === 'ended');
    expect(back.join('')).toBe('pongbye');
  });

  it('takes as long as its law says, each way', async () => {
    const { dial: open, heard } = await setUp({ latency: { law: 'constant', micros: 80_000 }, said: 'pong' });
    const { client, heard: back } = open();
    // A first exchange opens the connection at the far end.
    client.write('a');
    await until(() => back.length === 1);
    const since = performance.now();
    client.write('b');
    await until(() => back.length === 2);
    expect(heard[1]!.atMs - since).toBeGreaterThanOrEqual(78);
    expect(performance.now() - since).toBeGreaterThanOrEqual(156);
  });

  it('multiplies its delay while a fault says so', async () => {
    const { dial: open, heard, proxy } = await setUp({ latency: { law: 'constant', micros: 10_000 } });
    const { client } = open();
    client.write('a');
    await until(() => heard.length === 1);
    proxy.begin('slow', { kind: 'latency', a: 'fleet', b: 'cloud', factor: [15, 1] });
    const since = performance.now();
    client.write('b');
    await until(() => heard.length === 2);
    expect(heard[1]!.atMs - since).toBeGreaterThanOrEqual(145);
  });

  it('keeps the order of bytes, however uneven their delays are', async () => {
    const { dial: open, heard } = await setUp({ latency: { law: 'uniform', microsMin: 0, microsMax: 20_000 } });
    const { client } = open();
    let sent = '';
    for (let i = 0; i < 60; i++) {
      client.write(`${i} `);
      sent += `${i} `;
      await sleep(1);
    }
    await until(() => texts(heard).length === sent.length);
    expect(texts(heard)).toBe(sent);
  });

  it('sends what was lost again, and what follows waits behind it', async () => {
    // Draws: one for each loss (below 1/2 is lost); the law of this link draws none.
    const draws = [0.9, 0.1, 0.9, 0.9];
    const { dial: open, heard } = await setUp({ loss: [1, 2], random: () => draws.shift() ?? 0.9 });
    const { client } = open();
    client.write('a');
    await until(() => heard.length === 1);
    const since = performance.now();
    client.write('b');
    await sleep(20);
    client.write('c');
    await until(() => texts(heard) === 'abc');
    expect(heard.at(-1)!.atMs - since).toBeGreaterThanOrEqual(195);
  });
});

describe('a link of a run whose time passes slowly', () => {
  it('sends what was lost again as much later', async () => {
    const draws = [0.9, 0.1, 0.9];
    const { dial: open, heard } = await setUp({ loss: [1, 2], random: () => draws.shift() ?? 0.9, slowness: 3 });
    const { client } = open();
    client.write('a');
    await until(() => heard.length === 1);
    const since = performance.now();
    client.write('b');
    await until(() => texts(heard) === 'ab');
    expect(heard.at(-1)!.atMs - since).toBeGreaterThanOrEqual(595);
  });
});

describe('a connection that is given up', () => {
  it('is closed for both ends, also while the end of one way is just being told', async () => {
    const { heard, sockets, port } = await setUp();
    const links = new Links([]);
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const tunnel = new Tunnel(near, {
        links,
        from: NEAR,
        to: FAR,
        host: '127.0.0.1',
        port,
        random: Math.random,
        isOff: () => false,
        onEnd: () => {},
      });
      // Its own listener came first: the far end has been told, and no turn of the loop has passed since.
      near.on('end', () => tunnel.close());
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    cleanups.push(() => server.close());
    const { client } = dial(`127.0.0.1:${(server.address() as AddressInfo).port}`);
    client.write('a');
    await until(() => heard.length === 1);
    client.end();
    let closed = false;
    sockets[0]!.on('close', () => (closed = true));
    await until(() => {
      sockets[0]!.write('?');
      return closed;
    });
    expect(closed).toBe(true);
  });
});

describe('a cut', () => {
  it('lets nothing pass, tells neither end, and gives what was sent when it heals', async () => {
    const { dial: open, heard, proxy, sockets } = await setUp();
    const { client, heard: back, end } = open();
    client.write('a');
    await until(() => heard.length === 1);
    proxy.begin('cut', { kind: 'partition', a: ['truck'], b: ['controller'] });
    client.write('b');
    sockets[0]?.end('last words');
    await sleep(300);
    expect([texts(heard), back.join(''), end()]).toEqual(['a', '', 'open']);
    proxy.end('cut');
    await until(() => texts(heard) === 'ab' && back.join('') === 'last words' && end() === 'ended');
  });

  it('concerns only those between whom it is', async () => {
    const { dial: open, heard, proxy } = await setUp();
    proxy.begin('elsewhere', { kind: 'partition', a: ['fleet/other'], b: ['cloud'] });
    open().client.write('a');
    await until(() => heard.length === 1);
    expect(texts(heard)).toBe('a');
  });

  it('opens no connection at the far end until it heals', async () => {
    const { dial: open, heard, proxy, sockets } = await setUp();
    proxy.begin('cut', { kind: 'partition', a: ['cloud'], b: ['fleet'] });
    const { client, end } = open();
    client.write('a');
    await sleep(200);
    expect([sockets.length, end()]).toEqual([0, 'open']);
    proxy.end('cut');
    await until(() => texts(heard) === 'a');
  });
});

describe('a machine without power', () => {
  it('leaves half-open connections: its sockets close and nobody hears of it until it is back', async () => {
    const { dial: open, heard, proxy, sockets } = await setUp();
    const { client, end } = open();
    client.write('a');
    await until(() => heard.length === 1);
    proxy.powerOff('controller');
    sockets[0]?.resetAndDestroy();
    client.write('b');
    await sleep(300);
    expect(end()).toBe('open');
    proxy.powerOn('controller');
    await until(() => end() === 'reset');
    expect(texts(heard)).toBe('a');
  });

  it('is told apart from a process that ends on a machine that lives', async () => {
    const { dial: open, heard, sockets } = await setUp();
    const { client, end } = open();
    client.write('a');
    await until(() => heard.length === 1);
    sockets[0]?.resetAndDestroy();
    await until(() => end() !== 'open');
    expect(end()).toBe('reset');
  });
});

// Left out where there is no /proc: agents there are not told apart by their connections.
describe.skipIf(process.platform !== 'linux')('who knocks', () => {
  it('is the process that owns the other end', async () => {
    const ports: number[] = [];
    const server = createServer((socket) => ports.push(socket.remotePort ?? 0));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    cleanups.push(
      () => server.close(),
      () => client.destroy(),
    );
    await until(() => ports.length === 1);
    expect(ownerOfPort(ports[0]!, [1, process.pid])).toBe(process.pid);
    expect(ownerOfPort(ports[0]!, [process.ppid])).toBeNull();
  });
});
