// Compiles the example guests to WebAssembly, outside the clone, once for each state of their sources.
// Refuses by the name of the file: a manifest with a mistake, a source that does not compile.
// The same sources give the same bytes; two processes may build at once, because every file appears by rename.
import { createHash, randomUUID } from 'node:crypto';
import { access, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parse } from 'yaml';
import { parseCapability } from '../../system/domain/capability.ts';
import type { ModuleLimits } from '../../system/domain/module.ts';
import { componentOf } from './component.ts';

/** `module.yaml` of an example: its module's manifest without what only the compiled bytes can tell. */
export type ExampleManifest = {
  readonly name: string;
  readonly description: string;
  /** Made a WASI 0.2 component. */
  readonly component: boolean;
  /** Sorted texts of capabilities. */
  readonly capabilities: readonly string[];
  readonly limits: ModuleLimits;
};

export type BuiltExample = { readonly wasmPath: string; readonly manifest: ExampleManifest };

export type BuildOptions = {
  /** Where compiled examples are kept; `$XDG_CACHE_HOME/wasmmatrix` or `~/.cache/wasmmatrix` by default. */
  readonly cacheDirectory?: string;
  /** Folder of the examples' sources; this one by default. */
  readonly sourceDirectory?: string;
  /** Told each module before it is compiled; not told those that are in the cache. */
  readonly onCompile?: (name: string) => void;
};

/** What is wrong with an example's files; the message begins with the file's path. */
export class ExampleBuildError extends Error {
  override readonly name = 'ExampleBuildError';
}

const SDK = 'sdk';
const LIMITS = ['fuelMax', 'memoryBytesMax', 'outputBytesMax'] as const;

/**
 * Two pages hold every example's data and its small events, so that memory seldom grows; `abort` becomes a trap, which needs
 * no import; the runtime never frees, because a guest lives for one event.
 */
const COMPILER_OPTIONS = (
  '--runtime stub --use abort= --initialMemory 2 ' + '--optimizeLevel 3 --shrinkLevel 1 --converge --pedantic'
).split(' ');
/** The file's own statements are the command. A component exports a function for that. */
const COMMAND_OPTIONS = ['--exportStart', '_start'];

/** Builds all examples, or as many as the cache lacks, and names them in alphabetical order. */
export async function buildExamples(options: BuildOptions = {}): Promise<Map<string, BuiltExample>> {
  const sources = options.sourceDirectory ?? import.meta.dirname;
  const manifests = await readManifests(sources);
  const names = [...manifests.keys()];
  const target = join(options.cacheDirectory ?? defaultCacheDirectory(), 'examples', await hashSources(sources, names));
  await mkdir(target, { recursive: true });
  const built = new Map<string, BuiltExample>();
  for (const [name, manifest] of manifests) {
    const wasmPath = join(target, `${name}.wasm`);
    if (!(await exists(wasmPath))) {
      options.onCompile?.(name);
      await writeWhole(wasmPath, await compileExample(name, sources));
    }
    built.set(name, { wasmPath, manifest });
  }
  return built;
}

/** The WebAssembly bytes of one example, whatever the cache holds. */
export async function compileExample(name: string, sourceDirectory: string = import.meta.dirname): Promise<Uint8Array> {
  const { component } = await readManifest(join(sourceDirectory, name, 'module.yaml'), name);
  const compiler = await loadCompiler();
  const entry = `${name}/assembly/${name}.ts`;
  const written: Uint8Array[] = [];
  const { error, stdout, stderr } = await compiler.main(
    [entry, '--baseDir', sourceDirectory, '--outFile', `${name}.wasm`, ...COMPILER_OPTIONS, ...(component ? [] : COMMAND_OPTIONS)],
    {
      writeFile: (_path, contents) => {
        if (typeof contents !== 'string') written.push(contents);
      },
    },
  );
  const [bytes] = written;
  if (error !== null || bytes === undefined) {
    const findings = `${stderr.toString()}${stdout.toString()}`.trim();
    throw new ExampleBuildError(`${join(sourceDirectory, entry)}: does not compile\n${findings}`);
  }
  return component ? componentOf(bytes) : bytes;
}

/** The part of the compiler's interface used here. Its own types declare global names that this project must not have. */
type Compiler = {
  main(
    commandLine: readonly string[],
    host: { writeFile(path: string, contents: Uint8Array | string, baseDirectory: string): void },
  ): Promise<{ error: Error | null; stdout: { toString(): string }; stderr: { toString(): string } }>;
};

