// Where instances failed lately: nodes that placement avoids for them as long as another will do (R5.4: the first remedy is a start
// on the same node, and it is not repeated for ever). Lives in memory only; after a restart of the controller it is learnt again.
import type { InstanceId, NodeId } from '../domain/identifiers.ts';
import { MICROS_PER_S, type Micros } from '../ports/clock.ts';

/** Failures of an instance on a node before it is avoided: once may be chance. */
export const FAILURES_BEFORE_AVOIDED = 2;
/** How long after its last failure there a node is avoided. */
const AVOIDED_MICROS = 600 * MICROS_PER_S;
/** Bound: instances whose failures are remembered, the one that failed longest ago is forgotten first; and nodes of each. */
const INSTANCES_MAX = 4_096;
const NODES_MAX = 16;

type Failed = { readonly version: number; readonly nodes: Map<NodeId, { readonly times: number; readonly untilMicros: Micros }> };

export class Failures {
  readonly #failed = new Map<InstanceId, Failed>();

  /** It failed with this version; of another version nothing is known. */
  failed(instance: InstanceId, version: number, node: NodeId, nowMicros: Micros): void {
    const before = this.#failed.get(instance);
    const known = before?.version === version ? before : { version, nodes: new Map() };
    const times = (known.nodes.get(node)?.times ?? 0) + 1;
    known.nodes.delete(node);
    known.nodes.set(node, { times, untilMicros: nowMicros + AVOIDED_MICROS });
    forgetOldest(known.nodes, NODES_MAX);
    this.#failed.delete(instance);
    this.#failed.set(instance, known);
    forgetOldest(this.#failed, INSTANCES_MAX);
  }

  avoided(instance: InstanceId, version: number, nowMicros: Micros): readonly NodeId[] {
    const failed = this.#failed.get(instance);
    if (failed === undefined || failed.version !== version) return [];
    return [...failed.nodes]
      .filter(([, { times, untilMicros }]) => times >= FAILURES_BEFORE_AVOIDED && nowMicros < untilMicros)
      .map(([node]) => node);
  }

  forget(instance: InstanceId): void {
    this.#failed.delete(instance);
  }
}

function forgetOldest<Key>(kept: Map<Key, unknown>, most: number): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= most) return;
    kept.delete(oldest);
  }
}
