// Builds the engine addon when it is first needed. The result is kept outside the clone under the hash of everything that
// went into it (sources, lock file, compiler, target), so a second clone starts in seconds; a lost cache costs a build and
// nothing else. Two processes that want the same library wait for each other; a killed build leaves nothing that is used.
// A machine without Rust takes Debian's, unpacked into the cache; `WASMMATRIX_ENGINE` names a library to use instead of any build.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { copyFile, open, rename, utimes } from 'node:fs/promises';
import { constants, homedir } from 'node:os';
import { delimiter, dirname, isAbsolute, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { estimateRemainingMs } from './estimate.ts';
import { takeLock } from './lock.ts';
import { createWaitPrinter, type BuildProgress } from './progress.ts';
import type { prepareHostToolchain, Toolchain } from '../../debian/debian.ts';

const SOURCES = fileURLToPath(new URL('../native/', import.meta.url));
const LIBRARY = 'wasmmatrix_engine';
const RUST_MIN = [1, 95] as const;
/** Bound: libraries kept in the cache; older ones are removed. */
const LIBRARIES_KEPT = 8;
const OUTPUT_LINES_KEPT = 40;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

type OnProgress = (progress: BuildProgress) => void;

export type { BuildProgress } from './progress.ts';

export type BuildOptions = {
  readonly onProgress?: (progress: BuildProgress) => void;
  /** False: the addon that only runs artefacts will do, which is a tenth of the size, unless the whole one is there. Default true. */
  readonly compiler?: boolean;
  /** Builds for another machine, with this compiler. */
  readonly cross?: Toolchain;
  /** Ends the build, and the wait for somebody else's. */
  readonly signal?: AbortSignal | undefined;
};

/** WM_ENGINE_TOOLCHAIN: something has to be installed. WM_ENGINE_BUILD: the build was tried and failed. */
export class EngineBuildError extends Error {
  override readonly name = 'EngineBuildError';
  readonly code: 'WM_ENGINE_TOOLCHAIN' | 'WM_ENGINE_BUILD';

  constructor(code: 'WM_ENGINE_TOOLCHAIN' | 'WM_ENGINE_BUILD', message: string) {
    super(message);
    this.code = code;
  }
}

/** What builds: the machine's own, or one made for the purpose. */
type Builder = {
  readonly cargo: string;
  readonly version: string;
  /** Triple that the library is for. */
  readonly host: string;
  /** Tells cargo of compilers that are not the machine's. */
  readonly environment: Readonly<Record<string, string>>;
  readonly cross: boolean;
};

/** `PATH` with rustup's directory at the end: a shell that was open before rustup ran does not have it. */
function searchPath(): string {
  const cargoHome = process.env['CARGO_HOME'] ?? join(homedir(), '.cargo');
  return [process.env['PATH'] ?? '', join(cargoHome, 'bin')].join(delimiter);
}

function ask(command: string, args: readonly string[]): string | null {
  const answer = spawnSync(command, args, { env: { ...process.env, PATH: searchPath() }, encoding: 'utf8', timeout: 60_000 });
  return answer.status === 0 ? answer.stdout : null;
}

const INSTALL = 'Install Rust with rustup (https://rustup.rs: `curl --proto "=https" --tlsv1.2 -sSf https://sh.rustup.rs | sh`)';

const INSTALL_CC = 'Install one (Debian and Ubuntu: `apt-get install build-essential`; macOS: `xcode-select --install`)';

/** What `rustc -vV` says is enough, or the sentence that explains what is missing. */
export function checkToolchain(rustc: string | null, cargo: string | null, cc: string | null): Pick<Builder, 'version' | 'host'> {
  const wanted = RUST_MIN.join('.');
  if (rustc === null) {
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `The engine is built on this machine and needs Rust ${wanted} or later; no rustc was found. ${INSTALL}, then repeat the command.`,
    );
  }
  const version = /^release: (\S+)/m.exec(rustc)?.[1] ?? 'unknown';
  const host = /^host: (\S+)/m.exec(rustc)?.[1] ?? '';
  const [major = 0, minor = 0] = version.split('.').map((part) => Number.parseInt(part, 10));
  if (host === '' || !(major > RUST_MIN[0] || (major === RUST_MIN[0] && minor >= RUST_MIN[1]))) {
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `The engine needs Rust ${wanted} or later; found rustc ${version}. Run \`rustup update stable\`, or, when this Rust is not rustup's: ${INSTALL}. Then repeat the command.`,
    );
  }
  if (cargo === null) {
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `The engine needs cargo; found rustc ${version} but no cargo. ${INSTALL}, then repeat the command.`,
    );
  }
  if (cc === null) {
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `The engine needs a C compiler and linker; found rustc ${version} but no \`cc\`. ${INSTALL_CC}, then repeat the command.`,
    );
  }
  return { version, host };
}

