// `wasmmatrix machines`: arm64 and riscv64 machines under QEMU as nodes. A composition root.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { isAbsolute, join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { InvalidArgumentError, type Command } from 'commander';
import { execa } from 'execa';
import { stringify } from 'yaml';
import { parseShift } from '../../scenarios/units.ts';
import { describeError, failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { decodeJoinToken } from '../network/network.ts';
import { describeDuration, createProgressPrinter } from '../wasm/build/progress.ts';
import { prepareImage, type MachineImage } from './images.ts';
import {
  breakMachine,
  inventoryEntry,
  lookAt,
  lookAtAll,
  MACHINE_FAULTS,
  MACHINE_ORDERS,
  removeMachine,
  setMachineClock,
  sshWay,
  startMachine,
  stopMachine,
  type MachineFault,
  type MachineLook,
} from './machine.ts';
import { PPM_MAX } from './orders.ts';
import { greets, sshInto } from './ssh.ts';
import { FOREIGN_ARCHITECTURES, type ForeignArchitecture } from '../debian/debian.ts';

const CLOCK = 'clock';
type Fault = MachineFault | typeof CLOCK;
const FAULTS = [...Object.keys(MACHINE_FAULTS), ...Object.keys(MACHINE_ORDERS), CLOCK] as readonly Fault[];
const EXIT_FAILED = 1;
const EXIT_REJECTED = 2;
const EXIT_INTERRUPTED = 130;
const ALIASES: Readonly<Record<string, ForeignArchitecture>> = { arm64: 'aarch64' };
const MEMORY_MIB = 512;
const MEMORY_MIB_LEAST = 256;
/** Bound: how long a machine may take until its agent is up; an emulated one on a busy host takes minutes. */
const UP_MS_MAX = 600_000;
const LOOK_MS = 250;
/** What an agent prints when it is up: one line of JSON. */
const UP_LINE = /^\{"agent":/m;

/** What ssh ends with when there is no connection. */
const EXIT_SSH = 255;

type Quiet = { readonly quiet?: true; readonly json?: true; readonly ssh?: true; readonly device?: true };
type ClockOptions = { readonly by?: number; readonly ppm?: number };
type StartOptions = Quiet & {
  readonly join?: string;
  readonly name?: string;
  readonly zone: string;
  readonly memory: number;
  readonly isa?: string;
  /** `--no-wait` makes it false. */
  readonly wait: boolean;
};

export function addMachines(program: Command): void {
  const machines = program
    .command('machines')
    .summary('arm64 and riscv64 machines under QEMU, as nodes')
    .description(
      'Builds, starts, breaks and stops emulated machines whose agents join a control plane. Images are made of Debian packages when they are first needed, and kept. docs/howto/machines.md goes through it.',
    );
  machines
    .command('build')
    .summary('make the images')
    .description('Makes kernel, root file system, engine and product of each architecture, without starting anything.')
    .argument('[architecture...]', `${FOREIGN_ARCHITECTURES.join(' or ')} (default: both)`)
    .option('--ssh', 'also the SSH server, for machines with a way in')
    .option('--json', 'print the files as JSON')
    .option('-q, --quiet', 'no progress')
    .action(act((signal: AbortSignal, names: readonly string[], options: Quiet) => build(names, options, signal)));
  machines
    .command('start')
    .summary('start a machine of each architecture, and wait until its agent is up')
    .description('Starts machines in the background. A machine that was there before keeps its disk, and with it its identity.')
    .argument('[architecture...]', `${FOREIGN_ARCHITECTURES.join(' or ')} (default: both)`)
    .option('--join <token>', 'join token of the control plane (default: WASMMATRIX_JOIN)')
    .option('--name <name>', 'name of the machine and of its node, when one is started (default: arm64-1, riscv64-1)')
    .option('--zone <zone>', 'where its node is', 'qemu')
    .option('--isa <level>', 'the most that code for its node may use (default: what it has)')
    .option('--memory <MiB>', 'memory of each machine', memory, MEMORY_MIB)
    .option('--ssh', 'let `machines ssh` in, as root, through a port of loopback')
    .option('--device', 'an SSH server alone, for somebody without rights: no agent, as a device that is new; joins nothing')
    .option('--no-wait', 'do not wait until it is up')
    .option('--json', 'print the machines as JSON')
    .option('-q, --quiet', 'no progress')
    .action(act((signal: AbortSignal, names: readonly string[], options: StartOptions) => start(names, options, signal)));
  machines
    .command('stop')
    .summary('take the power from machines')
    .description('Powers machines off; their disks stay, unless they are to be removed.')
    .argument('[machine...]', 'names (default: all)')
    .option('--remove', 'remove their disks too: they come back as new nodes')
    .action(
      act((_signal: AbortSignal, names: readonly string[], options: { readonly remove?: true }) => stop(names, options.remove === true)),
    );
  machines
    .command('list')
    .summary('show the machines')
    .description('Shows every machine, what it is and how it is.')
    .option('--json', 'as JSON')
    .action(
      act(async (_signal: AbortSignal, options: { readonly json?: true }) =>
        list(await lookAtAll(machinesFolder()), options.json === true),
      ),
    );
  machines
    .command('fault')
    .summary('break a machine, or mend it')
    .description(
      'Does to a machine what happens to machines: pause and resume, reset, power-off, cut and mend of its network, shut-down in order, a full disk and room on it again, a clock that is wrong by --by and --ppm, and right without them.',
    )
    .argument('<machine>', 'its name')
    .argument('<kind>', FAULTS.join(', '), fault)
    .option('--by <time>', 'for `clock`: how far its civil time is off, such as 60m, or -500ms as --by=-500ms', shift)
    .option('--ppm <n>', `for \`clock\`: parts per million by which it is too fast; less than 0 is too slow, within ${PPM_MAX}`, ppm)
    .action(
      act((_signal: AbortSignal, name: string, kind: Fault, { by, ppm: rate }: ClockOptions) => {
        if (kind === CLOCK)
          return tellOf(
            setMachineClock(machinesFolder(), name, { byMicros: by ?? 0, ppm: rate ?? 0 }, { civil: true, rate: true }),
            `${name}: ${kind}`,
          );
        if (by !== undefined || rate !== undefined)
          return Promise.resolve(refuse(wrong('--by and --ppm are for `clock` alone.', 'Leave them out.')));
        return tellOf(breakMachine(machinesFolder(), name, kind), `${name}: ${kind}`);
      }),
    );
  machines
    .command('ssh')
    .summary('run a command in a machine, or a shell')
    .description('Goes into a machine that was started with --ssh or --device, with its own key; ends as the command ended.')
    .argument('<machine>', 'its name')
    .argument('[command...]', 'for the shell of the machine, after -- (default: a shell)')
    .action(act((_signal: AbortSignal, name: string, command: readonly string[]) => goInto(name, command)));
  machines
    .command('inventory')
    .summary('print the machines as an inventory of `devices`')
    .description(
      'Prints, as YAML, what `wasmmatrix devices` needs to know of machines that were started with --device. Ports are others after each start.',
    )
    .argument('[machine...]', 'names (default: all with an SSH server and without an agent that run)')
    .action(act((_signal: AbortSignal, names: readonly string[]) => inventory(names)));
  machines
    .command('console')
    .summary('show what a machine said')
    .description('Prints the console of a machine: its kernel, and the log of its agent.')
    .argument('<machine>', 'its name')
    .option('-f, --follow', 'go on until interrupted')
    .action(
      act((signal: AbortSignal, name: string, options: { readonly follow?: true }) => showConsole(name, options.follow === true, signal)),
    );
}

/** Where machines live between commands. */
function machinesFolder(): string {
  const xdg = process.env['XDG_DATA_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.local', 'share'), 'wasmmatrix', 'machines');
}

/** An action whose exit code is what it gives; interrupts end what it waits for. */
function act<A extends readonly unknown[]>(
  action: (signal: AbortSignal, ...args: A) => Promise<number>,
): (...args: unknown[]) => Promise<void> {
  return async (...given) => {
    const cancel = new AbortController();
    const interrupt = (): void => cancel.abort();
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, interrupt);
    // Commander's last argument is the command itself.
    const args = given.slice(0, -1) as unknown as A;
    const code = await action(cancel.signal, ...args);
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(signal, interrupt);
    process.exitCode = cancel.signal.aborted && code !== 0 ? EXIT_INTERRUPTED : code;
  };
}

