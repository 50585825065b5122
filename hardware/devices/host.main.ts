// `node product/device-host.js <name of the device> <who runs it>`, in the device's folder: the program of a run on a device. It is the machine of
// one node there: starts its agent, breaks it as it is ordered, starts it again when it ends by itself, and says all of it with the
// device's own clock; it hands over what the agent writes. Orders come over standard input. Surprising: when that closes, or nothing
// comes for `ABANDONED_MS`, whatever the run left here goes, so that a run that died or lost the device leaves nothing behind.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, watch, writeFileSync, type FSWatcher } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Architecture } from '../../system/domain/node.ts';
import { Machine } from '../local/machine.ts';
import { findPorts } from '../local/ports.ts';
import { startOf } from '../local/start-of.ts';
import { machineMicros } from '../local/records.ts';
import { LineTail } from '../local/tail.ts';
import { readCpuFeatures } from '../wasm/cpu-features.ts';
import { machineHere } from './here.ts';
import { ABANDONED_MS, LOG_MARK, OPEN_MS_MAX, RECORD_MARK, type FromHost, type HostOrder, type ToHost } from './messages.ts';

const ARCHITECTURES: Readonly<Record<string, Architecture>> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };
const PROGRAM = 'product/cli.js';
/** Everything of a run here. One run at a time: its folder is the lock. */
const RUN = 'run';
const [RECORDS, LOG, HOST, OWNER] = [`${RUN}/records.jsonl`, `${RUN}/agent.log`, `${RUN}/host`, `${RUN}/owner`];
/** The agent that is here and its node's name, for the scripts of `devices`. */
const [PID, NAME] = ['agent.pid', 'agent.name'];
const READ_EVERY_MS = 100;
/** Bound: how long an agent that a dead run left here may take to end. */
const END_MS_MAX = 10_000;

const [device = '', owner = ''] = process.argv.slice(2);
let machine: Machine | null = null;
/** A fault keeps it off. */
let isOff = false;
let leaving: Promise<void> | null = null;
let owns = false;
const tails: LineTail[] = [];
const watchers: FSWatcher[] = [];
let heardMs = performance.now();
/** Before it has said what it is, nobody has anything to say. */
let silenceMsMax = OPEN_MS_MAX;

function say(message: FromHost): void {
  put(JSON.stringify(message));
}

function put(line: string): void {
  process.stdout.write(`${line}\n`);
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return '';
  }
}

/** The agent of this folder; null: none runs. A number in a file alone may be anybody's by now. */
function agentHere(): number | null {
  const pid = Number(read(PID));
  const name = read(NAME).trim() || device;
  const command = pid > 0 ? read(`/proc/${pid}/cmdline`).replaceAll('\0', ' ') : '';
  return /product\/cli\.[jt]s agent --json --name /.test(command) && command.includes(` --name ${name} `) ? pid : null;
}

/** Refuses where another run or an agent of `devices start` is; takes away what a run that died left here. */
async function take(): Promise<string | null> {
  const [host = 0, start] = read(HOST)
    .split(' ')
    .map((word) => word.trim());
  if (existsSync(RUN)) {
    if (start !== undefined && start !== '' && startOf(Number(host)) === start) return 'another run has it';
    const left = agentHere();
    if (left !== null) signal(left, 'SIGKILL');
    for (const endMs = performance.now() + END_MS_MAX; agentHere() !== null && performance.now() < endMs;) await sleep(READ_EVERY_MS);
    rmSync(RUN, { recursive: true, force: true });
  } else if (agentHere() !== null) return 'an agent that `devices start` started runs on it';
  mkdirSync(RUN, { mode: 0o700 });
  owns = true;
  writeFileSync(OWNER, owner);
  writeFileSync(HOST, `${process.pid} ${startOf(process.pid)}`);
  return null;
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has ended meanwhile.
  }
}

/** Compiled once, then measured. */
async function loadMs(): Promise<number> {
  const load = (): Promise<void> =>
    new Promise((resolve) => {
      const child = spawn(process.execPath, [PROGRAM, 'agent', '--help'], { stdio: 'ignore' });
      child.once('error', () => resolve());
      child.once('exit', () => resolve());
    });
  await load();
  const sinceMs = performance.now();
  await load();
  return Math.round(performance.now() - sinceMs);
}

