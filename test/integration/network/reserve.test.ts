// Ports that tests give to servers which start later: nobody else gets them in between.
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { PORT_FIRST, PORT_LAST, reservePort } from '../../support/network/reserve.ts';

it('has no port twice, here or in another process, until the process that has it ends', async () => {
  const first = 9_990;
  const range = { first, last: first + 2 };
  const here = await reservePort(range);
  const listening = createServer();
  const taken = await reservePort(range);
  await new Promise<void>((resolve) => listening.listen(taken, '127.0.0.1', resolve));
  const other = fork(join(import.meta.dirname, 'reserve.fixture.ts'), [String(range.first), String(range.last)]);
  const [there] = (await once(other, 'message')) as [number];
  expect([here, taken, there].toSorted((a, b) => a - b)).toEqual([first, first + 1, first + 2]);
  await expect(reservePort(range)).rejects.toThrow('Each port from 9990 to 9992 is taken.');
  const ended = once(other, 'exit');
  other.kill('SIGKILL');
  await ended;
  expect(await reservePort(range)).toBe(there);
  listening.close();
});

it('passes over a port on which somebody listens who reserved none', async () => {
  const range = { first: 9_980, last: 9_981 };
  const listening = createServer();
  await new Promise<void>((resolve) => listening.listen(range.first, '127.0.0.1', resolve));
  expect(await reservePort(range)).toBe(range.last);
  await expect(reservePort(range)).rejects.toThrow('is taken');
  listening.close();
});

// Reason: elsewhere the range stands elsewhere.
it.skipIf(process.platform !== 'linux')('takes none that the system gives to connections', () => {
  const [lowest = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8').split(/\s+/).map(Number);
  expect(PORT_FIRST).toBeGreaterThan(1_023);
  expect(PORT_LAST).toBeLessThan(lowest);
});
