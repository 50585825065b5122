// A machine of the simulated world that stands for somebody outside of it: what reaches it over simulated links goes on through a
// real network port, one real connection for each simulated one, in the name of who dialled. Delay, loss and faults of the link are
// the simulator's; certificates, refusals and the answer are real. Needs a paced kernel.
// Surprising: a real connection that is lost shows as a reset on this side, at once; how long its loss took to be noticed was real.
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import { MICROS_PER_S } from '../../system/ports/clock.ts';
import type { ByteStream, Connection, PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import type { Kernel, Machine } from '../kernel/kernel.ts';

/** Connects to an endpoint of the real world as `peer`, who has an identity there. */
export type Dial = (peer: PeerIdentity, endpoint: Endpoint, deadlineMicros: number) => Promise<Outcome<Connection>>;

/** Bound: how long a call may take outside. Who called waits no longer than his own deadline. */
const CALL_MICROS_MAX = 120 * MICROS_PER_S;

export type BridgeOptions = {
  readonly kernel: Kernel;
  /** That stands for who is outside; what comes in happens in its name. */
  readonly machine: Machine;
  readonly dial: Dial;
};

export class Bridge {
  readonly #options: BridgeOptions;

  constructor(options: BridgeOptions) {
    this.#options = options;
  }

  dial(peer: PeerIdentity, endpoint: Endpoint, deadlineMicros: number, then: (dialled: Outcome<Connection>) => void): void {
    this.#settle('dialled outside', this.#options.dial(peer, endpoint, deadlineMicros), then);
  }

  /** What answers on a simulated connection whose other half is `outside`; `lost` ends the simulated half. */
  over(outside: Connection, lost: () => void): { readonly handler: ServiceHandler; readonly onGone: () => void } {
    return {
      handler: {
        call: (method, _peer, request) =>
          this.#inside('answer from outside', outside.call(method, request, { deadlineMicros: CALL_MICROS_MAX })),
        stream: (method, stream) => this.#carry(outside, method, stream, lost),
      },
      onGone: () => outside.close(),
    };
  }

  async #carry(outside: Connection, method: string, stream: ByteStream, lost: () => void): Promise<void> {
    const opened = await this.#inside('stream outside', outside.open(method));
    if (!opened.ok) return lost();
    await Promise.all([this.#carryOut(stream, opened.value), this.#carryIn(opened.value, stream, lost)]);
  }

  async #carryOut(stream: ByteStream, outside: ByteStream): Promise<void> {
    for (;;) {
      const message = await stream.receive();
      if (!message.ok || message.value === null) return outside.close();
      const sent = await this.#inside('sent outside', outside.send(message.value));
      // How it ended, the other direction says.
      if (!sent.ok) return undefined;
    }
  }

  async #carryIn(outside: ByteStream, stream: ByteStream, lost: () => void): Promise<void> {
    for (;;) {
      const message = await this.#inside('message from outside', outside.receive());
      if (!message.ok) return lost();
      if (message.value === null) return stream.close();
      const sent = await stream.send(message.value);
      if (!sent.ok) return outside.close();
    }
  }

  /** A promise of the real world, settled by an event of the simulated one. */
  #inside<T>(what: string, promise: Promise<T>): Promise<T> {
    return new Promise((resolve) => this.#settle(what, promise, resolve));
  }

  #settle<T>(what: string, promise: Promise<T>, settle: (value: T) => void): void {
    const { kernel, machine } = this.#options;
    kernel.own(
      what,
      promise.then((value) => kernel.outside(machine, what, () => settle(value))),
    );
  }
}
