// Devices of other architectures, which nothing but SSH reaches: emulated arm64 and riscv64 machines that have an SSH server and Debian's
// Node.js, and nothing of ours before `devices install` (H5.2, issue 5). Left out unless WASMMATRIX_TEST_MACHINES is set, as in machines.test.ts.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildExamples } from '../../scenarios/examples/build.ts';
import { reservePort } from '../support/network/reserve.ts';
import { temporaryFolder, type Ended } from '../support/e2e/command.ts';
import { eventually, Platform } from '../support/e2e/platform.ts';

const WALL_MS = 900_000;
/** An emulated machine on a busy host needs patience. */
const PATIENCE = { wallMsMax: 300_000 };
const NAMES = ['arm64-1', 'riscv64-1'] as const;

type NodeRow = {
  readonly facts: { readonly node: string; readonly architecture: string; readonly zone: string };
  readonly status: string;
  readonly incarnation: number;
};
type InstanceRow = { readonly node: string; readonly state: string };

const folder = temporaryFolder();
const platform = new Platform(folder.make('home'), { wallMsMax: WALL_MS });
const INVENTORY = join(folder.path, 'devices.yaml');

const devices = (...args: readonly string[]): Promise<Ended> => platform.run('devices', ...args, '--inventory', INVENTORY);
const inside = async (name: string, command: string): Promise<string> => platform.ok('machines', 'ssh', name, '--', command);
const nodes = (): Promise<readonly NodeRow[]> => platform.json('get', 'nodes');
const nodeIs = (name: string, status: string): Promise<readonly NodeRow[]> =>
  eventually(
    nodes,
    (rows) => rows.some(({ facts, status: now }) => facts.node === name && now === status),
    `${name} is ${status}`,
    PATIENCE,
  );

