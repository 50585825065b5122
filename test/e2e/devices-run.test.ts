// A scenario on physical devices (H2.2): this machine stands for two of them, each in a folder of its own behind a real SSH server on
// loopback. Where there is no sshd (Debian's openssh-server), the tests say that they were left out.
import { existsSync, mkdirSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { arch } from 'node:process';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { RunRecord, SuiteSummary } from '../../scenarios/record.ts';
import { findSshd, SshServer } from '../support/devices/sshd.ts';
import { start, temporaryFolder, wasmmatrix, type Ended, type Running } from '../support/e2e/command.ts';

const WALL_MS = 900_000;
const SSHD = findSshd();
const ARCHITECTURE = arch === 'arm64' ? 'aarch64' : arch === 'riscv64' ? 'riscv64' : 'x86_64';
const DEVICES = ['bench-1', 'bench-2'] as const;

const folder = temporaryFolder();
const INVENTORY = join(folder.path, 'devices.yaml');
let server: SshServer | null = null;

const CALL = `
question: Two devices and a process work; one device dies, one stands still and is cut off; is every question answered?
requirements: [H2.2]
duration: 7s
quiet: 5s
fleet:
  controller: { zone: cloud/a }
  zones:
    - { zone: cloud/a, location: [50, 8] }
    - { zone: edge/b, location: [50, 9] }
  links:
    - { between: [cloud/a, edge/b], latency: 40ms }
  nodes:
    - { node: near, zone: cloud/a, architecture: ${ARCHITECTURE} }
    - { node: far-1, zone: edge/b, architecture: ${ARCHITECTURE} }
    - { node: far-2, zone: edge/b, architecture: ${ARCHITECTURE}, hardware: [can] }
steps:
  - { at: 100ms, push: echo }
  - { at: 300ms, deploy: echo, origin: edge/b, replicas: 3, spread: node }
  - { at: 1s, trigger: echo, on: questions.plain, result: answers.echo }
  - { at: 2500ms, crash: far-1, for: 3s }
  - { at: 2500ms, pause: far-2, for: 1s }
  - { at: 4s, partition: [far-2], from: [controller], for: 2s }
workload:
  - { name: questions, subject: questions.plain, from: cloud/a, start: 1500ms, every: 100ms }
observe: ["answers.>"]
goals:
  - answered: { subject: questions.plain, within: 10s }
  - running: { deployment: echo, atLeast: 3, atMost: 3 }
`;

function scenarioFile(name: string, text: string): string {
  const file = join(folder.path, `${name}.scenario.yaml`);
  writeFileSync(file, text);
  return file;
}

const argsOf = (file: string, out: string): readonly string[] => [
  'run',
  file,
  '--target',
  'devices',
  '--inventory',
  INVENTORY,
  '--out',
  join(folder.path, out),
];
/** Runs that are ended before their time. */
const running: Running[] = [];
function play(out: string): Running {
  const long = scenarioFile('long', CALL.replace('duration: 7s', 'duration: 20m'));
  running.push(start([...argsOf(long, out), '--pace', '1'], { wallMsMax: WALL_MS }));
  return running.at(-1)!;
}
const devices = (...args: readonly string[]): Promise<Ended> => wasmmatrix(['devices', ...args, '--inventory', INVENTORY]);
const whereIs = (name: string): string => join(folder.path, name);

/** Processes whose working folder is the device's, by their command lines. */
function processesOf(device: string): readonly { readonly pid: number; readonly command: string }[] {
  if (!existsSync(whereIs(device))) return [];
  const home = realpathSync(whereIs(device));
  return readdirSync('/proc').flatMap((pid) => {
    try {
      if (!/^\d+$/.test(pid) || readlinkSync(`/proc/${pid}/cwd`) !== home) return [];
      return [{ pid: Number(pid), command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ') }];
    } catch {
      return [];
    }
  });
}

const agentOn = (device: string): number | null =>
  processesOf(device).find(({ command }) => command.includes(' agent --json '))?.pid ?? null;
const hostOn = (device: string): number | null =>
  processesOf(device).find(({ command }) => command.includes('device-host.js'))?.pid ?? null;
const until = async (isSo: () => boolean): Promise<void> => {
  await expect.poll(isSo, { timeout: WALL_MS, interval: 50 }).toBe(true);
};
/** Its agent is up and speaks to the controller. */
const isUpOn = (device: string): boolean => {
  const records = join(whereIs(device), 'run', 'records.jsonl');
  return agentOn(device) !== null && existsSync(records) && readFileSync(records, 'utf8').includes('"kind":"agent.session"');
};
/** Installed, and nothing of a run. */
const isPutBack = (device: string): boolean =>
  processesOf(device).length === 0 && !existsSync(join(whereIs(device), 'run')) && existsSync(join(whereIs(device), 'product', 'cli.js'));

beforeAll(async () => {
  if (SSHD === null) return;
  const keys = join(folder.path, 'ssh keys');
  mkdirSync(keys);
  const ssh = await SshServer.start(SSHD, keys);
  server = ssh;
  const reached = { host: '127.0.0.1', port: ssh.port, user: ssh.user, key: ssh.key, knownHosts: ssh.knownHosts };
  const deviceOf = (name: string, hardware: string): string =>
    `  - ${JSON.stringify({ name, ...reached, architecture: ARCHITECTURE, zone: 'edge', folder: whereIs(name), settings: { hardware } })}\n`;
  writeFileSync(INVENTORY, `devices:\n${deviceOf('bench-1', 'can')}${deviceOf('bench-2', '')}`);
}, WALL_MS);

afterEach(() => {
  for (const { child } of running.splice(0)) child.kill('SIGKILL');
});

afterAll(async () => {
  if (server !== null) await devices('stop');
  await server?.stop();
  folder.remove();
}, WALL_MS);

// Left out without openssh-server: there is nobody to reach a device through.
describe.skipIf(SSHD === null)('a scenario on devices (left out where there is no sshd: install openssh-server)', () => {
  test('is played on those that fit, with faults that happen there, and leaves what was installed', { timeout: WALL_MS }, async () => {
    const ran = await wasmmatrix([...argsOf(scenarioFile('devices', CALL), 'held'), '--json'], { wallMsMax: WALL_MS });
    const [run] = (JSON.parse(ran.stdout) as SuiteSummary).runs;
    expect({ verdict: run?.verdict, trouble: run?.trouble, broken: run?.goals.filter(({ held }) => !held) }).toEqual({
      verdict: 'held',
      trouble: null,
      broken: [],
    });
    expect(ran.stderr).toContain('bench-1: copying the product');
    // The node with a CAN bus is the device that has one.
    expect(run?.notes?.[0]).toBe(
      `Devices: far-1 on bench-2 (${ARCHITECTURE}), far-2 on bench-1 (${ARCHITECTURE}); the other nodes are processes of this machine.`,
    );
    expect(run?.reproduce).toContain(`--target devices --inventory '${INVENTORY}'`);
    const [, ...lines] = readFileSync(join(folder.path, 'held', 'run.jsonl'), 'utf8')
      .trim()
      .split('\n');
    const records = lines.map((line) => JSON.parse(line) as RunRecord);
    const invoked = new Set(records.flatMap(({ kind, source }) => (kind === 'invocation.finished' ? [source] : [])));
    expect(invoked).toEqual(new Set(['far-1', 'far-2', 'near']));
    const told = records.flatMap((record) => {
      const { kind, micros } = record;
      if (kind !== 'machine.stopped' && kind !== 'machine.started' && kind !== 'machine.paused' && kind !== 'machine.resumed') return [];
      return micros > 2_000_000 && micros < 7_000_000 ? [`${record.fields.machine} ${kind}`] : [];
    });
    expect(told.sort()).toEqual(['far-1 machine.started', 'far-1 machine.stopped', 'far-2 machine.paused', 'far-2 machine.resumed']);
    for (const device of DEVICES) expect(isPutBack(device)).toBe(true);
  });

  test('is stopped by an interrupt, and puts everything back', { timeout: WALL_MS }, async () => {
    const run = play('interrupted');
    await until(() => DEVICES.every(isUpOn));
    // Whoever would change what is beneath it, starts an agent of his own, or another run, is told.
    const files = (): readonly number[] =>
      ['product/cli.js', 'engine.node', 'node'].map((file) => statSync(join(whereIs('bench-1'), file)).ino);
    const before = files();
    for (const action of ['install', 'start', 'remove']) {
      const refused = await devices(action, 'bench-1');
      expect(refused.code).toBe(1);
      expect(refused.stderr).toMatch(
        new RegExp(
          `bench-1: WM_DEVICE \\(failed\\): The run of .+@.+ \\(process ${run.child.pid}\\) has bench-1; .* process ${hostOn('bench-1')}\\. `,
        ),
      );
    }
    expect(files()).toEqual(before);
    const second = await wasmmatrix(argsOf(scenarioFile('devices', CALL), 'second'));
    expect(second.code).toBe(2);
    expect(second.stdout).toMatch(/WM_DEVICE \(failed\): bench-[12] cannot be a node of this run: another run has it/);
    run.child.kill('SIGINT');
    const ended = await run.ended;
    expect(ended.code).toBe(130);
    expect(ended.stderr).not.toContain('copying');
    for (const device of DEVICES) expect(isPutBack(device)).toBe(true);
  });

  test('ends without a verdict when a device goes away, which puts itself back', { timeout: WALL_MS }, async () => {
    const run = play('away');
    await until(() => DEVICES.every(isUpOn));
    // The program of the run on one of them dies, and its agent is left: nobody there can put it back.
    process.kill(hostOn('bench-1')!, 'SIGKILL');
    const ended = await run.ended;
    expect(ended.code).toBe(2);
    expect(ended.stdout).toMatch(/WM_DEVICE_UNREACHABLE \(failed\): bench-1 went away during the run: /);
    await until(() => isPutBack('bench-2'));
    expect(agentOn('bench-1')).not.toBeNull();
    expect((await devices('stop', 'bench-1')).stdout).toBe('bench-1: stopped in order\n');
  });

  test('takes nothing from a device that died in a run before, and refuses what no device can do', { timeout: WALL_MS }, async () => {
    expect(existsSync(join(whereIs('bench-1'), 'run'))).toBe(true);
    const run = play('again');
    await until(() => DEVICES.every(isUpOn));
    // The runner is killed: nothing that it could do any more puts the devices back.
    run.child.kill('SIGKILL');
    await run.ended;
    await until(() => DEVICES.every(isPutBack));
    const steps = ['near', 'far-1', 'far-2'].map((node) => `  - { at: 1s, disk-full: ${node}, for: 1s }\n`).join('');
    const full = scenarioFile('full', CALL.replace(/ {2}- \{ at: 2500ms, crash[^]*?workload:/, `${steps}workload:`));
    const refused = await wasmmatrix(argsOf(full, 'full'));
    expect(refused.code).toBe(2);
    expect(refused.stdout).toContain('WM_FAULT_UNSUPPORTED (rejected): No node of full can be a device: the disk of near, far-1, far-2');
    const nowhere = await wasmmatrix(['run', full, '--target', 'local', '--inventory', INVENTORY]);
    expect(nowhere.stderr).toContain('--inventory is for physical devices alone.');
    const missing = await wasmmatrix(['run', full, '--target', 'devices', '--inventory', join(folder.path, 'none.yaml')]);
    expect(missing.stderr).toContain('WM_INVENTORY_INVALID');
    expect(missing.code).toBe(2);
  });

  test('is followed by `devices remove`, which leaves nothing', { timeout: WALL_MS }, async () => {
    writeFileSync(join(whereIs('bench-2'), 'mine'), '');
    expect((await devices('remove')).stdout).toBe('bench-1: removed\nbench-2: removed\n');
    expect(existsSync(whereIs('bench-1'))).toBe(false);
    expect(readdirSync(whereIs('bench-2'))).toEqual(['mine']);
    expect((await devices('remove', 'bench-1')).stdout).toBe('bench-1: nothing is installed\n');
  });
});
