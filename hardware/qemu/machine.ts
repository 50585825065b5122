// An emulated machine: QEMU with the images of `images.ts`, a disk of its own that survives a reset, and a control socket. It runs in the
// background until it is powered off; what is known of it lies in its folder, and a machine is ours when its command line names that.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa, ExecaError } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { decodeJoinToken, encodeJoinToken } from '../network/network.ts';
import type { MachineImage } from './images.ts';
import { replaceFile, wordsOf, type ForeignArchitecture } from '../debian/debian.ts';
import { makeDisk } from './disk.ts';
import { ORDERS_PORT, orderAt, rateOrder, TASK_VARIABLE, type MachineClock, type MachineOrder } from './orders.ts';
import { Qmp } from './qmp.ts';
import { SSH_PORT, sshSettings, sshWayOf, type SshUser, type SshWay } from './ssh.ts';
import { missingSystem, SYSTEMS } from './system.ts';

/** Where a machine finds the one that it runs on. */
const HOST = '10.0.2.2';
/** Port of the node's own service inside. */
const NODE_PORT = 7_000;
const DISK_MIB = 256;
/** Of one without an agent: room for what is installed on it. */
const DEVICE_DISK_MIB = 1_024;
const SETTINGS_BYTES = 65_536;
const NAME = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** Bound: how long a machine may take to end after it was told to. */
const END_MS_MAX = 10_000;
const LOOK_MS = 200;
const SECOND_MS = 1_000;
/** Bound: ports that others may take between the choice and QEMU, which holds them from its start to its end. */
const PICKS_MAX = 8;
/** QEMU's words for a port that is not free; nothing has booted then. */
const PORT_TAKEN = 'Could not set up host forwarding rule';
const MICROS_PER_MS = 1_000;
/** Bound: letters of what QEMU says that are told. */
const WORDS_MAX = 400;

export const MACHINE_FAULTS = {
  pause: [['stop', {}]],
  resume: [['cont', {}]],
  reset: [['system_reset', {}]],
  cut: [['set_link', { name: 'nic0', up: false }]],
  mend: [['set_link', { name: 'nic0', up: true }]],
  'power-off': [['quit', {}]],
} as const satisfies Readonly<Record<string, readonly (readonly [string, Readonly<Record<string, unknown>>])[]>>;
/** What only the inside can do. */
export const MACHINE_ORDERS = {
  'shut-down': 'end',
  'fill-disk': 'fill',
  'free-disk': 'free',
} as const satisfies Readonly<Record<string, MachineOrder>>;
export type MachineFault = keyof typeof MACHINE_FAULTS | keyof typeof MACHINE_ORDERS;

export type MachineOptions = {
  readonly name: string;
  /** Folder of all machines. */
  readonly folder: string;
  readonly image: MachineImage;
  readonly memoryMib: number;
  /** Null: there is no agent in it, only the SSH server of its image. */
  readonly joinToken: string | null;
  readonly zone: string;
  /** Further settings of the agent, as variables of its environment. */
  readonly environment: Readonly<Record<string, string>>;
  /** File that the records of its agent are added to, or what its task prints; absent: nowhere. */
  readonly records?: string;
  /** It ends where it would boot again by itself, so that its keeper sees it; otherwise QEMU begins anew unseen. */
  readonly endsOnReset?: true;
  /** Instead of an agent: a command, which finds a read-only file system over the root; the machine switches itself off when it has ended. */
  readonly task?: { readonly layer: string; readonly command: string };
  /** Chooses a port of loopback; absent: one that nobody has at the moment. */
  readonly choosePort?: () => Promise<number>;
};

/** The agent's end of the port that carries its records: the first program of the machine links ports by their names. */
const RECORDS_PORT = '/dev/records';

export type MachineLook = {
  readonly name: string;
  readonly architecture: ForeignArchitecture;
  /** `running`, `paused`, …, as QEMU says; `off`. */
  readonly state: string;
  readonly pid: number | null;
  /** Where its node answers on this machine. */
  readonly address: string;
  readonly console: string;
  /** Where its SSH server is; null: it has none. */
  readonly ssh: { readonly user: SshUser; readonly port: number } | null;
};

