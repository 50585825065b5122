// Ports that tests give to servers which start later: nobody else gets them in between.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import process from 'node:process';
import { expect, it } from 'vitest';
import { PORT_FIRST, PORT_LAST, reservePort } from '../../support/network/reserve.ts';

/** Below those of `reservePort`, and others for each process: of an earlier one the claims may still stand. */
const OURS = 5_000 + (process.pid % 800) * 5;

it('has no port twice, here or in another process, until the process that has it ends', async () => {
  const first = OURS;
  const range = { first, last: first + 2 };
  const here = await reservePort(range);
  const listening = createServer();
  const taken = await reservePort(range);
  await new Promise<void>((resolve) => listening.listen(taken, '127.0.0.1', resolve));
  const other = fork(join(import.meta.dirname, 'reserve.fixture.ts'), [String(range.first), String(range.last)]);
  const [there] = (await once(other, 'message')) as [number];
  expect([here, taken, there].toSorted((a, b) => a - b)).toEqual([first, first + 1, first + 2]);
  await expect(reservePort(range)).rejects.toThrow(`Each port from ${first} to ${first + 2} is taken.`);
  const ended = once(other, 'exit');
  other.kill('SIGKILL');
  await ended;
  expect(await reservePort(range)).toBe(there);
  listening.close();
});

it('passes over a port on which somebody listens who reserved none', async () => {
  const range = { first: OURS + 3, last: OURS + 4 };
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
