// Gives pending instances a node, moves work away from nodes that drain and after demand that moves, and says why when nothing fits.
// Runs after every change that may help; synchronous, so that what frees an instance and what places it are in one record (R6.2).
import type { InstanceId, NodeId } from '../domain/identifiers.ts';
import type { DeploymentName } from '../domain/identifiers.ts';
import { pointsOf, type PlacementCandidate, type PlacementDecision } from '../domain/deployment.ts';
import { assert } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import type { Clock } from '../ports/clock.ts';
import { holdsNode, instancesOf, type DeploymentRecord, type InstanceRecord } from '../deployments/deployments.ts';
import { findVersion } from '../modules/modules.ts';
import { decide, type PlacementRequest, type PlacementWeights } from '../placement/placement.ts';
import { instanceIdOf } from '../domain/identifiers.ts';
import { nextEpoch } from './epochs.ts';
import { Failures } from './failures.ts';
import type { Head } from './head.ts';
import type { Matrix } from './matrix.ts';
import type { Entry } from './state.ts';

/** Bound: decisions that making room for one instance takes. */
const ROOM_DECISIONS_MAX = 8;
/** Bound: decisions in one turn of the event loop; the rest follow in the next. */
export const DECISIONS_PER_TURN_MAX = 256;
/** Bound: instances that may follow demand which one look considers; the next look goes on behind them. */
export const FOLLOWERS_PER_LOOK_MAX = 32;
/**
 * A node must be better by so many of 1,000 points, and by so many for its distance alone, before an instance leaves a healthy node for it:
 * a move interrupts what it serves, and what comes and goes on other nodes must not send it to and fro.
 */
export const FOLLOW_POINTS_MIN = 50;

export type PlacingOptions = {
  readonly head: Head;
  readonly matrix: Matrix;
  readonly weights: PlacementWeights;
  readonly clock: Pick<Clock, 'civilMs' | 'monotonicMicros'>;
  /** It found no node, for another reason than before. */
  readonly refused: (instance: InstanceId, fact: Fact) => void;
  /** More is to be done than one turn may do. */
  readonly onUnfinished: () => void;
};

/** What the turns of one pass have settled. Bound: the instances there are. */
type Pass = {
  readonly settled: Set<InstanceId>;
  /** Refusal of one instance, for others of its deployment. */
  readonly hopeless: Map<DeploymentName, PlacementDecision>;
};

export class Placing {
  readonly #options: PlacingOptions;
  /** Last refusal of each pending instance. */
  readonly #refused = new Map<InstanceId, PlacementDecision>();
  #pass: Pass | null = null;
  /** Something changed while a pass was under way. */
  #isAnotherWanted = false;
  readonly #failures: Failures;
  /** The last instance that a look considered. */
  #lookedAt = '';

  constructor(options: PlacingOptions, failures = new Failures()) {
    this.#options = options;
    this.#failures = failures;
  }

