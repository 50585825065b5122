// Ports that tests give to servers which start later: nobody else gets them in between.
import { fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { expect, it } from 'vitest';
import { PORT_FIRST, PORT_LAST, reservePort } from '../../support/network/reserve.ts';

/** Ports of each test: below those of `reservePort`, where the claims of an earlier test may still stand. */
const PORTS = 3;
const FIRST = 5_000;
const BLOCKS = 1_600;

/** Ports one after the other on which nobody of this machine listens, others for each process that looks. */
async function freeRange(): Promise<{ readonly first: number; readonly last: number }> {
  for (let n = 0; n < BLOCKS; n++) {
    const first = FIRST + ((process.pid + n) % BLOCKS) * PORTS;
    const ports = [first, first + 1, first + 2];
    if ((await Promise.all(ports.map(isFree))).every(Boolean)) return { first, last: first + PORTS - 1 };
  }
  throw new Error('This machine has no three free ports in a row.');
}

async function isFree(port: number): Promise<boolean> {
  const claim = createSocket('udp4');
  const server = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      claim.once('error', reject);
      claim.bind({ port, address: '127.0.0.1', exclusive: true }, resolve);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, '127.0.0.1', resolve);
    });
    return true;
  } catch {
    return false;
  } finally {
    claim.close();
    server.close();
  }
}

it('has no port twice, here or in another process, until the process that has it ends', async () => {
  const range = await freeRange();
  const { first } = range;
  const here = await reservePort(range);
  const listening = createServer();
  const taken = await reservePort(range);
  await new Promise<void>((resolve) => listening.listen(taken, '127.0.0.1', resolve));
  const other = fork(join(import.meta.dirname, 'reserve.fixture.ts'), [String(range.first), String(range.last)]);
  const ends = once(other, 'exit').then(([code]) => Promise.reject(new Error(`The other process ended with ${code}.`)));
  const [there] = (await Promise.race([once(other, 'message'), ends])) as [number];
  expect([here, taken, there].toSorted((a, b) => a - b)).toEqual([first, first + 1, first + 2]);
  await expect(reservePort(range)).rejects.toThrow(`Each port from ${first} to ${first + 2} is taken.`);
  const ended = once(other, 'exit');
  other.kill('SIGKILL');
  await ended;
  expect(await reservePort(range)).toBe(there);
  listening.close();
});

it('passes over a port on which somebody listens who reserved none', async () => {
  const { first } = await freeRange();
  const range = { first, last: first + 1 };
  const listening = createServer();
  await new Promise<void>((resolve) => listening.listen(range.first, '127.0.0.1', resolve));
  expect(await reservePort(range)).toBe(range.last);
  await expect(reservePort(range)).rejects.toThrow('is taken');
  listening.close();
});

const RANGE = '/proc/sys/net/ipv4/ip_local_port_range';
/** Where Linux leaves it. */
const LOWEST = 32_768;
const lowest = existsSync(RANGE) ? Number(readFileSync(RANGE, 'utf8').split(/\s+/)[0]) : 0;
// Reason: who has moved the range of his machine knows that it holds ports of servers.
it.skipIf(lowest !== LOWEST)('takes none that the system gives to connections', () => {
  expect(PORT_FIRST).toBeGreaterThan(1_023);
  expect(PORT_LAST).toBeLessThan(LOWEST);
});
