// Gives pending instances a node, moves work away from nodes that drain and after demand that moves, and says why when nothing fits.
// Runs after every change that may help; synchronous, so that what frees an instance and what places it are in one record (R6.2).
import type { Epoch, InstanceId, NodeId } from '../domain/identifiers.ts';
import type { DeploymentName } from '../domain/identifiers.ts';
import type { PlacementDecision } from '../domain/deployment.ts';
import { assert } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import { holdsNode, instancesOf, type DeploymentRecord, type InstanceRecord } from '../deployments/deployments.ts';
import { findVersion } from '../modules/modules.ts';
import { decide, type PlacementRequest, type PlacementWeights } from '../placement/placement.ts';
import { instanceIdOf } from '../domain/identifiers.ts';
import type { Head } from './head.ts';
import type { Matrix } from './matrix.ts';
import type { Entry } from './state.ts';

/** Bound: decisions in one turn of the event loop; the rest follow in the next. */
export const DECISIONS_PER_TURN_MAX = 256;
/** Bound: instances that may follow demand which one look considers; the next look goes on behind them. */
export const FOLLOWERS_PER_LOOK_MAX = 32;
/** A node must be better by so many of 1,000 points before an instance leaves a healthy node for it: a move interrupts what it serves. */
export const FOLLOW_POINTS_MIN = 50;

export type PlacingOptions = {
  readonly head: Head;
  readonly matrix: Matrix;
  readonly weights: PlacementWeights;
  readonly civilMs: () => number;
  /** It found no node, for another reason than before. */
  readonly refused: (instance: InstanceId, fact: Fact) => void;
  /** More is to be done than one turn may do. */
  readonly onUnfinished: () => void;
};

export class Placing {
  readonly #options: PlacingOptions;
  /** Last refusal of each pending instance. */
  readonly #refused = new Map<InstanceId, PlacementDecision>();
  /** Where an instance must go that is bound to a node which came back. */
  readonly #boundTo = new Map<InstanceId, NodeId>();
  /** The last instance that a look considered. */
  #lookedAt = '';

  constructor(options: PlacingOptions) {
    this.#options = options;
  }

  /** Places on `head` as this one would here, and tells nobody. */
  onTrial(head: Head): Placing {
    const trial = new Placing({ ...this.#options, head, refused: () => {}, onUnfinished: () => {} });
    for (const [instance, node] of this.#boundTo) trial.#boundTo.set(instance, node);
    return trial;
  }

  refusalOf(instance: InstanceId): PlacementDecision | null {
    return this.#refused.get(instance) ?? null;
  }

  /** Until it is placed again, `instance` may go to `node` only. */
  bind(instance: InstanceId, node: NodeId): void {
    this.#boundTo.set(instance, node);
  }

  /** It was stopped: what is known of it is of no use to an instance that has its name later. */
  forget(instance: InstanceId): void {
    this.#boundTo.delete(instance);
    this.#refused.delete(instance);
  }

  run(): void {
    const { head } = this.#options;
    if (!head.placingWanted) return;
    head.placingWanted = false;
    let decisions = 0;
    const hopeless = new Map<DeploymentName, PlacementDecision>();
    // Those that may go to one node only come first: whoever may go anywhere would take their room for good.
    const bound = [...head.pending].filter((id) => this.#boundTo.has(id));
    for (const id of new Set([...bound, ...head.pending])) {
      if (decisions >= DECISIONS_PER_TURN_MAX) return this.#continueLater();
      decisions += this.#placeOne(head.getInstance(id), hopeless);
    }
    for (const node of head.drainingNodes()) {
      for (const instance of head.instancesOn(node)) {
        if (decisions >= DECISIONS_PER_TURN_MAX) return this.#continueLater();
        if (holdsNode(instance)) decisions += this.#moveAway(instance);
      }
    }
    head.placingWanted = false;
  }

  /** R4.1 after the first placement: instances that may, move to a node that has become much better. True when one did. */
  follow(): boolean {
    const { head } = this.#options;
    const { deployments, nodes } = head.state;
    const followers = [...deployments.deployments.values()]
      .filter(({ spec }) => spec.whenNearer === 'move')
      .flatMap(({ spec }) => instancesOf(deployments, spec.name))
      .filter(({ state, node }) => state === 'running' && node !== null && nodes.nodes.get(node)?.status === 'healthy')
      .sort((a, b) => (a.id < b.id ? -1 : 1));
    const next = followers.findIndex(({ id }) => id > this.#lookedAt);
    const turn = [...followers.slice(Math.max(next, 0)), ...followers.slice(0, Math.max(next, 0))].slice(0, FOLLOWERS_PER_LOOK_MAX);
    this.#lookedAt = turn.at(-1)?.id ?? '';
    return turn.filter((instance) => this.#moveNearer(instance)).length > 0;
  }

  #moveNearer(instance: InstanceRecord): boolean {
    const { head, civilMs } = this.#options;
    const deployment = head.state.deployments.deployments.get(instance.deployment);
    if (deployment === undefined || instance.node === null) return false;
    const { node, memoryBytes, cpuMillis } = instance;
    // As if it were not there: its own room is free to it.
    head.fleet.promise(node, -memoryBytes, -cpuMillis);
    const decision = this.#decide(instance, deployment);
    head.fleet.promise(node, memoryBytes, cpuMillis);
    const { chosen, runnersUp } = decision;
    if (chosen === null || chosen.node === node) return false;
    // One that is not among the best is no better than the last of them.
    const present = runnersUp.find((other) => other.node === node) ?? runnersUp.at(-1);
    if (present === undefined || chosen.score - present.score < FOLLOW_POINTS_MIN) return false;
    const cause = `${chosen.node} has become nearer to ${deployment.spec.origin} than ${node}`;
    head.commit([
      { kind: 'instance-unplaced', instance: instance.id, atMs: civilMs(), cause },
      this.#assign(instance, deployment, decision, cause),
    ]);
    return true;
  }

  #continueLater(): void {
    this.#options.head.placingWanted = true;
    this.#options.onUnfinished();
  }

  #placeOne(instance: InstanceRecord, hopeless: Map<DeploymentName, PlacementDecision>): number {
    const deployment = this.#options.head.state.deployments.deployments.get(instance.deployment);
    assert(deployment !== undefined, `pending instance ${instance.id} belongs to a deployment`);
    const boundTo = this.#boundTo.get(instance.id) ?? null;
    // Within one run room only shrinks: what did not fit one replica fits none of its like.
    const before = boundTo === null ? hopeless.get(instance.deployment) : undefined;
    const decision = before === undefined ? this.#decide(instance, deployment) : { ...before, instance: instance.id };
    if (decision.chosen === null) {
      if (boundTo === null) hopeless.set(instance.deployment, decision);
      this.#refuse(instance.id, decision);
    } else {
      this.#options.head.commit([
        this.#assign(instance, deployment, decision, instance.version === 0 ? 'placed' : `placed again: ${instance.cause}`),
      ]);
      this.#refused.delete(instance.id);
      this.#boundTo.delete(instance.id);
    }
    return before === undefined ? 1 : 0;
  }

  #moveAway(instance: InstanceRecord): number {
    const { head, civilMs } = this.#options;
    const deployment = head.state.deployments.deployments.get(instance.deployment);
    if (deployment === undefined || deployment.spec.whenUnreachable === 'stay') return 0;
    const decision = this.#decide(instance, deployment);
    if (decision.chosen !== null) {
      const cause = 'its node is drained';
      head.commit([
        { kind: 'instance-unplaced', instance: instance.id, atMs: civilMs(), cause },
        this.#assign(instance, deployment, decision, cause),
      ]);
    }
    return 1;
  }

