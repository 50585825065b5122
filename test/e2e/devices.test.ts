// Physical devices as nodes, over a real SSH server on loopback: this machine stands for them, each in a folder of its own (H5.2).
// Where there is no sshd (Debian's openssh-server), the tests say that they were left out.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { arch } from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { findSshd, SshServer } from '../support/devices/sshd.ts';
import { temporaryFolder, type Ended } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';

const WALL_MS = 600_000;
const SSHD = findSshd();
const ARCHITECTURE = arch === 'arm64' ? 'aarch64' : arch === 'riscv64' ? 'riscv64' : 'x86_64';

type NodeRow = { readonly facts: { readonly node: string; readonly zone: string }; readonly status: string; readonly incarnation: number };

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'));
const INVENTORY = join(folder.path, 'devices.yaml');
let server: SshServer | null = null;

const devices = (...args: readonly string[]): Promise<Ended> => platform.run('devices', ...args, '--inventory', INVENTORY);
const nodes = (): Promise<readonly NodeRow[]> => platform.json('get', 'nodes');
const statusOf = (rows: readonly NodeRow[], node: string): string | undefined => rows.find(({ facts }) => facts.node === node)?.status;
const whereIs = (name: string): string => join(folder.path, name);

function inventoryOf(ssh: SshServer, changes: Readonly<Record<string, string | number>> = {}): string {
  const deviceOf = (name: string, more: Readonly<Record<string, string | number>>): string => {
    const fields = { name, host: '127.0.0.1', port: ssh.port, user: ssh.user, key: ssh.key, knownHosts: ssh.knownHosts };
    const all = { ...fields, architecture: ARCHITECTURE, zone: `edge/${name}`, folder: whereIs(name), ...more, ...changes };
    return `  - ${JSON.stringify({ ...all, settings: { memory: '256MiB', cores: 1 } })}\n`;
  };
  return `devices:\n${deviceOf('bench-1', {})}${deviceOf('bench-2', {})}`;
}

beforeAll(async () => {
  if (SSHD === null) return;
  const keys = join(folder.path, 'ssh keys');
  mkdirSync(keys);
  server = await SshServer.start(SSHD, keys);
  writeFileSync(INVENTORY, inventoryOf(server));
  await platform.up(['--heartbeat', '200ms', '--suspect', '1s', '--lease', '1500ms', '--unavailable', '2s']);
}, WALL_MS);

afterAll(async () => {
  if (server !== null) await devices('stop');
  await platform.close();
  await server?.stop();
  folder.remove();
}, WALL_MS);

