// Processes as machines: switched on, killed, frozen, started again by themselves, stopped in order; and nothing left behind
// when whoever runs them is gone.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { Keeper } from '../../../hardware/local/keeper.ts';
import { Machine } from '../../../hardware/local/machine.ts';
import { mayMount, Volume } from '../../../hardware/local/volume.ts';

const LIVES = `console.log('{"up":true}'); setInterval(() => {}, 1000); process.on('SIGTERM', () => process.exit(0));`;

let folder = '';
let keeper: Keeper;
let said: string[] = [];
let off = false;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'wm-machine-'));
  keeper = new Keeper(folder);
  said = [];
  off = false;
});
afterEach(() => keeper.close());

function machineOf(program: string): Machine {
  return new Machine({
    name: 'a-1',
    command: () => ['-e', program],
    environment: { PATH: process.env['PATH'] ?? '' },
    log: join(folder, 'a-1.log'),
    port: 0,
    hooks: {
      isKeptOff: () => off,
      onStarted: (incarnation) => said.push(`started ${incarnation}`),
      onStopped: (cause) => said.push(`stopped: ${cause}`),
      onPaused: () => said.push('paused'),
      onResumed: () => said.push('resumed'),
      began: (pid) => keeper.began(pid),
      ended: (pid) => keeper.ended(pid),
      onTrouble: (sentence) => said.push(sentence),
    },
  });
}

const until = async (isSo: () => boolean): Promise<void> => {
  await expect.poll(isSo, { timeout: 30_000, interval: 10 }).toBe(true);
};
const lives = (pid: number | null): boolean => {
  if (pid === null) return false;
  try {
    // One that has ended and that nobody has asked about yet is no process any more.
    return !readFileSync(`/proc/${pid}/stat`, 'utf8').includes(') Z ');
  } catch {
    return false;
  }
};

describe('a machine', () => {
  it('is up when its process says so, and stops in order', async () => {
    const machine = machineOf(LIVES);
    machine.commission();
    expect(await machine.up).toEqual({ ok: true, value: { up: true } });
    const { pid } = machine;
    await machine.stop();
    expect(lives(pid)).toBe(false);
    expect(said).toEqual(['started 1', 'stopped: stopped']);
  });

  it('loses its power at once, stays off as long as a fault says so, and comes back as another incarnation', async () => {
    const machine = machineOf(LIVES);
    machine.commission();
    await machine.up;
    const { pid } = machine;
    off = true;
    machine.crash();
    await until(() => !lives(pid) && machine.pid === null);
    machine.start();
    expect(said).toEqual(['started 1', 'stopped: power loss']);
    off = false;
    machine.start();
    expect(said.at(-1)).toBe('started 2');
    await machine.stop();
  });

  it('is shut down in order, stays off until its power is back, and comes back as another incarnation', async () => {
    const ends = join(folder, 'ends');
    const machine = machineOf(
      `process.on('SIGTERM', () => { require('node:fs').writeFileSync(${JSON.stringify(ends)}, 'in order'); process.exit(0); }); setInterval(() => {}, 1000); console.log('{}');`,
    );
    machine.commission();
    await machine.up;
    off = true;
    machine.pause();
    machine.shutDown();
    await until(() => machine.pid === null);
    machine.start();
    expect(said).toEqual(['started 1', 'paused', 'resumed', 'stopped: shut down']);
    expect(readFileSync(ends, 'utf8')).toBe('in order');
    off = false;
    machine.start();
    expect(said.at(-1)).toBe('started 2');
    await machine.stop();
  });

  it('starts again when its power is back before it has ended', async () => {
    const machine = machineOf(
      `process.on('SIGTERM', () => setTimeout(() => process.exit(0), 100)); setInterval(() => {}, 1000); console.log('{}');`,
    );
    machine.commission();
    await machine.up;
    machine.shutDown();
    machine.start();
    await until(() => said.includes('started 2'));
    expect(said).toEqual(['started 1', 'stopped: shut down', 'started 2']);
    await machine.stop();
  });

  it('does nothing while it is frozen, and can be stopped then', async () => {
    const beats = join(folder, 'beats');
    const machine = machineOf(`${LIVES} setInterval(() => require('node:fs').appendFileSync(${JSON.stringify(beats)}, '.'), 10);`);
    const beatsSoFar = (): number => (existsSync(beats) ? readFileSync(beats).length : 0);
    machine.commission();
    await until(() => beatsSoFar() > 2);
    machine.pause();
    const state = (): string => /\) (\w) /.exec(readFileSync(`/proc/${machine.pid}/stat`, 'utf8'))?.[1] ?? '';
    await until(() => state() === 'T');
    const before = beatsSoFar();
    await new Promise((resolve) => setTimeout(resolve, 150));
    expect(beatsSoFar()).toBe(before);
    machine.resume();
    await until(() => beatsSoFar() > before);
    machine.pause();
    await machine.stop();
    expect(said).toEqual(['started 1', 'paused', 'resumed', 'paused', 'resumed', 'stopped: stopped']);
  });

  it('starts its process again when that ends by itself', async () => {
    const machine = machineOf(`console.log('{}'); setTimeout(() => process.exit(3), 20);`);
    machine.commission();
    await until(() => said.includes('started 2'));
    await machine.stop();
    expect(said.slice(0, 3)).toEqual(['started 1', 'stopped: the process ended by itself with 3', 'started 2']);
  });

  it('is given up, with its last words, when it never comes up', async () => {
    const machine = machineOf(`console.error('the port is taken'); process.exit(2);`);
    machine.commission();
    const up = await machine.up;
    expect(up.ok ? '' : up.error.message).toContain('the port is taken');
    expect(said.filter((line) => line.startsWith('started'))).toHaveLength(3);
  });
});

