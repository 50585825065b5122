// The folder of one worker, for records under way: named after its process, so that the next worker can tell whose is left behind. A
// worker that is killed removes nothing. A composition root.
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { startOf } from '../../../hardware/local/start-of.ts';

const PREFIX = 'wasmmatrix-worker-';
/** Numbers of its PID namespace and of its process, when that started, and what makes it one of its own. */
const NAME = /^wasmmatrix-worker-(\d+)-(\d+)-(\d+)-\w+$/;

/** Also removes folders within `within` whose workers have ended. */
export function makeWorkerFolder(within: string = tmpdir()): string {
  const [namespace, start] = [pidNamespace(), startOf(process.pid)];
  // Where the system does not say what runs, nothing can be said to have ended.
  if (namespace === '' || start === '') return mkdtempSync(join(within, PREFIX));
  sweep(within, namespace);
  return mkdtempSync(join(within, `${PREFIX}${namespace}-${process.pid}-${start}-`));
}

/** Safety: a process of another namespace cannot be seen from here, and a number that another process has by now started at another time. */
function sweep(within: string, namespace: string): void {
  for (const name of readdirSync(within)) {
    const [, itsNamespace, pid, start] = NAME.exec(name) ?? [];
    if (itsNamespace !== namespace || startOf(Number(pid)) === start) continue;
    try {
      rmSync(join(within, name), { recursive: true, force: true });
    } catch {
      // It belongs to another user, whose next worker removes it.
    }
  }
}

/** Empty: the system does not say. */
function pidNamespace(): string {
  try {
    return /\d+/.exec(readlinkSync('/proc/self/ns/pid'))?.[0] ?? '';
  } catch {
    return '';
  }
}