async function imagesOf(names: readonly string[], options: Quiet, signal: AbortSignal): Promise<Outcome<readonly MachineImage[]>> {
  const architectures = architecturesOf(names);
  if (!architectures.ok) return architectures;
  const images: MachineImage[] = [];
  for (const architecture of architectures.value) {
    if (signal.aborted)
      return rejected('WM_CANCELLED', { message: 'Images were not made to the end.', next: 'Start it again; what was made is kept.' });
    const image = await prepareImage(architecture, {
      say: (line) => tell(options, line),
      signal,
      ssh: options.ssh === true || options.device === true,
      ...(options.quiet === true ? {} : { onProgress: createProgressPrinter(process.stderr) }),
    });
    if (!image.ok) return image;
    images.push(image.value);
  }
  return ok(images);
}

async function build(names: readonly string[], options: Quiet, signal: AbortSignal): Promise<number> {
  const images = await imagesOf(names, options, signal);
  if (!images.ok) return refuse(images);
  if (options.json === true) print(JSON.stringify(images.value, null, 2));
  else
    for (const { architecture, kernel, root, product, ssh } of images.value)
      for (const file of [kernel, root, product, ...(ssh === undefined ? [] : [ssh])])
        print(`${architecture}  ${(statSync(file).size / 1024 / 1024).toFixed(0).padStart(4)} MiB  ${file}`);
  return 0;
}

