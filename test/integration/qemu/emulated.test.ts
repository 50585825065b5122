// An emulated machine of a run, as faults move it. In QEMU's place stands a program that takes QEMU's arguments and lives until it is
// killed: what is looked at is who has power when, not what runs inside.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { encodeJoinToken } from '../../../hardware/network/network.ts';
import { EmulatedMachine } from '../../../hardware/qemu/emulated.ts';
import { temporaryFolder } from '../../support/e2e/command.ts';

const folder = temporaryFolder();
const path = process.env['PATH'];
/** Says on the console that the agent is up, and answers at the control socket. */
const STAND_IN = `#!${process.execPath}
const { spawn } = require('node:child_process');
const { createServer } = require('node:net');
const { appendFileSync, existsSync, writeFileSync } = require('node:fs');
const args = process.argv.slice(2);
const after = (flag) => args[args.indexOf(flag) + 1];
const orders = (args.find((arg) => arg.startsWith('socket,id=orders')) ?? '').split(',').find((part) => part.startsWith('path='))?.slice(5);
if (args.includes('--version')) process.exit(0);
const console = after('-serial').replace('file:', '');
if (!args.includes('-daemonize')) {
  createServer((socket) => {
    socket.on('error', () => {});
    socket.write('{"QMP":{}}\\n');
    socket.on('data', (lines) => lines.toString().trim().split('\\n').forEach(() => socket.write('{"return":{"status":"running"}}\\n')));
  }).listen(after('-qmp').split(',')[0].replace('unix:', ''));
  if (after('-name').includes('halves')) setTimeout(() => appendFileSync(console, 'me":"halves"}}\\n'), 1_000);
  // As the first program of a machine takes orders; one that is deaf takes none.
  createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (line) => {
      const order = line.toString().trim();
      if (after('-name').includes('deaf')) return socket.end();
      appendFileSync(orders + '.taken', order + ' ');
      socket.write(order.split(' ')[0] + ' done\\n');
      if (order === 'end') setTimeout(() => process.exit(0), 20);
    });
  }).listen(orders);
} else {
  const child = spawn(process.execPath, [__filename, ...args.filter((arg) => arg !== '-daemonize')], { detached: true, stdio: 'ignore' });
  child.unref();
  // It answers at its sockets before QEMU says that it runs.
  while (!existsSync(orders)) Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 5);
  // The console of one is read while a line is being written to it.
  writeFileSync(console, after('-name').includes('halves') ? '{"agent":{"na' : '{"agent":{}}\\n');
  writeFileSync(after('-pidfile'), String(child.pid));
}
`;
const TOKEN = encodeJoinToken({
  role: 'node',
  addresses: ['127.0.0.1:1'],
  authoritySha256: new Uint8Array(32),
  secret: new Uint8Array(16),
});

let said: string[] = [];
let off = false;
let machine: EmulatedMachine | null = null;

const until = async (isSo: () => boolean): Promise<void> => {
  await expect.poll(isSo, { timeout: 30_000, interval: 10 }).toBe(true);
};

function machineOf(name: string): EmulatedMachine {
  const image = { architecture: 'aarch64', kernel: 'k', initrd: 'i', root: 'r', product: 'p' } as const;
  return new EmulatedMachine({
    name,
    folder: join(folder.path, 'machines'),
    image,
    memoryMib: 256,
    joinToken: TOKEN,
    zone: 'edge',
    environment: {},
    hooks: {
      isKeptOff: () => off,
      onStarted: (incarnation) => said.push(`started ${incarnation}`),
      onStopped: (cause) => said.push(`stopped: ${cause}`),
      onPaused: () => said.push('paused'),
      onResumed: () => said.push('resumed'),
      began: () => {},
      ended: () => {},
      onTrouble: (sentence) => said.push(sentence),
    },
  });
}

const ordersTaken = (name: string): string => readFileSync(join(folder.path, 'machines', name, 'orders.taken'), 'utf8');

beforeAll(() => {
  const bin = join(folder.path, 'bin');
  mkdirSync(bin);
  writeFileSync(join(bin, 'qemu-system-aarch64'), STAND_IN);
  chmodSync(join(bin, 'qemu-system-aarch64'), 0o755);
  process.env['PATH'] = `${bin}:${path ?? ''}`;
});

afterEach(async () => {
  machine?.crash();
  await machine?.stop();
  machine = null;
  said = [];
  off = false;
});

afterAll(() => {
  process.env['PATH'] = path ?? '';
  folder.remove();
});

/** Disks of machines are made with it, and processes are looked at as Linux shows them. */
const CAN = ['/sbin', '/usr/sbin', '/usr/bin'].some((place) => existsSync(join(place, 'mkfs.ext4'))) && process.platform === 'linux';

