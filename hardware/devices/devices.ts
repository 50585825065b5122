// Physical devices as nodes, over SSH (H5.2): looked at, installed on, started, broken, stopped, read out. Owns one folder of each
// device; refuses to touch a process there that is not its own agent. What is asked of many devices is asked of all at once.
// Surprising: nothing of ours needs to be on a device before, but a shell, tar, and Node.js where the device is of another
// architecture than this machine; Debian's will do, because the product is sent as JavaScript.
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { levelOf } from '../../system/domain/isa.ts';
import type { Architecture } from '../../system/domain/node.ts';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { buildForeignEngine, targetsCache } from '../qemu/qemu.ts';
import { EngineBuildError, ensureEngine } from '../wasm/build/build.ts';
import { parseCpuFeatures } from '../wasm/wasm.ts';
import { missingFiles, type Device } from './inventory.ts';
import type { Product } from './product.ts';
import {
  EXIT_NOT_UP,
  EXIT_NOTHING,
  EXIT_RUNNING,
  EXIT_TAKEN,
  FAULT,
  INSTALLED,
  LIST,
  LOOK,
  PLACE,
  REMEMBER,
  REMOVE,
  START,
  STOP,
  UNPACK,
} from './scripts.ts';
import { fetchFile, runOn, sendFile, sendProduct, type Stop } from './shell.ts';

export { readInventory, type Device } from './inventory.ts';
export { NO_PRODUCT, withProduct, type Product } from './product.ts';
export { sshOptions } from './shell.ts';

/** Bound: how long an agent may take until it is up, and until it has stopped in order; slow devices take minutes. */
const START_S_MAX = 300;
const STOP_S_MAX = 40;
const NODE_MAJOR_LEAST = 24;
/** What an installation takes, with Node.js and room for artefacts. */
const FREE_KIB_LEAST = 512 * 1024;

const HERE: Readonly<Record<string, Architecture>> = { x64: 'x86_64', arm64: 'aarch64', riscv64: 'riscv64' };

export type DeviceFault = 'kill' | 'pause' | 'resume';
export const DEVICE_FAULTS: Readonly<Record<DeviceFault, string>> = { kill: 'KILL', pause: 'STOP', resume: 'CONT' };

export type DeviceLook = {
  readonly device: string;
  readonly machine: string;
  /** ISA feature level of its processors. */
  readonly level: string;
  /** Version of Node.js there; empty: none. */
  readonly node: string;
  readonly freeBytes: number;
  /** Version that is installed; empty: none. */
  readonly installed: string;
  /** What stands in the way of a node there, one sentence each. */
  readonly faults: readonly string[];
};

function isCopied(device: Device): boolean {
  return device.node === null && HERE[process.arch] === device.architecture;
}

/** Where its Node.js is, relative to its folder or in its PATH. */
export function nodeOf(device: Device): string {
  return device.node ?? (isCopied(device) ? './node' : 'node');
}

export async function checkDevice(device: Device, stop?: Stop): Promise<Outcome<DeviceLook>> {
  const missing = missingFiles(device);
  if (missing.length > 0)
    return rejected('WM_INVENTORY_INVALID', {
      message: `${device.name} needs ${missing.join(', ')}, which ${missing.length === 1 ? 'is' : 'are'} not there.`,
      next: 'Correct the inventory, or make the file.',
    });
  const said = await runOn(device, LOOK, [device.folder, device.node ?? 'node'], stop);
  if (!said.ok) return said;
  const [facts = '', ...processors] = said.value.stdout.split('\nprocessors\n');
  const of = (key: string): string => new RegExp(`^${key}=(.*)$`, 'm').exec(facts)?.[1]?.trim() ?? '';
  const look = {
    device: device.name,
    machine: of('machine'),
    level: levelOf(device.architecture, parseCpuFeatures(device.architecture, processors.join('\n'))).name,
    node: of('node').replace(/^v/, ''),
    freeBytes: Number(of('freeKiB')) * 1024,
    installed: of('installed'),
  };
  return ok({ ...look, faults: faultsOf(device, look, of('writable') === 'yes') });
}

function faultsOf(device: Device, look: Omit<DeviceLook, 'faults'>, isWritable: boolean): readonly string[] {
  const faults: string[] = [];
  if (look.machine !== device.architecture)
    faults.push(`It is ${look.machine || 'of an unknown architecture'}, and the inventory says ${device.architecture}.`);
  if (!isWritable) faults.push(`${device.user} may not write to ${device.folder} there.`);
  if (look.freeBytes < FREE_KIB_LEAST * 1024)
    faults.push(`It has ${Math.floor(look.freeBytes / 1024 / 1024)} MiB left, and an installation takes ${FREE_KIB_LEAST / 1024}.`);
  const major = Number(look.node.split('.')[0]);
  if (!isCopied(device) && !(major >= NODE_MAJOR_LEAST))
    faults.push(
      `It has ${look.node === '' ? 'no Node.js' : `Node.js ${look.node}`}; an agent needs ${NODE_MAJOR_LEAST}. Install it, and name it as \`node\`.`,
    );
  return faults;
}

