// Networks of real machines on loopback, with an authority of their own: each machine has a certificate with its name.
import { SystemClock } from '../../hardware/clock/clock.ts';
import { nodeCrypto } from '../../hardware/keys/keys.ts';
import { Authority, createGrpcNetwork, createIdentityKey, RevocationList } from '../../hardware/network/network.ts';
import type {
  CertificateRequest,
  GrpcNetwork,
  GrpcNetworkOptions,
  Identity,
  IssuedCertificate,
  Methods,
} from '../../hardware/network/network.ts';
import { KeyRing } from '../../sim/keys/keys.ts';
import { createRandom } from '../../sim/random/random.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Endpoint } from '../../system/domain/identifiers.ts';
import type { Keys } from '../../system/ports/keys.ts';
import { SimWorld } from './sim-world.ts';

export const METHODS: Methods = { calls: ['/a/B'], streams: ['/a/S'] };
/** For tests of peers that vanish; one that is only busy has `answerMs` to say that it is there. Others keep the product's own. */
export const SHORT_KEEPALIVE = { idleMs: 500, answerMs: 3_000 };

export function get<T>(outcome: Outcome<T>): T {
  if (!outcome.ok) throw new Error(`${outcome.error.code}: ${outcome.error.message}`);
  return outcome.value;
}

export type Issued = { readonly identity: Identity; readonly issued: IssuedCertificate };

/** An authority whose clock can be set, for certificates of another time. */
export class TestAuthority {
  readonly authority: Authority;
  readonly keys: Keys;
  readonly #clock: { offsetMs: number };

  private constructor(authority: Authority, keys: Keys, clock: { offsetMs: number }) {
    this.authority = authority;
    this.keys = keys;
    this.#clock = clock;
  }

  static async create(seed = '1'): Promise<TestAuthority> {
    const system = new SystemClock();
    const clock = { offsetMs: 0 };
    const ring = new KeyRing({ crypto: nodeCrypto, random: createRandom(new SimWorld({ seed }).kernel, null), onForgery: () => {} });
    const keys = ring.portOf('controller', () => Promise.resolve());
    const opened = await Authority.open({ keys, keyName: 'authority', civilMs: () => system.civilMs() + clock.offsetMs });
    return new TestAuthority(get(opened), keys, clock);
  }

  async issue(name: string, request: Partial<CertificateRequest> = {}, offsetMs = 0): Promise<Issued> {
    const { privateKey, publicKey } = createIdentityKey();
    this.#clock.offsetMs = offsetMs;
    const issued = get(await this.authority.issue({ name, publicKey, ...request }));
    this.#clock.offsetMs = 0;
    return { identity: { certificate: issued.certificate, privateKey, authorities: [this.authority.certificate] }, issued };
  }
}

/** Where each endpoint was last heard of, as an address book would say. */
export class GrpcWorld {
  readonly revocations = new RevocationList(() => new SystemClock().civilMs());
  readonly refused: string[] = [];
  readonly addresses = new Map<Endpoint, string>();
  readonly #networks: GrpcNetwork[] = [];

  machine(identity: Identity | null, options: Partial<GrpcNetworkOptions> = {}): GrpcNetwork {
    const network = createGrpcNetwork({
      addresses: (endpoint) => {
        for (const each of this.#networks) {
          const address = each.addressOf(endpoint);
          if (address !== null) this.addresses.set(endpoint, address);
        }
        return this.addresses.get(endpoint) ?? null;
      },
      listen: () => '127.0.0.1:0',
      identity,
      accepts: () => true,
      revoked: (serial) => this.revocations.has(serial),
      methods: METHODS,
      onRefused: (sentence) => this.refused.push(sentence),
      ...options,
    });
    this.#networks.push(network);
    return network;
  }

  async close(): Promise<void> {
    await Promise.all(this.#networks.map((network) => network.close()));
  }
}