// Left out where disks of machines cannot be made at all.
describe.skipIf(!CAN)('an emulated machine of a run (left out without mkfs.ext4: install e2fsprogs)', () => {
  it('loses its power, stays off as long as a fault says so, and boots again', async () => {
    machine = machineOf('kept-off');
    machine.commission();
    expect((await machine.up).ok).toBe(true);
    off = true;
    machine.crash();
    machine.start();
    await until(() => machine?.pid === null);
    off = false;
    machine.start();
    await until(() => machine?.pid !== null);
    expect(said).toEqual(['started 1', 'stopped: power loss', 'started 2']);
  });

  it('boots once when its power is back before it has ended', async () => {
    machine = machineOf('at-once');
    machine.commission();
    await machine.up;
    machine.crash();
    machine.start();
    machine.pause();
    machine.resume();
    await until(() => said.includes('resumed'));
    // Whatever else was to be done is done when it has frozen once more.
    machine.pause();
    machine.resume();
    await until(() => said.filter((what) => what === 'resumed').length === 2);
    expect(said).toEqual(['started 1', 'stopped: power loss', 'started 2', 'paused', 'resumed', 'paused', 'resumed']);
    expect(machine.pid).not.toBe(null);
  });

  it('is ordered to end, switches itself off, and boots when its power is back', async () => {
    machine = machineOf('in-order');
    machine.commission();
    await machine.up;
    off = true;
    machine.setFull(true);
    machine.pause();
    machine.shutDown();
    machine.start();
    await until(() => machine?.pid === null && said.length >= 4);
    off = false;
    machine.start();
    machine.setFull(false);
    await until(() => ordersTaken('in-order').endsWith('free '));
    expect(said).toEqual(['started 1', 'paused', 'resumed', 'stopped: shut down', 'started 2']);
    expect(ordersTaken('in-order')).toBe('fill end free ');
  });

  it('has the disk that it is to have, whatever it was doing when that changed', async () => {
    machine = machineOf('disk');
    // It is off, then it boots: it obeys when it is up.
    machine.setFull(true);
    machine.commission();
    await until(() => ordersTaken('disk') === 'fill ');
    off = true;
    machine.crash();
    machine.setFull(false);
    await until(() => machine?.pid === null);
    off = false;
    machine.start();
    await until(() => ordersTaken('disk') === 'fill free ');
    machine.pause();
    machine.setFull(true);
    machine.resume();
    await until(() => ordersTaken('disk') === 'fill free fill ');
    // Nothing is asked for that it has already.
    machine.setFull(true);
    machine.setFull(false);
    await until(() => ordersTaken('disk').endsWith('fill free '));
    expect(ordersTaken('disk')).toBe('fill free fill free ');
  });

  it('has the clock that it is to have, and the right one after a boot', async () => {
    machine = machineOf('clock');
    const hourMicros = 3_600_000_000;
    machine.setClock({ byMicros: hourMicros, ppm: 0 });
    machine.commission();
    await until(() => ordersTaken('clock') !== '');
    const [, second] = /^date (\d+) $/.exec(ordersTaken('clock')) ?? [];
    // It was told when that second began: by now, an hour ahead of us, it is little later.
    const aheadS = Date.now() / 1_000 + 3_600 - Number(second);
    expect(aheadS).toBeGreaterThan(-0.1);
    expect(aheadS).toBeLessThan(10);
    // A drift moves civil time, which is set right when it is over, and not before.
    machine.setClock({ byMicros: hourMicros, ppm: -5_010 });
    await until(() => ordersTaken('clock').includes('rate'));
    machine.setClock({ byMicros: 0, ppm: 0 });
    await until(() => /rate 10000 0 date \d+ $/.test(ordersTaken('clock')));
    expect(ordersTaken('clock')).toMatch(/^date \d+ rate 9950 -655360 rate 10000 0 date \d+ $/);
    // Whoever boots reads the right time, so that it is made wrong again.
    machine.setClock({ byMicros: 0, ppm: 100_000 });
    await until(() => ordersTaken('clock').endsWith('rate 11000 0 '));
    off = true;
    machine.crash();
    await until(() => machine?.pid === null);
    off = false;
    machine.start();
    await until(() => ordersTaken('clock').endsWith('rate 11000 0 rate 11000 0 '));
  });

  it('loses its power when it does not end as it was ordered, and that is told', async () => {
    machine = machineOf('deaf');
    machine.commission();
    await machine.up;
    off = true;
    machine.shutDown();
    await until(() => said.includes('stopped: shut down'));
    expect(said[1]).toContain('The machine did not end as it was ordered');
  });

  it('is up when its console has said so to the end of the line', async () => {
    machine = machineOf('halves');
    machine.commission();
    expect(await machine.up).toEqual({ ok: true, value: { agent: { name: 'halves' } } });
  });

  it('that cannot be started is told, and what comes after it is done all the same', async () => {
    machine = machineOf('no-room');
    // Where its settings should be is a folder: they cannot be written, as on a disk that is full.
    mkdirSync(join(folder.path, 'machines/no-room/settings.img'), { recursive: true });
    machine.commission();
    expect((await machine.up).ok).toBe(false);
    expect(said.filter((what) => what.includes('The machine no-room could not be started: '))).toHaveLength(3);
    await machine.stop();
    expect(existsSync(join(folder.path, 'machines/no-room/disk.img.part'))).toBe(false);
  });

  it('boots again by itself when its emulator ends', async () => {
    machine = machineOf('by-itself');
    machine.commission();
    await machine.up;
    process.kill(machine.pid ?? 0, 'SIGKILL');
    await until(() => said.length >= 3 && machine?.pid !== null);
    expect(said).toEqual(['started 1', 'stopped: the emulator ended by itself', 'started 2']);
    // It ends, too, where the machine inside resets itself: otherwise that would be seen by nobody.
    expect(readFileSync(`/proc/${machine.pid}/cmdline`, 'utf8').split('\0')).toContain('-no-reboot');
  });
});