export type InstallOptions = {
  /** Leaves what is the same already. */
  readonly unlessThere: boolean;
  readonly say: (line: string) => void;
  readonly stop?: Stop;
};

/** The product, the engine, and Node.js where this machine's runs there. A running agent goes on with what it has loaded. */
export async function installOn(device: Device, product: Product, options: InstallOptions): Promise<Outcome<string>> {
  let left = 'Nothing was changed there';
  const done = await install(device, product, options, (what) => (left = what));
  if (done.ok || options.stop?.aborted !== true) return done;
  return cancelled(
    `The installation on ${device.name} was stopped by the user. ${left}.`,
    'Install it again: `wasmmatrix devices install`, or take it away: `devices remove`.',
  );
}

/** `leaves`: what is there when it ends here. */
async function install(
  device: Device,
  product: Product,
  { unlessThere, say, stop }: InstallOptions,
  leaves: (what: string) => void,
): Promise<Outcome<string>> {
  const look = await checkDevice(device, stop);
  if (!look.ok) return look;
  if (look.value.faults.length > 0)
    return failed('WM_DEVICE', {
      message: `${device.name} cannot be a node. ${look.value.faults.join(' ')}`,
      next: 'Correct it there, or in the inventory.',
    });
  const engine = await engineFor(device, say, stop);
  if (!engine.ok) return engine;
  const stamp = stampOf(product, engine.value, isCopied(device));
  if (unlessThere) {
    const known = await runOn(device, INSTALLED, [device.folder], stop);
    if (!known.ok) return known;
    if (known.value.stdout === stamp) return ok(`was installed in ${device.folder}`);
  }
  say(`${device.name}: copying the product`);
  leaves('It has what it had, or the new product without the rest');
  const unpacked = await sendProduct(device, product, UNPACK, [device.folder], stop);
  if (!unpacked.ok) return unpacked;
  if (unpacked.value.exitCode === EXIT_TAKEN) return taken(device, 'What is installed stays as it is', unpacked.value.stderr);
  if (unpacked.value.exitCode !== 0) return wentWrong(device, 'unpacking what was copied', unpacked.value.stderr);
  const copies: readonly (readonly [string, string])[] = [
    [engine.value, 'engine.node'],
    ...(isCopied(device) ? [[process.execPath, 'node'] as const] : []),
  ];
  for (const [from, to] of copies) {
    say(`${device.name}: copying ${to}`);
    leaves(`It has the new product, and perhaps not the new ${to}`);
    const copied = await sendFile(device, from, PLACE, [device.folder, to, String(statSync(from).size)], stop);
    if (!copied.ok) return copied;
    if (copied.value.exitCode === EXIT_TAKEN) return taken(device, `It has the new product, and not the new ${to}`, copied.value.stderr);
    if (copied.value.exitCode !== 0) return wentWrong(device, `putting ${to} into its place`, copied.value.stderr);
  }
  const remembered = await runOn(device, REMEMBER, [device.folder, stamp], stop);
  if (!remembered.ok) return remembered;
  return ok(`installed in ${device.folder}`);
}

/** Names all that an installation consists of. */
function stampOf({ digest }: Product, engine: string, copiesNode: boolean): string {
  const hash = createHash('sha256').update(digest).update(readFileSync(engine));
  return hash.update(copiesNode ? process.version : '').digest('hex');
}

/** Everything of ours goes. WM_DEVICE: an agent of ours runs there. */
export async function removeFrom(device: Device, stop?: Stop): Promise<Outcome<string>> {
  const said = await runOn(device, REMOVE, [device.folder, device.name], stop);
  if (!said.ok) return said;
  const { exitCode, stderr } = said.value;
  if (exitCode === 0) return ok('removed');
  if (exitCode === EXIT_NOTHING) return ok('nothing is installed');
  if (exitCode === EXIT_TAKEN) return taken(device, 'Nothing was removed', stderr);
  if (exitCode !== EXIT_RUNNING) return wentWrong(device, 'removing what is installed', stderr);
  return failed('WM_DEVICE', { message: `An agent of ours runs on ${device.name}.`, next: 'Stop it first: `wasmmatrix devices stop`.' });
}

async function engineFor(device: Device, say: (line: string) => void, stop: Stop): Promise<Outcome<string>> {
  if (device.engine !== null) return ok(device.engine);
  const { architecture } = device;
  if (architecture === 'x86_64' || HERE[process.arch] === architecture) {
    try {
      return ok(await ensureEngine({ compiler: false, ...(stop === undefined ? {} : { signal: stop }) }));
    } catch (error) {
      if (!(error instanceof EngineBuildError)) throw error;
      return failed('WM_ENGINE_BUILD', { message: error.message, next: 'Correct what it names, and repeat.' });
    }
  }
  return buildForeignEngine(
    architecture,
    { cache: targetsCache(), say, ...(stop === undefined ? {} : { signal: stop }) },
    { compiler: false },
  );
}

