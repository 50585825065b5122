// When a process started, which tells it from another that got its number later.
import { readFileSync } from 'node:fs';

/** Field of /proc/<pid>/stat, counted after the name in brackets: in ticks since the boot. */
const START_FIELD = 19;

/** Empty: there is no such process, or the system does not say. */
export function startOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD] ?? '';
  } catch {
    return '';
  }
}
