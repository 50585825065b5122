// Where lines leave a process: standard error or a file. Bounded, and never waited for: what does not fit is dropped and told.
// Surprising: a full pipe would block a thread that the process then waits for at its end, so a pipe is opened anew, without
// blocking, and for us alone: whoever else writes to it is not disturbed.
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { Socket } from 'node:net';
import type { Writable } from 'node:stream';
import { isatty } from 'node:tty';
import { destination } from 'pino';
import { failed, ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';

/** Bound: bytes of lines that wait for their reader; further lines are dropped. */
export const LOG_BYTES_PENDING_MAX = 4 * 1024 * 1024;
/** Bound: how long the last lines have to leave when the process ends. */
const CLOSE_MS_MAX = 2_000;
const STDERR = 2;

export type Outlet = {
  readonly isTerminal: boolean;
  write(text: string): void;
  /** The last lines leave, within `CLOSE_MS_MAX`. */
  close(): Promise<void>;
};

export type OutletOptions = {
  /** A file that is appended to; null: standard error. */
  readonly path: string | null;
  readonly bytesPendingMax?: number;
  readonly onDropped: () => void;
};

export function openOutlet({ path, bytesPendingMax = LOG_BYTES_PENDING_MAX, onDropped }: OutletOptions): Outcome<Outlet> {
  if (path === null) {
    const stderr = openStderr();
    return ok(stderr === null ? fileOutlet(STDERR, bytesPendingMax, onDropped) : streamOutlet(stderr, bytesPendingMax, onDropped));
  }
  try {
    // Only to learn now what would otherwise be learned later, and by nobody.
    closeSync(openSync(path, 'a', 0o600));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    return failed('WM_STORAGE_FAILED', {
      message: `The log file ${path} cannot be opened: ${code}.`,
      next: 'Name a file in a folder that exists and that this process may write to, or log to standard error.',
      detail: { path },
    });
  }
  return ok(fileOutlet(path, bytesPendingMax, onDropped));
}

/** A disk that is full makes lines wait, and drops them when too many do; when it has room again, they go on. */
function fileOutlet(file: string | number, bytesPendingMax: number, onDropped: () => void): Outlet {
  const sonic = destination({ dest: file, sync: false, maxLength: bytesPendingMax });
  sonic.on('drop', onDropped);
  sonic.on('error', () => {});
  return {
    isTerminal: false,
    write: (text) => void sonic.write(text),
    close: async () => {
      await within(CLOSE_MS_MAX, (done) => {
        sonic.once('close', done);
        sonic.once('error', done);
        sonic.end();
      });
      sonic.destroy();
    },
  };
}

/** `closes`: the file handle is a copy of our own; whatever else the process says on standard error needs the original. */
function streamOutlet({ stream, closes }: Stderr, bytesPendingMax: number, onDropped: () => void): Outlet {
  // The reader is gone: what is written from here on is dropped.
  stream.on('error', () => {});
  return {
    isTerminal: stream === process.stderr,
    write: (text) => {
      if (!stream.writable || stream.writableLength + text.length > bytesPendingMax) onDropped();
      else stream.write(text);
    },
    close: async () => {
      if (stream === process.stderr) return;
      const isDone = await within(CLOSE_MS_MAX, (done) => {
        stream.once('close', done);
        if (closes) stream.end();
        else stream.write('', () => done());
      });
      // What nobody reads would keep the process alive.
      if (closes || !isDone) stream.destroy();
    },
  };
}

type Stderr = { readonly stream: Writable; readonly closes: boolean };

/** Null: a file, or a device that takes everything. */
function openStderr(): Stderr | null {
  if (isatty(STDERR)) return { stream: process.stderr, closes: false };
  const kind = fstatSync(STDERR);
  // A socket, such as that of journald, cannot be opened a second time.
  if (kind.isSocket()) return { stream: new Socket({ fd: STDERR, readable: false, writable: true }), closes: false };
  if (!kind.isFIFO()) return null;
  try {
    const fd = openSync(`/proc/self/fd/${STDERR}`, constants.O_WRONLY | constants.O_NONBLOCK);
    return { stream: new Socket({ fd, readable: false, writable: true }), closes: true };
  } catch {
    // A system without /proc, or a pipe of somebody else's: what it has is used, without blocking either.
    return { stream: new Socket({ fd: STDERR, readable: false, writable: true }), closes: false };
  }
}

/** False: it was not done within `ms`. */
async function within(ms: number, act: (done: () => void) => void): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const late = setTimeout(() => resolve(false), ms);
  act(() => resolve(true));
  const isDone = await promise;
  clearTimeout(late);
  return isDone;
}
