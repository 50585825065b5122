// Two machines that show one identity: a disk was copied, keys and all. Each would take the node's session from the other, as a
// restart does, and everything on that node would be placed anew with every turn. So an agent of another boot waits until it is
// clear that the one which has the session is gone; where that one goes on beating, the newcomer is refused.
// Surprising: a restart whose old connection was closed waits for nothing. Only where the network did not tell (a power loss) the
// old session has to fall silent first, for two heartbeats.
import type { NodeId } from '../domain/identifiers.ts';
import { rejected, type Err } from '../domain/outcome.ts';
import { MICROS_PER_MS, type Clock, type Micros } from '../ports/clock.ts';

/** Heartbeats that the other must have missed before it counts as gone. */
const MISSED_HEARTBEATS = 2;
/** How often in a heartbeat it is looked at. */
const LOOKS_PER_HEARTBEAT = 4;

/** Who has the session now. */
export type Holder = { readonly closed: boolean; readonly heardMicros: Micros };

type Newcomer = { readonly node: NodeId; readonly bootId: string };

export class Rivals {
  readonly #clock: Pick<Clock, 'monotonicMicros' | 'sleep'>;
  readonly #heartbeatMicros: Micros;
  /** Since when the newest newcomer of a node asks; it may have to dial again before it is answered. Bound: one a node. */
  readonly #asking = new Map<NodeId, { readonly bootId: string; readonly sinceMicros: Micros }>();

  constructor(options: { readonly clock: Pick<Clock, 'monotonicMicros' | 'sleep'>; readonly heartbeatIntervalMs: number }) {
    this.#clock = options.clock;
    this.#heartbeatMicros = options.heartbeatIntervalMs * MICROS_PER_MS;
  }

  /**
   * Null when nobody else has the session of `node` any more. `find`: who has it, unless that is the newcomer itself. Bound: a few
   * heartbeats, unless one newcomer after the other is let in.
   */
  async check({ node, bootId }: Newcomer, find: () => Holder | null): Promise<Err['error'] | null> {
    const asked = this.#asking.get(node);
    const sinceMicros = asked?.bootId === bootId ? asked.sinceMicros : this.#clock.monotonicMicros();
    for (let holder = find(); holder !== null; holder = find()) {
      this.#asking.set(node, { bootId, sinceMicros });
      const silentMicros = this.#clock.monotonicMicros() - holder.heardMicros;
      // What was on its way when the other ended may still come; what comes a heartbeat later was said by somebody alive.
      if (holder.heardMicros - sinceMicros >= this.#heartbeatMicros) return refusal(node, silentMicros);
      if (silentMicros >= MISSED_HEARTBEATS * this.#heartbeatMicros) break;
      await this.#clock.sleep(Math.ceil(this.#heartbeatMicros / LOOKS_PER_HEARTBEAT));
    }
    this.#asking.delete(node);
    return null;
  }
}

function refusal(node: NodeId, silentMicros: Micros): Err['error'] {
  const heardMs = Math.floor(silentMicros / MICROS_PER_MS);
  return rejected('WM_NODE_REFUSED', {
    message: `Two machines show the identity node/${node}: another one has its session, and was heard ${heardMs} ms ago.`,
    next: 'Stop one of them. Where a disk was copied, delete the identity from the copy and enrol it under a name of its own.',
  }).error;
}
