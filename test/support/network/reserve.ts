// Ports of loopback for servers that must be told one before they start, and keep it while they are down. Two processes of tests never
// have the same: a UDP socket of the same number stands for the claim and goes with its process. They lie below those that the system
// gives to connections and those that `hardware/local/ports.ts` draws from, so that nothing else takes one while its server is down.
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';

const HOST = '127.0.0.1';
export const PORT_FIRST = 10_000;
export const PORT_LAST = 19_999;

/** The process has it until it ends. Rejects when each port from `first` to `last` is taken. */
export async function reservePort({ first = PORT_FIRST, last = PORT_LAST } = {}): Promise<number> {
  const count = last - first + 1;
  // Anywhere: a client of a server that ended a moment ago may still be dialling.
  const start = randomInt(count);
  for (let n = 0; n < count; n++) {
    const port = first + ((start + n) % count);
    const release = await claim(port);
    if (release === null) continue;
    if (await isFree(port)) return port;
    release();
  }
  throw new Error(`Each port from ${first} to ${last} is taken.`);
}

export async function reserveAddress(): Promise<string> {
  return `${HOST}:${await reservePort()}`;
}

/** Null: somebody has it. */
function claim(port: number): Promise<(() => void) | null> {
  return new Promise((resolve) => {
    const socket = createSocket('udp4').unref();
    socket.once('error', () => resolve(null));
    socket.bind({ port, address: HOST, exclusive: true }, () => resolve(() => socket.close()));
  });
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
