// One side of a stream: numbered messages in a byte-bounded window. The window is given back when the product has taken a
// message, in portions of half a window, as HTTP/2 does.
import { assert, failed, ok, rejected, unknown } from '../../system/domain/outcome.ts';
import type { Err, Outcome } from '../../system/domain/outcome.ts';
import { MESSAGE_BYTES_MAX } from '../../system/ports/network.ts';
import type { ByteStream, PeerIdentity } from '../../system/ports/network.ts';

/** Bound: bytes of one direction that were sent and not yet taken; the message that passes it is the last to be admitted. */
export const WINDOW_BYTES = 256 * 1024;
/** What nearly every send gives, at once. */
const SENT: Promise<Outcome<void>> = Promise.resolve(ok());
/** Bound: sends of one stream that wait for the window. Past it the product does not wait for its sends: a bug. */
export const SENDS_WAITING_MAX = 4_096;

/**
 * What a side says to the other. `number` counts, from 0, all that has an order: the opening, messages, the end. After the end
 * of a side nothing numbered comes from it, so a numbered frame of an unknown stream always belongs to a new one.
 */
export type StreamFrame =
  | { readonly kind: 'open'; readonly number: number; readonly method: string }
  | { readonly kind: 'message'; readonly number: number; readonly bytes: Uint8Array }
  | { readonly kind: 'end'; readonly number: number }
  | { readonly kind: 'credit'; readonly bytes: number };

/** The connection that streams go over; each says which of its streams it is. */
export type StreamCarrier = {
  readonly peer: PeerIdentity;
  transmitFrame(id: number, frame: StreamFrame): void;
  /** The peer opened it for this method. */
  opened(stream: SimStream, method: string): void;
  /** Both directions are over: nothing refers to the stream any more. */
  forget(id: number): void;
};

export function connectionLost(peer: PeerIdentity, why: string): Err {
  return unknown('WM_CONNECTION_LOST', {
    message: `The connection to ${peer.name} was lost: ${why}.`,
    next: 'Observe whether what was sent arrived before repeating it.',
    detail: { peer: peer.name },
  });
}

export function tooLarge(bytes: number): Err {
  return rejected('WM_MESSAGE_TOO_LARGE', {
    message: `A message of ${bytes} bytes is larger than ${MESSAGE_BYTES_MAX}.`,
    next: 'Send it in parts.',
    detail: { bytes },
  });
}

type Receiver = (outcome: Outcome<Uint8Array | null>) => void;

export class SimStream implements ByteStream {
  readonly peer: PeerIdentity;
  readonly #carrier: StreamCarrier;
  readonly #id: number;
  // outgoing
  #sent = 0;
  #windowUsed = 0;
  readonly #sendsWaiting: { readonly message: Uint8Array; readonly resolve: (outcome: Outcome<void>) => void }[] = [];
  #endSent = false;
  // incoming
  #expected = 0;
  readonly #early = new Map<number, StreamFrame>();
  readonly #inbox: Uint8Array[] = [];
  #taken = 0;
  #receiver: Receiver | null = null;
  #peerEnded = false;
  #closed = false;
  #lost: Err | null = null;

  constructor(carrier: StreamCarrier, id: number) {
    this.#carrier = carrier;
    this.#id = id;
    this.peer = carrier.peer;
  }

  /** First thing of the side that opens. */
  open(method: string): void {
    this.#carrier.transmitFrame(this.#id, { kind: 'open', number: this.#sent++, method });
  }

