// The way from one machine to another: how long a packet takes, whether it gets through, and what the sender's system does
// about it. Reliable as TCP is: a lost packet shows as the delay of its repetition, a cut link as none at all until the
// sender gives the connection up. Nothing here runs on a machine; packets outlive the machine that sent them.
import type { LatencyLaw, Ratio } from '../../scenarios/scenario.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Kernel } from '../kernel/kernel.ts';
import type { Host } from './host.ts';
import { drawDelayMicros } from './law.ts';

export type LinkCosts = {
  /** First wait before a packet is sent again; doubles each time up to the largest. */
  readonly retransmitMicros: number;
  readonly retransmitMicrosMax: number;
  /** A packet that did not get through for so long breaks its connection. */
  readonly giveUpMicros: number;
};

export type LinkState = {
  readonly law: LatencyLaw;
  readonly factor: Ratio;
  readonly loss: Ratio;
  readonly cut: boolean;
};

export type Packet = {
  readonly label: string;
  /** Asked before each repetition: false when the sender does not want it any more. */
  readonly wanted: () => boolean;
  /** Called while the receiving machine is alive, in no machine's name. */
  readonly arrive: () => void;
  readonly giveUp: () => void;
};

export class Link {
  readonly from: Host;
  readonly to: Host;
  readonly #kernel: Kernel;
  readonly #costs: LinkCosts;
  readonly #stream: RandomStream;
  readonly #stateOf: () => LinkState;
  #state: LinkState | null = null;

  constructor(kernel: Kernel, costs: LinkCosts, from: Host, to: Host, stateOf: () => LinkState) {
    this.#kernel = kernel;
    this.#costs = costs;
    this.from = from;
    this.to = to;
    this.#stateOf = stateOf;
    this.#stream = kernel.stream(`link ${from.name}->${to.name}`);
  }

  /** A fault began or ended: the state is asked for again. */
  refresh(): void {
    this.#state = null;
  }

  transmit(packet: Packet): void {
    this.#attempt(packet, this.#kernel.now(), this.#costs.retransmitMicros);
  }

  #attempt(packet: Packet, firstMicros: number, waitMicros: number): void {
    const { law, factor, loss, cut } = (this.#state ??= this.#stateOf());
    if (cut || (loss[0] > 0 && this.#stream.chance(loss[0], loss[1]))) {
      this.#repeat(packet, firstMicros, waitMicros);
      return;
    }
    this.#kernel.after(drawDelayMicros(law, factor, this.#stream), null, packet.label, () => {
      // A cut takes the packets that are on their way too.
      if (!this.to.machine.alive || (this.#state ??= this.#stateOf()).cut) this.#repeat(packet, firstMicros, waitMicros);
      else packet.arrive();
    });
  }

  #repeat(packet: Packet, firstMicros: number, waitMicros: number): void {
    const leftMicros = firstMicros + this.#costs.giveUpMicros - this.#kernel.now();
    if (leftMicros <= waitMicros) {
      this.#kernel.after(Math.max(0, leftMicros), null, 'packet given up', () => {
        if (packet.wanted()) packet.giveUp();
      });
      return;
    }
    this.#kernel.after(waitMicros, null, 'packet again', () => {
      if (packet.wanted()) this.#attempt(packet, firstMicros, Math.min(waitMicros * 2, this.#costs.retransmitMicrosMax));
    });
  }
}
