// A device over the system's own ssh. Owns how they are called: never with a question to a terminal, with the key of the
// inventory alone, and with a bound on everything. Refuses a host whose key is not known.
import { execa } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { cancelling } from '../debian/debian.ts';
import type { Device } from './inventory.ts';
import type { Product } from './product.ts';

/** Bound: how long a device may take to answer a call. */
const CONNECT_S_MAX = 10;
/** Bound: how long one command on a device may take; copying what is installed is the longest. */
const COMMAND_MS_MAX = 600_000;
/** Bound: what is kept of what a command says. */
const SAID_BYTES_MAX = 1 << 20;
/** What ssh itself ends with when there is no connection. */
const EXIT_SSH = 255;
/** Ends a call: its ssh is told to end, and killed when it does not. */
export type Stop = AbortSignal | undefined;
const BOUNDED = { reject: false, timeout: COMMAND_MS_MAX, maxBuffer: SAID_BYTES_MAX } as const;

/** Never a question, and no key and no host but those that are named. */
export function sshOptions(device: Pick<Device, 'key' | 'knownHosts'>): readonly string[] {
  return [
    ...['BatchMode=yes', 'StrictHostKeyChecking=yes', `ConnectTimeout=${CONNECT_S_MAX}`, 'ServerAliveInterval=5', 'ServerAliveCountMax=4'],
    // Ports that are forwarded end with the session, and not with a master that the user's settings keep open.
    ...['ControlMaster=no', 'ControlPath=none'],
    ...(device.key === null ? [] : ['IdentitiesOnly=yes', `IdentityFile="${device.key}"`]),
    ...(device.knownHosts === null ? [] : [`UserKnownHostsFile="${device.knownHosts}"`]),
  ].flatMap((option) => ['-o', option]);
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `script` for the device's shell, whose `$1` and so on are `args`. */
export function sshArguments(device: Device, script: string, args: readonly string[]): readonly string[] {
  const command = ['sh', '-c', quote(script), 'sh', ...args.map(quote)].join(' ');
  return [...sshOptions(device), '-p', String(device.port), '-l', device.user, device.host, command];
}

type Said = { readonly exitCode: number; readonly stdout: string; readonly stderr: string };
type Ended = {
  readonly exitCode?: number | undefined;
  readonly stdout?: unknown;
  readonly stderr?: unknown;
  readonly code?: string | undefined;
  readonly isCanceled?: boolean;
};

/** Runs a script; what it ends with is told, unless there was no connection. WM_DEVICE_UNREACHABLE, WM_TARGET_TOOLS. */
export async function runOn(device: Device, script: string, args: readonly string[], stop: Stop, input = ''): Promise<Outcome<Said>> {
  const ended = await execa('ssh', sshArguments(device, script, args), {
    ...BOUNDED,
    ...cancelling(stop),
    input,
    stripFinalNewline: true,
  });
  return saidOf(device, ended);
}

/** What tar's arguments name, as an archive, into the folder that `script` unpacks it in. */
export async function sendProduct(
  device: Device,
  product: Product,
  script: string,
  args: readonly string[],
  stop: Stop,
): Promise<Outcome<Said>> {
  const packing = execa('tar', ['-czf', '-', ...product.files], {
    stdin: 'ignore',
    reject: false,
    buffer: { stdout: false },
    ...cancelling(stop),
  });
  const ended = await packing.pipe('ssh', sshArguments(device, script, args), { ...BOUNDED, ...cancelling(stop) });
  const packed = await packing;
  if (packed.exitCode !== 0 && ended.exitCode === 0)
    return failed('WM_DEVICE', {
      message: `What is installed on ${device.name} could not be read: ${String(packed.stderr)}`,
      next: 'Correct what it names.',
    });
  return saidOf(device, ended);
}

/** A file of this machine, as the standard input of `script`. */
export async function sendFile(device: Device, file: string, script: string, args: readonly string[], stop: Stop): Promise<Outcome<Said>> {
  return saidOf(device, await execa('ssh', sshArguments(device, script, args), { ...BOUNDED, ...cancelling(stop), inputFile: file }));
}

/** A file of the device, into one of this machine. */
export async function fetchFile(device: Device, path: string, file: string, stop: Stop): Promise<Outcome<Said>> {
  return saidOf(
    device,
    await execa('ssh', sshArguments(device, 'cat "$1"', [path]), {
      ...BOUNDED,
      ...cancelling(stop),
      stdin: 'ignore',
      stdout: { file },
      buffer: { stdout: false },
    }),
  );
}

function saidOf(device: Device, ended: Ended): Outcome<Said> {
  if (ended.isCanceled === true)
    return rejected('WM_CANCELLED', {
      message: `What was asked of ${device.name} was stopped by the user; what had begun there may go on to its end.`,
      next: 'Repeat it.',
    });
  const stderr = typeof ended.stderr === 'string' ? ended.stderr : '';
  if (ended.code === 'ENOENT')
    return rejected('WM_TARGET_TOOLS', {
      message: 'Devices are reached with ssh, which is not here.',
      next: 'Install openssh-client.',
    });
  if (ended.exitCode === undefined || ended.exitCode === EXIT_SSH)
    return failed('WM_DEVICE_UNREACHABLE', {
      message: `${device.name} cannot be reached at ${device.user}@${device.host}:${device.port}: ${stderr.trim().split('\n').at(-1) ?? 'it did not answer'}`,
      next: 'Look whether it is on, and whether `ssh` with the same key and host gets in without a question.',
    });
  return ok({ exitCode: ended.exitCode, stdout: typeof ended.stdout === 'string' ? ended.stdout : '', stderr });
}
