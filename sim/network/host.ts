// A machine as the network sees it: name, identity, place, and the one thread that handles its messages.
import type { ZonePath } from '../../system/domain/identifiers.ts';
import type { Machine } from '../kernel/kernel.ts';
import type { ConnectionEnd } from './connection.ts';

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

export class Host {
  readonly machine: Machine;
  readonly identity: string;
  readonly zone: ZonePath;
  readonly ends = new Set<ConnectionEnd>();
  readonly #costs: MessageCosts;
  /** Bound: what the windows and open calls of its connections let in. */
  #inbox: {
    readonly incarnation: number;
    readonly waiting: { readonly costMicros: number; readonly handle: () => void }[];
    busy: boolean;
  } = {
    incarnation: 0,
    waiting: [],
    busy: false,
  };

  constructor(options: HostOptions, costs: MessageCosts) {
    this.machine = options.machine;
    this.identity = options.identity;
    this.zone = options.zone;
    this.#costs = costs;
  }

  get name(): string {
    return this.machine.name;
  }

  /**
   * Runs `handle` on the machine after the processor time of a message of `bytes`. One message at a time, in order, as an
   * event loop does it, however many cores there are; a crash forgets them all.
   */
  receive(bytes: number, handle: () => void): void {
    if (this.#inbox.incarnation !== this.machine.incarnation) {
      this.#inbox = { incarnation: this.machine.incarnation, waiting: [], busy: false };
    }
    this.#inbox.waiting.push({ costMicros: this.#costs.messageMicros + (bytes >>> 10) * this.#costs.messageKiBMicros, handle });
    if (!this.#inbox.busy) this.#next();
  }

  #next(): void {
    const inbox = this.#inbox;
    const message = inbox.waiting.shift();
    inbox.busy = message !== undefined;
    if (message === undefined) return;
    this.machine.execute(message.costMicros, 'message', () => {
      // The next one is queued first: what this one throws must not stop the machine's loop.
      this.#next();
      message.handle();
    });
  }
}
