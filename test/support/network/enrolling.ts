// A controller's endpoint that lets machines in: authority, tokens and revocations on a disk that outlives it.
import { dial } from '../../../hardware/network/client.ts';
import { Enrolment, isController, KEEPALIVE, PROTOCOL_METHODS, withEnrolment } from '../../../hardware/network/network.ts';
import type { EnrolmentOptions, GrpcNetwork, GrpcNetworkOptions, KeptIdentity } from '../../../hardware/network/network.ts';
import type { Endpoint } from '../../../system/domain/identifiers.ts';
import { ok } from '../../../system/domain/outcome.ts';
import type { Outcome } from '../../../system/domain/outcome.ts';
import type { ServiceHandler } from '../../../system/ports/network.ts';
import { get, GrpcWorld, TestAuthority } from '../../contract/grpc-world.ts';
import { MemoryTime } from '../ports/memory-clock.ts';
import { MemoryDisk } from '../ports/memory-storage.ts';

export const CONTROLLER = 'controller' as Endpoint;
export const WAIT = { deadlineMicros: 20_000_000 };

/** Says who called. */
const WHO: ServiceHandler = {
  call: async (_method, peer) => ok(Buffer.from(peer.name)),
  stream: async (_method, stream) => void (await stream.receive()),
};

export class EnrollingSite {
  readonly world = new GrpcWorld();
  readonly disk = new MemoryDisk();
  /** What enrolment logged. */
  readonly log: string[] = [];
  readonly authority: TestAuthority;
  /** Its clock is the real one and so much. */
  offsetMs = 0;
  enrolment!: Enrolment;
  server!: GrpcNetwork;

  private constructor(authority: TestAuthority) {
    this.authority = authority;
  }

  static async create(seed = '1'): Promise<EnrollingSite> {
    const site = new EnrollingSite(await TestAuthority.create(seed));
    await site.start();
    return site;
  }

  get address(): string {
    return this.server.addressOf(CONTROLLER)!;
  }

  /** Also again: a new process with the disk of the one before. */
  async start(options: Partial<EnrolmentOptions> = {}): Promise<void> {
    await this.server?.close();
    this.enrolment = get(
      await Enrolment.open({
        authority: this.authority.authority,
        keys: this.authority.keys,
        store: this.disk.portOf(new MemoryTime().process()).keyValue('enrolment'),
        civilMs: () => Date.now() + this.offsetMs,
        addresses: () => [this.address],
        onRefused: (sentence) => this.log.push(sentence),
        onRevoked: () => this.server.expel(),
        ...options,
      }),
    );
    const { identity } = await this.authority.issue('controller', { hosts: ['localhost', '127.0.0.1'] });
    this.server = this.machine(identity, { revoked: (serial) => this.enrolment.revoked(serial) });
    get(await this.server.listen(CONTROLLER, withEnrolment(WHO, this.enrolment)));
  }

  machine(identity: KeptIdentity['identity'], options: Partial<GrpcNetworkOptions> = {}): GrpcNetwork {
    return this.world.machine(identity, { methods: PROTOCOL_METHODS, revoked: () => false, ...options });
  }

  /** One call to the controller's endpoint by a machine of its own. */
  async call(kept: KeptIdentity, method: string, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    const connected = await this.machine(kept.identity).connect(CONTROLLER, WAIT);
    if (!connected.ok) return connected;
    const answer = await connected.value.call(method, request, WAIT);
    connected.value.close();
    return answer;
  }

  /** One call by somebody who has no certificate, and trusts the authority. */
  async anonymously(method: string, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    const connected = await dial({
      endpoint: CONTROLLER,
      address: this.address,
      identity: { authorities: [this.authority.authority.certificate] },
      accepts: isController,
      revoked: () => false,
      keepalive: KEEPALIVE,
      deadlineMicros: WAIT.deadlineMicros,
      onBegin: () => {},
      onEnd: () => {},
      onLost: () => {},
    });
    if (!connected.ok) return connected;
    const answer = await connected.value.call(method, request, WAIT);
    connected.value.close();
    return answer;
  }
}
