// The head state: the fold through everything accepted so far, durable or not, with the indexes derived from it. Entries are
// applied at once; what they make known (facts, fences) is handed to the journal and leaves when the record is durable.
import {
  instanceIdOf,
  type CorrelationId,
  type DeploymentName,
  type Digest,
  type InstanceId,
  type NodeId,
  type ProfileId,
  type ZonePath,
} from '../domain/identifiers.ts';
import { levelOf } from '../domain/isa.ts';
import type { Architecture } from '../domain/node.ts';
import { assert } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import { holdsNode, type InstanceEntry, type InstanceRecord } from '../deployments/deployments.ts';
import type { Journal } from '../journal/journal.ts';
import type { NodeRecord } from '../nodes/nodes.ts';
import { Fleet, landmarksOf, type OriginPlace } from '../placement/placement.ts';
import type { CompileProfile } from '../ports/wasm.ts';
import { applyEntry, factsOfEntry, type ControllerState, type Entry } from './state.ts';

/** A profile that nodes have, with the level that they report. */
export type FleetProfile = CompileProfile & { readonly architecture: Architecture };

export type HeadOptions = {
  readonly journal: Pick<Journal<Entry>, 'append' | 'whenDurable'>;
  readonly tell: (facts: readonly Fact[], correlation: CorrelationId | null, sequence: number) => void;
  /** The record with this epoch of an instance is durable: what came before it must have no effect from here on. */
  readonly raiseFence: (placement: Pick<InstanceRecord, 'id' | 'epoch' | 'node'>) => void;
};

/** Told of each entry, before and after it changed the state; what it makes known it holds back until the record is durable. */
export type HeadObserver = {
  changing(entry: Entry): void;
  changed(entry: Entry): void;
};

export class Head {
  readonly state: ControllerState;
  observer: HeadObserver | null = null;
  readonly fleet = new Fleet();
  readonly #options: HeadOptions;
  readonly #byNode = new Map<NodeId, Set<InstanceId>>();
  /** How many nodes have each profile. */
  readonly #profiles = new Map<ProfileId, { readonly profile: FleetProfile; nodes: number }>();
  readonly #profileOf = new Map<NodeId, ProfileId>();
  #profilesSorted: readonly FleetProfile[] | null = null;
  /** Nodes that drain and may be in touch. */
  readonly #draining = new Set<NodeId>();
  readonly pending = new Set<InstanceId>();
  readonly artefacts = new Set<Digest>();
  /** Nodes whose desired state may have changed since it was last built. */
  readonly dirty = new Set<NodeId>();
  /** Of these, nodes that are to be told even what they were told before. */
  readonly retell = new Set<NodeId>();
  /** Nodes to which more is withdrawn than one message names: what that names and the node has not let go of. */
  readonly toLetGo = new Map<NodeId, Set<InstanceId>>();
  /** Something happened that may let a pending instance be placed. */
  placingWanted = false;
  #landmarks: ReadonlyMap<ZonePath, OriginPlace> | null = null;
  entriesSinceSnapshot = 0;

  constructor(state: ControllerState, options: HeadOptions) {
    this.state = state;
    this.#options = options;
    for (const node of state.nodes.nodes.values()) this.#take(node);
    for (const artefact of state.modules.artefacts.values()) this.artefacts.add(artefact.statement.artefact);
    for (const instance of state.deployments.instances.values()) this.#index(instance);
    this.placingWanted = true;
  }

  /** Applies entries in order; all that are given at once are in one record unless they exceed its bound. */
  commit(entries: readonly Entry[], correlation: CorrelationId | null = null): void {
    for (const entry of entries) this.#commitOne(entry, correlation);
  }

