// Which process owns the other end of a loopback connection, from what Linux says in /proc. Agents reach each other under one
// address, so the proxy in between learns only this way from whom a connection is, and over which link it has to lead it.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** Fields of a line of /proc/net/tcp. */
const LOCAL_ADDRESS = 1;
const INODE = 9;

/** The process, among these, that has the socket bound to this local port; null when none has, or the system does not say. */
export function ownerOfPort(port: number, pids: readonly number[]): number | null {
  const inodes = inodesOf(port);
  if (inodes.size === 0) return null;
  return pids.find((pid) => holdsOne(pid, inodes)) ?? null;
}

/** More than one when the port is used on several addresses. */
function inodesOf(port: number): ReadonlySet<string> {
  const wanted = `:${port.toString(16).toUpperCase().padStart(4, '0')}`;
  const inodes = new Set<string>();
  for (const file of ['/proc/net/tcp', '/proc/net/tcp6']) {
    for (const line of read(() => readFileSync(file, 'utf8').split('\n'), [])) {
      const fields = line.trim().split(/\s+/);
      if (fields[LOCAL_ADDRESS]?.endsWith(wanted) === true) inodes.add(`socket:[${fields[INODE] ?? ''}]`);
    }
  }
  return inodes;
}

function holdsOne(pid: number, inodes: ReadonlySet<string>): boolean {
  const folder = `/proc/${pid}/fd`;
  return read(() => readdirSync(folder), [] as string[]).some((file) => inodes.has(read(() => readlinkSync(`${folder}/${file}`), '')));
}

/** A process may end while it is looked at. */
function read<T>(attempt: () => T, otherwise: T): T {
  try {
    return attempt();
  } catch {
    return otherwise;
  }
}
