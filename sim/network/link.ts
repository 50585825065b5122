// The way from one machine to another: how long a packet takes, whether it gets through, and what the sender's system does
// about it. Reliable as TCP is: a lost packet shows as the delay of its repetition, a cut link as none at all until the
// sender gives the connection up. Nothing here runs on a machine; packets outlive the machine that sent them.
import type { LatencyLaw, Ratio } from '../../scenarios/scenario.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Kernel, ScheduledEvent } from '../kernel/kernel.ts';
import type { Host } from './host.ts';
import { drawDelayMicros } from './law.ts';
import type { Impairments, Medium } from './medium.ts';

export type LinkCosts = {
  /** First wait before a packet is sent again; doubles each time up to the largest. */
  readonly retransmitMicros: number;
  readonly retransmitMicrosMax: number;
  /** A packet that did not get through for so long breaks its connection. */
  readonly giveUpMicros: number;
};

export type Impaired = { readonly impairments: Impairments; readonly medium: Medium };

export type LinkState = {
  readonly law: LatencyLaw;
  /** Hops over the air, on top of the law. */
  readonly radio: readonly { readonly law: LatencyLaw; readonly delayMicros: number }[];
  readonly factor: Ratio;
  readonly loss: Ratio;
  readonly cut: boolean;
  /** What is sent and what arrives is held until it is not. */
  readonly clogged: boolean;
  /** One after the other; none: nothing but delay and loss. */
  readonly impaired: readonly Impaired[];
};

export type Packet = {
  readonly label: string;
  /** With what wraps it. */
  readonly bytes: number;
  /** Asked before each repetition: false when the sender does not want it any more. */
  readonly wanted: () => boolean;
  /** Called while the receiving machine is alive, in no machine's name. */
  readonly arrive: () => void;
  readonly giveUp: () => void;
  /** True while its connection carries nothing, whatever the link is like. */
  readonly blocked: () => boolean;
  /** It arrived in place of what was sent, no check of the transport found it, and the secure channel refuses it. */
  readonly spoil: () => void;
};

export type LinkOptions = {
  readonly kernel: Kernel;
  readonly costs: LinkCosts;
  readonly from: Host;
  readonly to: Host;
  readonly stateOf: () => LinkState;
  /** The way that acknowledgements take. */
  readonly back: () => Link;
};

/** A packet under way, with what both systems know of it: `arrived` is why a repetition is not handed over again. */
type Sending = { readonly packet: Packet; readonly firstMicros: number; arrived: boolean };

/** One copy of a packet on its way through what impairs the link. `lose`: it will not arrive, and its sender may send it again. */
type Copy = {
  readonly sending: Sending;
  readonly impaired: readonly Impaired[];
  readonly arrive: () => void;
  readonly lose: () => void;
  heldBackMicros: number;
  corrupt: 'no' | 'found' | 'missed';
};

/** A packet that a fault makes late, and by what; it is timed anew when the fault ends. */
type Flight = { event: ScheduledEvent; factor: Ratio; readonly label: string; readonly arrive: () => void };

/** What a clogged link keeps: how it goes on, and when its sender gives up. */
type Held = { readonly resume: () => void; readonly expiry: ScheduledEvent };

export class Link {
  readonly from: Host;
  readonly to: Host;
  readonly #kernel: Kernel;
  readonly #costs: LinkCosts;
  readonly #stream: RandomStream;
  readonly #stateOf: () => LinkState;
  readonly #back: () => Link;
  /** Bound: what windows and open calls of its connections let in. */
  readonly #held = new Set<Held>();
  /** Packets that left while a fault multiplied the delay. Bound: as above. */
  readonly #late = new Set<Flight>();
  #known: LinkState | null = null;
  #backward: Link | null = null;

  constructor(options: LinkOptions) {
    const { kernel, from, to } = options;
    this.#kernel = kernel;
    this.#costs = options.costs;
    this.from = from;
    this.to = to;
    this.#stateOf = options.stateOf;
    this.#back = options.back;
    this.#stream = kernel.stream(`link ${from.name}->${to.name}`);
  }

