// The links of a run on loopback: a door for each connection that somebody may open, and the tunnels that stand. A door has a
// fixed way (from this agent to the controller), or finds out who knocks by the process that owns the other end of the socket.
// Bound: `TUNNELS_MAX` connections at once.
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import type { LinkFault, Links, Place } from './links.ts';
import { Tunnel } from './tunnel.ts';

const HOST = '127.0.0.1';
/** Bound: connections through one proxy. */
export const TUNNELS_MAX = 4_096;

export type Way = {
  /** Asked for each connection; null refuses it. */
  readonly from: Place | ((remotePort: number) => Place | null);
  readonly to: Place;
  /** Where the machine really listens, on loopback. */
  readonly port: () => number;
};

export class Proxy {
  readonly #links: Links;
  readonly #random: () => number;
  readonly #doors = new Set<Server>();
  readonly #tunnels = new Set<Tunnel>();
  readonly #off = new Set<string>();

  constructor(links: Links, random: () => number = Math.random) {
    this.#links = links;
    this.#random = random;
  }

  /** Resolves with `host:port`. */
  open(way: Way): Promise<string> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => this.#accept(socket, way));
    this.#doors.add(server);
    return new Promise((resolve, reject) => {
      server.once('error', reject);
      server.listen(0, HOST, () => resolve(`${HOST}:${(server.address() as AddressInfo).port}`));
    });
  }

  begin(id: string, fault: LinkFault): void {
    this.#links.begin(id, fault);
  }

  end(id: string): void {
    this.#links.end(id);
  }

  /** From here on nothing leaves the machine and nothing reaches it. */
  powerOff(machine: string): void {
    this.#off.add(machine);
    for (const tunnel of [...this.#tunnels]) tunnel.lose(machine);
  }

  powerOn(machine: string): void {
    this.#off.delete(machine);
  }

  close(): void {
    for (const server of this.#doors) server.close();
    this.#doors.clear();
    for (const tunnel of [...this.#tunnels]) tunnel.close();
  }

  #accept(socket: Socket, { from, to, port }: Way): void {
    const place = typeof from === 'function' ? from(socket.remotePort ?? 0) : from;
    if (place === null || this.#tunnels.size >= TUNNELS_MAX) {
      socket.on('error', () => {});
      socket.resetAndDestroy();
      return;
    }
    this.#tunnels.add(
      new Tunnel(socket, {
        links: this.#links,
        from: place,
        to,
        host: HOST,
        port: port(),
        random: this.#random,
        isOff: (name) => this.#off.has(name),
        onEnd: (tunnel) => this.#tunnels.delete(tunnel),
      }),
    );
  }
}
