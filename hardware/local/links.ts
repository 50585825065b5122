// What the links between the places of a run are like: the law of each pair of zones, and what faults make of it. A place is a
// machine, the operator or a publisher; it has a name and a zone. Pure bookkeeping: bytes are moved by the tunnels, which ask here.
import type { LatencyLaw, LinkSpec, Ratio } from '../../scenarios/scenario.ts';
import { isWithinZone, type ZonePath } from '../../system/domain/identifiers.ts';

export type Place = { readonly name: string; readonly zone: ZonePath };

/** What a fault does to links while it lasts. Ends are zones or names of places. */
export type LinkFault =
  | { readonly kind: 'partition'; readonly a: readonly string[]; readonly b: readonly string[] }
  | { readonly kind: 'latency'; readonly a: string; readonly b: string; readonly factor: Ratio }
  | { readonly kind: 'loss'; readonly a: string; readonly b: string; readonly loss: Ratio };

export type LinkState = {
  readonly law: LatencyLaw;
  readonly factor: Ratio;
  readonly loss: Ratio;
  readonly cut: boolean;
};

const NO_LOSS: Ratio = [0, 1];
const AT_ONCE: LatencyLaw = { law: 'constant', micros: 0 };
const MICROS_PER_MS = 1_000;

export class Links {
  readonly #laws = new Map<string, { readonly latency: LatencyLaw; readonly loss: Ratio }>();
  /** Bound: the faults of one scenario. */
  readonly #faults = new Map<string, LinkFault>();
  readonly #states = new Map<string, LinkState>();
  /** How many times as long as in reality everything takes that links assume of TCP. */
  #slowness = 1;

  /** A pair of zones without a law has neither delay nor loss. */
  constructor(laws: readonly LinkSpec[]) {
    this.replaceLaws(laws);
  }

  get slowness(): number {
    return this.#slowness;
  }

  replaceLaws(laws: readonly LinkSpec[], slowness = 1): void {
    this.#slowness = slowness;
    this.#laws.clear();
    this.#states.clear();
    for (const { a, b, latency, loss } of laws) {
      this.#laws.set(`${a} ${b}`, { latency, loss });
      this.#laws.set(`${b} ${a}`, { latency, loss });
    }
  }

  begin(id: string, fault: LinkFault): void {
    this.#faults.set(id, fault);
    this.#states.clear();
  }

  end(id: string): void {
    this.#faults.delete(id);
    this.#states.clear();
  }

  stateOf(from: Place, to: Place): LinkState {
    const pair = `${from.name} ${to.name}`;
    const known = this.#states.get(pair);
    if (known !== undefined) return known;
    const state = this.#work(from, to);
    this.#states.set(pair, state);
    return state;
  }

  #work(from: Place, to: Place): LinkState {
    const law = this.#laws.get(`${from.zone} ${to.zone}`);
    let cut = false;
    let factor: Ratio = [1, 1];
    let loss = law?.loss ?? NO_LOSS;
    for (const fault of this.#faults.values()) {
      const [a, b] = fault.kind === 'partition' ? [fault.a, fault.b] : [[fault.a], [fault.b]];
      if (!(isIn(from, a) && isIn(to, b)) && !(isIn(from, b) && isIn(to, a))) continue;
      if (fault.kind === 'partition') cut = true;
      else if (fault.kind === 'latency') factor = larger(factor, fault.factor);
      else loss = larger(loss, fault.loss);
    }
    return { law: law?.latency ?? AT_ONCE, factor, loss, cut };
  }
}

/** Of several of a kind the worst counts, as in the simulator. */
function larger(a: Ratio, b: Ratio): Ratio {
  return b[0] * a[1] > a[0] * b[1] ? b : a;
}

function isIn(place: Place, ends: readonly string[]): boolean {
  return ends.some((end) => place.name === end || isWithinZone(place.zone, end as ZonePath));
}

/** One-way delay in milliseconds, with fractions. `random` gives numbers from 0 up to 1. */
export function delayMsOf({ law, factor }: Pick<LinkState, 'law' | 'factor'>, random: () => number): number {
  return (microsOf(law, random) * factor[0]) / factor[1] / MICROS_PER_MS;
}

function microsOf(law: LatencyLaw, random: () => number): number {
  switch (law.law) {
    case 'constant':
      return law.micros;
    case 'uniform':
      return law.microsMin + random() * (law.microsMax - law.microsMin);
    case 'normal':
      return Math.max(law.microsMin, law.microsMean + law.microsDeviation * normalOf(random));
    case 'log-normal':
      return Math.max(law.microsMin, law.microsMedian * Math.exp(law.sigma * normalOf(random)));
    case 'exponential':
      return law.microsMin - (law.microsMean - law.microsMin) * Math.log(1 - random());
    case 'empirical':
      return law.micros[Math.floor(random() * law.micros.length)] ?? 0;
  }
}

/** Box and Muller's; the first draw must not be 0. */
function normalOf(random: () => number): number {
  return Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
}