  instancesOn(node: NodeId): readonly InstanceRecord[] {
    return [...(this.#byNode.get(node) ?? [])].sort().map((id) => this.getInstance(id));
  }

  getInstance(id: InstanceId): InstanceRecord {
    const instance = this.state.deployments.instances.get(id);
    assert(instance !== undefined, `instance ${id} exists`);
    return instance;
  }

  /** One place for each origin of demand in use. */
  landmarks(): ReadonlyMap<ZonePath, OriginPlace> {
    if (this.#landmarks === null) {
      const origins = new Set<ZonePath>();
      for (const { spec } of this.state.deployments.deployments.values()) origins.add(spec.origin);
      this.#landmarks = landmarksOf(this.state.nodes.nodes.values(), [...origins].sort());
    }
    return this.#landmarks;
  }

  /** What its nodes run code of. Bound: the nodes, and in practice the levels there are. */
  profiles(): readonly FleetProfile[] {
    return (this.#profilesSorted ??= [...this.#profiles.values()]
      .map(({ profile }) => profile)
      .sort((a, b) => (a.profile < b.profile ? -1 : 1)));
  }

  /** In the order in which they were enrolled. */
  drainingNodes(): readonly NodeId[] {
    return [...this.#draining].sort((a, b) => this.fleet.rowOf(a) - this.fleet.rowOf(b));
  }

  #commitOne(entry: Entry, correlation: CorrelationId | null): void {
    const sequence = this.#options.journal.append(entry);
    const facts = factsOfEntry(this.state, entry, sequence);
    this.observer?.changing(entry);
    this.#before(entry);
    applyEntry(this.state, entry, sequence);
    this.#after(entry);
    this.observer?.changed(entry);
    this.entriesSinceSnapshot += 1;
    if (entry.kind === 'instance-assigned' || (entry.kind === 'instance-told' && entry.epoch !== undefined)) {
      const placement = this.getInstance(entry.instance);
      this.#options.journal.whenDurable(() => this.#options.raiseFence(placement));
    }
    if (facts.length > 0) this.#options.journal.whenDurable(() => this.#options.tell(facts, correlation, sequence));
  }

  #before(entry: Entry): void {
    if (entry.kind === 'trigger-applied' || entry.kind === 'trigger-deleted') {
      const served = this.state.events.triggers.get(entry.kind === 'trigger-applied' ? entry.spec.name : entry.trigger);
      if (served !== undefined) this.markDeployment(served.deployment);
    }
    if (!('instance' in entry)) return;
    const instance = this.state.deployments.instances.get(entry.instance);
    if (instance === undefined) return;
    this.#unindex(instance);
    if (instance.node !== null && this.#changesWhatIsTold(entry.kind, instance.node, instance.id)) this.dirty.add(instance.node);
  }

  /** What a node reports of itself changes nothing of what it is told, unless it lets go of the last that it was told to. */
  #changesWhatIsTold(kind: Entry['kind'], node: NodeId, instance: InstanceId): boolean {
    if (kind === 'instance-released') return this.#isLastLetGo(node, instance);
    return kind !== 'instance-running';
  }

  #isLastLetGo(node: NodeId, instance: InstanceId): boolean {
    const named = this.toLetGo.get(node);
    return named !== undefined && named.delete(instance) && named.size === 0;
  }

