// `devices`: physical devices of an inventory, over SSH. A composition root.
import { resolve } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { Argument, Option, type Command } from 'commander';
import { EXIT_INTERRUPTED, onInterrupt } from '../../sim/campaign/teller.main.ts';
import { describeError, rejected, type Outcome } from '../../system/domain/outcome.ts';
import {
  breakOn,
  checkDevice,
  collectFrom,
  DEVICE_FAULTS,
  installOn,
  NO_PRODUCT,
  readInventory,
  removeFrom,
  startOn,
  stopOn,
  withProduct,
  type Device,
  type DeviceFault,
  type DeviceLook,
  type Product,
} from './devices.ts';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const ACTIONS = ['check', 'install', 'start', 'stop', 'fault', 'collect', 'remove'] as const;
type Action = (typeof ACTIONS)[number];
const EXIT_FAILED = 1;
const EXIT_REJECTED = 2;
const MIB = 1024 * 1024;

type Options = {
  readonly inventory: string;
  readonly join?: string;
  readonly kind?: DeviceFault;
  readonly out: string;
  readonly json?: true;
};
type Done = { readonly device: string; readonly outcome: Outcome<string | DeviceLook> };

export function addDevices(program: Command): void {
  program
    .command('devices')
    .summary('make physical devices nodes, over SSH')
    .description(
      'Checks the physical devices of an inventory over SSH, installs the agent on them, starts, stops or breaks it, collects its log and records, or removes all of it. docs/howto/devices.md describes the inventory. Devices that are named are dealt with, or all; each is told about, and one that fails holds up no other.',
    )
    .addArgument(new Argument('<action>', 'what to do').choices(ACTIONS))
    .argument('[device...]', 'names of the inventory (default: all)')
    .option('--inventory <file>', 'the inventory, as YAML', 'devices.yaml')
    .option('--join <token>', 'join token of the control plane, for devices that have not joined (default: WASMMATRIX_JOIN)')
    .addOption(new Option('--kind <fault>', 'for `fault`: kill the agent, pause it, or let it go on').choices(Object.keys(DEVICE_FAULTS)))
    .option('--out <folder>', 'for `collect`: where to, a folder for each device', 'devices')
    .option('--json', 'print what came of it as JSON')
    .action(async (action: Action, names: readonly string[], options: Options) => {
      process.exitCode = await devices(action, names, options);
    });
}

async function devices(action: Action, names: readonly string[], options: Options): Promise<number> {
  const inventory = readInventory(options.inventory);
  if (!inventory.ok) return refuse(inventory);
  const unknown = names.find((name) => !inventory.value.some((device) => device.name === name));
  if (unknown !== undefined)
    return refuse(
      rejected('WM_ARGUMENT', {
        message: `The inventory has no device called '${unknown}'.`,
        next: `It has ${inventory.value.map(({ name }) => name).join(', ')}.`,
      }),
    );
  if (action === 'fault' && options.kind === undefined)
    return refuse(
      rejected('WM_ARGUMENT', { message: 'Which fault is not said.', next: `Give --kind ${Object.keys(DEVICE_FAULTS).join(', ')}.` }),
    );
  const chosen = inventory.value.filter(({ name }) => names.length === 0 || names.includes(name));
  const cancel = new AbortController();
  const { signal } = cancel;
  const dealWith = (product: Product): Promise<readonly Done[]> =>
    Promise.all(
      chosen.map(async (device): Promise<Done> => ({ device: device.name, outcome: await act(action, device, options, product, signal) })),
    );
  const deaf = onInterrupt((again) => {
    if (again) process.exit(EXIT_INTERRUPTED);
    cancel.abort();
  });
  let done: readonly Done[] = [];
  try {
    done = await (action === 'install' ? withProduct(ROOT, dealWith, signal) : dealWith(NO_PRODUCT));
  } catch (error) {
    // Before any device was called.
    if (!signal.aborted) throw error;
  } finally {
    deaf();
  }
  if (options.json === true) process.stdout.write(`${JSON.stringify(done, null, 2)}\n`);
  else for (const each of done) tell(each);
  if (signal.aborted) return EXIT_INTERRUPTED;
  return done.every(({ outcome }) => outcome.ok && !isFaulty(outcome.value)) ? 0 : EXIT_FAILED;
}

function act(action: Action, device: Device, options: Options, product: Product, stop: AbortSignal): Promise<Outcome<string | DeviceLook>> {
  switch (action) {
    case 'check':
      return checkDevice(device, stop);
    case 'install':
      return installOn(device, product, { unlessThere: false, say: (line) => process.stderr.write(`${line}\n`), stop });
    case 'start':
      return startOn(device, options.join ?? process.env['WASMMATRIX_JOIN'] ?? null, stop);
    case 'stop':
      return stopOn(device, stop);
    case 'fault':
      return breakOn(device, options.kind ?? 'kill', stop);
    case 'collect':
      return collectFrom(device, resolve(options.out), stop);
    case 'remove':
      return removeFrom(device, stop);
  }
}

function isFaulty(value: string | DeviceLook): boolean {
  return typeof value !== 'string' && value.faults.length > 0;
}

function tell({ device, outcome }: Done): void {
  if (!outcome.ok) return void process.stderr.write(`${device}: ${describeError(outcome.error)}\n`);
  const { value } = outcome;
  if (typeof value === 'string') return void process.stdout.write(`${device}: ${value}\n`);
  const { machine, level, node, freeBytes, installed, faults } = value;
  const has = `${machine} (${level}), ${node === '' ? 'no Node.js' : `Node.js ${node}`}, ${Math.floor(freeBytes / MIB)} MiB left, ${installed === '' ? 'nothing installed' : `version ${installed} installed`}`;
  process.stdout.write(`${device}: ${has}${faults.length === 0 ? '' : `\n  ${faults.join('\n  ')}`}\n`);
}

function refuse(outcome: Outcome<unknown>): number {
  if (!outcome.ok) process.stderr.write(`${describeError(outcome.error)}\n`);
  return EXIT_REJECTED;
}