async function findBuilder(cross: Toolchain | null, onProgress: OnProgress, signal: AbortSignal | undefined): Promise<Builder> {
  if (cross !== null) return builderOf(cross, true);
  const rustc = ask('rustc', ['-vV']);
  const [cargo, cc] = [ask('cargo', ['--version']), ask('cc', ['--version'])];
  try {
    const found = checkToolchain(rustc, cargo, cc);
    return { cargo: 'cargo', version: `${found.version}\n${rustc ?? ''}`, host: found.host, environment: {}, cross: false };
  } catch (error) {
    if (cc === null || !(error instanceof EngineBuildError)) throw error;
    const made = await prepareOwnRust(onProgress, signal);
    if (made.ok) return builderOf(made.value, false);
    if (signal?.aborted === true) throw stopped();
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `${error.message} It could not be taken from Debian's packages either: ${made.error.message}`,
    );
  }
}

/** Debian's packages of Rust, without installing them: for a machine that has none. */
async function prepareOwnRust(onProgress: OnProgress, signal: AbortSignal | undefined): ReturnType<typeof prepareHostToolchain> {
  const debian = await import('../../debian/debian.ts');
  const startMs = performance.now();
  return debian.prepareHostToolchain({
    cache: debian.targetsCache(),
    signal,
    say: (line) =>
      onProgress({
        phase: 'preparing',
        cratesDone: 0,
        cratesTotal: 0,
        crate: line,
        elapsedMs: performance.now() - startMs,
        remainingMs: null,
      }),
  });
}

function builderOf({ cargo, version, target, environment }: Toolchain, cross: boolean): Builder {
  if (ask('cc', ['--version']) === null) {
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `The engine needs a C compiler and linker for what runs while it is built; no \`cc\` was found. ${INSTALL_CC}, then repeat the command.`,
    );
  }
  return { cargo, version, host: target, environment, cross };
}

/** Cargo's features of a build. Text is what the reference of a conformance set and tests are written in, on this machine only. */
function featuresOf(compiler: boolean, cross: boolean): readonly string[] {
  if (!compiler) return [];
  return cross ? ['compiler'] : ['compiler', 'text'];
}

/** What measures the addon is in it and changes nothing of what it does. */
const NOT_IN_KEY = 'bench.rs';

/** What of cargo's environment changes code. */
const CODE_VARIABLES = /^(?:RUSTFLAGS|CARGO_ENCODED_RUSTFLAGS|CARGO_BUILD_RUSTFLAGS|CARGO_TARGET_\w+_RUSTFLAGS|CARGO_PROFILE_RELEASE_\w+)$/;

function sourceFiles(): readonly string[] {
  const rust = readdirSync(join(SOURCES, 'src')).filter((name) => name.endsWith('.rs') && name !== NOT_IN_KEY);
  return ['Cargo.toml', 'Cargo.lock', 'build.rs', ...rust.map((name) => join('src', name))].toSorted();
}