export async function startOn(device: Device, join: string | null, stop?: Stop): Promise<Outcome<string>> {
  const args = [device.folder, device.name, nodeOf(device), String(START_S_MAX), '--zone', device.zone, ...device.flags];
  const said = await runOn(device, START, args, stop, join ?? '');
  if (!said.ok && stop?.aborted === true)
    return cancelled(
      `The start on ${device.name} was stopped by the user, and its agent may be up.`,
      'Stop it: `wasmmatrix devices stop`.',
    );
  if (!said.ok) return said;
  const { exitCode, stdout, stderr } = said.value;
  if (exitCode === 0) return ok(`up: ${describeAgent(stdout)}`);
  if (exitCode === EXIT_RUNNING) return ok('was running already');
  if (exitCode === EXIT_TAKEN) return taken(device, 'Nothing was started', stderr);
  if (exitCode === EXIT_NOTHING)
    return nothingThere(device, 'Nothing, or only a part, is installed', 'Install it first: `devices install`.');
  if (exitCode === EXIT_NOT_UP) return wentWrong(device, 'starting the agent', stderr);
  return wentWrong(device, `starting the agent (${exitCode})`, stderr);
}

function describeAgent(line: string): string {
  try {
    const { agent } = JSON.parse(line) as { readonly agent: { readonly node: string; readonly address: string } };
    return `${agent.node} at ${agent.address}`;
  } catch {
    return line;
  }
}

export async function stopOn(device: Device, stop?: Stop): Promise<Outcome<string>> {
  const said = await runOn(device, STOP, [device.folder, device.name, String(STOP_S_MAX)], stop);
  if (!said.ok) return said;
  if (said.value.exitCode === EXIT_NOTHING) return ok('nothing is installed');
  return said.value.exitCode === 0 ? ok(said.value.stdout) : wentWrong(device, 'stopping the agent', said.value.stderr);
}

/** `kill`: as a crash. `pause`: it stands still until `resume`. */
export async function breakOn(device: Device, fault: DeviceFault, stop?: Stop): Promise<Outcome<string>> {
  const said = await runOn(device, FAULT, [device.folder, device.name, DEVICE_FAULTS[fault]], stop);
  if (!said.ok) return said;
  if (said.value.exitCode === EXIT_NOTHING) return nothingThere(device, 'No agent of ours runs', 'Start it first: `devices start`.');
  return said.value.exitCode === 0 ? ok(fault) : wentWrong(device, fault, said.value.stderr);
}

/** Its log, its records and what it said when it was up, into a folder of its own in `out`. */
export async function collectFrom(device: Device, out: string, stop?: Stop): Promise<Outcome<string>> {
  const listed = await runOn(device, LIST, [device.folder], stop);
  if (!listed.ok) return listed;
  const files = listed.value.stdout.split('\n').filter((file) => file !== '');
  if (listed.value.exitCode === EXIT_NOTHING || files.length === 0)
    return nothingThere(device, 'There is nothing to collect', 'Install and start it first.');
  const folder = join(out, device.name);
  mkdirSync(folder, { recursive: true });
  for (const file of files) {
    const fetched = await fetchFile(device, `${device.folder}/${file}`, join(folder, file), stop);
    if (!fetched.ok) return fetched;
    if (fetched.value.exitCode !== 0) return wentWrong(device, `reading ${file}`, fetched.value.stderr);
  }
  return ok(`${files.join(', ')} in ${folder}`);
}

function cancelled(message: string, next: string): Outcome<never> {
  return rejected('WM_CANCELLED', { message, next });
}

function nothingThere(device: Device, what: string, next: string): Outcome<never> {
  return failed('WM_DEVICE', { message: `${what} on ${device.name} in ${device.folder}.`, next });
}

/** `said`: the number of the run's program on the device, and who began the run where that is known. */
function taken(device: Device, left: string, said: string): Outcome<never> {
  const [pid = '', ...owner] = said.trim().split('\n').at(-1)?.split(' ') ?? [];
  const whose = owner.length === 0 ? 'A run' : `The run of ${owner.join(' ')}`;
  return failed('WM_DEVICE', {
    message: `${whose} has ${device.name}; its program there is process ${pid}. ${left}.`,
    next: 'Wait until that run has ended, or end it with Ctrl-C, and repeat.',
  });
}

function wentWrong(device: Device, what: string, said: string): Outcome<never> {
  return failed('WM_DEVICE', {
    message: `On ${device.name} ${what} went wrong: ${said.trim() || 'it said nothing'}`,
    next: 'Correct what it names; `devices collect` brings its log.',
  });
}
