// The network of a world that never existed: machines in zones, a link for each ordered pair, connections over links. Streams
// are reliable and ordered as TCP's are: loss shows as delay, a partition as silence, then as a broken connection. An endpoint
// belongs to the machine that last listened on it, as an address would. A machine whose process stands still answers late.
import type { CellSpec, Impairment, LatencyLaw, Ratio, VehicleSpec } from '../../scenarios/scenario.ts';
import type { Endpoint, ZonePath } from '../../system/domain/identifiers.ts';
import { isWithinZone } from '../../system/domain/identifiers.ts';
import { assert, ok, rejected } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { GeoPoint } from '../../system/domain/node.ts';
import type { Connection, Listener, Network, ServiceHandler } from '../../system/ports/network.ts';
import type { Kernel } from '../kernel/kernel.ts';
import { Bridge } from './bridge.ts';
import type { Dial } from './bridge.ts';
import type { ConnectionEnv } from './connection.ts';
import { Handshake } from './handshake.ts';
import type { Service } from './handshake.ts';
import { Host } from './host.ts';
import type { HostOptions, MessageCosts } from './host.ts';
import { Link } from './link.ts';
import type { Impaired, LinkCosts, LinkState } from './link.ts';
import { Medium, worsen } from './medium.ts';
import type { Impairments } from './medium.ts';
import { Mobility } from './mobility.ts';
import type { MobilityOptions } from './mobility.ts';
import { eitherLoss } from './radio.ts';

export type { Dial } from './bridge.ts';

export type NetworkCosts = LinkCosts &
  MessageCosts & {
    /** Processor time of each side for the handshake of a connection (key agreement, certificates). */
    readonly handshakeMicros: number;
    readonly loopbackMicros: number;
    readonly keepaliveMicros: number;
  };

/** What a fault does to links, for as long as it is among the network's faults. Places are zones or names of machines. */
export type LinkFault =
  | { readonly kind: 'partition'; readonly a: readonly string[]; readonly b: readonly string[] }
  | { readonly kind: 'partition-one-way'; readonly from: readonly string[]; readonly to: readonly string[] }
  | { readonly kind: 'latency'; readonly a: string; readonly b: string; readonly factor: Ratio }
  | { readonly kind: 'loss'; readonly a: string; readonly b: string; readonly loss: Ratio }
  | (Impairment & { readonly a: string; readonly b: string })
  | { readonly kind: 'clog'; readonly places: readonly string[] }
  | { readonly kind: 'half-open'; readonly a: readonly string[]; readonly b: readonly string[] };

/** A fault that lasts, and who is told that it was felt. */
type Lasting = { readonly fault: LinkFault; readonly felt: () => void };

const NO_LOSS: Ratio = [0, 1];
/** Of the ways between two zones, both ways. */
type Law = {
  readonly latency: LatencyLaw;
  readonly loss: Ratio;
  readonly impairments: Impairments | null;
  /** What all links of the law share while nothing else is about them: of a large fleet, the processor has it at hand. */
  readonly plain: LinkState;
};

function lawOf(latency: LatencyLaw, loss: Ratio, impairments: Impairments | null): Law {
  const plain = { law: latency, radio: [], factor: [1, 1], loss, cut: false, clogged: false, impaired: [], lasting: [] } as const;
  return { latency, loss, impairments, plain };
}

/** Of a vehicle that is out of reach: cut, whatever else. */
const NO_WAY = lawOf({ law: 'constant', micros: 0 }, NO_LOSS, null);

export class SimNetwork {
  readonly #kernel: Kernel;
  readonly #costs: NetworkCosts;
  readonly #hosts = new Map<string, Host>();
  readonly #links: Link[] = [];
  readonly #laws = new Map<string, Law>();
  /** Of the way of each machine to itself. */
  readonly #loopback: Law;
  readonly #faults = new Map<string, Lasting>();
  /** By the two zones; made when something is wrong with the way for the first time. */
  readonly #media = new Map<string, Medium>();
  /** The machine an endpoint is looked for on, also while nothing listens there. */
  readonly #homes = new Map<Endpoint, Host>();
  readonly #services = new Map<Endpoint, Service>();
  #mobility: Mobility | null = null;
  /** Bound: machines that stand for somebody outside. */
  readonly #bridges: { readonly serves: (endpoint: Endpoint) => boolean; readonly service: Service }[] = [];
  readonly #env: ConnectionEnv;