type Kept = {
  readonly architecture: ForeignArchitecture;
  readonly port: number;
  readonly zone?: string;
  readonly ssh?: { readonly user: SshUser; readonly port: number };
};

const fileOf = (folder: string, name: string, file: string): string => join(folder, name, file);

/** Starts it in the background. WM_MACHINE, WM_TARGET_TOOLS. */
export async function startMachine(options: MachineOptions): Promise<Outcome<MachineLook>> {
  try {
    return await start(options);
  } catch (error) {
    const said = `The machine ${options.name} could not be started: ${wordsOf(error)}.`;
    return failed('WM_MACHINE', { message: said, next: 'Make room on the disk, or repeat.' });
  }
}

async function start(options: MachineOptions): Promise<Outcome<MachineLook>> {
  const { name, folder, image } = options;
  if (!NAME.test(name)) return refused(`'${name}' is no name of a machine.`, 'Use lower-case letters, digits and inner hyphens.');
  if (pidOf(folder, name) !== null) return refused(`The machine ${name} is running.`, `Stop it first: wasmmatrix machines stop ${name}.`);
  const before = readKept(folder, name);
  if (before !== null && before.architecture !== image.architecture)
    return refused(
      `${name} is a machine of ${before.architecture}, and its disk holds what was made for that.`,
      `Name the new one otherwise, or forget the old one: wasmmatrix machines stop --remove ${name}.`,
    );
  const lacking = await missingSystem(image.architecture);
  if (lacking !== null) return lacking;
  const token = insideOf(options.joinToken);
  if (!token.ok) return token;
  const home = join(folder, name);
  mkdirSync(home, { recursive: true, mode: 0o700 });
  for (let pick = 1; ; pick += 1) {
    const kept = await choosePorts(options);
    const made = await makeDisks(options, home, kept, token.value);
    if (!made.ok) return made;
    const trouble = await boot(options, home, kept);
    if (trouble === null) return lookAt(folder, name);
    if (pick < PICKS_MAX && trouble.includes(PORT_TAKEN)) continue;
    return failed('WM_MACHINE', { message: `The machine ${name} could not be started: ${trouble}`, next: 'Correct what it names.' });
  }
}

async function choosePorts({ image, joinToken, zone, choosePort = freePort }: MachineOptions): Promise<Kept> {
  const user = joinToken === null ? 'device' : 'root';
  const ssh = image.ssh === undefined ? {} : { ssh: { user, port: await choosePort() } as const };
  return { architecture: image.architecture, port: await choosePort(), zone, ...ssh };
}

