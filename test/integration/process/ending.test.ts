// How a process of ours is ended: the first signal asks, the same wish told twice is one wish, a second signal ends it at once.
import { spawn } from 'node:child_process';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';

const FIXTURE = fileURLToPath(new URL('ending.fixture.ts', import.meta.url));
/** Longer than the time in which a repeated signal is the same wish. */
const LATER_MS = 700;

describe('a process that stops', () => {
  test.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)(
    'is asked by the first %s and ended by a later one',
    { timeout: 60_000 },
    async (signal) => {
      const child = spawn(process.execPath, [FIXTURE], { stdio: ['ignore', 'pipe', 'inherit'] });
      const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
      const lines: string[] = [];
      for await (const line of createInterface({ input: child.stdout })) {
        lines.push(line);
        if (line === 'ready') child.kill(signal);
        if (!line.startsWith('asked')) continue;
        // npx passes on what the terminal has told already: at once, and not as a second wish.
        child.kill('SIGTERM');
        await sleep(LATER_MS);
        expect(child.exitCode).toBe(null);
        child.kill(signal);
      }
      expect(await ended).toBe(130);
      expect(lines).toEqual(['ready', `asked by ${signal}`, 'forced']);
    },
  );
});