  #decide(instance: InstanceRecord, deployment: DeploymentRecord): PlacementDecision {
    const { head, weights } = this.#options;
    const { spec, version } = deployment;
    return decide(
      head.fleet,
      {
        instance: instance.id,
        origin: spec.origin,
        place: head.landmarks().get(spec.origin) ?? { landmark: null, point: null },
        requirements: spec.requirements,
        spread: spec.spread,
        occupied: spec.spread === 0 ? [] : this.#occupied(instance),
        ...this.#profilesOf(deployment, version),
        boundTo: this.#boundTo.get(instance.id) ?? null,
      },
      weights,
    );
  }

  /** R11.2, R11.5: profiles that the version is compiled for, and why it is not for the others. */
  #profilesOf({ spec }: DeploymentRecord, version: number): Pick<PlacementRequest, 'profiles' | 'whyNotCompiled'> {
    const { head, matrix } = this.#options;
    const stored = findVersion(head.state.modules, spec.module, version);
    assert(stored !== null, `version ${version} of ${spec.module} is stored before it is deployed`);
    const profiles = head.profiles();
    const whyNotCompiled = matrix.whyNotCompiled(head.state.modules, stored, profiles);
    return { profiles: new Set(profiles.map(({ profile }) => profile).filter((profile) => !whyNotCompiled.has(profile))), whyNotCompiled };
  }

  /** Where the others are, and where those go that are bound to a node: in their place they could never come back. */
  #occupied(instance: InstanceRecord): readonly NodeId[] {
    const { deployments } = this.#options.head.state;
    const nodes: NodeId[] = [];
    const count = deployments.ordinals.get(instance.deployment) ?? 0;
    for (let ordinal = 0; ordinal < count; ordinal++) {
      const other = deployments.instances.get(instanceIdOf(instance.deployment, ordinal));
      if (other === undefined || other.id === instance.id) continue;
      const node = holdsNode(other) ? other.node : this.#boundTo.get(other.id);
      if (node !== undefined) nodes.push(node);
    }
    return nodes;
  }

  #assign(instance: InstanceRecord, { spec, version }: DeploymentRecord, decision: PlacementDecision, cause: string): Entry {
    const node = decision.chosen === null ? undefined : this.#options.head.state.nodes.nodes.get(decision.chosen.node);
    assert(node !== undefined, 'the chosen node is enrolled');
    return {
      kind: 'instance-assigned',
      instance: instance.id,
      node: node.facts.node,
      nodeIncarnation: node.incarnation,
      epoch: (instance.epoch + 1) as Epoch,
      version,
      memoryBytes: spec.requirements.memoryBytes,
      cpuMillis: spec.requirements.cpuMillis,
      decision,
      atMs: this.#options.civilMs(),
      cause,
    };
  }

  #refuse(instance: InstanceId, decision: PlacementDecision): void {
    const why = describeRefusal(decision);
    const before = this.#refused.get(instance);
    this.#refused.set(instance, decision);
    if (before !== undefined && describeRefusal(before) === why) return;
    this.#options.refused(instance, { kind: 'placement.refused', fields: { instance, why } });
  }
}

export function describeRefusal(decision: PlacementDecision): string {
  if (decision.refused.length === 0) return 'no node is enrolled';
  return decision.refused
    .map(({ reason, nodes, example }) => `${nodes} ${nodes === 1 ? 'node' : 'nodes'} ${reason} (${example})`)
    .join('; ');
}
