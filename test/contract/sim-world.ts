// A small simulated world for suites that need ports and no product: machines in two zones, and a way to play a body on one.
import { createNodeHost } from '../../sim/campaign/host.main.ts';
import { NETWORK_COSTS } from '../../sim/costs/costs.ts';
import { canonicalSeed, createKernel } from '../../sim/kernel/kernel.ts';
import type { Kernel, Machine, Pace } from '../../sim/kernel/kernel.ts';
import { SimNetwork } from '../../sim/network/network.ts';
import type { LatencyLaw, Ratio } from '../../scenarios/scenario.ts';
import type { ZonePath } from '../../system/domain/identifiers.ts';

export const CLOUD = 'cloud' as ZonePath;
export const FLEET = 'fleet/truck-1' as ZonePath;

export type WorldOptions = {
  readonly seed?: string;
  readonly latency?: LatencyLaw;
  readonly loss?: Ratio;
  readonly pace?: Pace;
  readonly permute?: boolean;
};

export class SimWorld {
  readonly kernel: Kernel;
  readonly network: SimNetwork;
  readonly #machines = new Map<string, Machine>();

  constructor(options: WorldOptions = {}) {
    this.kernel = createKernel({
      seed: canonicalSeed(options.seed ?? '1') ?? '0x1',
      host: createNodeHost(),
      pace: options.pace ?? null,
      permute: options.permute ?? false,
    });
    this.network = new SimNetwork(this.kernel, NETWORK_COSTS);
    const latency = options.latency ?? { law: 'constant', micros: 5_000 };
    const loss = options.loss ?? [0, 1];
    this.network.setLaw(CLOUD, FLEET, latency, loss);
    this.network.setLaw(CLOUD, CLOUD, { law: 'constant', micros: 200 }, [0, 1]);
    this.network.setLaw(FLEET, FLEET, { law: 'constant', micros: 200 }, [0, 1]);
  }

  /** A booted machine on the network. */
  add(name: string, zone: ZonePath, cores = 1): Machine {
    const machine = this.kernel.machine(name, { cores });
    this.#machines.set(name, machine);
    this.network.addMachine({ machine, identity: name, zone });
    machine.boot();
    return machine;
  }

  /** Power loss, as the faults do it. */
  crash(name: string): void {
    this.#machines.get(name)!.crash();
    this.network.leave(name, 'power');
  }

  /** Plays until the body has ended; what it throws is thrown. */
  async play<T>(machine: Machine | null, body: () => Promise<T>, microsMax = 3_600_000_000): Promise<T> {
    let result: { readonly value: T } | null = null;
    this.kernel.after(0, machine, 'test', () =>
      this.kernel.own(
        'test',
        body().then((value) => {
          result = { value };
        }),
      ),
    );
    const end = await this.kernel.play({ done: () => result !== null, microsMax });
    if (end.reason === 'failed') throw end.error;
    if (result === null) throw new Error(`the play ended (${end.reason}) at ${end.micros} µs before its body did`);
    return (result as { readonly value: T }).value;
  }
}
