// Builds the engine addon when it is first needed. The result is kept outside the clone under the hash of everything that
// went into it (sources, lock file, compiler, target), so a second clone starts in seconds; a lost cache costs a build and
// nothing else. Two processes that want the same library wait for each other; a killed build leaves nothing that is used.
// A machine without Rust takes Debian's, unpacked into the cache; `WASMMATRIX_ENGINE` names a library to use instead of any build.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readdirSync, readFileSync, rmSync, statSync, writeSync } from 'node:fs';
import { copyFile, rename, utimes } from 'node:fs/promises';
import { availableParallelism, homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { prepareHostToolchain, Toolchain } from '../../debian/debian.ts';

const SOURCES = fileURLToPath(new URL('../native/', import.meta.url));
const LIBRARY = 'wasmmatrix_engine';
const RUST_MIN = [1, 95] as const;
/** Bound: libraries kept in the cache; older ones are removed. */
const LIBRARIES_KEPT = 8;
const LOCK_POLL_MS = 500;
const OUTPUT_LINES_KEPT = 40;
/** Wall time of a whole build on two idle cores: 4 min 17 s measured; it does not scale past a few. */
const BUILD_SECONDS_TWO_CORES = 260;

export type BuildProgress = {
  /** `waiting`: another process builds the same library. `preparing`: a compiler is made first, and `crate` says what of it. */
  readonly phase: 'preparing' | 'building' | 'waiting' | 'built';
  /** Triple that is built for, where it is not this machine's. */
  readonly target?: string;
  readonly cratesDone: number;
  readonly cratesTotal: number;
  /** Crate that is compiled now, as well as cargo says. */
  readonly crate: string;
  readonly elapsedMs: number;
  /** Estimate; null as long as there is nothing to estimate from. */
  readonly remainingMs: number | null;
};

export type BuildOptions = {
  readonly onProgress?: (progress: BuildProgress) => void;
  /** False builds the addon that only runs artefacts, a tenth of the size. Default true. */
  readonly compiler?: boolean;
  /** Builds for another machine, with this compiler. */
  readonly cross?: Toolchain;
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

async function findBuilder(cross: Toolchain | null, onProgress: (progress: BuildProgress) => void): Promise<Builder> {
  if (cross !== null) return builderOf(cross, true);
  const rustc = ask('rustc', ['-vV']);
  const [cargo, cc] = [ask('cargo', ['--version']), ask('cc', ['--version'])];
  try {
    const found = checkToolchain(rustc, cargo, cc);
    return { cargo: 'cargo', version: `${found.version}\n${rustc ?? ''}`, host: found.host, environment: {}, cross: false };
  } catch (error) {
    if (cc === null || !(error instanceof EngineBuildError)) throw error;
    const made = await prepareOwnRust(onProgress);
    if (made.ok) return builderOf(made.value, false);
    throw new EngineBuildError(
      'WM_ENGINE_TOOLCHAIN',
      `${error.message} It could not be taken from Debian's packages either: ${made.error.message}`,
    );
  }
}

/** Debian's packages of Rust, without installing them: for a machine that has none. */
async function prepareOwnRust(onProgress: (progress: BuildProgress) => void): ReturnType<typeof prepareHostToolchain> {
  const debian = await import('../../debian/debian.ts');
  const startMs = performance.now();
  return debian.prepareHostToolchain({
    cache: debian.targetsCache(),
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

function sourceFiles(): readonly string[] {
  const rust = readdirSync(join(SOURCES, 'src')).filter((name) => name.endsWith('.rs'));
  return ['Cargo.toml', 'Cargo.lock', 'build.rs', ...rust.map((name) => join('src', name))].toSorted();
}

function hashOf(builder: Builder, compiler: boolean): string {
  const hash = createHash('sha256');
  for (const file of sourceFiles()) {
    const bytes = readFileSync(join(SOURCES, file));
    hash.update(`${file}\0${bytes.length}\0`).update(bytes);
  }
  hash.update(`${builder.version}\0${builder.host}\0${compiler ? 'compiler' : 'runtime'}`);
  return hash.digest('hex').slice(0, 32);
}

/** Where built libraries and cargo's own files are kept. */
export function engineCache(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'wasmmatrix', 'engine');
}

/** Measured on two cores: share of the time that had passed when this share of the crates was done. */
const CURVE: readonly (readonly [crates: number, time: number])[] = [
  [0, 0],
  [0.5, 0.1],
  [0.6, 0.22],
  [0.65, 0.25],
  [0.67, 0.37],
  [0.8, 0.43],
  [0.86, 0.48],
  [0.9, 0.63],
  [0.96, 0.68],
  [0.98, 0.84],
  [1, 1],
];

function shareOfTime(shareOfCrates: number): number {
  let [lowX, lowY] = [0, 0];
  for (const [x, y] of CURVE) {
    if (shareOfCrates <= x) return x === lowX ? y : lowY + ((y - lowY) * (shareOfCrates - lowX)) / (x - lowX);
    [lowX, lowY] = [x, y];
  }
  return 1;
}

/** Remaining time: what was measured elsewhere at first, this machine's own speed more and more as the build goes on. */
export function estimateRemainingMs(cratesDone: number, cratesTotal: number, elapsedMs: number): number | null {
  if (cratesTotal === 0) return null;
  const cores = Math.min(4, Math.max(1, availableParallelism()));
  const expectedMs = ((BUILD_SECONDS_TWO_CORES * 2) / cores) * 1_000;
  const share = Math.min(0.99, shareOfTime(cratesDone / cratesTotal));
  const ownMs = share > 0 ? elapsedMs / share : expectedMs;
  const trust = Math.min(1, share * 2);
  return Math.max(1_000, Math.round(trust * ownMs + (1 - trust) * Math.max(expectedMs, elapsedMs)) - elapsedMs);
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Takes the lock, or says who has it. A lock of a process that is gone is taken over. */
function tryLock(path: string): number | null {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    return null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  try {
    const owner = Number.parseInt(readFileSync(path, 'utf8'), 10);
    // An empty file is being written now, unless it stays empty.
    if (Number.isNaN(owner) ? Date.now() - statSync(path).mtimeMs < 5_000 : alive(owner)) return Number.isNaN(owner) ? 0 : owner;
    rmSync(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return tryLock(path);
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

/** Runs cargo; resolves when it succeeded. */
function runCargo(builder: Builder, target: string, compiler: boolean, onProgress: (progress: BuildProgress) => void): Promise<void> {
  const startMs = performance.now();
  const args = ['build', '--release', '--locked', '--lib', ...(compiler ? [] : ['--no-default-features'])];
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
    // Ctrl-C: the compiler goes with us, and the lock is removed by `ensureEngine`'s own handler.
    const stop = (): void => void child.kill('SIGTERM');
    process.once('exit', stop);
    const settle = (): void => {
      clearInterval(timer);
      process.off('exit', stop);
    };
    child.once('error', (error) => {
      settle();
      reject(new EngineBuildError('WM_ENGINE_BUILD', `cargo could not be run: ${error.message}`));
    });
    child.once('close', (code, signal) => {
      settle();
      if (code === 0) {
        resolve();
        return;
      }
      const how = signal === null ? `exit code ${code}` : `signal ${signal}`;
      reject(new EngineBuildError('WM_ENGINE_BUILD', `Building the engine failed (cargo ended with ${how}):\n${lines.join('\n')}`));
    });
  });
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
  const compiler = options.compiler ?? true;
  const onProgress = options.onProgress ?? (() => {});
  const builder = await findBuilder(cross, onProgress);
  const cache = engineCache();
  const folder = join(cache, hashOf(builder, compiler));
  const library = join(folder, `${LIBRARY}.node`);
  if (existsSync(library)) {
    const now = new Date();
    await utimes(folder, now, now).catch(() => {});
    return library;
  }
  try {
    mkdirSync(folder, { recursive: true });
  } catch (error) {
    throw new EngineBuildError(
      'WM_ENGINE_BUILD',
      `The cache ${cache} cannot be written (${(error as Error).message}). Set XDG_CACHE_HOME to a folder that can.`,
    );
  }
  const lock = join(cache, 'lock');
  const startMs = performance.now();
  for (let owner = tryLock(lock); owner !== null; owner = tryLock(lock)) {
    onProgress({
      phase: 'waiting',
      cratesDone: 0,
      cratesTotal: 0,
      crate: `process ${owner}`,
      elapsedMs: performance.now() - startMs,
      remainingMs: null,
    });
    await sleep(LOCK_POLL_MS);
  }
  const part = join(folder, `part-${process.pid}`);
  const clean = (): void => {
    rmSync(part, { force: true });
    rmSync(lock, { force: true });
  };
  const interrupt = (signal: NodeJS.Signals): void => {
    clean();
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    // With no handler of ours left, the process ends the way the signal says; others' handlers have had their turn.
    if (process.listenerCount(signal) === 0) process.exit(signal === 'SIGINT' ? 130 : 143);
  };
  process.on('SIGINT', interrupt);
  process.on('SIGTERM', interrupt);
  try {
    // Whoever had the lock may have built it.
    if (!existsSync(library)) {
      // Targets share one folder: what runs during a build (macros, build scripts) is compiled once for all of them.
      const target = join(cache, `target${builder.cross ? '-cross' : ''}${compiler ? '' : '-runtime'}`);
      await runCargo(builder, target, compiler, onProgress);
      await copyFile(libraryFile(target, builder), part);
      await rename(part, library);
      prune(cache);
    }
    onProgress({ phase: 'built', cratesDone: 1, cratesTotal: 1, crate: '', elapsedMs: performance.now() - startMs, remainingMs: 0 });
    return library;
  } finally {
    process.off('SIGINT', interrupt);
    process.off('SIGTERM', interrupt);
    clean();
  }
}