async function start(names: readonly string[], options: StartOptions, signal: AbortSignal): Promise<number> {
  const joinToken = options.device === true ? null : (options.join ?? process.env['WASMMATRIX_JOIN'] ?? '');
  if (joinToken === '')
    return refuse(
      wrong('Machines join a control plane, and no join token was given.', 'Give --join with the token that `wasmmatrix up` printed.'),
    );
  // Before anything is made: who gives a wrong token should not wait for that.
  const token = joinToken === null ? ok() : decodeJoinToken(joinToken);
  if (!token.ok) return refuse(token);
  const images = await imagesOf(names, options, signal);
  if (!images.ok) return refuse(images);
  if (options.name !== undefined && images.value.length > 1)
    return refuse(wrong('--name is for one machine, and several would be started.', 'Name one architecture.'));
  if (signal.aborted) return refuse(rejected('WM_CANCELLED', { message: 'No machine was started.', next: 'Start it again.' }));
  const started = await Promise.all(
    images.value.map(async (image) => {
      const name = options.name ?? `${image.architecture === 'aarch64' ? 'arm64' : image.architecture}-1`;
      const { zone, memory: memoryMib } = options;
      const environment: Record<string, string> = options.isa === undefined ? {} : { WASMMATRIX_ISA: options.isa };
      const look = await startMachine({ name, folder: machinesFolder(), image, memoryMib, joinToken, zone, environment });
      if (!look.ok || !options.wait) return look;
      tell(options, `${name}: booting; its console is ${look.value.console}`);
      const sinceMs = performance.now();
      const what = joinToken === null ? 'SSH server' : 'agent';
      const up = await untilUp(look.value, what, signal);
      if (!up.ok) return up;
      tell(options, `${name}: its ${what} is up after ${describeDuration(performance.now() - sinceMs)}`);
      return look;
    }),
  );
  for (const look of started) if (!look.ok) refuse(look);
  const running = started.flatMap((look) => (look.ok ? [look.value] : []));
  if (running.length > 0) list(running, options.json === true);
  const first = started.find((look) => !look.ok);
  return first === undefined ? 0 : first.ok || first.error.kind !== 'rejected' ? EXIT_FAILED : EXIT_REJECTED;
}

