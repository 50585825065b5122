// What the composition of a controller and that of an agent share: settings from the command line, the engine, addresses.
// A composition root.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import process from 'node:process';
import { Option, type Command } from 'commander';
import { Source } from '../scenarios/mistakes.ts';
import type { Endpoint } from '../system/domain/identifiers.ts';
import { describeError, failed, ok, rejected, type Outcome } from '../system/domain/outcome.ts';
import { whyOf } from '../system/domain/why.ts';
import { expectationOf, flagOf, resolveSettings, type Resolved, type SettingsTable } from './process/process.ts';
import { EngineBuildError, ensureEngine } from './wasm/build/build.ts';
import { createProgressPrinter } from './wasm/build/progress.ts';
import { openEngine, type EngineAddon } from './wasm/native/native.ts';
import manifest from '../package.json' with { type: 'json' };

export const VERSION = manifest.version;
export const CONTROLLER = 'controller' as Endpoint;

/** One flag for each setting, and `--config`. */
export function addSettings(command: Command, table: SettingsTable): Command {
  command.option('--config <file>', 'settings from this YAML file');
  for (const [name, setting] of Object.entries(table)) {
    const words = setting.fallbackWords ?? setting.fallback;
    const value = setting.kind === 'yes' ? '' : ` <${setting.kind}>`;
    const text = `${setting.what.replace(/\.$/, '')} (${words === null || words === '' ? expectationOf(setting) : `default: ${words.replaceAll('`', '')}`})`;
    command.addOption(new Option(`${flagOf(name)}${value}`, text));
  }
  return command;
}

/** commander's name of a flag: `--log-level` is `logLevel`. */
function optionNameOf(name: string): string {
  return flagOf(name)
    .slice(2)
    .replaceAll(/-([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

export function readSettings(table: SettingsTable, options: Readonly<Record<string, unknown>>): Outcome<Resolved> {
  const written = options['config'] ?? process.env['WASMMATRIX_CONFIG'];
  const file = typeof written === 'string' && written !== '' ? resolve(written) : null;
  let source: Source | null = null;
  if (file !== null) {
    try {
      source = new Source(String(written), readFileSync(file, 'utf8'), {
        code: 'WM_SETTINGS_INVALID',
        next: 'Correct the file; docs/reference/configuration.md lists every setting.',
      });
    } catch (error) {
      const why = whyOf(error);
      return rejected('WM_ARGUMENT', {
        message: `The configuration ${String(written)} cannot be read (${why}).`,
        next: 'Name a file that you may read.',
      });
    }
    if (source.faulty) return source.error();
  }
  const flags = Object.fromEntries(
    Object.keys(table).map((name) => {
      const given = options[optionNameOf(name)];
      return [name, typeof given === 'string' || typeof given === 'boolean' ? given : undefined];
    }),
  );
  return resolveSettings(table, {
    flags,
    environment: process.env,
    file: source,
    folder: process.cwd(),
    fileFolder: file === null ? process.cwd() : dirname(file),
  });
}

/** The engine addon, built when these sources were never built. */
export async function prepareEngine(): Promise<Outcome<EngineAddon>> {
  try {
    const library = await ensureEngine({ onProgress: createProgressPrinter(process.stderr) });
    try {
      return ok(openEngine(library));
    } catch (error) {
      return failed('WM_ENGINE_BUILD', {
        message: `The engine ${library} cannot be loaded: ${error instanceof Error ? error.message : String(error)}.`,
        next: 'Remove it, or what WASMMATRIX_ENGINE names, and repeat.',
      });
    }
  } catch (error) {
    if (!(error instanceof EngineBuildError)) throw error;
    const text = { message: error.message, next: 'Run `wasmmatrix doctor` for what this machine lacks.' };
    return error.code === 'WM_ENGINE_TOOLCHAIN' ? rejected(error.code, text) : failed(error.code, text);
  }
}

/** Every `host:port` in an endpoint of a node, `agent/truck-7@10.0.0.5:7430,[fd00::5]:7430`; null for endpoints that are found otherwise. */
export function addressesInEndpoint(endpoint: Endpoint): readonly string[] | null {
  const at = endpoint.indexOf('@');
  return at < 0 ? null : endpoint.slice(at + 1).split(',');
}

/** Bound: what the protocol takes for an endpoint; addresses that do not fit are not told. */
const ENDPOINT_CHARACTERS_MAX = 256;

/** A place with every address under which it may be dialled, in that order. */
export function endpointAt(place: string, addresses: readonly string[]): Endpoint {
  const [first = '', ...more] = addresses;
  return more.reduce((endpoint, address) => {
    const longer = `${endpoint},${address}`;
    return longer.length > ENDPOINT_CHARACTERS_MAX ? endpoint : longer;
  }, `${place}@${first}`) as Endpoint;
}

/** May a machine of this verified name serve the endpoint? */
export function acceptsName(endpoint: Endpoint, name: string): boolean {
  if (endpoint === CONTROLLER) return name === 'controller';
  const [place = ''] = endpoint.split('@');
  return place.startsWith('agent/') && name === `node/${place.slice('agent/'.length)}`;
}

const ANY_ADDRESS = /^(?:0\.0\.0\.0|\[::\]):/;

/** Where others reach what listens on `listens`; it must be said when that is every interface. */
export function advertisedOf(advertise: readonly string[] | null, listens: string, who: string): Outcome<readonly string[]> {
  if (advertise !== null) return ok(advertise);
  if (!ANY_ADDRESS.test(listens)) return ok([listens]);
  return rejected('WM_ARGUMENT', {
    message: `${who} listens on every interface (${listens}), and others cannot be told under which address to reach it.`,
    next: 'Say it with --advertise, such as --advertise controller.example:7420.',
  });
}

export function hostsOf(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses.map((address) => address.slice(0, address.lastIndexOf(':')).replaceAll(/^\[|\]$/g, '')))];
}

/** One line on stderr for a process that cannot go on; 2 for what the user can correct. */
export function refuse(error: Parameters<typeof describeError>[0]): number {
  process.stderr.write(`${describeError(error).replaceAll(/\n (?=\S)/g, '\n')}\n`);
  return 2;
}

export function fileExists(path: string): boolean {
  return existsSync(path);
}