function hashOf(builder: Builder, features: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of sourceFiles()) {
    const bytes = readFileSync(join(SOURCES, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  hash.update(`${builder.version}\0${builder.host}\0${features.join(',')}`);
  for (const [name, value] of Object.entries(process.env).toSorted(([a], [b]) => (a < b ? -1 : 1)))
    if (CODE_VARIABLES.test(name)) hash.update(`\0${name}=${value ?? ''}`);
  return hash.digest('hex').slice(0, 32);
}

/** Where built libraries and cargo's own files are kept. */
export function engineCache(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'wasmmatrix', 'engine');
}

function prune(cache: string): void {
  const entries = readdirSync(cache)
    .filter((name) => /^[0-9a-f]{32}$/.test(name))
    .map((name) => ({ path: join(cache, name), usedMs: statSync(join(cache, name)).mtimeMs }))
    .toSorted((a, b) => b.usedMs - a.usedMs);
  for (const { path } of entries.slice(LIBRARIES_KEPT)) rmSync(path, { recursive: true, force: true });
}

function libraryFile(target: string, { host, cross }: Builder): string {
  if (cross) return join(target, host, 'release', `lib${LIBRARY}.so`);
  const name = process.platform === 'darwin' ? `lib${LIBRARY}.dylib` : process.platform === 'win32' ? `${LIBRARY}.dll` : `lib${LIBRARY}.so`;
  return join(target, 'release', name);
}

function stopped(): EngineBuildError {
  return new EngineBuildError('WM_ENGINE_BUILD', 'Building the engine was stopped.');
}

/** Runs cargo; resolves when it succeeded. Cargo has a process group of its own, so that its compilers end with it. */
function runCargo(
  builder: Builder,
  target: string,
  features: readonly string[],
  onProgress: OnProgress,
  signal: AbortSignal,
): Promise<void> {
  const startMs = performance.now();
  const args = ['build', '--release', '--locked', '--lib', '--no-default-features', '--features', features.join(',')];
  if (builder.cross) args.push('--target', builder.host);
  // Cargo's own bar carries what we want: `Building [===>   ] 57/171: wasmtime, cranelift-codegen`.
  const child = spawn(builder.cargo, args, {
    cwd: SOURCES,
    env: {
      ...process.env,
      ...builder.environment,
      PATH: searchPath(),
      CARGO_TARGET_DIR: target,
      CARGO_TERM_PROGRESS_WHEN: 'always',
      CARGO_TERM_PROGRESS_WIDTH: '120',
      CARGO_TERM_COLOR: 'never',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
    detached: true,
  });
  const lines: string[] = [];
  let rest = '';
  let cratesDone = 0;
  let cratesTotal = 0;
  let crate = '';
  const report = (): void => {
    const elapsedMs = performance.now() - startMs;
    onProgress({
      phase: 'building',
      ...(builder.cross ? { target: builder.host } : {}),
      cratesDone,
      cratesTotal,
      crate,
      elapsedMs,
      remainingMs: estimateRemainingMs(cratesDone, cratesTotal, elapsedMs),
    });
  };
  const timer = setInterval(report, 1_000);
  child.stderr.setEncoding('utf8');
  child.stderr.on('data', (chunk: string) => {
    const parts = (rest + chunk).split(/[\r\n]/);
    rest = parts.pop() ?? '';
    for (const part of parts) {
      const bar = /Building \[[^\]]*\] (\d+)\/(\d+)(?:: (\S+?)(?:\(|,|\s|$))?/.exec(part);
      if (bar !== null) {
        cratesDone = Number(bar[1]);
        cratesTotal = Number(bar[2]);
        crate = bar[3] ?? crate;
      } else if (part.trim() !== '') {
        lines.push(part.trimEnd());
        if (lines.length > OUTPUT_LINES_KEPT) lines.shift();
      }
    }
  });
  return new Promise<void>((resolve, reject) => {
    const stop = (): void => endGroup(child.pid);
    process.once('exit', stop);
    signal.addEventListener('abort', stop, { once: true });
    const settle = (): void => {
      clearInterval(timer);
      process.off('exit', stop);
      signal.removeEventListener('abort', stop);
    };
    child.once('error', (error) => {
      settle();
      reject(new EngineBuildError('WM_ENGINE_BUILD', `cargo could not be run: ${error.message}`));
    });
    child.once('close', (code, by) => {
      settle();
      if (code === 0) {
        resolve();
        return;
      }
      if (signal.aborted) {
        reject(stopped());
        return;
      }
      const how = by === null ? `exit code ${code}` : `signal ${by}`;
      reject(new EngineBuildError('WM_ENGINE_BUILD', `Building the engine failed (cargo ended with ${how}):\n${lines.join('\n')}`));
    });
  });
}

function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGTERM');
  } catch {
    // It has ended.
  }
}