/** Until the console says that the agent is up, or the SSH server greets. */
async function untilUp({ name, console, ssh }: MachineLook, what: 'SSH server' | 'agent', signal: AbortSignal): Promise<Outcome<void>> {
  const endMs = performance.now() + UP_MS_MAX;
  while (performance.now() < endMs && !signal.aborted) {
    const { text } = await readFrom(console, 0);
    if (what === 'agent' ? UP_LINE.test(text) : ssh !== null && sshWay(machinesFolder(), name).ok && (await greets(ssh.port))) return ok();
    const look = await lookAt(machinesFolder(), name);
    if (look.ok && look.value.pid === null)
      return failed('WM_MACHINE', {
        message: `The machine ${name} ended before its ${what} was up. It said last: ${text.trim().slice(-400)}`,
        next: 'Correct what it names.',
      });
    await sleep(LOOK_MS);
  }
  return signal.aborted
    ? rejected('WM_CANCELLED', {
        message: `${name} was not waited for any longer; it runs.`,
        next: `Stop it with: wasmmatrix machines stop ${name}.`,
      })
    : failed('WM_MACHINE', {
        message: `The ${what} of ${name} was not up after ${UP_MS_MAX / 1_000} s.`,
        next: `Look at its console: wasmmatrix machines console ${name}.`,
      });
}

async function stop(names: readonly string[], remove: boolean): Promise<number> {
  const folder = machinesFolder();
  const wanted = names.length > 0 ? names : (await lookAtAll(folder)).map(({ name }) => name);
  let code = 0;
  for (const name of wanted) {
    const stopped = await stopMachine(folder, name);
    const done = stopped.ok && remove ? removeMachine(folder, name) : stopped;
    code = Math.max(code, await tellOf(Promise.resolve(done), `${name}: off${remove ? ', and forgotten' : ''}`));
  }
  return code;
}

function list(looks: readonly MachineLook[], json: boolean): number {
  if (json) print(JSON.stringify(looks, null, 2));
  else if (looks.length > 0) {
    const width = Math.max(...looks.map(({ name }) => name.length), 'NAME'.length);
    print(`${'NAME'.padEnd(width)}  ARCHITECTURE  STATE    PID      NODE             SSH`);
    for (const { name, architecture, state, pid, address, ssh } of looks) {
      const way = ssh === null ? '-' : `${ssh.user}@127.0.0.1:${ssh.port}`;
      print(`${name.padEnd(width)}  ${architecture.padEnd(12)}  ${state.padEnd(7)}  ${String(pid ?? '-').padEnd(7)}  ${address}  ${way}`);
    }
  } else process.stderr.write('There are no machines. Start some with `wasmmatrix machines start --join <token>`.\n');
  return 0;
}

async function goInto(name: string, command: readonly string[]): Promise<number> {
  const way = sshWay(machinesFolder(), name);
  if (!way.ok) return refuse(way);
  const ended = await execa('ssh', [...sshInto(way.value), ...command], { stdio: 'inherit', reject: false });
  if (ended.exitCode !== undefined && ended.exitCode !== EXIT_SSH) return ended.exitCode;
  return refuse(
    ended.code === 'ENOENT'
      ? rejected('WM_TARGET_TOOLS', { message: 'Machines are reached with ssh, which is not here.', next: 'Install openssh-client.' })
      : failed('WM_MACHINE', {
          message: `${name} did not let ssh in, or ended while it was there.`,
          next: `Look at its console: wasmmatrix machines console ${name}.`,
        }),
  );
}

