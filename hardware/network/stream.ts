// One side of a stream over a gRPC call, the same on both sides. `send` copies into a queue bounded by bytes, which HTTP/2 flow
// control empties; `receive` pulls, one message is read ahead so that the end is noticed. What is not pulled stays with the
// sender. The end of one side is answered by the end of the other.
import { assert, failed, ok } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { ByteStream, PeerIdentity } from '../../system/ports/network.ts';
import { tooLarge } from './status.ts';

/** Bound: bytes of one direction that were admitted and not yet written; the message that passes it is the last to be admitted. */
export const WINDOW_BYTES = 256 * 1024;
/** Bound: sends of one stream that wait for the window. Past it the product does not wait for its sends: a bug. */
export const SENDS_WAITING_MAX = 4_096;
/** Bound: how long a peer may take to read what is left and to answer the end of a stream with its own. */
export const CLOSE_GRACE_MS = 30_000;

/** The gRPC call beneath. */
export type Pipe = {
  readonly peer: PeerIdentity;
  /** Asks for one message. */
  readonly read: () => void;
  /** `written` when HTTP/2 has taken it. One at a time. */
  readonly write: (message: Buffer, written: () => void) => void;
  /** This side has said everything. */
  readonly end: () => void;
  readonly abort: () => void;
  /** Nothing refers to the stream any more. */
  readonly forget: () => void;
};

type Waiting = { readonly message: Buffer; readonly resolve: (outcome: Outcome<void>) => void };

export class GrpcStream implements ByteStream {
  readonly peer: PeerIdentity;
  readonly #pipe: Pipe;
  // outgoing
  readonly #queue: Buffer[] = [];
  readonly #sendsWaiting: Waiting[] = [];
  #windowUsed = 0;
  #writing = false;
  #endSent = false;
  // incoming: bound, one message
  #ahead: Uint8Array | null = null;
  #reading = false;
  #receiver: ((outcome: Outcome<Uint8Array | null>) => void) | null = null;
  #peerEnded = false;
  #closed = false;
  #lost: Err | null = null;
  #forgotten = false;
  #grace: NodeJS.Timeout | null = null;

  constructor(pipe: Pipe) {
    this.#pipe = pipe;
    this.peer = pipe.peer;
  }

  /** The call has begun. */
  start(): void {
    this.#read();
  }

  async send(message: Uint8Array): Promise<Outcome<void>> {
    if (message.length > MESSAGE_BYTES_MAX) return tooLarge(message.length);
    if (this.#lost !== null) return this.#lost;
    if (this.#closed || this.#peerEnded) return this.#ended();
    const copy = Buffer.from(message);
    if (this.#sendsWaiting.length === 0 && this.#windowUsed < WINDOW_BYTES) {
      this.#admit(copy);
      return ok();
    }
    assert(this.#sendsWaiting.length < SENDS_WAITING_MAX, `at most ${SENDS_WAITING_MAX} sends wait for the window of a stream`);
    return new Promise((resolve) => {
      this.#sendsWaiting.push({ message: copy, resolve });
    });
  }

  receive(): Promise<Outcome<Uint8Array | null>> {
    assert(this.#receiver === null, 'one receive at a time on a stream');
    return new Promise((resolve) => {
      this.#receiver = resolve;
      this.#serve();
    });
  }

  close(): void {
    if (this.#closed || this.#lost !== null) return;
    this.#closed = true;
    this.#ahead = null;
    this.#refuseWaiting(this.#ended());
    this.#endWhenWritten();
    this.#serve();
    if (this.#forgotten) return;
    // What the peer still sends is read and dropped, so that its end can come.
    this.#read();
    this.#grace = setTimeout(() => {
      this.#pipe.abort();
      this.#forget();
    }, CLOSE_GRACE_MS);
    this.#grace.unref();
  }

  /** A message came in. */
  accept(message: Uint8Array): void {
    this.#reading = false;
    if (this.#closed) {
      this.#read();
      return;
    }
    this.#ahead = message;
    this.#serve();
  }

  /** The peer has said everything. */
  endByPeer(): void {
    if (this.#peerEnded || this.#lost !== null) return;
    this.#peerEnded = true;
    this.#refuseWaiting(this.#ended());
    this.#endWhenWritten();
    this.#serve();
  }

  /** The call is over: nothing can be written or read any more. Null: in order. */
  finish(error: Err | null): void {
    if (error === null) this.endByPeer();
    else if (!this.#closed && !this.#peerEnded && this.#lost === null) {
      this.#lost = error;
      this.#ahead = null;
      this.#refuseWaiting(error);
      this.#serve();
    }
    this.#queue.length = 0;
    this.#endSent = true;
    this.#forget();
  }

  #admit(message: Buffer): void {
    this.#windowUsed += message.length;
    this.#queue.push(message);
    this.#write();
  }

  #write(): void {
    if (this.#writing || this.#endSent) return;
    const message = this.#queue.shift();
    if (message === undefined) return;
    this.#writing = true;
    this.#pipe.write(message, () => {
      this.#writing = false;
      this.#windowUsed -= message.length;
      this.#admitWaiting();
      this.#write();
      if (this.#closed || this.#peerEnded) this.#endWhenWritten();
    });
  }

  #admitWaiting(): void {
    while (this.#sendsWaiting.length > 0 && this.#windowUsed < WINDOW_BYTES) {
      const { message, resolve } = this.#sendsWaiting.shift()!;
      this.#admit(message);
      resolve(ok());
    }
  }

  #refuseWaiting(error: Err): void {
    for (const { resolve } of this.#sendsWaiting.splice(0)) resolve(error);
  }

  #endWhenWritten(): void {
    if (this.#endSent || this.#writing || this.#queue.length > 0) return;
    this.#endSent = true;
    this.#pipe.end();
  }

  #read(): void {
    if (this.#reading || this.#ahead !== null || this.#peerEnded || this.#forgotten) return;
    this.#reading = true;
    this.#pipe.read();
  }

  #serve(): void {
    const receiver = this.#receiver;
    if (receiver === null) return;
    const outcome = this.#next();
    if (outcome === null) return;
    this.#receiver = null;
    receiver(outcome);
    this.#read();
  }

  #next(): Outcome<Uint8Array | null> | null {
    if (this.#ahead !== null) {
      const message = this.#ahead;
      this.#ahead = null;
      return ok<Uint8Array | null>(message);
    }
    if (this.#closed || this.#peerEnded) return ok<Uint8Array | null>(null);
    return this.#lost;
  }

  #forget(): void {
    if (this.#grace !== null) clearTimeout(this.#grace);
    if (this.#forgotten) return;
    this.#forgotten = true;
    this.#pipe.forget();
  }

  #ended(): Err {
    return failed('WM_CANCELLED', {
      message: `The stream to ${this.peer.name} has ended.`,
      next: 'Open a new stream if it is still wanted.',
    });
  }
}
