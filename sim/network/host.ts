// A machine as the network sees it: name, identity, place, and the one thread that handles its messages.
import type { ZonePath } from '../../system/domain/identifiers.ts';
import { QUIET } from '../kernel/kernel.ts';
import type { Machine } from '../kernel/kernel.ts';
import type { ConnectionEnd } from './connection.ts';
import type { Link } from './link.ts';

/** Messages that were taken and still have their place in an inbox. */
const TAKEN_MAX = 256;

export type HostOptions = {
  readonly machine: Machine;
  /** What its certificate says: `node/truck-7`, `controller`, `operator/ops`. */
  readonly identity: string;
  readonly zone: ZonePath;
};

export type MessageCosts = {
  /** Processor time of the receiver for any message, and for each full KiB of it. */
  readonly messageMicros: number;
  readonly messageKiBMicros: number;
};

/** What reaches a machine; `handle` runs on it. */
export type Incoming = { readonly payloadBytes: number; handle(): void };

export class Host {
  readonly machine: Machine;
  readonly identity: string;
  readonly zone: ZonePath;
  readonly ends = new Set<ConnectionEnd>();
  /** Ways from here. Bound: the machines that it ever sent something to. */
  readonly links = new Map<Host, Link>();
  readonly #costs: MessageCosts;
  /** Bound: what the windows and open calls of its connections let in. Of the incarnation below. */
  #waiting: Incoming[] = [];
  /** Place of the oldest that waits: thousands may, and moving them all for each would take longer than handling them. */
  #oldest = 0;
  #incarnation = 0;
  /** The message that the machine works on; null: none. */
  #current: Incoming | null = null;

  constructor(options: HostOptions, costs: MessageCosts) {
    this.machine = options.machine;
    this.identity = options.identity;
    this.zone = options.zone;
    this.#costs = costs;
  }

  /** The machine has worked on the message for as long as that takes. */
  act(): void {
    const message = this.#current as Incoming;
    // The next one is queued first: what this one throws must not stop the machine's loop.
    this.#next();
    message.handle();
  }

  get name(): string {
    return this.machine.name;
  }

  /**
   * Has the machine handle a message after the processor time of its bytes. One message at a time, in order, as an event loop does
   * it, however many cores there are; a crash forgets them all. Quiet where nobody is told that the machine is slow.
   */
  receive(message: Incoming): typeof QUIET | undefined {
    if (this.#incarnation !== this.machine.incarnation) {
      this.#incarnation = this.machine.incarnation;
      this.#waiting = [];
      this.#oldest = 0;
      this.#current = null;
    }
    if (this.#current !== null) this.#waiting.push(message);
    else this.#begin(message);
    return this.machine.slow ? undefined : QUIET;
  }

  #next(): void {
    if (this.#waiting.length === 0) {
      this.#current = null;
      return;
    }
    const message = this.#waiting[this.#oldest++];
    if (message === undefined || this.#oldest >= TAKEN_MAX) {
      this.#waiting.splice(0, this.#oldest);
      this.#oldest = 0;
    }
    if (message === undefined) this.#current = null;
    else this.#begin(message);
  }

  #begin(message: Incoming): void {
    this.#current = message;
    const { messageMicros, messageKiBMicros } = this.#costs;
    this.machine.execute(messageMicros + (message.payloadBytes >>> 10) * messageKiBMicros, 'message', this);
  }
}
