// A real nats-server for tests: installed by Go from its module, at a pinned version, into the cache outside the clone. Two
// processes that want it wait for each other. `WASMMATRIX_NATS_SERVER` names a binary to use instead. Where there is neither
// Go nor a binary the answer is a sentence that says so; a fake is never offered.
import { execFile } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, isAbsolute, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

export const NATS_SERVER_VERSION = '2.15.2';
const MODULE = 'github.com/nats-io/nats-server/v2';
/** Bound: wall time of the whole build; about a minute on two idle cores when nothing was ever downloaded. */
const BUILD_MS_MAX = 15 * 60_000;
const LOCK_POLL_MS = 200;

export type NatsServerFound = { readonly path: string } | { readonly missing: string };

function cacheFolder(): string {
  const xdg = process.env['XDG_CACHE_HOME'];
  return join(xdg !== undefined && isAbsolute(xdg) ? xdg : join(homedir(), '.cache'), 'wasmmatrix', 'tools');
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** True when this process has the lock now. One that was left by a process that is gone is removed, and tried for again. */
function tryLock(path: string): boolean {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, String(process.pid));
    closeSync(file);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  try {
    const owner = Number.parseInt(readFileSync(path, 'utf8'), 10);
    // An empty file is being written now, unless it stays empty.
    if (Number.isNaN(owner) ? Date.now() - statSync(path).mtimeMs > 5_000 : !isAlive(owner)) rmSync(path, { force: true });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
  return false;
}

/** Finds the server in the cache, or builds it. `onBuild` is told once before a build starts. */
export async function ensureNatsServer(onBuild: () => void = () => {}): Promise<NatsServerFound> {
  const given = process.env['WASMMATRIX_NATS_SERVER'];
  if (given !== undefined && given !== '')
    return existsSync(given) ? { path: given } : { missing: `WASMMATRIX_NATS_SERVER names ${given}, which does not exist` };
  const cache = cacheFolder();
  const path = join(cache, `nats-server-${NATS_SERVER_VERSION}`);
  if (existsSync(path)) return { path };
  mkdirSync(cache, { recursive: true });
  const lock = `${path}.lock`;
  while (!tryLock(lock)) await sleep(LOCK_POLL_MS);
  const part = `${path}.part-${process.pid}`;
  try {
    if (existsSync(path)) return { path };
    onBuild();
    await promisify(execFile)('go', ['install', `${MODULE}@v${NATS_SERVER_VERSION}`], {
      env: {
        ...process.env,
        PATH: [process.env['PATH'] ?? '', join('/', 'usr', 'local', 'go', 'bin')].join(delimiter),
        CGO_ENABLED: '0',
        GOBIN: part,
      },
      timeout: BUILD_MS_MAX,
    });
    renameSync(join(part, 'nats-server'), path);
    return { path };
  } catch (error) {
    const { code, stderr } = error as { readonly code?: unknown; readonly stderr?: string };
    if (code === 'ENOENT') return { missing: `Go is not installed, and nats-server ${NATS_SERVER_VERSION} was not built before` };
    return { missing: `Go could not build nats-server ${NATS_SERVER_VERSION}: ${stderr?.trim().split('\n').at(-1) ?? String(error)}` };
  } finally {
    rmSync(part, { recursive: true, force: true });
    rmSync(lock, { force: true });
  }
}