async function loadCompiler(): Promise<Compiler> {
  const location: string = import.meta.resolve('assemblyscript/asc');
  return (await import(location)) as Compiler;
}

function defaultCacheDirectory(): string {
  const cache = process.env['XDG_CACHE_HOME'];
  return join(cache === undefined || cache === '' ? join(homedir(), '.cache') : cache, 'wasmmatrix');
}

/** Covers everything the compiled bytes depend on: sources, compiler, options. Manifests are read afresh each time. */
async function hashSources(sources: string, names: readonly string[]): Promise<string> {
  const hash = createHash('sha256');
  const description = await readFile(fileURLToPath(import.meta.resolve('assemblyscript/package.json')), 'utf8');
  const { version } = JSON.parse(description) as { version: string };
  hash.update(JSON.stringify(['assemblyscript', version, COMPILER_OPTIONS, COMMAND_OPTIONS]));
  for (const encoder of ['component.ts', 'binary.ts']) hash.update(await readFile(join(import.meta.dirname, encoder)));
  for (const name of [SDK, ...names]) {
    const folder = join(sources, name, 'assembly');
    for (const file of await listSources(folder)) {
      const contents = await readFile(join(folder, file));
      hash.update(JSON.stringify([name, file, contents.byteLength])).update(contents);
    }
  }
  return hash.digest('hex').slice(0, 32);
}

async function listSources(folder: string): Promise<string[]> {
  try {
    const entries = await readdir(folder, { recursive: true });
    return entries.filter((entry) => entry.endsWith('.ts')).toSorted();
  } catch {
    throw new ExampleBuildError(`${folder}: there is no such folder, but an example keeps its sources there`);
  }
}

/** Manifests of the examples, by name, without building anything. */
export async function readManifests(sources: string = import.meta.dirname): Promise<Map<string, ExampleManifest>> {
  const entries = await readdir(sources, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory() && entry.name !== SDK).map((entry) => entry.name);
  const manifests = new Map<string, ExampleManifest>();
  for (const name of names.toSorted()) {
    manifests.set(name, await readManifest(join(sources, name, 'module.yaml'), name));
  }
  return manifests;
}

async function readManifest(path: string, folder: string): Promise<ExampleManifest> {
  let document: unknown;
  try {
    document = parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new ExampleBuildError(`${path}: ${error instanceof Error ? error.message : String(error)}`);
  }
  const refuse = (what: string): never => {
    throw new ExampleBuildError(`${path}: ${what}`);
  };
  if (!isRecord(document)) return refuse('expected the fields name, description, capabilities and limits');
  const { name, description, component = false, capabilities, limits, ...others } = document;
  const unknown = Object.keys(others)[0];
  if (unknown !== undefined) refuse(`unknown field ${unknown}`);
  if (name !== folder) refuse(`name is ${JSON.stringify(name)}, expected the folder's name ${folder}`);
  if (typeof description !== 'string' || description === '') return refuse('description is missing');
  if (typeof component !== 'boolean') return refuse(`component is ${JSON.stringify(component)}, expected true or false`);
  if (!Array.isArray(capabilities)) return refuse('capabilities is missing; write [] for none');
  for (const capability of capabilities) {
    if (typeof capability !== 'string' || parseCapability(capability) === null) {
      refuse(`${JSON.stringify(capability)} is not a capability`);
    }
  }
  if (!isRecord(limits)) return refuse(`limits is missing; expected ${LIMITS.join(', ')}`);
  for (const limit of Object.keys(limits)) {
    if (!LIMITS.some((known) => known === limit)) refuse(`unknown limit ${limit}; expected ${LIMITS.join(', ')}`);
  }
  const [fuelMax, memoryBytesMax, outputBytesMax] = LIMITS.map((limit) => {
    const value = limits[limit];
    return isLimit(value) ? value : refuse(`limits.${limit} is ${JSON.stringify(value)}, expected a whole number above 0`);
  }) as [number, number, number];
  return {
    name: folder,
    description,
    component,
    capabilities: (capabilities as string[]).toSorted(),
    limits: { fuelMax, memoryBytesMax, outputBytesMax },
  };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isLimit(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) > 0;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

/** The file is there whole or not at all; whoever renames last wins, with the same bytes. */
async function writeWhole(path: string, bytes: Uint8Array): Promise<void> {
  const unfinished = `${path}.${randomUUID()}.tmp`;
  try {
    await writeFile(unfinished, bytes);
    await rename(unfinished, path);
  } finally {
    await rm(unfinished, { force: true });
  }
}
