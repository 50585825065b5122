// The inventory of physical devices: a YAML file that says where each is reached, as whom, and what node it is to be. Everything
// wrong with it is told at once, with its lines, before anything is dialled.
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { isMap, LineCounter, parseDocument, type YAMLMap } from 'yaml';
import { isName, isZonePath, type ZonePath } from '../../system/domain/identifiers.ts';
import { ARCHITECTURES, type Architecture } from '../../system/domain/node.ts';
import { ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { AGENT_SETTINGS, expectationOf, flagOf, resolveSettings } from '../process/process.ts';

/** Bound: devices of one inventory. */
const DEVICES_MAX = 256;
const SSH_PORT = 22;
const PORT_MAX = 65_535;
/** What a shell or ssh could take for something else is no name of a host or user. */
const HOST = /^[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?$|^[0-9a-f:]+$/i;
const USER = /^[a-z_][a-z0-9_-]*$/i;
/** Settings of its agent that the inventory or we decide. */
const DECIDED: readonly string[] = ['join', 'name', 'data', 'zone', 'log.format', 'log.records'];

export type Device = {
  /** Of the node that it is to be. */
  readonly name: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** File of a private key; null: those that ssh finds by itself. */
  readonly key: string | null;
  /** File of the host keys that are believed; null: the user's own. */
  readonly knownHosts: string | null;
  readonly architecture: Architecture;
  readonly zone: ZonePath;
  /** Where everything of ours is on it, relative to the user's home. */
  readonly folder: string;
  /** Node.js 24 on it; null: that of this machine is copied, which must be of its architecture. */
  readonly node: string | null;
  /** Library of the engine addon for it, on this machine; null: the one that is built here. */
  readonly engine: string | null;
  /** Further flags of its agent. */
  readonly flags: readonly string[];
};

type Entry = Readonly<Record<string, unknown>>;
type Told = { readonly key: string; readonly text: string };

export function readInventory(file: string): Outcome<readonly Device[]> {
  try {
    return parseInventory(file, readFileSync(file, 'utf8'));
  } catch (error) {
    const { code = 'an unknown reason' } = error as NodeJS.ErrnoException;
    return rejected('WM_INVENTORY_INVALID', {
      message: `The inventory ${file} cannot be read (${code}).`,
      next: 'Name an inventory with --inventory; docs/howto/devices.md shows one.',
    });
  }
}

export function parseInventory(file: string, text: string): Outcome<readonly Device[]> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const mistakes: string[] = document.errors.map((error) => `${placeOf(lines, error.pos[0])}  not valid YAML: ${error.message}`);
  const list = isMap(document.contents) ? document.contents.get('devices') : null;
  const items: readonly unknown[] = (list as { readonly items?: readonly unknown[] } | null)?.items ?? [];
  if (mistakes.length === 0 && (items.length === 0 || items.length > DEVICES_MAX))
    mistakes.push(`1:1  expected 'devices', a list of 1 to ${DEVICES_MAX}`);
  const devices: Device[] = [];
  for (const item of mistakes.length > 0 ? [] : items) {
    const at = (item as { readonly range?: readonly number[] } | null)?.range?.[0] ?? 0;
    const values: unknown = isMap(item) ? item.toJS(document) : null;
    if (!isEntry(values)) {
      mistakes.push(`${placeOf(lines, at)}  expected a device with name, host, user, architecture and zone`);
      continue;
    }
    for (const { key, text: what } of faultsOf(values))
      mistakes.push(`${placeOf(lines, offsetOf(item as YAMLMap, key) ?? at)}  ${key}: ${what}`);
    if (devices.some(({ name }) => name === values['name']))
      mistakes.push(`${placeOf(lines, at)}  name: a second device is called '${String(values['name'])}'`);
    devices.push(deviceOf(values, dirname(resolve(file))));
  }
  if (mistakes.length === 0) return ok(devices);
  return rejected('WM_INVENTORY_INVALID', {
    message: `${mistakes.length === 1 ? 'One mistake' : `${mistakes.length} mistakes`} in ${file}:\n${mistakes.map((line) => `  ${file}:${line}`).join('\n')}\n`,
    next: 'Correct the file; docs/howto/devices.md describes every field.',
  });
}

function isEntry(value: unknown): value is Entry {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function placeOf(lines: LineCounter, offset: number): string {
  const { line, col } = lines.linePos(offset);
  return `${Math.max(line, 1)}:${Math.max(col, 1)}`;
}

function offsetOf(item: YAMLMap, key: string): number | null {
  const pair = item.items.find((each) => String((each.key as { readonly value?: unknown }).value) === key);
  return (pair?.key as { readonly range?: readonly number[] } | undefined)?.range?.[0] ?? null;
}

const isText = (value: unknown): value is string => typeof value === 'string' && value !== '' && !/\p{Cc}/u.test(value);

/** What a field must be; a field with `optional` may be missing. */
const FIELDS: Readonly<
  Record<string, { readonly optional?: true; readonly expected: string; readonly fits: (value: unknown) => boolean }>
> = {
  name: { expected: 'a name of 1 to 63 lower-case letters, digits and inner hyphens', fits: (value) => isText(value) && isName(value) },
  host: { expected: 'a host name or an address', fits: (value) => isText(value) && HOST.test(value) },
  port: {
    optional: true,
    expected: 'a port',
    fits: (value) => Number.isInteger(value) && (value as number) > 0 && (value as number) <= PORT_MAX,
  },
  user: { expected: 'the name of a user', fits: (value) => isText(value) && USER.test(value) },
  key: { optional: true, expected: 'a file that exists', fits: isText },
  knownHosts: { optional: true, expected: 'a file that exists', fits: isText },
  architecture: { expected: `one of ${ARCHITECTURES.join(', ')}`, fits: (value) => ARCHITECTURES.includes(value as Architecture) },
  zone: { expected: 'a path such as edge/bench', fits: (value) => isText(value) && isZonePath(value) },
  folder: { optional: true, expected: 'a folder of its own on the device', fits: (value) => isText(value) && /[^/.]/.test(value) },
  node: { optional: true, expected: 'a program on the device', fits: isText },
  engine: { optional: true, expected: 'a file that exists', fits: isText },
  settings: { optional: true, expected: 'settings of an agent', fits: isEntry },
};

function faultsOf(values: Entry): readonly Told[] {
  const unknown = Object.keys(values)
    .filter((key) => FIELDS[key] === undefined)
    .map((key) => ({ key, text: `no such field; there are ${Object.keys(FIELDS).join(', ')}` }));
  const wrong = Object.entries(FIELDS).flatMap(([key, { optional, expected, fits }]) => {
    const value = values[key];
    if (value === undefined) return optional === true ? [] : [{ key, text: `is missing; expected ${expected}` }];
    return fits(value) ? [] : [{ key, text: `found ${JSON.stringify(value)}, expected ${expected}` }];
  });
  const settings = isEntry(values['settings']) ? faultsOfSettings(values['settings']) : [];
  return [...unknown, ...wrong, ...settings];
}

function faultsOfSettings(settings: Entry): readonly Told[] {
  return Object.entries(settings).flatMap(([name, value]) => {
    const setting = AGENT_SETTINGS[name];
    if (setting === undefined || DECIDED.includes(name)) return [{ key: 'settings', text: `${name} cannot be set here` }];
    const given = resolveSettings(
      { [name]: setting },
      { flags: { [name]: String(value) }, environment: {}, file: null, folder: '/', fileFolder: '/' },
    );
    return given.ok ? [] : [{ key: 'settings', text: `${name} has ${JSON.stringify(value)}, expected ${expectationOf(setting)}` }];
  });
}

function deviceOf(values: Entry, folder: string): Device {
  const pathOf = (key: string): string | null => {
    const path = values[key];
    if (!isText(path)) return null;
    return path.startsWith('~/') ? join(homedir(), path.slice(2)) : resolve(folder, path);
  };
  const settings = isEntry(values['settings']) ? values['settings'] : {};
  return {
    name: String(values['name']),
    host: String(values['host']),
    port: typeof values['port'] === 'number' ? values['port'] : SSH_PORT,
    user: String(values['user']),
    key: pathOf('key'),
    knownHosts: pathOf('knownHosts'),
    architecture: values['architecture'] as Architecture,
    zone: values['zone'] as ZonePath,
    folder: isText(values['folder']) ? values['folder'] : 'wasmmatrix',
    node: isText(values['node']) ? values['node'] : null,
    engine: pathOf('engine'),
    flags: Object.entries(settings).map(([name, value]) => `${flagOf(name)}=${String(value)}`),
  };
}

/** Files of this machine that a device needs, and that are not there. */
export function missingFiles(device: Device): readonly string[] {
  return [device.key, device.knownHosts, device.engine].filter((file) => file !== null && !existsSync(file)) as string[];
}
