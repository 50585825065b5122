// State that guests reach through capabilities (R10.2): keys with compare-and-set in a store somewhere on the network.
// Failures: WM_CONFLICT (another version), WM_FENCED (an effect of a superseded instance), unknown after sending.
import type { StateEntry } from '../domain/broker.ts';
import type { FencingToken } from '../domain/event.ts';
import type { Outcome } from '../domain/outcome.ts';

export interface State {
  get(key: string, options: { readonly deadlineMicros: number }): Promise<Outcome<StateEntry | null>>;
  /** The new version, durable when resolved. `expectedVersion` 0: must not exist; null: any. */
  put(
    key: string,
    value: Uint8Array,
    options: { readonly expectedVersion: number | null; readonly fence: FencingToken | null; readonly deadlineMicros: number },
  ): Promise<Outcome<number>>;
}
