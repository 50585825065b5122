// One direction of a connection over a link: pieces in the order in which they came, each delivered when the link's law says so,
// as TCP would. A piece that is lost, or that meets a cut link, is sent again after TCP's times, and whatever follows it waits
// behind it. Knows no sockets: the tunnel gives it pieces and takes what has arrived.
import { delayMsOf, type LinkState } from './links.ts';

/** TCP's least retransmission timeout on Linux (`tcp_rto_min`); it doubles up to the largest. The simulator assumes the same. */
const RETRANSMIT_MS = 200;
const RETRANSMIT_MS_MAX = 3_200;
/** A piece that did not get through for so long breaks its connection: `TCP_USER_TIMEOUT`, as the simulator assumes it. */
export const GIVE_UP_MS = 10_000;
/** Bound: bytes on their way in one direction; beyond it the sender is not read from. */
export const PIPE_BYTES_MAX = 1_048_576;
/** A timer of Node.js is about a millisecond late: what is due sooner than this goes at once. */
const AT_ONCE_MS = 0.6;

/** Bytes, or the end of the stream in order (`end`) or not (`reset`). */
export type Piece = Buffer | 'end' | 'reset';

export type PipeOptions = {
  readonly stateOf: () => LinkState;
  /** How many times as long the times of TCP are. */
  readonly slowness: number;
  /** Numbers from 0 up to 1. */
  readonly random: () => number;
  readonly deliver: (piece: Piece) => void;
  /** The link did not let a piece through for `GIVE_UP_MS`, times the slowness. */
  readonly onGiveUp: () => void;
  /** There is room again, after `push` said that there is none. */
  readonly onRoom: () => void;
};

type Parcel = { readonly piece: Piece; readonly firstMs: number; dueMs: number; waitMs: number; onItsWay: boolean };

export class Pipe {
  readonly #options: PipeOptions;
  readonly #parcels: Parcel[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | null = null;
  #full = false;
  #closed = false;
  /** The receiver takes nothing at present. */
  #held = false;

  constructor(options: PipeOptions) {
    this.#options = options;
  }

  /** False when there is no room for more. */
  push(piece: Piece): boolean {
    if (this.#closed) return true;
    const now = performance.now();
    const parcel: Parcel = { piece, firstMs: now, dueMs: now, waitMs: RETRANSMIT_MS * this.#options.slowness, onItsWay: false };
    this.#send(parcel, now);
    this.#parcels.push(parcel);
    this.#bytes += typeof piece === 'string' ? 0 : piece.length;
    this.#turn();
    this.#full = this.#bytes > PIPE_BYTES_MAX;
    return !this.#full;
  }

  /** The receiver is behind. */
  hold(): void {
    this.#held = true;
  }

  release(): void {
    this.#held = false;
    this.#turn();
  }

  /** Nothing is delivered any more. */
  close(): void {
    this.#closed = true;
    this.#parcels.length = 0;
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  #send(parcel: Parcel, now: number): void {
    const state = this.#options.stateOf();
    const { loss, cut } = state;
    parcel.onItsWay = !cut && !(loss[0] > 0 && this.#options.random() * loss[1] < loss[0]);
    if (parcel.onItsWay) {
      parcel.dueMs = now + delayMsOf(state, this.#options.random);
      return;
    }
    parcel.dueMs = now + parcel.waitMs;
    parcel.waitMs = this.#longer(parcel.waitMs);
  }

  #longer(waitMs: number): number {
    return Math.min(waitMs * 2, RETRANSMIT_MS_MAX * this.#options.slowness);
  }

  #turn(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    while (!this.#closed && !this.#held) {
      const head = this.#parcels[0];
      if (head === undefined) break;
      const now = performance.now();
      if (head.dueMs - now > AT_ONCE_MS) {
        this.#timer = setTimeout(() => this.#turn(), Math.max(1, Math.round(head.dueMs - now)));
        break;
      }
      // A cut takes what is on its way too.
      if (!head.onItsWay || this.#options.stateOf().cut) {
        if (now - head.firstMs > GIVE_UP_MS * this.#options.slowness) {
          this.close();
          this.#options.onGiveUp();
          return;
        }
        if (head.onItsWay) {
          head.onItsWay = false;
          head.dueMs = now + head.waitMs;
          head.waitMs = this.#longer(head.waitMs);
        } else this.#send(head, now);
        continue;
      }
      this.#parcels.shift();
      this.#bytes -= typeof head.piece === 'string' ? 0 : head.piece.length;
      this.#options.deliver(head.piece);
    }
    if (this.#full && this.#bytes <= PIPE_BYTES_MAX / 2) {
      this.#full = false;
      this.#options.onRoom();
    }
  }
}
