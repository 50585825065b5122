// One builder of engines at a time, among processes that share a cache. Whoever has the lock touches it now and then, and says in it
// who he is. It is taken from one that is gone: by number and start where that can be seen, as a number is given to another process
// later; by the silence of the file for one in another container, whose numbers mean nothing here.
import { closeSync, linkSync, openSync, readFileSync, readlinkSync, renameSync, rmSync, statSync, utimesSync, writeSync } from 'node:fs';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';

const POLL_MS = 500;
const TOUCH_MS = 5_000;
/** Bound: how long an owner that cannot be seen may be silent; one that stands still that long loses the lock. */
const SILENT_MS_MAX = 60_000;
/** Bound: how long a lock may be empty, while it is being written. */
const EMPTY_MS_MAX = 5_000;
/** Field of /proc/<pid>/stat, counted after the name in brackets: when the process started, in ticks since the boot. */
const START_FIELD = 19;

export interface Lock {
  /** Idempotent. */
  release(): void;
}

type Options = {
  readonly signal: AbortSignal | undefined;
  /** Told again and again of who has it, in words. */
  readonly onWait: (owner: string) => void;
};

/** Waits for the lock; null when the signal ended that. */
export async function takeLock(path: string, { signal, onWait }: Options): Promise<Lock | null> {
  while (signal?.aborted !== true) {
    const owner = tryLock(path);
    if (owner === null) return hold(path);
    onWait(owner);
    await sleep(POLL_MS, undefined, signal === undefined ? {} : { signal }).catch(() => {});
  }
  return null;
}

function hold(path: string): Lock {
  const timer = setInterval(() => {
    const now = new Date();
    try {
      utimesSync(path, now, now);
    } catch {
      // Somebody has cleared the cache.
    }
  }, TOUCH_MS);
  timer.unref();
  let held = true;
  return {
    release: () => {
      if (!held) return;
      held = false;
      clearInterval(timer);
      if (read(path) === ownName()) rmSync(path, { force: true });
    },
  };
}

/** Takes the lock, or says who has it. */
function tryLock(path: string): string | null {
  try {
    const file = openSync(path, 'wx');
    writeSync(file, ownName());
    closeSync(file);
    return null;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const owner = read(path);
  // It was given back just now, or cannot be read: the next look tells.
  if (owner === null) return 'a process';
  if (!isGone(path, owner)) return describe(owner);
  takeAway(path, owner);
  return tryLock(path);
}

/** `<pid> <start> <namespace>`; the last two are empty where the system does not say. */
function ownName(): string {
  return `${process.pid} ${startOf(process.pid)} ${namespace()}`;
}

function describe(owner: string): string {
  const [pid = '', , space] = owner.split(' ');
  if (pid === '') return 'a process';
  return space === undefined || space === namespace() ? `process ${pid}` : `process ${pid} of another container`;
}

function isGone(path: string, owner: string): boolean {
  const [number = '', start = '', space] = owner.split(' ');
  const pid = Number.parseInt(number, 10);
  if (Number.isNaN(pid)) return silentMs(path) > EMPTY_MS_MAX;
  // Versions before wrote the number alone.
  if (space !== undefined && space !== namespace()) return silentMs(path) > SILENT_MS_MAX;
  return !isAlive(pid) || (start !== '' && startOf(pid) !== start);
}

/** Removes the lock of one that is gone, and not that of somebody who has taken it meanwhile. */
function takeAway(path: string, owner: string): void {
  const aside = `${path}-${process.pid}`;
  try {
    renameSync(path, aside);
    if (read(aside) !== owner) linkSync(aside, path);
  } catch {
    // Another was faster.
  } finally {
    rmSync(aside, { force: true });
  }
}

function silentMs(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs;
  } catch {
    return 0;
  }
}

function read(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return null;
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Tells a process from another that got its number later. */
function startOf(pid: number): string {
  const stat = read(`/proc/${pid}/stat`) ?? '';
  return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD] ?? '';
}

/** Processes of another one, or of the machine before it was started again, have numbers of their own. */
function namespace(): string {
  try {
    return `${readlinkSync('/proc/self/ns/pid')}@${read('/proc/sys/kernel/random/boot_id')?.trim() ?? ''}`;
  } catch {
    return '';
  }
}
