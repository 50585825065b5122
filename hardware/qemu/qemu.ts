// What runs code of another architecture on this machine. Owns where it is kept, and the order in which it is made: compiler, engine,
// root file system with Node.js; each once, outside the clone. Half-made things are never seen.
import { existsSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { execa } from 'execa';
import { failed, ok, rejected, type Outcome } from '../../system/domain/outcome.ts';
import { EngineBuildError, ensureEngine, type BuildProgress } from '../wasm/build/build.ts';
import {
  cancelling,
  DEBIAN_ARCHITECTURES,
  fetchPackages,
  FOREIGN_ARCHITECTURES,
  knownSets,
  makeFolder,
  prepareToolchain,
  targetsCache,
  TOOLCHAIN_PACKAGES,
  wordsOf,
  type FetchedSet,
  type ForeignArchitecture,
  type PackageOptions,
  type PackageSet,
} from '../debian/debian.ts';

export { targetsCache, type ForeignArchitecture } from '../debian/debian.ts';
export { writeBundle } from './bundle.ts';

export type ForeignRuntime = {
  readonly architecture: ForeignArchitecture;
  /** Node.js under emulation: the program and its first arguments. */
  readonly node: readonly [program: string, ...args: readonly string[]];
  /** Library of the engine addon, with its compiler. */
  readonly engine: string;
  /** Debian suite that Node.js came from. */
  readonly suite: string;
};

export type ForeignOptions = {
  readonly say: (line: string) => void;
  /** Progress of the build of an engine, which takes minutes. */
  readonly onProgress?: (progress: BuildProgress) => void;
  readonly signal?: AbortSignal;
};

/** Processors that have what every ISA feature level asks for; the default one of arm64 signs pointers, which makes it three times slower. */
const EMULATORS: Readonly<Record<ForeignArchitecture, { readonly program: string; readonly args: readonly string[] }>> = {
  aarch64: { program: 'qemu-aarch64-static', args: ['-cpu', 'neoverse-n1'] },
  riscv64: { program: 'qemu-riscv64-static', args: ['-cpu', 'rv64,v=true,vlen=128,zba=true,zbb=true,zbs=true'] },
};

/** Threads that compile and collect beside the program only take turns with it on an emulated processor: a tenth more time. */
const NODE_OPTIONS = ['--single-threaded'] as const;

/**
 * Everything that runs Node.js and guests of an architecture under the emulation of user programs: minutes when nothing is there
 * (an engine is compiled), a moment later on. WM_TARGET_TOOLS, WM_PACKAGES, WM_ENGINE_TOOLCHAIN, WM_ENGINE_BUILD.
 */
export async function prepareForeignRuntime(architecture: ForeignArchitecture, options: ForeignOptions): Promise<Outcome<ForeignRuntime>> {
  const { program, args } = EMULATORS[architecture];
  const missing = await missingEmulator(architecture);
  if (missing !== null) return missing;
  const packageOptions: PackageOptions = { cache: targetsCache(), say: options.say, signal: options.signal };
  const root = await prepareNodeRoot(architecture, packageOptions);
  if (!root.ok) return root;
  const engine = await buildForeignEngine(architecture, { ...options, ...packageOptions }, { compiler: true });
  if (!engine.ok) return engine;
  const { folder, suite } = root.value;
  const node = [program, ...args, '-L', folder, join(folder, 'usr/bin/node'), ...NODE_OPTIONS] as const;
  return ok({ architecture, node, engine: engine.value, suite });
}

/** What Debian has to give before an engine can be built and run: Node.js, compiler and linker. WM_TARGET_TOOLS, WM_PACKAGES. */
export async function prepareForeignTools(architecture: ForeignArchitecture, options: ForeignOptions): Promise<Outcome<void>> {
  const packageOptions: PackageOptions = { cache: targetsCache(), say: options.say, signal: options.signal };
  const root = await prepareNodeRoot(architecture, packageOptions);
  if (!root.ok) return root;
  const cross = await prepareToolchain(architecture, packageOptions);
  return cross.ok ? ok() : cross;
}

/** Null: what runs its programs is here. WM_TARGET_TOOLS. */
export async function missingEmulator(architecture: ForeignArchitecture): Promise<Outcome<never> | null> {
  const { program } = EMULATORS[architecture];
  if (await isHere(program)) return null;
  return rejected('WM_TARGET_TOOLS', {
    message: `Programs of ${architecture} are run by ${program}, which is not here.`,
    next: 'Install it: apt-get install --no-install-recommends qemu-user-static.',
  });
}

/** Library of the engine addon for an architecture, compiled when it is first needed. What only runs artefacts needs no compiler in it. */
export async function buildForeignEngine(
  architecture: ForeignArchitecture,
  options: PackageOptions & Pick<ForeignOptions, 'onProgress'>,
  needs: { readonly compiler: boolean },
): Promise<Outcome<string>> {
  const cross = await prepareToolchain(architecture, options);
  if (!cross.ok) return cross;
  // Minutes of a compiler that nobody waits for any more.
  const cancelled = rejected('WM_CANCELLED', {
    message: `The engine for ${architecture} was not built.`,
    next: 'Start it again; what was made is kept.',
  });
  const isCancelled = (): boolean => options.signal?.aborted === true;
  if (isCancelled()) return cancelled;
  try {
    const { signal, onProgress } = options;
    return ok(await ensureEngine({ cross: cross.value, signal, ...needs, ...(onProgress === undefined ? {} : { onProgress }) }));
  } catch (error) {
    if (!(error instanceof EngineBuildError)) throw error;
    if (isCancelled()) return cancelled;
    const said = { message: error.message, next: 'Correct what it names, and repeat.' };
    return error.code === 'WM_ENGINE_TOOLCHAIN' ? rejected(error.code, said) : failed(error.code, said);
  }
}

function nodeSet(architecture: ForeignArchitecture): PackageSet {
  const debian = DEBIAN_ARCHITECTURES[architecture];
  return {
    name: `node-${debian}`,
    architecture: debian,
    suites: [
      { suite: 'sid', packages: ['nodejs'] },
      { suite: 'forky', packages: ['nodejs'] },
    ],
    closure: true,
  };
}

/** Everything that is fetched from Debian, for the lock file. */
export function packageSets(): readonly PackageSet[] {
  return [TOOLCHAIN_PACKAGES, ...FOREIGN_ARCHITECTURES.map(nodeSet)];
}

/** A root file system with Node.js 24 and nothing that it does not load. */
export async function prepareNodeRoot(
  architecture: ForeignArchitecture,
  options: PackageOptions,
): Promise<Outcome<{ readonly folder: string; readonly suite: string }>> {
  const set = nodeSet(architecture);
  const folderOf = ({ key }: FetchedSet): string => join(options.cache, 'roots', `${DEBIAN_ARCHITECTURES[architecture]}-${key}`);
  // What was unpacked was held to its hashes then; the packages themselves may be gone.
  const made = knownSets(set, options).find((known) => existsSync(folderOf(known)));
  if (made !== undefined) return ok({ folder: folderOf(made), suite: made.suite });
  const fetched = await fetchPackages(set, options);
  if (!fetched.ok) return fetched;
  const { files, suite } = fetched.value;
  const folder = folderOf(fetched.value);
  if (existsSync(folder)) return ok({ folder, suite });
  options.say(`Unpacking Node.js of Debian's ${suite} for ${architecture}`);
  const done = await makeFolder(folder, options, async (part) => {
    for (const file of files) await execa('dpkg-deb', ['-x', file, part], { ...cancelling(options.signal), stdin: 'ignore' });
    // Debian's packages expect it; which package brings it is none of ours.
    for (const name of ['lib', 'bin', 'sbin']) if (!existsSync(join(part, name))) symlinkSync(`usr/${name}`, join(part, name));
  });
  return done.ok ? ok({ folder, suite }) : done;
}

async function isHere(program: string): Promise<boolean> {
  try {
    await execa(program, ['--version'], { stdin: 'ignore' });
    return true;
  } catch (error) {
    // One that is there and does not run says why elsewhere.
    return !wordsOf(error).includes('ENOENT');
  }
}