async function greet(): Promise<void> {
  const refusal = await take();
  if (refusal !== null) {
    say({ kind: 'refused', why: refusal, next: 'Stop it first: `wasmmatrix devices stop`, or wait until that run has ended.' });
    return leave();
  }
  const architecture = ARCHITECTURES[process.arch];
  const [ports, startMs] = [await findPorts(2), await loadMs()];
  [heardMs, silenceMsMax] = [performance.now(), ABANDONED_MS];
  say({
    kind: 'hello',
    machine: machineHere(),
    arch: process.arch,
    isaFeatures: architecture === undefined ? [] : readCpuFeatures(architecture),
    ports: [ports[0] ?? 0, ports[1] ?? 0],
    startMs,
  });
}

/** A file of the agent, line by line, as soon as it is written. */
function follow(file: string, mark: string): void {
  writeFileSync(file, '', { flag: 'a', mode: 0o600 });
  const tail = new LineTail(file, (line) => put(mark + line));
  tails.push(tail);
  watchers.push(watch(file, () => tail.read()));
}

function create({ node, args, joinToken }: Extract<ToHost, { readonly kind: 'agent' }>): void {
  follow(RECORDS, RECORD_MARK);
  follow(LOG, LOG_MARK);
  writeFileSync(NAME, node);
  const files = ['--data', `${RUN}/data`, '--log-format', 'text', '--log-records', RECORDS];
  machine = new Machine({
    name: node,
    port: 0,
    // Such a line is what the scripts of `devices` know an agent of ours by.
    command: () => [PROGRAM, 'agent', '--json', '--name', node, ...files, ...args],
    environment: { ...(process.env as Record<string, string>), WASMMATRIX_JOIN: joinToken },
    log: LOG,
    hooks: {
      isKeptOff: () => isOff,
      onStarted: (incarnation) => say({ kind: 'started', incarnation, micros: machineMicros() }),
      onStopped: (cause) => say({ kind: 'stopped', cause, micros: machineMicros() }),
      onPaused: () => say({ kind: 'paused', micros: machineMicros() }),
      onResumed: () => say({ kind: 'resumed', micros: machineMicros() }),
      began: (pid) => {
        writeFileSync(PID, String(pid));
        say({ kind: 'process', pid });
      },
      ended: () => {
        rmSync(PID, { force: true });
        say({ kind: 'process', pid: null });
      },
      onTrouble: () => {},
    },
  });
  void machine.up.then((up) => {
    if (up.ok) say({ kind: 'up', said: up.value });
    else say({ kind: 'refused', why: up.error.message, next: up.error.next });
  });
}

function obey(order: HostOrder): void {
  switch (order) {
    case 'commission':
      return machine?.commission();
    case 'start':
      isOff = false;
      return machine?.start();
    case 'crash':
      isOff = true;
      return machine?.crash();
    case 'shut-down':
      isOff = true;
      return machine?.shutDown();
    case 'pause':
      return machine?.pause();
    case 'resume':
      return machine?.resume();
    case 'stop':
      return void leave();
  }
}

function hear(message: ToHost): void {
  heardMs = performance.now();
  switch (message.kind) {
    case 'beat':
      return say({ kind: 'beat', beat: message.beat, micros: machineMicros() });
    case 'agent':
      return create(message);
    case 'order':
      return obey(message.order);
  }
}

/** Everything of the run goes, then this process. Idempotent. */
function leave(): Promise<void> {
  return (leaving ??= takeAway().then(() => process.exit(0)));
}

async function takeAway(): Promise<void> {
  await machine?.stop();
  readAll();
  for (const watcher of watchers) watcher.close();
  for (const tail of tails) tail.close();
  if (owns) for (const file of [NAME, RUN]) rmSync(file, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
  // What is said last must be written before the process ends, if anybody still reads.
  const bye = `${JSON.stringify({ kind: 'bye' } satisfies FromHost)}\n`;
  await Promise.race([new Promise<void>((resolve) => process.stdout.write(bye, () => resolve())), sleep(END_MS_MAX)]);
}

/** A session that is cut within a line ends with half of one. */
function parsed(line: string): ToHost | null {
  try {
    return JSON.parse(line) as ToHost;
  } catch {
    return null;
  }
}

function readAll(): void {
  for (const tail of tails) tail.read();
}

for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => void leave());
// A full disk, say: the agent does not outlive what watches it.
for (const trouble of ['uncaughtException', 'unhandledRejection'] as const)
  process.on(trouble, (error: unknown) => {
    // Once: what is said after that may be said to nobody, which is an error of its own.
    if (leaving === null) process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
    void leave();
  });
// Nobody reads any more: the end of standard input says the same.
process.stdout.on('error', () => void leave());
setInterval(() => {
  if (performance.now() - heardMs > silenceMsMax) void leave();
  else if (leaving === null) readAll();
}, READ_EVERY_MS);
const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const message = parsed(line);
  if (message !== null) hear(message);
});
lines.on('close', () => void leave());
await greet();
