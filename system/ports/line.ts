// Calls to one endpoint over a connection that is dialled when it is needed, and dialled again when it is lost. It never repeats
// a call on its own: whoever called knows whether that is right.
// A late answer is no lost connection: what is under way on it comes to its end, and what comes is sent on another.
import type { Endpoint } from '../domain/identifiers.ts';
import { failed, ok, type Outcome } from '../domain/outcome.ts';
import type { Micros } from './clock.ts';
import type { Connection, Network } from './network.ts';

const CLOSED = failed('WM_CANCELLED', { message: 'This client was closed.', next: 'Make a new client.' });

/** A connection, and how many of its calls are not answered. */
type Used = { readonly connection: Connection; outstanding: number };

export class Line {
  readonly #network: Pick<Network, 'connect'>;
  readonly #endpoint: Endpoint;
  #newest: Used | null = null;
  /** Bound: beside the newest, as many as had a late answer within the longest deadline; each ends with its last call. */
  readonly #open = new Set<Used>();
  #dialling: Promise<Outcome<Used>> | null = null;
  #closed = false;

  constructor(network: Pick<Network, 'connect'>, endpoint: Endpoint) {
    this.#network = network;
    this.#endpoint = endpoint;
  }

  async call(method: string, request: Uint8Array, deadlineMicros: Micros): Promise<Outcome<Uint8Array>> {
    const dialled = await this.#dial(deadlineMicros);
    if (!dialled.ok) return dialled;
    const used = dialled.value;
    used.outstanding += 1;
    const answer = await used.connection.call(method, request, { deadlineMicros });
    used.outstanding -= 1;
    const code = answer.ok ? null : answer.error.code;
    const isLost = code === 'WM_CONNECTION_LOST' || code === 'WM_UNREACHABLE';
    if ((isLost || code === 'WM_DEADLINE') && this.#newest === used) this.#newest = null;
    if (isLost || (this.#newest !== used && used.outstanding === 0)) {
      this.#open.delete(used);
      used.connection.close();
    }
    return answer;
  }

  /** Nothing is sent any more. Idempotent. */
  close(): void {
    this.#closed = true;
    for (const { connection } of this.#open) connection.close();
    this.#open.clear();
    this.#newest = null;
  }

  async #dial(deadlineMicros: Micros): Promise<Outcome<Used>> {
    if (this.#closed) return CLOSED;
    if (this.#newest !== null) return ok(this.#newest);
    this.#dialling ??= this.#network.connect(this.#endpoint, { deadlineMicros }).then((dialled): Outcome<Used> => {
      this.#dialling = null;
      if (!dialled.ok) return dialled;
      if (this.#closed) {
        dialled.value.close();
        return CLOSED;
      }
      this.#newest = { connection: dialled.value, outstanding: 0 };
      this.#open.add(this.#newest);
      return ok(this.#newest);
    });
    return this.#dialling;
  }
}
