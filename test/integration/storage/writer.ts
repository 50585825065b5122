// Starts the writer as a process of its own and reads what it says.
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

export const WRITER = fileURLToPath(new URL('./writer.fixture.ts', import.meta.url));

export type Writer = {
  readonly child: ChildProcess;
  /** Whole lines so far. */
  readonly lines: () => readonly string[];
  /** Resolves when so many lines are there, or the process ended. */
  readonly said: (count: number) => Promise<void>;
  /** The signal that ended it, null when it ended by itself. */
  readonly ended: Promise<string | null>;
};

export function startWriter(command: readonly string[]): Writer {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  let listening: { readonly count: number; readonly resolve: () => void }[] = [];
  const lines = (): readonly string[] => text.split('\n').slice(0, -1);
  child.stdout.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    const count = lines().length;
    for (const waiting of listening) if (waiting.count <= count) waiting.resolve();
    listening = listening.filter((waiting) => waiting.count > count);
  });
  const ended = new Promise<string | null>((resolve) => child.once('close', (_code, signal) => resolve(signal)));
  const said = (count: number): Promise<void> => {
    if (lines().length >= count) return Promise.resolve();
    const there = new Promise<void>((resolve) => listening.push({ count, resolve }));
    return Promise.race([there, ended.then(() => {})]);
  };
  return { child, lines, said, ended };
}
