// FoundationDB's swizzle: some machines are clogged one after the other and unclogged in another order, so that the fleet is
// never seen whole and never twice alike. A third of the time for each: clogging, all clogged, unclogging.
import type { FaultSpec } from '../../scenarios/scenario.ts';
import type { Kernel, ScheduledEvent } from '../kernel/kernel.ts';
import type { SimNetwork } from '../network/network.ts';

/** The part of the network that it uses. */
type CloggedNetwork = Pick<SimNetwork, 'begin' | 'end' | 'machinesIn'>;

export class Swizzles {
  readonly #kernel: Kernel;
  readonly #network: CloggedNetwork;
  /** Bound: the faults of one scenario. */
  readonly #active = new Map<string, { readonly clogs: readonly string[]; readonly events: readonly ScheduledEvent[] }>();

  constructor(kernel: Kernel, network: CloggedNetwork) {
    this.#kernel = kernel;
    this.#network = network;
  }

  begin(id: string, { places, forMicros }: Extract<FaultSpec, { readonly kind: 'swizzle' }>, felt: () => void = () => {}): void {
    const stream = this.#kernel.stream('faults swizzle');
    // Drawn without replacement, one after the other: first who is clogged and in which order, then the order of unclogging.
    const shuffled = (names: readonly string[]): readonly string[] => {
      const left = [...names];
      return names.map(() => left.splice(stream.below(left.length), 1)[0]!);
    };
    const all = shuffled(this.#network.machinesIn(places));
    const clogged = all.slice(0, 1 + stream.below(all.length));
    const order = shuffled(clogged);
    const freed = order.every((machine, i) => machine === clogged[i]) ? [...order].reverse() : order;
    const stepMicros = forMicros / 3 / clogged.length;
    const events = [
      ...clogged.map((machine, i) =>
        this.#kernel.after(Math.floor(i * stepMicros), null, 'swizzle clogs', () =>
          this.#network.begin(`${id}/${machine}`, { kind: 'clog', places: [machine] }, felt),
        ),
      ),
      ...freed.map((machine, i) =>
        this.#kernel.after(Math.floor((2 * forMicros) / 3 + i * stepMicros), null, 'swizzle unclogs', () =>
          this.#network.end(`${id}/${machine}`),
        ),
      ),
    ];
    this.#active.set(id, { clogs: clogged.map((machine) => `${id}/${machine}`), events });
  }

  end(id: string): void {
    const active = this.#active.get(id);
    this.#active.delete(id);
    for (const event of active?.events ?? []) event.cancel();
    for (const clog of active?.clogs ?? []) this.#network.end(clog);
  }
}
