// The keeper of a run on real processes: whatever becomes of the runner, nothing of it stays behind. It holds one end of a pipe
// whose other end only the runner has; when that closes, in order or because the runner died, it ends every process that it was
// told of, takes down what was mounted, removes the folder of the run, and ends. Signals of a terminal are not for it.
// Lines on stdin: `+ <pid> <start>`, `- <pid>`, `mount <path>`.
import { spawnSync } from 'node:child_process';
import { readFileSync, rmSync } from 'node:fs';
import process from 'node:process';
import { createInterface } from 'node:readline';

/** Field of /proc/<pid>/stat, counted after the name in brackets: when the process started, in ticks since the boot. */
const START_FIELD = 19;

const [folder = ''] = process.argv.slice(2);
const processes = new Map<number, string>();
const mounts: string[] = [];

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {});

/** Tells a process from another that got its number later; empty where the system does not say. */
function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD] ?? '';
  } catch {
    return '';
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
lines.on('close', () => {
  for (const [pid, start] of processes) {
    if (startOf(pid) !== start) continue;
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It has ended by itself.
    }
  }
  // Lazily: what was just killed may hold it for another moment.
  for (const path of mounts.reverse()) spawnSync('umount', ['-l', path], { stdio: 'ignore' });
  if (folder !== '') rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
});
