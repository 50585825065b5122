// One TCP connection through a link: two sockets and a pipe each way. A cut link lets nothing pass, and both ends stay half open
// as they would; a machine that lost power says nothing any more, and once it is back answers for what it does not know any more
// with a reset. A connection is opened at the far end after a round trip, or when the link lets it.
import { connect, type Socket } from 'node:net';
import type { Links, Place } from './links.ts';
import { delayMsOf } from './links.ts';
import { GIVE_UP_MS, Pipe, type Piece } from './pipe.ts';

/** TCP sends a first packet that was not answered again after a second. */
const DIAL_AGAIN_MS = 1_000;

export type TunnelOptions = {
  readonly links: Links;
  readonly from: Place;
  readonly to: Place;
  readonly host: string;
  readonly port: number;
  readonly random: () => number;
  /** Is the machine of this name without power? */
  readonly isOff: (name: string) => boolean;
  readonly onEnd: (tunnel: Tunnel) => void;
};

type Side = 'from' | 'to';

export class Tunnel {
  readonly #options: TunnelOptions;
  readonly #near: Socket;
  #far: Socket | null = null;
  readonly #forward: Pipe;
  readonly #back: Pipe;
  readonly #sinceMs = performance.now();
  #dialling: NodeJS.Timeout | null = null;
  /** The side whose machine lost power: nothing comes from it, and what goes to it is lost. */
  #dead: Side | null = null;
  #over = false;

  constructor(near: Socket, options: TunnelOptions) {
    this.#options = options;
    this.#near = near;
    this.#forward = this.#pipe('from');
    this.#back = this.#pipe('to');
    // What comes before it is connected waits.
    this.#forward.hold();
    this.#attach(near, 'from', this.#forward);
    this.#dial();
  }

  /** The machine loses power now; whatever its sockets say from here on was never said. */
  lose(machine: string): void {
    const side: Side | null = machine === this.#options.from.name ? 'from' : machine === this.#options.to.name ? 'to' : null;
    if (side === null || this.#over) return;
    if (this.#dead !== null && this.#dead !== side) return this.close();
    this.#dead = side;
    // What it had sent and the link has not delivered is lost with the repetitions that nobody sends.
    (side === 'from' ? this.#forward : this.#back).close();
    // Nobody is left who would hear of the end of a connection that was never opened.
    if (side === 'from' && this.#far === null) this.close();
  }

  close(): void {
    if (this.#over) return;
    this.#over = true;
    if (this.#dialling !== null) clearTimeout(this.#dialling);
    this.#forward.close();
    this.#back.close();
    reset(this.#near);
    if (this.#far !== null) reset(this.#far);
    this.#options.onEnd(this);
  }

  #pipe(origin: Side): Pipe {
    const { links, from, to, isOff, random } = this.#options;
    const [sender, receiver] = origin === 'from' ? [from, to] : [to, from];
    return new Pipe({
      random,
      slowness: links.slowness,
      stateOf: () => {
        const state = links.stateOf(sender, receiver);
        return isOff(receiver.name) ? { ...state, cut: true } : state;
      },
      deliver: (piece) => this.#deliver(origin, piece),
      onGiveUp: () => this.close(),
      onRoom: () => this.#socketOf(origin)?.resume(),
    });
  }

  #socketOf(side: Side): Socket | null {
    return side === 'from' ? this.#near : this.#far;
  }

  #dial(): void {
    const { links, from, to, isOff, random, host, port } = this.#options;
    const again = (afterMs: number): void => void (this.#dialling = setTimeout(() => this.#dial(), afterMs));
    this.#dialling = null;
    if (links.stateOf(from, to).cut || isOff(to.name)) {
      if (performance.now() - this.#sinceMs > GIVE_UP_MS * links.slowness) this.close();
      else again(DIAL_AGAIN_MS * links.slowness);
      return;
    }
    const roundTripMs = delayMsOf(links.stateOf(from, to), random) + delayMsOf(links.stateOf(to, from), random);
    this.#dialling = setTimeout(() => {
      const far = connect({ host, port, allowHalfOpen: true, noDelay: true });
      this.#far = far;
      this.#attach(far, 'to', this.#back);
      this.#forward.release();
    }, roundTripMs);
  }

  #attach(socket: Socket, side: Side, pipe: Pipe): void {
    const ignored = (): boolean => this.#over || this.#dead === side;
    let ended = false;
    socket.setNoDelay(true);
    socket.on('data', (bytes: Buffer) => {
      if (!ignored() && !pipe.push(bytes)) socket.pause();
    });
    socket.on('end', () => {
      ended = true;
      if (!ignored()) pipe.push('end');
    });
    // What went wrong is told by the close that follows.
    socket.on('error', () => {});
    socket.on('close', (hadError) => {
      if (ignored()) return;
      if (hadError || !ended) pipe.push('reset');
      else if (this.#socketOf(side === 'from' ? 'to' : 'from')?.destroyed === true) this.close();
    });
    socket.on('drain', () => (side === 'from' ? this.#back : this.#forward).release());
  }

  #deliver(origin: Side, piece: Piece): void {
    const receiver: Side = origin === 'from' ? 'to' : 'from';
    // It came back without knowing this connection: the first word to it is answered with a reset.
    if (this.#dead === receiver) return this.close();
    const socket = this.#socketOf(receiver);
    if (socket === null || socket.destroyed) return piece === 'reset' ? this.close() : undefined;
    if (piece === 'reset') return this.close();
    if (piece === 'end') return void socket.end();
    if (!socket.write(piece)) (origin === 'from' ? this.#forward : this.#back).hold();
    return undefined;
  }
}

/** A socket whose end is just being told cannot be reset: libuv refuses, and Node.js then keeps it open for ever. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