describe('the keeper', () => {
  it('ends what it was told of and removes the folder, when it is closed', async () => {
    const machine = machineOf(LIVES);
    machine.commission();
    await machine.up;
    const { pid } = machine;
    off = true;
    await keeper.close();
    await until(() => !lives(pid) && said.length === 2);
    await machine.stop();
    expect(existsSync(folder)).toBe(false);
  });

  // The state of a process is read where Linux says it.
  it.skipIf(process.platform !== 'linux')('does so too when its runner is killed, frozen machines included', async () => {
    const inner = mkdtempSync(join(tmpdir(), 'wm-runner-'));
    const runner = join(folder, 'runner.ts');
    const local = new URL('../../../hardware/local/', import.meta.url).href;
    writeFileSync(
      runner,
      `import { Keeper } from '${local}keeper.ts';
       import { Machine } from '${local}machine.ts';
       const nothing = () => {};
       const keeper = new Keeper('${inner}');
       const machine = new Machine({ name: 'a', port: 0, command: () => ['-e', ${JSON.stringify(LIVES)}], environment: {}, log: '${inner}/log',
         hooks: { isKeptOff: () => false, onStarted: nothing, onStopped: nothing, onPaused: nothing, onResumed: nothing,
           began: (pid) => keeper.began(pid), ended: (pid) => keeper.ended(pid), onTrouble: nothing } });
       machine.commission();
       await machine.up;
       machine.pause();
       console.log(machine.pid);
       setInterval(nothing, 1000);`,
    );
    const child = spawn(process.execPath, [runner], { stdio: ['ignore', 'pipe', 'inherit'] });
    const pid = await new Promise<number>((resolve) =>
      createInterface({ input: child.stdout }).once('line', (line) => resolve(Number(line))),
    );
    expect(lives(pid)).toBe(true);
    child.kill('SIGKILL');
    await until(() => !lives(pid) && !existsSync(inner));
  });
});

// Left out for users who may not mount: they cannot produce the fault, and scenarios with it are refused to them.
describe.skipIf(!mayMount())('a disk that is full', () => {
  it('takes nothing, keeps what it has, and takes more when it is freed', () => {
    const path = join(folder, 'disk');
    mkdirSync(path);
    const volume = new Volume(path);
    expect(volume.mount().ok).toBe(true);
    keeper.mounted(path);
    const file = join(path, 'file');
    writeFileSync(file, 'kept');
    volume.fill();
    expect(() => writeFileSync(join(path, 'other'), 'x'.repeat(4_096))).toThrow(/ENOSPC/);
    expect(readFileSync(file, 'utf8')).toBe('kept');
    volume.free();
    writeFileSync(join(path, 'other'), 'x'.repeat(4_096));
  });
});