/** Null: QEMU runs it; otherwise why it does not. */
async function boot(options: MachineOptions, home: string, kept: Kept): Promise<string | null> {
  const { name, folder, image, memoryMib } = options;
  const { ssh } = kept;
  const { program, args, console } = SYSTEMS[image.architecture];
  for (const socket of ['qmp', 'orders']) rmSync(fileOf(folder, name, socket), { force: true });
  const layer = options.task?.layer ?? image.ssh;
  const disk = (file: string, id: string, more: string): readonly string[] => [
    ...['-drive', `file=${escaped(file)},if=none,id=${id},format=raw,${more}`],
    ...['-device', `virtio-blk-pci,drive=${id}`],
  ];
  const forwarded = [[kept.port, NODE_PORT] as const, ...(ssh === undefined ? [] : [[ssh.port, SSH_PORT] as const])]
    .map(([outside, inside]) => `,hostfwd=tcp:127.0.0.1:${outside}-:${inside}`)
    .join('');
  try {
    await execa(
      program,
      [
        ...args,
        ...[
          '-name',
          `wasmmatrix-${name}`,
          '-smp',
          '1',
          '-m',
          `${memoryMib}M`,
          '-accel',
          'tcg,thread=multi',
          '-nodefaults',
          '-no-user-config',
        ],
        ...['-display', 'none', '-serial', `file:${escaped(fileOf(folder, name, 'console.log'))}`, '-monitor', 'none'],
        ...['-kernel', image.kernel, '-initrd', image.initrd, '-append', `console=${console} quiet panic=-1`],
        ...disk(image.root, 'd0', 'readonly=on'),
        ...disk(image.product, 'd1', 'readonly=on'),
        ...disk(join(home, 'disk.img'), 'd2', 'cache=writeback'),
        ...disk(join(home, 'settings.img'), 'd3', 'readonly=on'),
        ...(layer === undefined ? [] : disk(layer, 'd4', 'readonly=on')),
        ...['-netdev', `user,id=n0${forwarded}`, '-device', 'virtio-net-pci,netdev=n0,id=nic0,romfile='],
        ...['-device', 'virtio-serial-pci'],
        ...['-chardev', `socket,id=orders,path=${escaped(fileOf(folder, name, 'orders'))},server=on,wait=off`],
        ...['-device', `virtserialport,chardev=orders,name=${ORDERS_PORT}`],
        ...(options.records === undefined
          ? []
          : [
              ...['-chardev', `file,id=records,path=${escaped(options.records)},append=on`],
              ...['-device', 'virtserialport,chardev=records,name=records'],
            ]),
        ...['-device', 'virtio-rng-pci', '-qmp', `unix:${escaped(fileOf(folder, name, 'qmp'))},server=on,wait=off`],
        ...['-pidfile', fileOf(folder, name, 'pid'), '-daemonize'],
        ...(options.endsOnReset === true ? ['-no-reboot'] : []),
      ],
      { stdin: 'ignore', stdout: 'ignore' },
    );
    return null;
  } catch (error) {
    // What it says, without the long command.
    const stderr: unknown = error instanceof ExecaError ? error.stderr : null;
    const said = typeof stderr === 'string' ? stderr.trim() : '';
    return said === '' ? wordsOf(error) : said.slice(-WORDS_MAX);
  }
}

/** How a machine names an address of loopback: inside, that is the machine itself. */
export function fromInside(address: string): string {
  return address.replace(/^(?:127\.0\.0\.1|localhost|\[::1\]):/, `${HOST}:`);
}

function insideOf(joinToken: string | null): Outcome<string | null> {
  if (joinToken === null) return ok(null);
  const token = decodeJoinToken(joinToken);
  if (!token.ok) return token;
  const addresses = token.value.addresses.map(fromInside);
  return ok(encodeJoinToken({ ...token.value, addresses }));
}

/** As variables of its environment. */
function agentSettings(
  { name, zone, environment, records }: MachineOptions,
  port: number,
  token: string,
): Readonly<Record<string, string>> {
  return {
    WASMMATRIX_ENGINE: '/opt/engine.node',
    WASMMATRIX_JOIN: token,
    WASMMATRIX_NAME: name,
    WASMMATRIX_ZONE: zone,
    ...nodeAddresses(port),
    WASMMATRIX_ADMIN: '127.0.0.1:0',
    NODE_COMPILE_CACHE: '/data/code',
    ...(records === undefined ? {} : { WASMMATRIX_LOG_RECORDS: RECORDS_PORT }),
    ...environment,
  };
}

/** Where its node listens, and how others reach that: this machine, and machines beside it, whose own loopback has nothing there. */
export function nodeAddresses(port: number): { readonly WASMMATRIX_LISTEN: string; readonly WASMMATRIX_ADVERTISE: string } {
  return { WASMMATRIX_LISTEN: `0.0.0.0:${NODE_PORT}`, WASMMATRIX_ADVERTISE: `127.0.0.1:${port},${HOST}:${port}` };
}

