// When the commands of a rollback have left for every node that it affects (R2.2).
import type { DeploymentName, NodeId } from '../domain/identifiers.ts';
import type { Fact } from '../domain/telemetry.ts';
import type { Clock, Micros } from '../ports/clock.ts';

export type Rollback = {
  readonly deployment: DeploymentName;
  readonly version: number;
  /** Nodes in touch that hold an instance; one that is out of touch is told when it is back. */
  readonly nodes: Set<NodeId>;
  /** Record that holds the rollback. */
  readonly sequence: number;
  readonly receivedMicros: Micros;
};

export class Rollbacks {
  readonly #clock: Pick<Clock, 'monotonicMicros'>;
  readonly #tell: (fact: Fact) => void;
  /** Bound: rollbacks whose messages are leaving, a moment each. */
  readonly #open = new Map<Rollback, number>();

  constructor(options: { readonly clock: Pick<Clock, 'monotonicMicros'>; readonly tell: (fact: Fact) => void }) {
    this.#clock = options.clock;
    this.#tell = options.tell;
  }

  watch(rollback: Rollback): void {
    this.#open.set(rollback, rollback.nodes.size);
    this.#close(rollback);
  }

  /** The desired state of `node` as of record `sequence` was handed to the network. */
  left(node: NodeId, sequence: number): void {
    for (const rollback of [...this.#open.keys()]) {
      if (sequence < rollback.sequence || !rollback.nodes.delete(node)) continue;
      this.#close(rollback);
    }
  }

  /** The session of `node` ended: it is told when it is back. */
  lost(node: NodeId): void {
    for (const rollback of [...this.#open.keys()]) if (rollback.nodes.delete(node)) this.#close(rollback);
  }

  #close(rollback: Rollback): void {
    if (rollback.nodes.size > 0) return;
    const nodes = this.#open.get(rollback) ?? 0;
    this.#open.delete(rollback);
    const { deployment, version, receivedMicros } = rollback;
    this.#tell({ kind: 'rollback.issued', fields: { deployment, version, nodes, micros: this.#clock.monotonicMicros() - receivedMicros } });
  }
}
