// The keeper of a run on real processes: whatever becomes of the runner, nothing of it stays behind. It holds one end of a pipe
// whose other end only the runner has; when that closes, in order or because the runner died, it ends every process that it was
// told of, takes down what was mounted, removes the folder of the run, and ends. Signals of a terminal are not for it. An emulator
// is a child of nobody by the time its number is known, and is found by the folder in its command line, told of or not.
// Lines on stdin: `+ <pid> <start>`, `- <pid>`, `mount <path>`.
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { startOf } from './start-of.ts';

const EMULATOR = /(?:^|\/)qemu-system-\w+$/;
/** Bound: looks for emulators, each of which may become another process while it is looked at. */
const LOOKS_MAX = 50;
const LOOK_MS = 20;

const [folder = ''] = process.argv.slice(2);
const processes = new Map<number, string>();
const mounts: string[] = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

/** Emulators of this run: their sockets, disks and consoles are in its folder. An interpreter in front of one is none of its name. */
function emulators(): readonly number[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const args = readFileSync(`/proc/${name}/cmdline`, 'utf8').split('\0');
      const isOurs = args.slice(0, 2).some((arg) => EMULATOR.test(arg)) && args.some((arg) => arg.includes(`${folder}/`));
      return isOurs ? [Number(name)] : [];
    } catch {
      return [];
    }
  });
}

function end(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has ended by itself.
  }
}

const lines = createInterface({ input: process.stdin });
lines.on('line', (line) => {
  const [what, ...rest] = line.split(' ');
  const pid = Number(rest[0]);
  if (what === '+') processes.set(pid, startOf(pid));
  else if (what === '-') processes.delete(pid);
  else if (what === 'mount') mounts.push(rest.join(' '));
});
lines.on('close', () => void clean());

async function clean(): Promise<void> {
  for (const [pid, start] of processes) if (startOf(pid) === start) end(pid);
  if (folder !== '' && process.platform === 'linux')
    for (let look = 0; look < LOOKS_MAX; look += 1) {
      const found = emulators();
      if (found.length === 0) break;
      found.forEach(end);
      await sleep(LOOK_MS);
    }
  // Lazily: what was just killed may hold it for another moment.
  for (const path of mounts.reverse()) spawnSync('umount', ['-l', path], { stdio: 'ignore' });
  if (folder !== '') rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