async function inventory(names: readonly string[]): Promise<number> {
  const folder = machinesFolder();
  const wanted =
    names.length > 0
      ? names
      : (await lookAtAll(folder)).filter(({ ssh, pid }) => ssh?.user === 'device' && pid !== null).map(({ name }) => name);
  if (wanted.length === 0)
    return refuse(wrong('No machine that a device could be is running.', 'Start one: wasmmatrix machines start --device.'));
  const entries: unknown[] = [];
  for (const name of wanted) {
    const entry = inventoryEntry(folder, name);
    if (!entry.ok) return refuse(entry);
    entries.push(entry.value);
  }
  process.stdout.write(stringify({ devices: entries }));
  return 0;
}

async function showConsole(name: string, follow: boolean, signal: AbortSignal): Promise<number> {
  const look = await lookAt(machinesFolder(), name);
  if (!look.ok) return refuse(look);
  let at = 0;
  do {
    const { text, end } = await readFrom(look.value.console, at);
    process.stdout.write(text);
    at = end;
    if (follow) await sleep(LOOK_MS);
  } while (follow && !signal.aborted);
  return 0;
}

async function readFrom(file: string, start: number): Promise<{ readonly text: string; readonly end: number }> {
  if (!existsSync(file)) return { text: '', end: start };
  const size = statSync(file).size;
  // A machine that was started again begins anew.
  const from = size < start ? 0 : start;
  if (size === from) return { text: '', end: size };
  const parts: Buffer[] = [];
  for await (const part of createReadStream(file, { start: from, end: size - 1 })) parts.push(part as Buffer);
  return { text: Buffer.concat(parts).toString('utf8'), end: size };
}

async function tellOf(done: Promise<Outcome<void>>, line: string): Promise<number> {
  const outcome = await done;
  if (!outcome.ok) return refuse(outcome);
  print(line);
  return 0;
}

function architecturesOf(names: readonly string[]): Outcome<readonly ForeignArchitecture[]> {
  const found: ForeignArchitecture[] = [];
  for (const name of names) {
    const architecture = ALIASES[name] ?? FOREIGN_ARCHITECTURES.find((one) => one === name);
    if (architecture === undefined)
      return wrong(
        `There are no machines of architecture '${name}'.`,
        `Choose ${Object.keys(ALIASES).join(', ')} or ${FOREIGN_ARCHITECTURES.join(', ')}.`,
      );
    found.push(architecture);
  }
  return ok(found.length === 0 ? FOREIGN_ARCHITECTURES : [...new Set(found)]);
}

function shift(text: string): number {
  const micros = parseShift(text);
  if (micros === null) throw new InvalidArgumentError('Give a time such as 60m, or -500ms.');
  return micros;
}

function ppm(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Math.abs(value) <= PPM_MAX) return value;
  throw new InvalidArgumentError(`Give a number from -${PPM_MAX} to ${PPM_MAX}.`);
}

function fault(text: string): Fault {
  const known = FAULTS.find((one) => one === text);
  if (known !== undefined) return known;
  throw new InvalidArgumentError(`Give one of ${FAULTS.join(', ')}.`);
}

function memory(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= MEMORY_MIB_LEAST) return value;
  throw new InvalidArgumentError(`Give a number of MiB, at least ${MEMORY_MIB_LEAST}.`);
}

function wrong(message: string, next: string): Outcome<never> {
  return rejected('WM_ARGUMENT', { message, next });
}

/** Says why not, and gives the exit code. */
function refuse(outcome: Outcome<unknown>): number {
  if (outcome.ok) return 0;
  process.stderr.write(`${describeError(outcome.error)}\n`);
  return outcome.error.kind === 'rejected' ? EXIT_REJECTED : EXIT_FAILED;
}

function print(line: string): void {
  process.stdout.write(`${line}\n`);
}

function tell({ quiet }: Quiet, line: string): void {
  if (quiet !== true) process.stderr.write(`${line}\n`);
}