  /** A fault began or ended: the state is asked for again. */
  refresh(): void {
    this.#known = null;
    if (this.#late.size > 0) this.#retime();
    if (this.#held.size === 0 || this.#state.clogged) return;
    const held = [...this.#held];
    this.#held.clear();
    for (const { resume, expiry } of held) {
      expiry.cancel();
      this.#after(1, 'unclogged', resume);
    }
  }

  /** In nobody's name; where a run permutes, packets of a link keep their order and those of several take turns. */
  #after(delayMicros: number, label: string, run: () => void): ScheduledEvent {
    return this.#kernel.after(delayMicros, null, label, run, this);
  }

  /** The rest of the way of what is late takes as long as such a rest takes now. */
  #retime(): void {
    const { factor } = this.#state;
    for (const flight of this.#late) {
      const [times, by] = [factor[0] * flight.factor[1], factor[1] * flight.factor[0]];
      if (times === by) continue;
      const leftMicros = flight.event.micros - this.#kernel.now();
      flight.event.cancel();
      flight.factor = factor;
      flight.event = this.#after(Math.ceil((leftMicros * times) / by), flight.label, flight.arrive);
    }
  }

  #fly(delayMicros: number, label: string, arrive: () => void): void {
    const { factor } = this.#state;
    if (factor[0] === factor[1]) {
      this.#after(delayMicros, label, arrive);
      return;
    }
    const land = (): void => {
      this.#late.delete(flight);
      arrive();
    };
    const flight: Flight = { event: this.#after(delayMicros, label, land), factor, label, arrive: land };
    this.#late.add(flight);
  }

  #hold({ packet, firstMicros }: Sending, resume: () => void): void {
    const leftMicros = Math.max(0, firstMicros + this.#costs.giveUpMicros - this.#kernel.now());
    const held: Held = {
      resume,
      expiry: this.#after(leftMicros, 'packet given up', () => {
        this.#held.delete(held);
        if (packet.wanted()) packet.giveUp();
      }),
    };
    this.#held.add(held);
  }

  get #state(): LinkState {
    return (this.#known ??= this.#stateOf());
  }

  get #reverse(): Link {
    if (this.#backward === null) this.#backward = this.#back();
    return this.#backward;
  }

  transmit(packet: Packet): void {
    this.#attempt({ packet, firstMicros: this.#kernel.now(), arrived: false }, this.#costs.retransmitMicros);
  }

  #attempt(sending: Sending, waitMicros: number): void {
    const { loss, cut, clogged, impaired } = this.#state;
    if (clogged) return this.#hold(sending, () => this.#attempt(sending, waitMicros));
    if (cut || sending.packet.blocked() || (loss[0] > 0 && this.#stream.chance(loss[0], loss[1]))) {
      this.#repeat(sending, waitMicros);
      return;
    }
    if (impaired.length > 0) {
      this.#attemptImpaired(sending, waitMicros, impaired);
      return;
    }
    this.#fly(this.#drawDelayMicros(), sending.packet.label, () => this.#arrive(sending, waitMicros));
  }

  #drawDelayMicros(): number {
    const { law, radio, factor } = this.#state;
    let micros = drawDelayMicros(law, factor, this.#stream);
    for (const hop of radio) micros += hop.delayMicros + drawDelayMicros(hop.law, factor, this.#stream);
    return micros;
  }

  #attemptImpaired(sending: Sending, waitMicros: number, impaired: readonly Impaired[]): void {
    const lose = (): void => this.#repeat(sending, waitMicros);
    this.#pass({ sending, impaired, arrive: () => this.#arrive(sending, waitMicros), lose, heldBackMicros: 0, corrupt: 'no' }, 0);
    // The second copy is nobody's: no one waits for it, and it is not sent again.
    if (impaired.some(({ impairments: { duplication }, medium }) => duplication !== undefined && medium.duplicates(duplication))) {
      const arrive = (): void => this.#handOver(sending);
      this.#pass({ sending, impaired, arrive, lose: () => {}, heldBackMicros: 0, corrupt: 'no' }, 0);
    }
  }

  /** Through what impairs the link, one after the other, from this on. */
  #pass(copy: Copy, from: number): void {
    const at = copy.impaired[from];
    if (at === undefined) return this.#leave(copy);
    const { bandwidth } = at.impairments;
    if (bandwidth === undefined) return this.#passed(copy, from);
    const rateOf = (): number | null => this.#bytesPerS(at.medium);
    const admitted = at.medium.admit(bandwidth.queueBytes, copy.sending.packet.bytes, rateOf, () => this.#passed(copy, from));
    return admitted ? undefined : copy.lose();
  }

  #bytesPerS(medium: Medium): number | null {
    return this.#state.impaired.find((one) => one.medium === medium)?.impairments.bandwidth?.bytesPerS ?? null;
  }

  #passed(copy: Copy, at: number): void {
    const { impairments, medium } = copy.impaired[at] as Impaired;
    const { reordering, corruption } = impairments;
    const bursts = impairments['burst-loss'];
    if (bursts !== undefined && medium.losesInBurst(bursts)) return copy.lose();
    if (reordering !== undefined) copy.heldBackMicros += medium.heldBackMicros(reordering);
    if (corruption !== undefined && copy.corrupt === 'no') copy.corrupt = medium.corrupts(corruption);
    return this.#pass(copy, at + 1);
  }

  #leave({ sending, heldBackMicros, corrupt, arrive, lose }: Copy): void {
    const { packet } = sending;
    this.#fly(heldBackMicros + this.#drawDelayMicros(), packet.label, () => {
      if (corrupt === 'no') arrive();
      else if (corrupt === 'missed' && !sending.arrived && this.to.machine.alive && !this.#state.cut && !this.#state.clogged)
        packet.spoil();
      else lose();
    });
  }

  /** Once, however many copies come: the transport numbers what it sends. */
  #handOver(sending: Sending): void {
    if (sending.arrived || !this.to.machine.alive || this.#state.cut || this.#state.clogged || sending.packet.blocked()) return;
    sending.arrived = true;
    sending.packet.arrive();
  }

  #arrive(sending: Sending, waitMicros: number): void {
    // A cut takes the packets that are on their way too.
    if (!this.to.machine.alive || this.#state.cut || sending.packet.blocked()) return this.#repeat(sending, waitMicros);
    if (this.#state.clogged) return this.#hold(sending, () => this.#arrive(sending, waitMicros));
    this.#handOver(sending);
    // Where no acknowledgement comes back, the sender repeats what has arrived, and gives up in the end.
    return this.#reverse.#state.cut ? this.#repeat(sending, waitMicros) : undefined;
  }

  #repeat(sending: Sending, waitMicros: number): void {
    const { packet, firstMicros } = sending;
    const leftMicros = firstMicros + this.#costs.giveUpMicros - this.#kernel.now();
    if (leftMicros <= waitMicros) {
      this.#after(Math.max(0, leftMicros), 'packet given up', () => {
        if (packet.wanted()) packet.giveUp();
      });
      return;
    }
    this.#after(waitMicros, 'packet again', () => {
      if (packet.wanted()) this.#attempt(sending, Math.min(waitMicros * 2, this.#costs.retransmitMicrosMax));
    });
  }
}
