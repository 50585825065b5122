// The way from one machine to another: how long a packet takes, whether it gets through, and what the sender's system does
// about it. Reliable as TCP is: a lost packet shows as the delay of its repetition, a cut link as none at all until the
// sender gives the connection up. Nothing here runs on a machine; packets outlive the machine that sent them.
import type { LatencyLaw, Ratio } from '../../scenarios/scenario.ts';
import type { RandomStream } from '../../system/ports/random.ts';
import type { Action, Kernel, ScheduledEvent } from '../kernel/kernel.ts';
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
  /** Faults that make this link what it is, each told when it is felt. */
  readonly lasting: readonly { readonly fault: { readonly kind: string }; readonly felt: () => void }[];
};

export type Packet = {
  readonly label: string;
  /** With what wraps it. */
  readonly bytes: number;
  /** Asked before each repetition: false when the sender does not want it any more. */
  readonly wanted: () => boolean;
  /** Called while the receiving machine is alive, in no machine's name. Gives what an event gives. */
  readonly arrive: () => unknown;
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

/** A packet under way, with what both systems know of it. */
class Sending {
  readonly packet: Packet;
  readonly firstMicros: number;
  /** Before the next time that it is sent again. */
  waitMicros: number;
  /** Why a repetition is not handed over again. */
  arrived = false;
  readonly #link: Link;

  constructor(link: Link, packet: Packet, firstMicros: number, waitMicros: number) {
    this.#link = link;
    this.packet = packet;
    this.firstMicros = firstMicros;
    this.waitMicros = waitMicros;
  }

  act(): unknown {
    return this.#link.arrive(this);
  }
}

/** A packet that another state of the link makes earlier or later, until it has arrived. */
type Flight = {
  readonly label: string;
  readonly arrive: () => unknown;
  /** Null before it is known when it leaves. */
  event: ScheduledEvent | null;
  /** When it will have left the queues: what the factor multiplies comes after. */
  departsMicros: number;
  factor: Ratio;
};

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
  /** Packets under way whose delay a fault multiplied. Bound: as above. */
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
  #after(delayMicros: number, label: string, run: Action): ScheduledEvent {
    return this.#kernel.after(delayMicros, null, label, run, this);
  }

  /** The rest of the way of what is late takes as long as such a rest takes now. */
  #retime(): void {
    const { factor } = this.#state;
    for (const flight of this.#late) {
      const [times, by] = [factor[0] * flight.factor[1], factor[1] * flight.factor[0]];
      if (times === by || flight.event === null) continue;
      const fromMicros = Math.max(this.#kernel.now(), flight.departsMicros);
      flight.factor = factor;
      this.#reschedule(flight, fromMicros + Math.ceil(((flight.event.micros - fromMicros) * times) / by));
    }
  }

  #reschedule(flight: Flight, micros: number): void {
    flight.event?.cancel();
    flight.event = this.#after(Math.max(0, micros - this.#kernel.now()), flight.label, flight.arrive);
  }

  #fly(delayMicros: number, sending: Sending): void {
    const { factor } = this.#state;
    const { label } = sending.packet;
    if (factor[0] === factor[1]) this.#after(delayMicros, label, sending);
    else
      this.#launch(
        this.#flightOf(label, () => sending.act()),
        delayMicros,
      );
  }

  #flightOf(label: string, arrive: () => unknown): Flight {
    const { factor } = this.#state;
    const isLate = factor[0] !== factor[1];
    const land = (): void => {
      this.#late.delete(flight);
      arrive();
    };
    const flight: Flight = { event: null, departsMicros: this.#kernel.now(), factor, label, arrive: isLate ? land : arrive };
    if (isLate) {
      this.#feel('latency');
      this.#late.add(flight);
    }
    return flight;
  }

  /** `delayMicros` after it departs. */
  #launch(flight: Flight, delayMicros: number): void {
    const departsInMicros = flight.departsMicros - this.#kernel.now();
    flight.event = this.#after(departsInMicros + delayMicros, flight.label, flight.arrive);
  }

  #hold({ packet, firstMicros }: Sending, resume: () => void): void {
    this.#feel('clog');
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

  /** A fault of this kind, if there is one, changed what happens to a packet. */
  #feel(kind: string): void {
    for (const { fault, felt } of this.#state.lasting) if (fault.kind === kind) felt();
  }

  #feelCut(packet: Packet): void {
    if (this.#state.lasting.length === 0) return;
    if (this.#state.cut) {
      this.#feel('partition');
      this.#feel('partition-one-way');
    } else if (packet.blocked()) this.#feel('half-open');
    else this.#feel('loss');
  }

  get #state(): LinkState {
    return (this.#known ??= this.#stateOf());
  }

  get #reverse(): Link {
    if (this.#backward === null) this.#backward = this.#back();
    return this.#backward;
  }

  transmit(packet: Packet): void {
    this.#attempt(new Sending(this, packet, this.#kernel.now(), this.#costs.retransmitMicros));
  }

  #attempt(sending: Sending): void {
    const { loss, cut, clogged, impaired } = this.#state;
    if (clogged) return this.#hold(sending, () => this.#attempt(sending));
    if (cut || sending.packet.blocked() || (loss[0] > 0 && this.#stream.chance(loss[0], loss[1]))) {
      this.#feelCut(sending.packet);
      this.#repeat(sending);
      return;
    }
    if (impaired.length > 0) {
      this.#attemptImpaired(sending, impaired);
      return;
    }
    this.#fly(this.#drawDelayMicros(), sending);
  }

  #drawDelayMicros(): number {
    const { law, radio, factor } = this.#state;
    let micros = drawDelayMicros(law, factor, this.#stream);
    for (const hop of radio) micros += hop.delayMicros + drawDelayMicros(hop.law, factor, this.#stream);
    return micros;
  }

  #attemptImpaired(sending: Sending, impaired: readonly Impaired[]): void {
    const sent = this.#sendImpaired(
      sending,
      impaired,
      () => this.arrive(sending),
      () => this.#repeat(sending),
    );
    if (!sent) this.#repeat(sending);
    // The second copy is nobody's: no one waits for it, and it is not sent again.
    if (impaired.some(({ impairments: { duplication }, medium }) => duplication !== undefined && medium.duplicates(duplication))) {
      this.#feel('duplication');
      this.#sendImpaired(
        sending,
        impaired,
        () => this.#handOver(sending),
        () => {},
      );
    }
  }

  /** One copy. False: it was lost before it left. */
  #sendImpaired(sending: Sending, impaired: readonly Impaired[], arrive: () => void, lose: () => void): boolean {
    const { packet } = sending;
    let heldBackMicros = 0;
    let corrupt: 'no' | 'found' | 'missed' = 'no';
    const flight = this.#flightOf(packet.label, () => {
      if (corrupt === 'no') arrive();
      else if (corrupt === 'missed' && !sending.arrived && this.to.machine.alive && !this.#state.cut && !this.#state.clogged)
        packet.spoil();
      else lose();
    });
    for (const { impairments, medium } of impaired) {
      const { bandwidth, reordering, corruption } = impairments;
      const bursts = impairments['burst-loss'];
      const lost = (bandwidth !== undefined && !this.#queue(flight, packet.bytes, bandwidth, medium)) || this.#losesInBurst(bursts, medium);
      if (lost) {
        this.#late.delete(flight);
        return false;
      }
      const heldBack = reordering === undefined ? 0 : medium.heldBackMicros(reordering);
      if (heldBack > 0) this.#feel('reordering');
      heldBackMicros += heldBack;
      if (corruption !== undefined && corrupt === 'no') corrupt = medium.corrupts(corruption);
    }
    if (corrupt !== 'no') this.#feel('corruption');
    this.#launch(flight, heldBackMicros + this.#drawDelayMicros());
    return true;
  }

  /** Waits for those before it there, besides what it waits for elsewhere. False: there is no room. */
  #queue(flight: Flight, bytes: number, bandwidth: NonNullable<Impairments['bandwidth']>, medium: Medium): boolean {
    this.#feel('bandwidth');
    const departsMicros = medium.admit(
      bandwidth,
      bytes,
      () => this.#bytesPerS(medium),
      (micros, before) => {
        flight.departsMicros += micros - before;
        if (flight.event?.pending === true) this.#reschedule(flight, flight.event.micros + micros - before);
      },
    );
    if (departsMicros === null) return false;
    flight.departsMicros += departsMicros - this.#kernel.now();
    return true;
  }

  #bytesPerS(medium: Medium): number | null {
    return this.#state.impaired.find((one) => one.medium === medium)?.impairments.bandwidth?.bytesPerS ?? null;
  }

  #losesInBurst(bursts: Impairments['burst-loss'], medium: Medium): boolean {
    if (bursts === undefined || !medium.losesInBurst(bursts)) return false;
    this.#feel('burst-loss');
    return true;
  }

  /** Once, however many copies come: the transport numbers what it sends. */
  #handOver(sending: Sending): unknown {
    if (sending.arrived || !this.to.machine.alive || this.#state.cut || this.#state.clogged || sending.packet.blocked()) return undefined;
    sending.arrived = true;
    return sending.packet.arrive();
  }

  /** Its way is over; whether it is handed over there is another question. */
  arrive(sending: Sending): unknown {
    // A cut takes the packets that are on their way too.
    if (!this.to.machine.alive) return this.#repeat(sending);
    if (this.#state.cut || sending.packet.blocked()) {
      this.#feelCut(sending.packet);
      return this.#repeat(sending);
    }
    if (this.#state.clogged) return this.#hold(sending, () => this.arrive(sending));
    const left = this.#handOver(sending);
    // Where no acknowledgement comes back, the sender repeats what has arrived, and gives up in the end.
    if (this.#reverse.#state.cut) this.#repeat(sending);
    return left;
  }

  #repeat(sending: Sending): void {
    const { packet, firstMicros, waitMicros } = sending;
    const leftMicros = firstMicros + this.#costs.giveUpMicros - this.#kernel.now();
    if (leftMicros <= waitMicros) {
      this.#after(Math.max(0, leftMicros), 'packet given up', () => {
        if (packet.wanted()) packet.giveUp();
      });
      return;
    }
    this.#after(waitMicros, 'packet again', () => {
      sending.waitMicros = Math.min(waitMicros * 2, this.#costs.retransmitMicrosMax);
      if (packet.wanted()) this.#attempt(sending);
    });
  }
}
