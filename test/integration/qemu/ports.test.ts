// The ports of this machine that an emulated one answers at: another process may take one after it was chosen and before QEMU has it.
// QEMU is the real one; what it is given to boot is nothing.
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { connect, createServer, type AddressInfo, type Server } from 'node:net';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { encodeJoinToken } from '../../../hardware/network/network.ts';
import { startMachine, stopMachine, type MachineOptions } from '../../../hardware/qemu/machine.ts';
import { missingSystem } from '../../../hardware/qemu/system.ts';
import { temporaryFolder } from '../../support/e2e/command.ts';

const folder = temporaryFolder();
const machines = join(folder.path, 'machines');
const lacking = await missingSystem('aarch64');
const servers: Server[] = [];

async function takenPort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  servers.push(server);
  return (server.address() as AddressInfo).port;
}

async function freedPort(): Promise<number> {
  const port = await takenPort();
  const server = servers.pop();
  server?.close();
  return port;
}

function optionsOf(name: string, choosePort: () => Promise<number>): MachineOptions {
  const images = join(folder.path, 'images');
  mkdirSync(images, { recursive: true });
  const part = (file: string): string => {
    writeFileSync(join(images, file), Buffer.alloc(65_536));
    return join(images, file);
  };
  const image = {
    architecture: 'aarch64',
    kernel: part('kernel'),
    initrd: part('initrd'),
    root: part('root'),
    product: part('product'),
  } as const;
  const joinToken = encodeJoinToken({
    role: 'node',
    addresses: ['127.0.0.1:1'],
    authoritySha256: new Uint8Array(32),
    secret: new Uint8Array(16),
  });
  return { name, folder: machines, image, memoryMib: 64, joinToken, zone: 'edge', environment: {}, choosePort };
}

afterEach(async () => {
  await stopMachine(machines, 'm');
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => folder.remove());

// Left out where there is no QEMU, whose own words and ports these are about.
describe.skipIf(lacking !== null)('the port of an emulated machine (left out without qemu-system-aarch64)', () => {
  it('is another one where somebody takes it after it was chosen, and the machine is told that one', async () => {
    const taken = [await takenPort(), await takenPort()];
    const left = [...taken];
    const started = await startMachine(optionsOf('m', async () => left.shift() ?? freedPort()));
    if (!started.ok) throw new Error(started.error.message);
    const port = Number(started.value.address.split(':')[1]);
    expect([started.value.state, taken.includes(port), left]).toEqual(['running', false, []]);
    expect(readFileSync(join(machines, 'm', 'settings.img'), 'utf8')).toContain(`127.0.0.1:${port},10.0.2.2:${port}`);
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    socket.destroy();
  });

  it('is given up where every choice is taken, and then nothing runs', async () => {
    const port = await takenPort();
    let asked = 0;
    const started = await startMachine(optionsOf('m', async () => ((asked += 1), port)));
    expect(started).toMatchObject({ ok: false, error: { code: 'WM_MACHINE', message: expect.stringContaining(String(port)) as string } });
    expect(asked).toBe(8);
  });
});