  /** Places on `head` as this one would here, and tells nobody. */
  onTrial(head: Head): Placing {
    return new Placing({ ...this.#options, head, refused: () => {}, onUnfinished: () => {} }, this.#failures);
  }

  refusalOf(instance: InstanceId): PlacementDecision | null {
    return this.#refused.get(instance) ?? null;
  }

  /** It was stopped: what is known of it is of no use to an instance that has its name later. */
  forget(instance: InstanceId): void {
    this.#refused.delete(instance);
    this.#failures.forget(instance);
  }

  /** It failed on its node. */
  failed({ id, version, node }: InstanceRecord): void {
    if (node !== null) this.#failures.failed(id, version, node, this.#options.clock.monotonicMicros());
  }

  /** There is more to decide than one turn may: the next `run` goes on. */
  get isUnfinished(): boolean {
    return this.#pass !== null;
  }

  /** One turn of a pass over everything that waits. What an earlier turn has settled is left alone: who is refused would be asked for ever. */
  run(): void {
    const { head } = this.#options;
    if (head.placingWanted) {
      this.#isAnotherWanted ||= this.#pass !== null;
      this.#pass ??= { settled: new Set(), hopeless: new Map() };
    }
    if (this.#pass === null) return;
    const isDone = this.#turn(this.#pass);
    // What this turn itself has changed asks for nothing.
    head.placingWanted = false;
    if (isDone) this.#pass = this.#isAnotherWanted ? { settled: new Set(), hopeless: new Map() } : null;
    if (isDone) this.#isAnotherWanted = false;
    if (this.#pass !== null) this.#options.onUnfinished();
  }

  /** False when there is more than a turn may do. */
  #turn({ settled, hopeless }: Pass): boolean {
    const { head } = this.#options;
    let decisions = 0;
    // Those that may go to one node only come first: whoever may go anywhere would take their room for good.
    const bound = [...head.pending].filter((id) => this.#nodeOf(head.getInstance(id)) !== null);
    for (const id of new Set([...bound, ...head.pending])) {
      if (settled.has(id)) continue;
      if (decisions >= DECISIONS_PER_TURN_MAX) return false;
      decisions += this.#placeOne(head.getInstance(id), hopeless);
      settled.add(id);
    }
    for (const node of head.drainingNodes()) {
      for (const instance of head.instancesOn(node)) {
        if (!holdsNode(instance) || settled.has(instance.id)) continue;
        if (decisions >= DECISIONS_PER_TURN_MAX) return false;
        if (this.#mayMove(instance)) decisions += 1;
        this.#move(instance, 'its node is drained');
        settled.add(instance.id);
      }
    }
    return true;
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
    const { head, clock } = this.#options;
    const deployment = head.state.deployments.deployments.get(instance.deployment);
    if (deployment === undefined || instance.node === null) return false;
    const { node, memoryBytes, cpuMillis } = instance;
    // As if it were not there: its own room is free to it.
    head.fleet.promise(node, -memoryBytes, -cpuMillis);
    const decision = this.#decide(instance, deployment);
    const present = this.#decide(instance, deployment, { boundTo: node }).chosen;
    head.fleet.promise(node, memoryBytes, cpuMillis);
    const { chosen } = decision;
    // Where its own node would not do for it any more, there is no score to beat, and a move for its own sake is none of this.
    if (chosen === null || present === null || chosen.score - present.score < FOLLOW_POINTS_MIN) return false;
    if (pointsOfProximity(chosen) - pointsOfProximity(present) < FOLLOW_POINTS_MIN) return false;
    const cause = `${chosen.node} has become nearer to ${deployment.spec.origin} than ${node}`;
    head.commit([
      { kind: 'instance-unplaced', instance: instance.id, atMs: clock.civilMs(), cause },
      this.#assign(instance, deployment, decision, cause),
    ]);
    return true;
  }

  #placeOne(instance: InstanceRecord, hopeless: Map<DeploymentName, PlacementDecision>): number {
    const deployment = this.#options.head.state.deployments.deployments.get(instance.deployment);
    assert(deployment !== undefined, `pending instance ${instance.id} belongs to a deployment`);
    const boundTo = this.#nodeOf(instance);
    // Within one run room only shrinks: what did not fit one replica fits none of its like.
    const before = boundTo === null ? hopeless.get(instance.deployment) : undefined;
    let decisions = before === undefined ? 1 : 0;
    let decision = before === undefined ? this.#decide(instance, deployment) : { ...before, instance: instance.id };
    if (decision.chosen === null && before === undefined) {
      const made = this.#makeRoom(instance, deployment);
      decisions += made.decisions;
      if (made.isMade) decision = this.#decide(instance, deployment);
    }
    if (decision.chosen === null) {
      if (boundTo === null) hopeless.set(instance.deployment, decision);
      this.#refuse(instance.id, decision);
    } else {
      this.#options.head.commit([
        this.#assign(instance, deployment, decision, instance.version === 0 ? 'placed' : `placed again: ${instance.cause}`),
      ]);
      this.#refused.delete(instance.id);
    }
    return decisions;
  }

  /** Moves one instance that may move, and has another place to go to, off a node that would do but for the room that it takes. */
  #makeRoom(instance: InstanceRecord, deployment: DeploymentRecord): { readonly isMade: boolean; readonly decisions: number } {
    const { head } = this.#options;
    const { requirements } = deployment.spec;
    const empty = this.#decide(instance, deployment, { requirements: { ...requirements, memoryBytes: 0, cpuMillis: 0 } });
    let decisions = 1;
    for (const candidate of [empty.chosen, ...empty.runnersUp]) {
      if (candidate === null) continue;
      const lacking = head.fleet.lackingOn(candidate.node, requirements);
      // One of a deployment speaks for its like: they need the same.
      const asked = new Set<DeploymentName>();
      for (const other of head.instancesOn(candidate.node)) {
        if (!holdsNode(other) || asked.has(other.deployment)) continue;
        if (other.memoryBytes < lacking.memoryBytes || other.cpuMillis < lacking.cpuMillis) continue;
        asked.add(other.deployment);
        if (decisions === ROOM_DECISIONS_MAX) return { isMade: false, decisions };
        decisions += 1;
        if (this.#move(other, `it makes room for ${instance.id}`)) return { isMade: true, decisions };
      }
    }
    return { isMade: false, decisions };
  }

  #mayMove(instance: InstanceRecord): boolean {
    const { deployments } = this.#options.head.state.deployments;
    return (deployments.get(instance.deployment)?.spec.whenUnreachable ?? 'stay') !== 'stay';
  }

  /** To another node, when it may move and there is room for it. */
  #move(instance: InstanceRecord & { readonly node: NodeId }, cause: string): boolean {
    const { head, clock } = this.#options;
    const deployment = head.state.deployments.deployments.get(instance.deployment);
    if (deployment === undefined || !this.#mayMove(instance)) return false;
    const decision = this.#decide(instance, deployment, { leaves: instance.node });
    if (decision.chosen === null) return false;
    head.commit([
      { kind: 'instance-unplaced', instance: instance.id, atMs: clock.civilMs(), cause },
      this.#assign(instance, deployment, decision, cause),
    ]);
    return true;
  }

  #decide(
    instance: InstanceRecord,
    deployment: DeploymentRecord,
    changed: Partial<Pick<PlacementRequest, 'requirements' | 'leaves' | 'boundTo'>> = {},
  ): PlacementDecision {
    const { head, weights, clock } = this.#options;
    const { spec, version } = deployment;
    const avoids = this.#failures.avoided(instance.id, version, clock.monotonicMicros());
    const request: PlacementRequest = {
      instance: instance.id,
      origin: spec.origin,
      place: head.landmarks().get(spec.origin) ?? { landmark: null, point: null },
      requirements: spec.requirements,
      spread: spec.spread,
      occupied: spec.spread === 0 ? [] : this.#occupied(instance),
      ...this.#profilesOf(deployment, version),
      boundTo: this.#nodeOf(instance),
      leaves: null,
      avoids,
      ...changed,
    };
    const decision = decide(head.fleet, request, weights);
    // A node where it failed is better than none.
    return decision.chosen !== null || avoids.length === 0 ? decision : decide(head.fleet, { ...request, avoids: [] }, weights);
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
      const node = holdsNode(other) ? other.node : this.#nodeOf(other);
      if (node !== null) nodes.push(node);
    }
    return nodes;
  }

  /** The one node that a pending instance may go to, as long as its deployment stays with its nodes; null: any. */
  #nodeOf(instance: InstanceRecord): NodeId | null {
    const { deployments } = this.#options.head.state.deployments;
    const stays = deployments.get(instance.deployment)?.spec.whenUnreachable === 'stay';
    return (stays ? instance.boundTo : undefined) ?? null;
  }

  #assign(instance: InstanceRecord, { spec, version }: DeploymentRecord, decision: PlacementDecision, cause: string): Entry {
    const node = decision.chosen === null ? undefined : this.#options.head.state.nodes.nodes.get(decision.chosen.node);
    assert(node !== undefined, 'the chosen node is enrolled');
    return {
      kind: 'instance-assigned',
      instance: instance.id,
      node: node.facts.node,
      nodeIncarnation: node.incarnation,
      epoch: nextEpoch(this.#options.head.state, instance),
      version,
      memoryBytes: spec.requirements.memoryBytes,
      cpuMillis: spec.requirements.cpuMillis,
      decision,
      atMs: this.#options.clock.civilMs(),
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

function pointsOfProximity(candidate: PlacementCandidate): number {
  return pointsOf(candidate, (name) => name === 'proximity');
}

export function describeRefusal(decision: PlacementDecision): string {
  if (decision.refused.length === 0) return 'no node is enrolled';
  return decision.refused
    .map(({ reason, nodes, example }) => `${nodes} ${nodes === 1 ? 'node' : 'nodes'} ${reason} (${example})`)
    .join('; ');
}