// Left out elsewhere: where nobody made images before, this would take a quarter of an hour.
describe.skipIf(process.env['WASMMATRIX_TEST_MACHINES'] === undefined)(
  'devices of other architectures (left out unless WASMMATRIX_TEST_MACHINES is set)',
  () => {
    beforeAll(async () => {
      // As machines call this one, beside loopback.
      const port = await reservePort();
      const addresses = `127.0.0.1:${port},10.0.2.2:${port}`;
      const patience = ['--heartbeat', '2s', '--suspect', '6s', '--lease', '8s', '--unavailable', '10s'];
      await platform.up(['--listen', `127.0.0.1:${port}`, '--advertise', addresses, ...patience]);
      await platform.ok('machines', 'start', '--device', '--quiet');
      writeFileSync(INVENTORY, await platform.ok('machines', 'inventory'));
    }, WALL_MS);

    afterAll(async () => {
      await platform.run('machines', 'stop', '--remove');
      await platform.close();
      folder.remove();
    }, WALL_MS);

    it('have nothing of ours, are installed on and started, and are nodes then', { timeout: WALL_MS }, async () => {
      for (const name of NAMES)
        expect(await inside(name, 'id -un; ls; ls /product; node -p process.features.typescript')).toBe('device\nfalse\n');
      const looked = await devices('check');
      expect([looked.code, looked.stderr]).toEqual([0, '']);
      expect(looked.stdout).toMatch(
        /^arm64-1: aarch64 \(armv8\.1-a\), Node\.js 24\.\S+, \d+ MiB left, nothing installed\nriscv64-1: riscv64 \(rv64gcbv\), Node\.js 24\.\S+, \d+ MiB left, nothing installed\n$/,
      );
      const installed = await devices('install');
      expect([installed.code, installed.stdout]).toEqual([0, NAMES.map((name) => `${name}: installed in wasmmatrix\n`).join('')]);
      const started = await devices('start', '--join', platform.told.joinToken);
      expect([started.code, started.stderr]).toEqual([0, '']);
      const rows = await eventually(
        nodes,
        (seen) => seen.filter(({ status }) => status === 'healthy').length === 2,
        'both are nodes',
        PATIENCE,
      );
      expect(rows.map(({ facts: { node, architecture, zone } }) => `${node} ${architecture} ${zone}`).toSorted()).toEqual([
        'arm64-1 aarch64 qemu',
        'riscv64-1 riscv64 qemu',
      ]);
      // What was sent is what runs, and is nobody else's to read.
      const process = await inside('riscv64-1', 'tr "\\0" " " <"/proc/$(cat wasmmatrix/agent.pid)/cmdline"; stat -c %a wasmmatrix');
      expect(process).toMatch(/^\/usr\/bin\/node product\/cli\.js agent --json --name riscv64-1 .* 700\n$/);
    });

    it('run guests that were compiled for each of them', { timeout: WALL_MS }, async () => {
      await platform.ok('keys', 'create', 'ops');
      await platform.ok('trust', 'add', 'ops');
      await platform.ok('push', (await buildExamples()).get('echo')!.wasmPath, '--name', 'echo', '--sign', 'ops');
      const manifest = join(folder.path, 'app.yaml');
      writeFileSync(
        manifest,
        '- { deploy: echo, origin: qemu, replicas: 2, spread: node }\n- { trigger: echo, on: ask, result: answer }\n',
      );
      await platform.ok('apply', manifest, '--running', '120');
      const placed = await platform.json<readonly InstanceRow[]>('get', 'instances');
      expect(placed.map(({ node, state }) => `${node} ${state}`).toSorted()).toEqual(NAMES.map((name) => `${name} running`));
      const answers = platform.follow('subscribe', 'answer');
      await answers.said('Listening');
      for (let i = 1; i <= 4; i++) await platform.ok('publish', 'ask', `question ${i}.`);
      const all = (text: string): boolean => [1, 2, 3, 4].every((i) => text.includes(`question ${i}.`));
      await eventually(() => Promise.resolve(answers.stdout()), all, 'every question is answered', PATIENCE);
      answers.child.kill('SIGINT');
      await answers.ended;
    });

    it('are broken, and come back as who they were', { timeout: WALL_MS }, async () => {
      const [arm64, riscv64] = NAMES;
      expect((await devices('fault', arm64, '--kind', 'pause')).stdout).toBe(`${arm64}: pause\n`);
      expect((await devices('fault', riscv64, '--kind', 'kill')).stdout).toBe(`${riscv64}: kill\n`);
      await nodeIs(arm64, 'unavailable');
      const before = await nodeIs(riscv64, 'unavailable');
      expect((await devices('fault', arm64, '--kind', 'resume')).stdout).toBe(`${arm64}: resume\n`);
      // It has joined: it needs no token any more.
      expect((await devices('start', riscv64)).stdout).toMatch(/^riscv64-1: up: riscv64-1 at 127\.0\.0\.1:\d+\n$/);
      await nodeIs(arm64, 'healthy');
      const after = await nodeIs(riscv64, 'healthy');
      const lives = [before, after].map((rows) => rows.find(({ facts }) => facts.node === riscv64)?.incarnation ?? 0);
      expect(lives[1]).toBeGreaterThan(lives[0] ?? 0);
    });

    it('are stopped in order, and their logs and records are collected', { timeout: WALL_MS }, async () => {
      expect((await devices('stop')).stdout).toBe(NAMES.map((name) => `${name}: stopped in order\n`).join(''));
      const out = join(folder.path, 'out');
      const collected = await devices('collect', '--out', out);
      expect([collected.code, collected.stderr]).toEqual([0, '']);
      for (const name of NAMES) {
        expect(readFileSync(join(out, name, 'records.jsonl'), 'utf8')).toContain(`"source":"${name}"`);
        expect(readFileSync(join(out, name, 'agent.json'), 'utf8')).toContain(`"node":"${name}"`);
        for (const file of ['agent.log', 'agent.json', 'records.jsonl'])
          expect(readFileSync(join(out, name, file), 'utf8')).not.toContain(platform.told.joinToken);
      }
    });
  },
);
