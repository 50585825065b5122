// One at a time, in this process and beside others on this machine: who asks for the same name waits for its turn. The system's own
// lock of a file keeps others out, held by a program that ends with this process, so that a turn of who died is over with it.
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { once } from 'node:events';

/** Turns of this process, by the file of their lock: each begins when the one before has ended. */
const TURNS = new Map<string, Promise<unknown>>();

export type TurnOptions = {
  /** Ends the wait, by a rejection with its reason; what has begun goes on. */
  readonly signal?: AbortSignal | undefined;
  /** Called when others have their turn first. */
  readonly onWait?: () => void;
};

/** What `act` gives, when it is alone with this name in this folder. Rejects as `act` does, or when a lock cannot be had at all. */
export async function inTurn<T>(folder: string, name: string, options: TurnOptions, act: () => Promise<T>): Promise<T> {
  const turns = join(folder, '.turns');
  mkdirSync(turns, { recursive: true });
  const file = join(turns, name);
  const before = TURNS.get(file);
  const mine = (async (): Promise<T> => {
    if (before !== undefined) {
      options.onWait?.();
      await before.catch(() => {});
    }
    options.signal?.throwIfAborted();
    const release = await lock(file, options);
    try {
      return await act();
    } finally {
      await release();
    }
  })();
  TURNS.set(file, mine);
  try {
    return await mine;
  } finally {
    if (TURNS.get(file) === mine) TURNS.delete(file);
  }
}

/** Resolves when the file is ours, with what gives it back. */
async function lock(file: string, { signal, onWait }: TurnOptions): Promise<() => Promise<void>> {
  const free = await take(['--nonblock', file], signal);
  if (free !== null) return free;
  onWait?.();
  const waited = await take([file], signal);
  if (waited === null) throw new Error(`${file} cannot be locked`);
  return waited;
}

/** Null: somebody else has it. The lock is held by a `cat`, which ends when its input does: in order, or because this process died. */
async function take(args: readonly string[], signal: AbortSignal | undefined): Promise<(() => Promise<void>) | null> {
  const child = spawn('flock', [...args, 'cat'], { stdio: ['pipe', 'pipe', 'ignore'], detached: true });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', () => resolve());
  });
  const abort = (): void => void child.kill('SIGKILL');
  signal?.addEventListener('abort', abort, { once: true });
  try {
    child.stdin.on('error', () => {});
    child.stdin.write('.');
    const has = await Promise.race([once(child.stdout, 'data').then(() => true), ended.then(() => false)]);
    signal?.throwIfAborted();
    if (!has) return null;
    return async () => {
      child.stdin.end();
      await ended;
    };
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}