  send(message: Uint8Array): Promise<Outcome<void>> {
    if (message.length > MESSAGE_BYTES_MAX) return Promise.resolve(tooLarge(message.length));
    if (this.#lost !== null) return Promise.resolve(this.#lost);
    if (this.#closed || this.#peerEnded) return Promise.resolve(this.#ended());
    const copy = message.slice();
    if (this.#sendsWaiting.length === 0 && this.#admits()) {
      this.#transmit(copy);
      return SENT;
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
    for (const { resolve } of this.#sendsWaiting.splice(0)) resolve(this.#ended());
    this.#sendEnd();
    this.#inbox.length = 0;
    this.#serve();
  }

  /** A frame came in, on the machine of this side. */
  accept(frame: StreamFrame): void {
    if (this.#lost !== null) return;
    if (frame.kind === 'credit') {
      this.#windowUsed -= frame.bytes;
      this.#admitWaiting();
      return;
    }
    let next: StreamFrame | undefined = frame;
    if (frame.number !== this.#expected) {
      this.#early.set(frame.number, frame);
      next = this.#early.get(this.#expected);
    }
    while (next !== undefined) {
      if (next !== frame) this.#early.delete(this.#expected);
      this.#expected++;
      if (next.kind === 'open') this.#carrier.opened(this, next.method);
      if (next.kind === 'message' && !this.#closed) this.#take(next.bytes);
      if (next.kind === 'end') this.#peerEnd();
      next = this.#early.size === 0 ? undefined : this.#early.get(this.#expected);
    }
    this.#serve();
  }

  /** The connection broke. */
  lose(error: Err): void {
    if (this.#lost !== null) return;
    this.#lost = error;
    for (const { resolve } of this.#sendsWaiting.splice(0)) resolve(error);
    this.#serve();
  }

  #admits(): boolean {
    return this.#windowUsed < WINDOW_BYTES;
  }

  #transmit(message: Uint8Array): void {
    this.#windowUsed += message.length;
    this.#carrier.transmitFrame(this.#id, { kind: 'message', number: this.#sent++, bytes: message });
  }

  #admitWaiting(): void {
    while (this.#sendsWaiting.length > 0 && this.#admits()) {
      const { message, resolve } = this.#sendsWaiting.shift()!;
      this.#transmit(message);
      resolve(ok());
    }
  }

  /** Whom the product has waiting gets it at once: nearly always nothing is before it. */
  #take(message: Uint8Array): void {
    const receiver = this.#receiver;
    if (receiver === null || this.#inbox.length > 0) this.#inbox.push(message);
    else this.#hand(receiver, message);
  }

  #hand(receiver: Receiver, message: Uint8Array): void {
    this.#receiver = null;
    this.#credit(message.length);
    receiver(ok<Uint8Array | null>(message));
  }

  #serve(): void {
    const receiver = this.#receiver;
    if (receiver === null) return;
    const message = this.#inbox.length === 0 ? undefined : this.#inbox.shift();
    if (message !== undefined) {
      this.#hand(receiver, message);
    } else if (this.#closed || this.#peerEnded) {
      this.#receiver = null;
      receiver(ok<Uint8Array | null>(null));
    } else if (this.#lost !== null) {
      this.#receiver = null;
      receiver(this.#lost);
    }
  }

  #credit(bytes: number): void {
    this.#taken += bytes;
    if (this.#taken * 2 < WINDOW_BYTES || this.#lost !== null || this.#peerEnded) return;
    this.#carrier.transmitFrame(this.#id, { kind: 'credit', bytes: this.#taken });
    this.#taken = 0;
  }

  #peerEnd(): void {
    this.#peerEnded = true;
    for (const { resolve } of this.#sendsWaiting.splice(0)) resolve(this.#ended());
    // Ending is mutual: the other side takes nothing any more.
    this.#sendEnd();
    this.#carrier.forget(this.#id);
  }

  #sendEnd(): void {
    if (this.#endSent) return;
    this.#endSent = true;
    this.#carrier.transmitFrame(this.#id, { kind: 'end', number: this.#sent++ });
  }

  #ended(): Err {
    return failed('WM_CANCELLED', {
      message: `The stream to ${this.peer.name} has ended.`,
      next: 'Open a new stream if it is still wanted.',
    });
  }
}
