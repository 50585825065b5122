// Telemetry of a whole process: what is left when it is killed, and what a log that nobody reads does to it.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it } from 'vitest';

const SPEAKER = fileURLToPath(new URL('./speaker.fixture.ts', import.meta.url));

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'wasmmatrix-telemetry-'));
});
afterEach(() => rm(folder, { recursive: true }));

it('every record that was said before a kill -9 is in the file', async () => {
  for (let round = 1; round <= 10; round++) {
    const path = join(folder, `records-${round}.jsonl`);
    const speaker = spawn(process.execPath, [SPEAKER, 'records', path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let last = 0;
    for await (const line of createInterface({ input: speaker.stdout })) {
      last = Number(line);
      if (last === round * 37) speaker.kill('SIGKILL');
    }
    const lines = (await readFile(path, 'utf8')).split('\n').slice(0, -1);
    expect(last).toBeGreaterThanOrEqual(round * 37);
    expect(lines.length).toBeGreaterThanOrEqual(last);
    expect(lines.map((line) => (JSON.parse(line) as { sequence: number }).sequence)).toEqual(lines.map((_, i) => i + 1));
  }
});

it.each([
  { what: 'a socket', open: '' },
  // The process has its own reading end, so that the pipe is never broken, and nobody reads.
  { what: 'a pipe', open: 'mkfifo "$0/pipe" && exec 2<>"$0/pipe";' },
])('a log that nobody reads ($what) costs lines, and neither the process nor its end waits for it', async ({ open }) => {
  const speaker = spawn('sh', ['-c', `${open} exec "$@"`, folder, process.execPath, SPEAKER, 'log', '100000'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const exit = once(speaker, 'exit') as Promise<[number | null]>;
  const said = await Array.fromAsync(createInterface({ input: speaker.stdout }));
  const [code] = await exit;
  expect(Number(/^said 100000 dropped (\d+)$/.exec(said[0] ?? '')?.[1])).toBeGreaterThan(0);
  expect([said[1], code]).toEqual(['closed', 0]);
});

it.each([
  { what: 'a socket', open: '', close: '' },
  { what: 'a pipe', open: '{', close: '2>&1 >&3 | cat >&2; } 3>&1' },
  { what: 'a file', open: '{', close: '2>"$0/log"; cat "$0/log" >&2; }' },
])('a log that is read ($what) loses nothing', async ({ open, close }) => {
  const script = `${open} "$@" ${close}`;
  const speaker = spawn('sh', ['-c', script, folder, process.execPath, SPEAKER, 'log', '10000', '--last'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  speaker.stdout.resume();
  // Only read meanwhile: a process waits for its reader at its end for no longer than two seconds.
  let said = '';
  for await (const text of speaker.stderr.setEncoding('utf8')) said += String(text);
  const lines = said.trimEnd().split('\n');
  expect(lines.pop()).toBe('the end');
  expect(lines).toHaveLength(10_000);
  for (const [i, line] of lines.entries()) expect((JSON.parse(line) as { message: string }).message).toContain(`line ${i} `);
});

it('a log into the void ends with its process', async () => {
  const speaker = spawn(process.execPath, [SPEAKER, 'log', '10'], { stdio: ['ignore', 'ignore', 'ignore'] });
  expect(await once(speaker, 'exit')).toEqual([0, null]);
});
