// The settings of a process from four places: flags over environment over configuration file over defaults. One table says
// what there is, and everything follows from it: what a file may hold, the names of variables and flags, and the reference
// page. Refuses what it does not know, in each place, and says all mistakes of a file together with their lines.
import { isAbsolute, resolve } from 'node:path';
import { isName, isZonePath } from '../../system/domain/identifiers.ts';
import { ok, rejected } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';

/** A parsed file that knows where its values stand; the composition root brings it. */
export type SettingsFile = {
  readonly file: string;
  readonly faulty: boolean;
  value(): unknown;
  mistake(path: readonly (string | number)[], text: string, at?: 'value' | 'key'): void;
  error(): Err;
};

type Kind =
  | { readonly kind: 'text' | 'name' | 'zone' | 'path' | 'address' | 'addresses' | 'words' | 'size' | 'duration' | 'point' | 'yes' }
  | { readonly kind: 'count'; readonly min: number; readonly max: number }
  | { readonly kind: 'choice'; readonly of: readonly string[] };

export type Setting = Kind & {
  /** What it is for, as a sentence for `--help` and the reference. */
  readonly what: string;
  /** As a user would write it; null: absent unless it is given. */
  readonly fallback: string | null;
  /** Said in the reference where the default is not a fixed text. */
  readonly fallbackWords?: string;
  /** Never shown. */
  readonly secret?: true;
};

/** By name; a dot in it is a level of the file: `nats.servers`. */
export type SettingsTable = Readonly<Record<string, Setting>>;

/** Durations in milliseconds, sizes in bytes, points as [latitude, longitude]. */
export type Value = string | number | boolean | readonly string[] | readonly [number, number] | null;

export type Origins = {
  /** As parsed by the command line, by name of the setting. */
  readonly flags: Readonly<Record<string, string | boolean | undefined>>;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly file: SettingsFile | null;
  /** Paths of flags and environment are relative to it; those of a file to the file's own folder. */
  readonly folder: string;
  readonly fileFolder: string;
};

const PREFIX = 'WASMMATRIX_';
/** Variables of ours that are no settings of a process. */
const OTHER_VARIABLES = ['WASMMATRIX_ENGINE', 'WASMMATRIX_CONFIG', 'WASMMATRIX_CONTEXT'];
const MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
const BYTES: Readonly<Record<string, number>> = { B: 1, KiB: 1_024, MiB: 1_048_576, GiB: 1_073_741_824 };
const PORT_MAX = 65_535;
const HOST = /^(?:\[[0-9a-f:.]+\]|[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?)$/i;

export function variableOf(name: string): string {
  return `${PREFIX}${name
    .replaceAll('.', '_')
    .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
    .toUpperCase()}`;
}

export function flagOf(name: string): string {
  return `--${name
    .replaceAll('.', '-')
    .replaceAll(/([a-z])([A-Z])/g, '$1-$2')
    .toLowerCase()}`;
}

export function expectationOf(setting: Setting): string {
  switch (setting.kind) {
    case 'text':
      return 'a text';
    case 'name':
      return 'a name of 1 to 63 lower-case letters, digits and inner hyphens';
    case 'zone':
      return 'a path such as cloud/eu-west';
    case 'path':
      return 'a path';
    case 'address':
      return 'an address such as 127.0.0.1:7420';
    case 'addresses':
      return 'addresses such as controller.example:7420, separated by commas';
    case 'words':
      return 'words, separated by commas';
    case 'size':
      return 'a size such as 512MiB';
    case 'duration':
      return 'a duration such as 500ms, 2s or 5m';
    case 'point':
      return 'latitude and longitude in degrees, such as 52.23,21.01';
    case 'yes':
      return 'yes or no';
    case 'count':
      return `a whole number from ${setting.min} to ${setting.max}`;
    case 'choice':
      return `one of ${setting.of.join(', ')}`;
  }
}

/** Null when the text is no value of the kind. */
function parse(setting: Setting, text: string, folder: string): Value {
  const listOf = (): string[] =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter((part) => part !== '');
  switch (setting.kind) {
    case 'text':
      return text === '' ? null : text;
    case 'name':
      return isName(text) ? text : null;
    case 'zone':
      return isZonePath(text) ? text : null;
    case 'path':
      return text === '' ? null : isAbsolute(text) ? text : resolve(folder, text);
    case 'address':
      return isAddress(text) ? text : null;
    case 'addresses': {
      const list = listOf();
      return list.length > 0 && list.every(isAddress) ? list : null;
    }
    case 'words':
      return listOf();
    case 'size':
      return inUnits(text, BYTES);
    case 'duration':
      return inUnits(text, MS);
    case 'point': {
      const [latitude = Number.NaN, longitude = Number.NaN, more] = listOf().map(Number);
      return more === undefined && Math.abs(latitude) <= 90 && Math.abs(longitude) <= 180 ? [latitude, longitude] : null;
    }
    case 'yes':
      return ['yes', 'true', '1'].includes(text) ? true : ['no', 'false', '0'].includes(text) ? false : null;
    case 'count': {
      const value = Number(text);
      return text !== '' && Number.isSafeInteger(value) && value >= setting.min && value <= setting.max ? value : null;
    }
    case 'choice':
      return setting.of.includes(text) ? text : null;
  }
}

function inUnits(text: string, units: Readonly<Record<string, number>>): number | null {
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]+)$/.exec(text);
  const unit = match === null ? undefined : units[match[2] ?? ''];
  return match === null || unit === undefined ? null : Math.round(Number(match[1]) * unit);
}

