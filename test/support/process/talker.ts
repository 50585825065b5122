// A process that says line by line what happens in it, for tests that wait for a sentence.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';

/** Bound: a wait for a sentence; a busy machine is slow, and a test that waits longer has failed. */
const SAID_WITHIN_MS = 90_000;

export type Talker = {
  readonly child: ChildProcess;
  /** Whole lines so far. */
  readonly lines: () => readonly string[];
  /** The first line at or after `from` that fits; rejects when the process ends without it. */
  readonly said: (pattern: RegExp, from?: number) => Promise<string>;
  /** What ended it: a signal, or its exit code. */
  readonly ended: Promise<NodeJS.Signals | number | null>;
  /** Ends it, however it is, and waits for that. */
  readonly destroy: () => Promise<void>;
};

export function startTalker(program: string, args: readonly string[]): Talker {
  const child = spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  let isEnded = false;
  const listeners = new Set<() => void>();
  const changed = (): void => [...listeners].forEach((listener) => listener());
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    changed();
  });
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    child.once('close', (code, signal) => {
      isEnded = true;
      resolve(signal ?? code);
      changed();
    }),
  );
  const lines = (): readonly string[] => text.split('\n').slice(0, -1);
  const said = (pattern: RegExp, from = 0): Promise<string> =>
    new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        listeners.delete(look);
        clearTimeout(timer);
        act();
      };
      const look = (): void => {
        const found = lines()
          .slice(from)
          .find((line) => pattern.test(line));
        if (found !== undefined) settle(() => resolve(found));
        else if (isEnded) settle(() => reject(new Error(`It ended and never said ${pattern}:\n${text}`)));
      };
      const timer = setTimeout(
        () => settle(() => reject(new Error(`It did not say ${pattern} within ${SAID_WITHIN_MS} ms:\n${text}`))),
        SAID_WITHIN_MS,
      );
      listeners.add(look);
      look();
    });
  const destroy = async (): Promise<void> => {
    child.kill('SIGKILL');
    await ended;
  };
  return { child, lines, said, ended, destroy };
}