async function makeDisks(options: MachineOptions, home: string, kept: Kept, token: string | null): Promise<Outcome<void>> {
  const { name } = options;
  replaceFile(join(home, 'machine.json'), JSON.stringify(kept));
  const ssh = kept.ssh === undefined ? ok({}) : await sshSettings(home, kept.ssh.user);
  if (!ssh.ok) return ssh;
  const variables: Readonly<Record<string, string>> = {
    ...ssh.value,
    ...(token === null ? {} : agentSettings(options, kept.port, token)),
    ...(options.task === undefined ? {} : { [TASK_VARIABLE]: options.task.command }),
  };
  const text = Object.entries(variables)
    .map(([key, value]) => `export ${key}='${value.replaceAll("'", `'\\''`)}'\n`)
    .join('');
  if (Buffer.byteLength(text) > SETTINGS_BYTES)
    return refused(`The settings of ${name} are larger than ${SETTINGS_BYTES} bytes.`, 'Give it fewer or shorter ones.');
  const content = Buffer.concat([Buffer.from(text), Buffer.alloc(SETTINGS_BYTES)]).subarray(0, SETTINGS_BYTES);
  replaceFile(join(home, 'settings.img'), content, 0o600);
  return makeDisk(join(home, 'disk.img'), token === null ? DEVICE_DISK_MIB : DISK_MIB);
}

/** All that are known in the folder, by name. */
export async function lookAtAll(folder: string): Promise<readonly MachineLook[]> {
  if (!existsSync(folder)) return [];
  const looks: MachineLook[] = [];
  for (const name of readdirSync(folder).sort()) {
    const look = await lookAt(folder, name);
    if (look.ok) looks.push(look.value);
  }
  return looks;
}

export async function lookAt(folder: string, name: string): Promise<Outcome<MachineLook>> {
  const kept = readKept(folder, name);
  if (kept === null) return refused(`There is no machine ${name}.`, 'See `wasmmatrix machines list`.');
  const { architecture, port, ssh = null } = kept;
  const pid = pidOf(folder, name);
  const look = { name, architecture, pid, address: `127.0.0.1:${port}`, console: fileOf(folder, name, 'console.log'), ssh };
  if (pid === null) return ok({ ...look, state: 'off' });
  const asked = await tell(folder, name, [['query-status', {}]]);
  if (!asked.ok) return ok({ ...look, state: 'unknown' });
  const { status = 'unknown' } = (asked.value ?? {}) as { readonly status?: string };
  return ok({ ...look, state: status });
}

/** How to come in by SSH. WM_MACHINE: its server is not up; rejected where it has none. */
export function sshWay(folder: string, name: string): Outcome<SshWay> {
  const kept = readKept(folder, name);
  if (kept === null) return refused(`There is no machine ${name}.`, 'See `wasmmatrix machines list`.');
  if (kept.ssh === undefined)
    return refused(`The machine ${name} was started without a way in.`, 'Stop it, and start it with --ssh or --device.');
  if (pidOf(folder, name) === null) return refused(`The machine ${name} is off.`, `Start it: wasmmatrix machines start.`);
  const way = sshWayOf(join(folder, name), fileOf(folder, name, 'console.log'), kept.ssh.port, kept.ssh.user);
  if (way !== null) return ok(way);
  return failed('WM_MACHINE', {
    message: `The SSH server of ${name} is not up yet.`,
    next: `Try again in a moment, or look at its console: wasmmatrix machines console ${name}.`,
  });
}

/** What an inventory of `devices` says of it. */
export function inventoryEntry(folder: string, name: string): Outcome<Readonly<Record<string, unknown>>> {
  const way = sshWay(folder, name);
  if (!way.ok) return way;
  const kept = readKept(folder, name);
  const { WASMMATRIX_LISTEN: listen, WASMMATRIX_ADVERTISE: advertise } = nodeAddresses(kept?.port ?? 0);
  const { user, port, key, knownHosts } = way.value;
  const { architecture, zone = 'qemu' } = kept ?? {};
  return ok({
    name,
    host: '127.0.0.1',
    port,
    user,
    key,
    knownHosts,
    architecture,
    zone,
    node: '/usr/bin/node',
    settings: { listen, advertise },
  });
}

/** WM_MACHINE: it is off, or refused. */
export async function breakMachine(folder: string, name: string, fault: MachineFault): Promise<Outcome<void>> {
  if (isOrdered(fault)) return orderMachine(folder, name, MACHINE_ORDERS[fault]);
  const told = await tell(folder, name, MACHINE_FAULTS[fault]);
  return told.ok ? ok() : told;
}

function isOrdered(fault: MachineFault): fault is keyof typeof MACHINE_ORDERS {
  return Object.hasOwn(MACHINE_ORDERS, fault);
}

/** Resolves when the machine has done it. WM_MACHINE: it is off, or did not do it. */
export async function orderMachine(folder: string, name: string, order: MachineOrder): Promise<Outcome<void>> {
  if (pidOf(folder, name) === null) return refused(`The machine ${name} is off.`, `Start it: wasmmatrix machines start.`);
  return orderAt(fileOf(folder, name, 'orders'), order);
}

/** How its clock is from now on; civil time is set where it is asked for. `onRate`: it goes at the rate from now on. WM_MACHINE. */
export async function setMachineClock(
  folder: string,
  name: string,
  { byMicros, ppm }: MachineClock,
  set: { readonly civil: boolean; readonly rate: boolean; readonly onRate?: () => void },
): Promise<Outcome<void>> {
  const ordered = set.rate ? await orderMachine(folder, name, rateOrder(ppm)) : ok();
  if (ordered.ok && set.rate) set.onRate?.();
  if (!ordered.ok || !set.civil) return ordered;
  // It takes whole seconds: it is told one when that begins.
  const aheadMs = byMicros / MICROS_PER_MS;
  const second = Math.floor((Date.now() + aheadMs) / SECOND_MS) + 1;
  await sleep(second * SECOND_MS - aheadMs - Date.now());
  return orderMachine(folder, name, `date ${second}`);
}

/** Takes its power; its disk stays. Ends the process when it does not obey. */
export async function stopMachine(folder: string, name: string): Promise<Outcome<void>> {
  const pid = pidOf(folder, name);
  if (pid === null)
    return readKept(folder, name) === null ? refused(`There is no machine ${name}.`, 'See `wasmmatrix machines list`.') : ok();
  await tell(folder, name, MACHINE_FAULTS['power-off']);
  const endMs = performance.now() + END_MS_MAX;
  while (pidOf(folder, name) !== null && performance.now() < endMs) await sleep(LOOK_MS);
  if (pidOf(folder, name) === pid)
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended meanwhile.
    }
  return ok();
}

/** Forgets it, and its disk. It has to be off. */
export function removeMachine(folder: string, name: string): Outcome<void> {
  if (pidOf(folder, name) !== null) return refused(`The machine ${name} is running.`, `Stop it first: wasmmatrix machines stop ${name}.`);
  if (readKept(folder, name) === null) return refused(`There is no machine ${name}.`, 'See `wasmmatrix machines list`.');
  rmSync(join(folder, name), { recursive: true, force: true });
  return ok();
}

async function tell(
  folder: string,
  name: string,
  commands: readonly (readonly [string, Readonly<Record<string, unknown>>])[],
): Promise<Outcome<unknown>> {
  if (pidOf(folder, name) === null) return refused(`The machine ${name} is off.`, `Start it: wasmmatrix machines start.`);
  const qmp = await Qmp.open(fileOf(folder, name, 'qmp'));
  if (!qmp.ok) return qmp;
  let last: Outcome<unknown> = ok(null);
  for (const [command, args] of commands) {
    last = await qmp.value.execute(command, args);
    // A machine that quits may not come to its answer.
    if (!last.ok && command !== 'quit') break;
  }
  qmp.value.close();
  return last;
}

function readKept(folder: string, name: string): Kept | null {
  try {
    return NAME.test(name) ? (JSON.parse(readFileSync(fileOf(folder, name, 'machine.json'), 'utf8')) as Kept) : null;
  } catch {
    return null;
  }
}

/** A path in an option of QEMU. */
function escaped(path: string): string {
  return path.replaceAll(',', ',,');
}

/** Null: it is off. A number that another process has by now is none. */
function pidOf(folder: string, name: string): number | null {
  try {
    const pid = Number(readFileSync(fileOf(folder, name, 'pid'), 'utf8'));
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(escaped(fileOf(folder, name, 'qmp'))) ? pid : null;
  } catch {
    return null;
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

function refused(message: string, next: string): Outcome<never> {
  return rejected('WM_ARGUMENT', { message, next });
}