/** Puts a library into its place so that a loss of power leaves it whole or not at all. */
async function keep(from: string, part: string, library: string): Promise<void> {
  await copyFile(from, part);
  await sync(part);
  await rename(part, library);
  await sync(dirname(library));
}

async function sync(path: string): Promise<void> {
  // Windows opens no folders, and keeps their entries itself.
  if (process.platform === 'win32' && statSync(path).isDirectory()) return;
  const file = await open(path, 'r');
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

/**
 * Path of the engine's library for these sources, built if it was never built (about four minutes on two cores).
 * Rejects with `EngineBuildError`.
 */
export async function ensureEngine(options: BuildOptions = {}): Promise<string> {
  const cross = options.cross ?? null;
  const given = process.env['WASMMATRIX_ENGINE'];
  if (cross === null && given !== undefined && given !== '') {
    if (existsSync(given)) return given;
    throw new EngineBuildError('WM_ENGINE_BUILD', `WASMMATRIX_ENGINE names ${given}, which does not exist.`);
  }
  // Whoever asks for no progress still learns why nothing happens.
  const onProgress = options.onProgress ?? createWaitPrinter(process.stderr);
  const builder = await findBuilder(cross, onProgress, options.signal);
  const cache = engineCache();
  const whole = featuresOf(true, builder.cross);
  const features = options.compiler === false ? [] : whole;
  const [library = '', ...others] = [features, whole].map((one) => join(cache, hashOf(builder, one), `${LIBRARY}.node`));
  const find = (): string | undefined => [library, ...others].find((one) => existsSync(one));
  const found = find();
  if (found !== undefined) {
    const now = new Date();
    await utimes(dirname(found), now, now).catch(() => {});
    return found;
  }
  try {
    mkdirSync(dirname(library), { recursive: true });
  } catch (error) {
    throw new EngineBuildError(
      'WM_ENGINE_BUILD',
      `The cache ${cache} cannot be written (${(error as Error).message}). Set XDG_CACHE_HOME to a folder that can.`,
    );
  }
  const startMs = performance.now();
  const lock = await takeLock(join(cache, 'lock'), {
    signal: options.signal,
    onWait: (owner) =>
      onProgress({
        phase: 'waiting',
        cratesDone: 0,
        cratesTotal: 0,
        crate: owner,
        elapsedMs: performance.now() - startMs,
        remainingMs: null,
      }),
  });
  if (lock === null) throw stopped();
  const part = join(dirname(library), `part-${process.pid}`);
  const clean = (): void => {
    rmSync(part, { force: true });
    lock.release();
  };
  const interrupted = new AbortController();
  const interrupt = (name: NodeJS.Signals): void => {
    // The compiler goes with us.
    interrupted.abort();
    clean();
    for (const one of SIGNALS) process.off(one, interrupt);
    // With no handler of ours left, the process ends the way the signal says; others' handlers have had their turn.
    if (process.listenerCount(name) === 0) process.exit(128 + constants.signals[name]);
  };
  for (const one of SIGNALS) process.on(one, interrupt);
  process.once('exit', clean);
  const signal = AbortSignal.any([interrupted.signal, ...(options.signal === undefined ? [] : [options.signal])]);
  try {
    // Whoever had the lock may have built it, or one that can do more.
    const came = find();
    if (came === undefined) {
      // Targets share one folder: what runs during a build (macros, build scripts) is compiled once for all of them.
      const target = join(cache, `target${builder.cross ? '-cross' : ''}`);
      await runCargo(builder, target, features, onProgress, signal);
      await keep(libraryFile(target, builder), part, library);
      prune(cache);
    }
    onProgress({ phase: 'built', cratesDone: 1, cratesTotal: 1, crate: '', elapsedMs: performance.now() - startMs, remainingMs: 0 });
    return came ?? library;
  } finally {
    for (const one of SIGNALS) process.off(one, interrupt);
    process.off('exit', clean);
    clean();
  }
}
