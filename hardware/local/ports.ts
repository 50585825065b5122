// Ports of loopback for the processes of a run, which keep theirs over restarts. They are taken below the range that the system
// gives to connections, so that none is taken by a connection while its process is down.
import { createServer } from 'node:net';

const PORT_FIRST = 20_000;
const PORT_LAST = 31_999;
/** Bound: ports that are tried for each that is wanted. */
const ATTEMPTS_EACH_MAX = 200;

export async function findPorts(wanted: number, host = '127.0.0.1'): Promise<readonly number[]> {
  const found = new Set<number>();
  for (let attempt = 0; found.size < wanted && attempt < wanted * ATTEMPTS_EACH_MAX; attempt++) {
    const port = PORT_FIRST + Math.floor(Math.random() * (PORT_LAST - PORT_FIRST + 1));
    if (!found.has(port) && (await isFree(port, host))) found.add(port);
  }
  if (found.size < wanted) throw new Error(`There are not ${wanted} free ports from ${PORT_FIRST} to ${PORT_LAST}.`);
  return [...found];
}

function isFree(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}
