// A nats-server as a process of this one.
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { READY, type Runner, type RunnerOptions } from './runner.ts';

/** Bound: characters of the server's words that are kept for the message when it does not start. */
const WORDS_MAX = 4_096;

export function startProcess({ binary, configuration, files, folder }: RunnerOptions): Runner {
  mkdirSync(join(folder, 'files'), { recursive: true });
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, 'files', name), text);
  const file = join(folder, 'nats.conf');
  writeFileSync(file, configuration);
  let child: ChildProcess | null = null;
  const killWithUs = (): void => void child?.kill('SIGKILL');

  return {
    start: () =>
      new Promise((resolve, reject) => {
        const started = spawn(binary, ['-c', file], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
        child = started;
        process.once('exit', killWithUs);
        let words = '';
        started.stderr.setEncoding('utf8');
        started.stderr.on('data', (chunk: string) => {
          words = (words + chunk).slice(-WORDS_MAX);
          if (READY.test(words)) resolve();
        });
        started.once('error', reject);
        started.once('exit', () => {
          process.off('exit', killWithUs);
          reject(new Error(`nats-server ended before it was ready:\n${words}`));
        });
      }),
    signal: async (signal) => {
      if (child === null || child.exitCode !== null || child.signalCode !== null) return;
      const ended = once(child, 'exit');
      child.kill(signal);
      await ended;
    },
    remove: async () => {},
  };
}
