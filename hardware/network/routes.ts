// Which of several addresses of an endpoint to dial. One that answered is kept; when it fails, or a connection to it ends by
// itself, the next is first from then on. Everybody in the process follows the same choice: two clients that took turns each for
// himself could stand before different controllers for ever.
import type { Endpoint } from '../../system/domain/identifiers.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import { MICROS_PER_MS } from '../../system/ports/clock.ts';
import type { Connection } from '../../system/ports/network.ts';
import { unreachable } from './status.ts';

/** Bound: addresses of one endpoint; those behind are not tried. */
export const ADDRESSES_MAX = 16;
/** Bound: endpoints whose choice is remembered; the oldest is forgotten. */
const ENDPOINTS_MAX = 4_096;

export type Route = { readonly addresses: readonly string[]; readonly moveOn: (address: string) => void };

export class Routes {
  readonly #last = new Map<Endpoint, string>();
  readonly #known = new Map<Endpoint, readonly string[]>();

  /** The addresses of an endpoint, the one to begin with first. */
  of(endpoint: Endpoint, given: string | readonly string[] | null): Route {
    const addresses = (given === null ? [] : typeof given === 'string' ? [given] : given).slice(0, ADDRESSES_MAX);
    if (addresses.length > 1) this.#remember(endpoint, addresses);
    const first = Math.max(0, addresses.indexOf(this.#last.get(endpoint) ?? ''));
    return {
      addresses: [...addresses.slice(first), ...addresses.slice(0, first)],
      moveOn: (address) => this.moveOn(endpoint, address),
    };
  }

  /** `address` failed: the one behind it is next, unless somebody has moved on already. */
  moveOn(endpoint: Endpoint, address: string): void {
    const addresses = this.#known.get(endpoint);
    if (addresses === undefined || (this.#last.get(endpoint) ?? addresses[0]) !== address) return;
    this.#last.set(endpoint, addresses[(addresses.indexOf(address) + 1) % addresses.length]!);
  }

  #remember(endpoint: Endpoint, addresses: readonly string[]): void {
    this.#known.set(endpoint, addresses);
    if (this.#known.size <= ENDPOINTS_MAX) return;
    const [oldest] = this.#known.keys();
    this.#known.delete(oldest!);
    this.#last.delete(oldest!);
  }
}

/** Tries each address once; the time that is left is shared among those that were not tried. The last failure is told. */
export async function dialInTurn(
  { addresses, moveOn }: Route,
  endpoint: Endpoint,
  deadlineMicros: number,
  dialOne: (address: string, deadlineMicros: number) => Promise<Outcome<Connection>>,
): Promise<Outcome<Connection>> {
  const begunMs = performance.now();
  let last: Outcome<Connection> = unreachable(endpoint, 'its address is not known');
  for (const [index, address] of addresses.entries()) {
    const leftMicros = deadlineMicros - (performance.now() - begunMs) * MICROS_PER_MS;
    if (index > 0 && leftMicros <= 0) break;
    last = await dialOne(address, leftMicros / (addresses.length - index));
    if (last.ok) break;
    moveOn(address);
  }
  return last;
}