  constructor(kernel: Kernel, costs: NetworkCosts) {
    this.#kernel = kernel;
    this.#costs = costs;
    this.#loopback = lawOf({ law: 'constant', micros: costs.loopbackMicros }, NO_LOSS, null);
    this.#env = { kernel, linkOf: (from, to) => this.#linkOf(from, to), keepaliveMicros: costs.keepaliveMicros };
  }

  /** Law of the links between two zones, both ways. */
  setLaw(a: ZonePath, b: ZonePath, latency: LatencyLaw, loss: Ratio, impairments: readonly Impairment[] = []): void {
    const law = lawOf(latency, loss, impairments.reduce<Impairments | null>(worsen, null));
    this.#laws.set(`${a} ${b}`, law);
    this.#laws.set(`${b} ${a}`, law);
  }

  /** These zones move from now on, and reach others over these cells only. Every zone of a cell has its laws. */
  drive(
    cells: readonly CellSpec[],
    vehicles: readonly VehicleSpec[],
    told: Pick<MobilityOptions, 'attached' | 'moved'> = { attached: () => {}, moved: () => {} },
  ): void {
    assert(this.#mobility === null, 'vehicles of a network start once');
    this.#mobility = new Mobility({
      kernel: this.#kernel,
      cells,
      vehicles,
      ...told,
      changed: (vehicle) => {
        for (const link of this.#links) if (link.from.zone === vehicle || link.to.zone === vehicle) link.refresh();
        this.#retime();
      },
    });
    this.#mobility.start();
  }

  /** Where a zone that moves is now; null for one that stays. */
  placeOf(zone: ZonePath): GeoPoint | null {
    return this.#mobility?.placeOf(zone) ?? null;
  }

