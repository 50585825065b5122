// What goes wrong between a service of the controller and who calls it, while the controller itself is well: calls of the broker are
// refused, answered late or never, or made twice; artefacts change in transit. It reads no message: bytes are all it knows.
import { FETCH_METHOD } from '../../system/domain/session.ts';
import { assert, failed, ok, unknown } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Clock } from '../../system/ports/clock.ts';
import type { Network, PeerIdentity, ServiceHandler } from '../../system/ports/network.ts';
import type { FaultSpec } from '../../scenarios/scenario.ts';
import type { Kernel } from '../kernel/kernel.ts';

const BROKER_METHODS = '/wasmmatrix.v1.Bus/';

export type ServiceFault = Extract<
  FaultSpec,
  { readonly kind: 'broker-outage' | 'broker-slow' | 'broker-loses-answers' | 'broker-repeats' | 'spoil-artefact' }
>;
type Of<K extends ServiceFault['kind']> = Extract<ServiceFault, { readonly kind: K }>;

export class ServiceFaults {
  readonly #kernel: Kernel;
  /** The identity by which the run watches; what it does not see, no goal could judge, so it is spared. */
  readonly witness: string;
  /** Bound: the faults of one scenario. */
  readonly #active = new Map<string, { readonly fault: ServiceFault; readonly felt: () => void }>();
  /** The last artefact's bytes on the wire, to be given for another. */
  #lastAnswer: Uint8Array | null = null;

  constructor(kernel: Kernel, witness: string) {
    this.#kernel = kernel;
    this.witness = witness;
  }

  /** `felt` is called each time that the fault changes what happens to a call. */
  begin(id: string, fault: ServiceFault, felt: () => void = () => {}): void {
    assert(!this.#active.has(id), `fault ${id} begins once`);
    this.#active.set(id, { fault, felt });
  }

  end(id: string): void {
    this.#active.delete(id);
    if (this.#find('spoil-artefact') === null) this.#lastAnswer = null;
  }

  /** The network of a machine whose services these faults befall. */
  wrap(network: Network, clock: Clock): Network {
    return {
      connect: (endpoint, options) => network.connect(endpoint, options),
      listen: (endpoint, handler) =>
        network.listen(endpoint, {
          stream: (method, stream) => handler.stream(method, stream),
          call: (method, peer, request) => this.#call(handler, clock, method, peer, request),
        }),
    };
  }

  #call(handler: ServiceHandler, clock: Clock, method: string, peer: PeerIdentity, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    if (peer.name === this.witness) return handler.call(method, peer, request);
    if (this.#active.size === 0) {
      const answering = handler.call(method, peer, request);
      // A fetch waits for events, and a publication for the disk: an outage may begin meanwhile.
      return method.startsWith(BROKER_METHODS) ? answering.then((answer) => (this.#isOut() ? lost(method) : answer)) : answering;
    }
    if (method.startsWith(BROKER_METHODS)) return this.#callBroker(handler, clock, method, peer, request);
    return method === FETCH_METHOD ? this.#fetch(handler, peer, request) : handler.call(method, peer, request);
  }

  async #callBroker(
    handler: ServiceHandler,
    clock: Clock,
    method: string,
    peer: PeerIdentity,
    request: Uint8Array,
  ): Promise<Outcome<Uint8Array>> {
    if (this.#isOut()) return unreachable();
    const slow = this.#find('broker-slow');
    if (slow !== null) {
      this.#feel('broker-slow');
      await clock.sleep(slow.byMicros);
      if (this.#isOut()) return unreachable();
    }
    const answering = handler.call(method, peer, request);
    const repeats = this.#find('broker-repeats');
    if (repeats !== null && this.#drawn(repeats)) {
      const again = handler.call(method, peer, request);
      this.#kernel.own(
        `${method} made twice`,
        again.then(() => {}),
      );
    }
    const answer = await answering;
    // A fetch that waits for events, a call that was slow: what the broker did stands, and the way back is gone.
    if (this.#isOut()) return lost(method);
    const loses = this.#find('broker-loses-answers');
    if (loses === null || !this.#drawn(loses)) return answer;
    return lost(method);
  }

  #isOut(): boolean {
    if (this.#find('broker-outage') === null) return false;
    this.#feel('broker-outage');
    return true;
  }

  async #fetch(handler: ServiceHandler, peer: PeerIdentity, request: Uint8Array): Promise<Outcome<Uint8Array>> {
    const answer = await handler.call(FETCH_METHOD, peer, request);
    const spoil = this.#find('spoil-artefact');
    if (spoil === null || !answer.ok) return answer;
    const bytes = answer.value;
    if (spoil.how !== 'swapped') this.#feel('spoil-artefact');
    switch (spoil.how) {
      case 'truncated':
        return ok(bytes.slice(0, bytes.length - Math.ceil(bytes.length / 4)));
      case 'changed': {
        const changed = bytes.slice();
        const at = (changed.length >> 1) + this.#kernel.stream('faults/spoil').below(Math.max(1, changed.length >> 1));
        if (at < changed.length) changed[at]! ^= 1;
        return ok(changed);
      }
      case 'swapped': {
        const other = this.#lastAnswer ?? bytes;
        if (other !== bytes) this.#feel('spoil-artefact');
        this.#lastAnswer = bytes;
        return ok(other);
      }
    }
  }

  #find<K extends ServiceFault['kind']>(kind: K): Of<K> | null {
    for (const { fault } of this.#active.values()) if (fault.kind === kind) return fault as Of<K>;
    return null;
  }

  #feel(kind: ServiceFault['kind']): void {
    for (const { fault, felt } of this.#active.values()) if (fault.kind === kind) felt();
  }

  #drawn({ kind, ratio }: Of<'broker-repeats' | 'broker-loses-answers'>): boolean {
    const drawn = this.#kernel.stream(`faults/${kind}`).chance(ratio[0], ratio[1]);
    if (drawn) this.#feel(kind);
    return drawn;
  }
}

function unreachable(): Outcome<Uint8Array> {
  return failed('WM_UNREACHABLE', { message: 'The broker is not reachable.', next: 'Try again, with backoff.' });
}

function lost(method: string): Outcome<Uint8Array> {
  return unknown('WM_CONNECTION_LOST', {
    message: `The answer of the broker to ${method} was lost.`,
    next: 'Observe whether it happened before repeating it.',
  });
}