// Left out without openssh-server: there is nobody to reach a device through.
describe.skipIf(SSHD === null)('devices that are reached over SSH (left out where there is no sshd: install openssh-server)', () => {
  test('are looked at, installed on and started, and are nodes then', { timeout: WALL_MS }, async () => {
    const looked = await devices('check');
    expect(looked.stderr).toBe('');
    expect(looked.stdout).toMatch(new RegExp(`^bench-1: ${ARCHITECTURE} \\([a-z0-9.-]+\\), .*nothing installed\nbench-2: `));
    expect(looked.code).toBe(0);
    const early = await devices('start', 'bench-1');
    expect(early.code).toBe(1);
    expect(early.stderr).toMatch(/bench-1: WM_DEVICE \(failed\): Nothing, or only a part, is installed on bench-1/);
    const installed = await devices('install');
    expect(installed.stderr).not.toContain('WM_');
    expect(installed.code).toBe(0);
    expect(existsSync(join(whereIs('bench-1'), 'product', 'cli.js'))).toBe(true);
    expect(existsSync(join(whereIs('bench-1'), 'product', 'test'))).toBe(false);
    expect((await devices('check', 'bench-2')).stdout).toMatch(/version \d+\.\d+\.\d+ installed/);
    const started = await devices('start', '--join', platform.told.joinToken);
    expect(started.stderr).toBe('');
    expect(started.stdout).toMatch(/^bench-1: up: bench-1 at 127\.0\.0\.1:\d+\nbench-2: up: bench-2 at/);
    const rows = await eventually(nodes, (all) => all.length === 2 && all.every(({ status }) => status === 'healthy'), 'both are nodes');
    expect(rows.map(({ facts }) => facts.zone).sort()).toEqual(['edge/bench-1', 'edge/bench-2']);
    expect((await devices('start', 'bench-1')).stdout).toBe('bench-1: was running already\n');
  });

  test('run what is deployed on them, and lose it when they are broken', { timeout: WALL_MS }, async () => {
    await platform.ok('keys', 'create', 'ops');
    await platform.ok('trust', 'add', 'ops');
    await platform.ok('push', (await buildExamples()).get('echo')!.wasmPath, '--name', 'echo', '--sign', 'ops');
    const manifest = join(folder.path, 'app.yaml');
    writeFileSync(manifest, '- { deploy: echo, origin: edge/bench-1 }\n- { trigger: echo, on: ask, result: answer }\n');
    await platform.ok('apply', manifest, '--running', '60');
    const placed = await platform.json<readonly { readonly node: string }[]>('get', 'instances');
    const victim = placed[0]!.node;
    expect((await devices('fault', victim, '--kind', 'pause')).stdout).toBe(`${victim}: pause\n`);
    await eventually(nodes, (all) => statusOf(all, victim) === 'unavailable', 'a paused device is lost');
    await eventually(
      () => platform.json<readonly { readonly node: string; readonly state: string }[]>('get', 'instances'),
      (all) => all.some(({ node, state }) => node !== victim && state === 'running'),
      'its work is on the other',
    );
    expect((await devices('fault', victim, '--kind', 'resume')).code).toBe(0);
    await eventually(nodes, (all) => statusOf(all, victim) === 'healthy', 'it is back');
    expect((await devices('fault', victim, '--kind', 'kill')).code).toBe(0);
    await eventually(nodes, (all) => statusOf(all, victim) === 'unavailable', 'a killed agent is lost');
    // It has joined: it needs no token any more.
    expect((await devices('start', victim)).stdout).toMatch(/: up: /);
    await eventually(nodes, (all) => statusOf(all, victim) === 'healthy', 'it was started again');
  });

  test('are stopped in order, and their logs and records are collected', { timeout: WALL_MS }, async () => {
    const out = join(folder.path, 'out');
    expect((await devices('stop', 'bench-2')).stdout).toBe('bench-2: stopped in order\n');
    expect((await devices('stop', 'bench-2')).stdout).toBe('bench-2: was not running\n');
    expect((await devices('fault', 'bench-2', '--kind', 'kill')).stderr).toContain('No agent of ours runs on bench-2');
    const collected = await devices('collect', '--out', out);
    expect(collected.stderr).toBe('');
    for (const name of ['bench-1', 'bench-2']) {
      const records = readFileSync(join(out, name, 'records.jsonl'), 'utf8');
      expect(records).toContain(`"source":"${name}"`);
      expect(readFileSync(join(out, name, 'agent.json'), 'utf8')).toContain(`"node":"${name}"`);
      for (const file of ['agent.log', 'agent.json', 'records.jsonl'])
        expect(readFileSync(join(out, name, file), 'utf8')).not.toContain(platform.told.joinToken);
    }
  });

  test('that cannot be used say why, and hold up no other', { timeout: WALL_MS }, async () => {
    const ssh = server!;
    const look = async (inventory: string): Promise<Ended> => {
      writeFileSync(INVENTORY, inventory);
      const ended = await devices('check', '--json');
      writeFileSync(INVENTORY, inventoryOf(ssh));
      return ended;
    };
    const stranger = await look(inventoryOf(ssh).replace(JSON.stringify(ssh.key), JSON.stringify(ssh.strangerKey)));
    expect(stranger.code).toBe(1);
    expect(JSON.parse(stranger.stdout)).toMatchObject([
      {
        device: 'bench-1',
        outcome: { ok: false, error: { code: 'WM_DEVICE_UNREACHABLE', message: expect.stringContaining('Permission denied') } },
      },
      { device: 'bench-2', outcome: { ok: true } },
    ]);
    const nobody = join(folder.path, 'nobody');
    writeFileSync(nobody, '');
    expect((await look(inventoryOf(ssh, { knownHosts: nobody }))).stdout).toContain('Host key verification failed');
    const foreign = ARCHITECTURE === 'riscv64' ? 'aarch64' : 'riscv64';
    const other = JSON.parse((await look(inventoryOf(ssh, { architecture: foreign, node: 'no-such-node' }))).stdout) as readonly {
      readonly outcome: { readonly value: { readonly faults: readonly string[] } };
    }[];
    expect(other[0]?.outcome.value.faults).toEqual([
      `It is ${ARCHITECTURE}, and the inventory says ${foreign}.`,
      'It has no Node.js; an agent needs 24. Install it, and name it as `node`.',
    ]);
    expect((await look(inventoryOf(ssh, { key: join(folder.path, 'no-such-key') }))).stdout).toContain('WM_INVENTORY_INVALID');
    expect((await devices('check', 'bench-9')).stderr).toContain("The inventory has no device called 'bench-9'. It has bench-1, bench-2.");
  });
});