  addMachine(options: HostOptions): void {
    assert(!this.#hosts.has(options.machine.name), `machine ${options.machine.name} is on the network once`);
    this.#hosts.set(options.machine.name, new Host(options, this.#costs));
  }

  /** The address of an endpoint is known before anything listens there: who dials it is refused by the machine. */
  assignEndpoint(endpoint: Endpoint, machineName: string): void {
    this.#homes.set(endpoint, this.#hostOf(machineName));
  }

  /**
   * From here on the machine, which is alive, stands for somebody outside of the simulated world: who dials one of these endpoints
   * goes over the simulated links to the machine, and from there through `dial`.
   */
  bridge(machineName: string, serves: (endpoint: Endpoint) => boolean, dial: Dial): void {
    const host = this.#hostOf(machineName);
    const handler = new Bridge({ kernel: this.#kernel, machine: host.machine, dial });
    this.#bridges.push({ serves, service: { host, incarnation: host.machine.incarnation, handler, ends: new Set() } });
  }

  /** The port of the incarnation that lives now. */
  portOf(machineName: string): Network {
    const host = this.#hostOf(machineName);
    return {
      listen: (endpoint, handler) => this.#listen(host, endpoint, handler),
      connect: (endpoint, { deadlineMicros }) => this.#connect(host, endpoint, deadlineMicros),
    };
  }

  /** The incarnation of a machine has ended. A process that ended on a live machine has its connections reset; a dead machine is silent. */
  leave(machineName: string, how: 'power' | 'process'): void {
    const host = this.#hostOf(machineName);
    for (const [endpoint, service] of [...this.#services]) if (service.host === host) this.#services.delete(endpoint);
    for (const end of [...host.ends]) end.die(how === 'process');
  }

  /** Something on the way resets every connection of the machine but those with `spared`: both ends hear of it. How many. */
  reset(machineName: string, spared: string): number {
    const ends = [...this.#hostOf(machineName).ends].filter(({ peer }) => peer.name !== spared);
    for (const end of ends) end.reset();
    return ends.length;
  }

  /** `felt` is called each time that the fault changes what happens to a packet. */
  begin(id: string, fault: LinkFault, felt: () => void = () => {}): void {
    assert(!this.#faults.has(id), `fault ${id} begins once`);
    this.#faults.set(id, { fault, felt });
    if (fault.kind === 'half-open') this.#deaden(id, fault.a, fault.b);
    this.#refresh();
  }

  end(id: string): void {
    for (const host of this.#hosts.values()) for (const end of host.ends) end.revive(id);
    if (this.#faults.delete(id)) this.#refresh();
  }

  /** Names of the machines of these zones and machines, in the order in which they were added. */
  machinesIn(places: readonly string[]): readonly string[] {
    return [...this.#hosts.values()].filter((host) => places.some((place) => isIn(host, place))).map((host) => host.name);
  }

  #deaden(id: string, a: readonly string[], b: readonly string[]): void {
    for (const host of this.#hosts.values()) {
      for (const end of [...host.ends]) if (joins(a, b, host, end.peerHost) || joins(b, a, host, end.peerHost)) end.deaden(id);
    }
  }

  async #listen(host: Host, endpoint: Endpoint, handler: ServiceHandler): Promise<Outcome<Listener>> {
    if (this.#serviceOf(endpoint) !== null) {
      return rejected('WM_ARGUMENT', {
        message: `Endpoint ${endpoint} is taken.`,
        next: 'Close its listener first, or listen on another name.',
        detail: { endpoint },
      });
    }
    const service: Service = { host, incarnation: host.machine.incarnation, handler, ends: new Set() };
    this.#services.set(endpoint, service);
    this.#homes.set(endpoint, host);
    return ok<Listener>({
      close: () => {
        if (this.#services.get(endpoint) !== service) return;
        this.#services.delete(endpoint);
        for (const end of [...service.ends]) end.close();
      },
    });
  }

  #connect(host: Host, endpoint: Endpoint, deadlineMicros: number): Promise<Outcome<Connection>> {
    return new Promise((resolve) => {
      const handshake = new Handshake(
        {
          env: this.#env,
          host,
          endpoint,
          deadlineMicros,
          costMicros: this.#costs.handshakeMicros,
          home: this.#homes.get(endpoint) ?? this.#bridgeOf(endpoint)?.host ?? null,
          serviceOf: () => this.#serviceOf(endpoint),
        },
        resolve,
      );
      handshake.start();
    });
  }

  #serviceOf(endpoint: Endpoint): Service | null {
    const service = this.#services.get(endpoint) ?? this.#bridgeOf(endpoint) ?? undefined;
    return service !== undefined && service.host.machine.lives(service.incarnation) ? service : null;
  }

  #bridgeOf(endpoint: Endpoint): Service | null {
    return this.#bridges.find(({ serves }) => serves(endpoint))?.service ?? null;
  }

  #hostOf(machineName: string): Host {
    const host = this.#hosts.get(machineName);
    assert(host !== undefined, `machine ${machineName} is on the network`);
    return host;
  }

  #linkOf(from: Host, to: Host): Link {
    let link = from.links.get(to);
    if (link === undefined) {
      link = new Link({
        kernel: this.#kernel,
        costs: this.#costs,
        from,
        to,
        stateOf: () => this.#stateOf(from, to),
        back: () => this.#linkOf(to, from),
      });
      from.links.set(to, link);
      this.#links.push(link);
    }
    return link;
  }

  #stateOf(from: Host, to: Host): LinkState {
    if (from === to) return this.#loopback.plain;
    // Within a vehicle nothing goes by radio. Elsewhere the way of a vehicle begins, or ends, where its cell enters the network.
    const up = from.zone === to.zone ? null : (this.#mobility?.find(from.zone) ?? null);
    const down = from.zone === to.zone ? null : (this.#mobility?.find(to.zone) ?? null);
    const ends = [up === null ? from.zone : up.cell?.zone, down === null ? to.zone : down.cell?.zone] as const;
    let cut = ends.includes(undefined);
    const law = cut ? NO_WAY : this.#laws.get(`${ends[0]} ${ends[1]}`);
    assert(law !== undefined, `the link between ${ends[0]} and ${ends[1]} has a law`);
    let clogged = up?.interrupted === true || down?.interrupted === true;
    let factor: Ratio = [1, 1];
    let loss = law.loss;
    let { impairments } = law;
    const isOutOfReach = cut;
    const about = [...this.#faults.values()].filter(({ fault }) => isOn(fault, from, to));
    if (about.length === 0 && up === null && down === null && impairments === null) return law.plain;
    for (const { fault } of about) {
      if (fault.kind === 'half-open') continue;
      if (fault.kind === 'partition' || fault.kind === 'partition-one-way') cut = true;
      else if (fault.kind === 'clog') clogged = true;
      else if (fault.kind === 'latency') factor = larger(factor, fault.factor);
      else if (fault.kind === 'loss') loss = larger(loss, fault.loss);
      else impairments = worsen(impairments, fault);
    }
    // Of several of a kind the worst counts, and what the link is like without faults is one of them: the others change nothing.
    const lasting = about.filter(({ fault }) => {
      if (fault.kind === 'half-open' || fault.kind === 'clog') return true;
      if (fault.kind === 'partition' || fault.kind === 'partition-one-way') return !isOutOfReach;
      if (fault.kind === 'latency') return factor === fault.factor;
      return fault.kind === 'loss' ? loss === fault.loss : impairments?.[fault.kind] === fault;
    });
    const impaired: Impaired[] = impairments === null ? [] : [{ impairments, medium: this.#mediumOf(`${from.zone}->${to.zone}`) }];
    const radio: LinkState['radio'][number][] = [];
    for (const [attachment, way] of [
      [up, 'up'],
      [down, 'down'],
    ] as const) {
      const cell = attachment?.cell ?? null;
      const now = attachment?.radio ?? null;
      if (cell === null || now === null) continue;
      radio.push({ law: cell.latency, delayMicros: now.delayMicros });
      loss = eitherLoss(loss, now.loss);
      // All vehicles of a cell share its air, each at the rate that it has where it is.
      if (cell.bandwidth !== null && now.bytesPerS !== null)
        impaired.push({
          impairments: { bandwidth: { ...cell.bandwidth, bytesPerS: now.bytesPerS } },
          medium: this.#mediumOf(`cell ${cell.cell} ${way}`),
        });
    }
    return { law: law.latency, radio, factor, loss, cut, clogged, impaired, lasting };
  }

  #mediumOf(name: string): Medium {
    let medium = this.#media.get(name);
    if (medium === undefined) {
      medium = new Medium(this.#kernel, name);
      this.#media.set(name, medium);
    }
    return medium;
  }

  #refresh(): void {
    for (const link of this.#links) link.refresh();
    this.#retime();
  }

  /** After all links know their state: what waits for one way may leave by many. */
  #retime(): void {
    for (const medium of this.#media.values()) medium.retime();
  }
}

function larger(a: Ratio, b: Ratio): Ratio {
  return b[0] * a[1] > a[0] * b[1] ? b : a;
}

/** Whether the fault is about packets from one host to the other. */
function isOn(fault: LinkFault, from: Host, to: Host): boolean {
  switch (fault.kind) {
    case 'partition':
    case 'half-open':
      return joins(fault.a, fault.b, from, to) || joins(fault.b, fault.a, from, to);
    case 'partition-one-way':
      return joins(fault.from, fault.to, from, to);
    case 'clog':
      return fault.places.some((place) => isIn(from, place) || isIn(to, place));
    default:
      return (isIn(from, fault.a) && isIn(to, fault.b)) || (isIn(from, fault.b) && isIn(to, fault.a));
  }
}

function joins(places: readonly string[], others: readonly string[], from: Host, to: Host): boolean {
  return places.some((place) => isIn(from, place)) && others.some((place) => isIn(to, place));
}

function isIn(host: Host, place: string): boolean {
  return host.name === place || isWithinZone(host.zone, place as ZonePath);
}