function isAddress(text: string): boolean {
  const colon = text.lastIndexOf(':');
  const port = Number(text.slice(colon + 1));
  return colon > 0 && HOST.test(text.slice(0, colon)) && /^\d+$/.test(text.slice(colon + 1)) && port <= PORT_MAX;
}

/** A value of a file as a user would have written it on the command line; null when it has no such form. */
function textOf(value: unknown): string | null {
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'boolean') return String(value);
  if (Array.isArray(value) && value.every((part) => typeof part === 'string' || typeof part === 'number')) return value.join(',');
  return null;
}

/** Every setting by name, with where it came from. */
export type Resolved = { readonly values: Readonly<Record<string, Value>>; readonly from: Readonly<Record<string, string>> };

export function resolveSettings(table: SettingsTable, origins: Origins): Outcome<Resolved> {
  const values: Record<string, Value> = {};
  const from: Record<string, string> = {};
  for (const [name, setting] of Object.entries(table)) {
    values[name] = setting.fallback === null ? null : parse(setting, setting.fallback, origins.folder);
    from[name] = 'default';
  }
  if (origins.file !== null) {
    readFile(table, origins.file, origins.fileFolder, (name, value) => {
      values[name] = value;
      from[name] = origins.file?.file ?? '';
    });
    if (origins.file.faulty) return origins.file.error();
  }
  for (const [name, setting] of Object.entries(table)) {
    const variable = variableOf(name);
    const given = origins.flags[name];
    const written = given === undefined ? origins.environment[variable] : given;
    if (written === undefined || written === '') continue;
    const where = given === undefined ? variable : flagOf(name);
    const value = parse(setting, typeof written === 'boolean' ? (written ? 'yes' : 'no') : written, origins.folder);
    if (value === null) return wrong(where, setting.secret === true ? 'a value' : `'${String(written)}'`, setting);
    values[name] = value;
    from[name] = where;
  }
  const odd = Object.keys(origins.environment).flatMap((variable) => misspeltOf(variable, table))[0];
  if (odd === undefined) return ok({ values, from });
  return rejected('WM_ARGUMENT', {
    message: `The environment has ${odd.variable}, which is no setting.`,
    next: `Correct it to ${odd.meant}, or unset it.`,
  });
}

function wrong(where: string, found: string, setting: Setting): Err {
  return rejected('WM_ARGUMENT', { message: `${where} has ${found}; expected ${expectationOf(setting)}.`, next: 'Correct it.' });
}

/** Others set variables of our prefix too (a cluster for its services, a user for other commands): only a near miss is a mistake. */
function misspeltOf(variable: string, table: SettingsTable): readonly { readonly variable: string; readonly meant: string }[] {
  const names = Object.keys(table).map(variableOf);
  if (!variable.startsWith(PREFIX) || OTHER_VARIABLES.includes(variable) || names.includes(variable)) return [];
  return names.filter((name) => distance(variable, name) === 1).map((meant) => ({ variable, meant }));
}

function readFile(table: SettingsTable, file: SettingsFile, folder: string, take: (name: string, value: Value) => void): void {
  const visit = (value: unknown, path: readonly string[]): void => {
    const name = path.join('.');
    const setting = table[name];
    if (setting !== undefined) {
      const text = textOf(value);
      const parsed = text === null ? null : parse(setting, text, folder);
      const found = setting.secret === true ? '' : `found ${JSON.stringify(value)}, `;
      if (parsed === null) return file.mistake(path, `${found}expected ${expectationOf(setting)}`);
      return take(name, parsed);
    }
    const isLevel = path.length === 0 || Object.keys(table).some((known) => known.startsWith(`${name}.`));
    if (!isLevel) return file.mistake(path, `unknown setting '${name}'; ${nearest(name, Object.keys(table))}`, 'key');
    if (value === null && path.length === 0) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return file.mistake(path, 'expected settings, one a line');
    for (const [key, inner] of Object.entries(value)) visit(inner, [...path, key]);
    return undefined;
  };
  if (!file.faulty) visit(file.value(), []);
}

function nearest(found: string, names: readonly string[]): string {
  const close = names.map((name) => ({ name, far: distance(found, name) })).sort((a, b) => a.far - b.far)[0];
  return close !== undefined && close.far <= Math.max(2, Math.floor(found.length / 3))
    ? `did you mean '${close.name}'?`
    : `there are ${names.join(', ')}`;
}

/** Letters to change, add or remove. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length] ?? 0;
}
