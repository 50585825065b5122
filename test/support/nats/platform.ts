// A platform and an agent on one NATS server, each with a connection and records of its own; streams are of this platform alone.
import { openNatsBus, type NatsBus, type NatsBusOptions } from '../../../hardware/bus/bus.ts';
import { SystemClock } from '../../../hardware/clock/clock.ts';
import { connectNats, type NatsLink } from '../../../hardware/nats/nats.ts';
import { SystemRandom } from '../../../hardware/random/random.ts';
import { get } from '../bus/site.ts';
import { MemoryTelemetry } from '../ports/memory-telemetry.ts';

export type Party = { readonly bus: NatsBus; readonly link: NatsLink; readonly telemetry: MemoryTelemetry };

let platforms = 0;

export class NatsPlatform {
  readonly prefix = `p${(platforms += 1)}`;
  readonly #servers: readonly string[];
  readonly #parties: Party[] = [];
  readonly #options: Partial<NatsBusOptions>;

  constructor(servers: string | readonly string[], options: Partial<NatsBusOptions> = {}) {
    this.#servers = typeof servers === 'string' ? [servers] : servers;
    this.#options = options;
  }

  /** `deaf`: hears of no fence that others raise, as if each message to it came too late. */
  async join(role: 'platform' | 'agent', { deaf = false }: { readonly deaf?: boolean } = {}): Promise<Party> {
    const link = get(
      await connectNats({ servers: this.#servers, name: `${this.prefix}/${role}`, credentials: { kind: 'none' }, tls: null }),
    );
    if (deaf) {
      const { connection } = link;
      const subscribe = connection.subscribe.bind(connection);
      connection.subscribe = (subject, options) => subscribe(subject.includes('.fence.') ? 'nobody.speaks.here' : subject, options);
    }
    const telemetry = new MemoryTelemetry();
    const ports = { clock: new SystemClock(), random: new SystemRandom(), telemetry };
    const bus = get(await openNatsBus({ link, ports, role, prefix: this.prefix, ...this.#options }));
    const party = { bus, link, telemetry };
    this.#parties.push(party);
    return party;
  }

  async leave(): Promise<void> {
    for (const { bus, link } of this.#parties) {
      bus.close();
      await link.close();
    }
  }
}