  #after(entry: Entry): void {
    switch (entry.kind) {
      case 'node-enrolled':
      case 'node-facts':
        this.#updateNode(entry.facts.node);
        return;
      case 'node-status':
      case 'node-draining':
      case 'node-undrained':
        this.#updateNode(entry.node);
        return;
      case 'node-removed':
        return this.#forget(entry.node);
      case 'module-trust':
        for (const node of this.state.nodes.nodes.keys()) this.dirty.add(node);
        return;
      case 'module-artefact': {
        const { artefact, profile } = entry.artefact.statement;
        this.artefacts.add(artefact);
        for (const { facts } of this.state.nodes.nodes.values()) if (facts.profile === profile) this.dirty.add(facts.node);
        this.placingWanted = true;
        return;
      }
      case 'deployment-applied':
        this.#landmarks = null;
        this.placingWanted = true;
        this.markDeployment(entry.spec.name);
        return;
      case 'deployment-rolled-back':
        this.markDeployment(entry.deployment);
        return;
      case 'deployment-deleted':
        this.#landmarks = null;
        return;
      case 'trigger-applied':
        this.markDeployment(entry.spec.deployment);
        return;
      case 'trigger-deleted':
      case 'module-stored':
      case 'leader-term':
      case 'request-answered':
      case 'snapshot-taken':
        return;
      default:
        this.#afterInstance(entry);
    }
  }

  #afterInstance(entry: InstanceEntry): void {
    const instance = this.getInstance(entry.instance);
    this.#index(instance);
    if (entry.kind === 'instance-assigned') this.dirty.add(entry.node);
    if (entry.kind === 'instance-told' && instance.node !== null) this.retell.add(instance.node);
    if (entry.kind !== 'instance-running' && entry.kind !== 'instance-assigned') this.placingWanted = true;
  }

  #updateNode(id: NodeId): void {
    const node = this.state.nodes.nodes.get(id);
    assert(node !== undefined, `node ${id} exists after its entry`);
    this.#take(node);
    this.#landmarks = null;
    this.placingWanted = true;
    this.dirty.add(id);
  }

  /** Its instances have left it. */
  #forget(id: NodeId): void {
    assert((this.#byNode.get(id)?.size ?? 0) === 0, `nothing is on node ${id} when it is removed`);
    this.fleet.remove(id);
    this.#byNode.delete(id);
    this.#draining.delete(id);
    this.#leaveProfile(id);
    this.dirty.delete(id);
    this.retell.delete(id);
    this.toLetGo.delete(id);
    this.#landmarks = null;
    this.placingWanted = true;
  }

  #leaveProfile(id: NodeId): void {
    const before = this.#profileOf.get(id);
    const left = before === undefined ? undefined : this.#profiles.get(before);
    if (before === undefined || left === undefined) return;
    this.#profileOf.delete(id);
    this.#profilesSorted = null;
    if (--left.nodes === 0) this.#profiles.delete(before);
  }

  /** The indexes of what a node is. */
  #take(node: NodeRecord): void {
    this.fleet.update(node);
    const { node: id, profile, target, architecture, isaFeatures } = node.facts;
    if (node.draining && node.status !== 'unavailable') this.#draining.add(id);
    else this.#draining.delete(id);
    if (this.#profileOf.get(id) === profile) return;
    this.#leaveProfile(id);
    this.#profilesSorted = null;
    this.#profileOf.set(id, profile);
    const joined = this.#profiles.get(profile);
    if (joined !== undefined) joined.nodes += 1;
    else
      this.#profiles.set(profile, { profile: { profile, target, architecture, level: levelOf(architecture, isaFeatures).name }, nodes: 1 });
  }

  markDeployment(name: DeploymentName): void {
    const count = this.state.deployments.ordinals.get(name) ?? 0;
    for (let ordinal = 0; ordinal < count; ordinal++) {
      const node = this.state.deployments.instances.get(instanceIdOf(name, ordinal))?.node ?? null;
      if (node !== null) this.dirty.add(node);
    }
  }

  #index(instance: InstanceRecord): void {
    if (instance.state === 'pending') this.pending.add(instance.id);
    if (instance.node === null) return;
    let there = this.#byNode.get(instance.node);
    if (there === undefined) this.#byNode.set(instance.node, (there = new Set()));
    there.add(instance.id);
    if (holdsNode(instance)) this.fleet.promise(instance.node, instance.memoryBytes, instance.cpuMillis);
  }

  #unindex(instance: InstanceRecord): void {
    this.pending.delete(instance.id);
    if (instance.node === null) return;
    this.#byNode.get(instance.node)?.delete(instance.id);
    if (holdsNode(instance)) this.fleet.promise(instance.node, -instance.memoryBytes, -instance.cpuMillis);
  }
}
