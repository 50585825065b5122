// What a node is to run and to hold, derived from the state: nothing here is remembered (architecture §5).
import { describeCapability } from '../domain/capability.ts';
import type { NodeId, Term, TriggerName } from '../domain/identifiers.ts';
import type { ModuleVersion, TrustedKey } from '../domain/module.ts';
import { assert } from '../domain/outcome.ts';
import type { Assignment, ControllerMessage, Landmark, ModuleGrant, Withdrawn } from '../domain/session.ts';
import { holdsNode, type InstanceRecord } from '../deployments/deployments.ts';
import { bindingOf, triggersOf } from '../events/events.ts';
import { findArtefact, findVersion, grantsOf, viewTrust } from '../modules/modules.ts';
import type { Head } from './head.ts';

/** Bound: newest versions of a deployed module that its nodes keep compiled for a rollback, beside the one that runs (R2.2). */
export const WARM_VERSIONS_MAX = 4;

export type DesiredOptions = {
  readonly term: Term;
  readonly revision: number;
  /** Triggers whose consumer exists at the broker. */
  readonly ready: ReadonlySet<TriggerName>;
};

/**
 * Bound: what a node is told at a time, as counted here: all text by its letters, the rest by the most that it takes on the wire.
 * A quarter below MESSAGE_BYTES_MAX, so that a node which holds more than can be told never loses its session over it.
 */
export const DESIRED_BYTES_MAX = 3 * 1024 * 1024;

/**
 * Bound: withdrawn instances that one message names, in the quarter that DESIRED_BYTES_MAX leaves; the rest is named when the node has
 * let go of all of these.
 */
export const WITHDRAWN_MAX = 1_024;

type Desired = Extract<ControllerMessage, { readonly kind: 'desired' }>;

export type Built = {
  readonly message: Desired;
  /** Instances that the message has no room for, although they are placed on this node. */
  readonly leftOut: readonly InstanceRecord[];
  /** More is withdrawn than the message names. */
  readonly isMoreWithdrawn: boolean;
};

/** What is kept warm goes before anything is left out. */
export function buildDesired(head: Head, id: NodeId, options: DesiredOptions): Built {
  const built = build(head, id, options, WARM_VERSIONS_MAX);
  return built.leftOut.length === 0 ? built : build(head, id, options, 0);
}

function build(head: Head, id: NodeId, options: DesiredOptions, warmVersionsMax: number): Built {
  const { state } = head;
  const node = state.nodes.nodes.get(id);
  assert(node !== undefined, `node ${id} has a session only when it is enrolled`);
  const trust = viewTrust(state.modules);
  const landmarks = landmarksOfHead(head);
  let bytes = sum(trust, sizeOfKey) + sum(landmarks, sizeOfLandmark);
  const leftOut: InstanceRecord[] = [];
  const grants = new Map<string, ModuleGrant>();
  const grant = (version: ModuleVersion | null): boolean => {
    const artefact = version === null ? null : findArtefact(state.modules, version.manifest.digest, node.facts.profile);
    if (version === null || artefact === null) return false;
    const { manifest, signature } = version;
    // Two versions may have the same bytes; the agent is told of each by its own number.
    const key = `${manifest.name} ${version.version}`;
    if (grants.has(key)) return true;
    const granted = { version: version.version, manifest, signature, artefact };
    bytes += sizeOfGrant(granted);
    grants.set(key, granted);
    return true;
  };
  const assignments: Assignment[] = [];
  for (const instance of head.instancesOn(id)) {
    if (!holdsNode(instance) || instance.nodeIncarnation !== node.incarnation) continue;
    const deployment = state.deployments.deployments.get(instance.deployment);
    assert(deployment !== undefined, `instance ${instance.id} belongs to a deployment`);
    const { spec } = deployment;
    const version = findVersion(state.modules, spec.module, instance.version);
    // R11.3: nothing is assigned before it is compiled for this node; the artefact makes the node dirty again.
    if (bytes > DESIRED_BYTES_MAX) {
      leftOut.push(instance);
      continue;
    }
    if (!grant(version)) continue;
    assert(version !== null, `version ${instance.version} of ${spec.module} is stored`);
    const assignment: Assignment = {
      instance: instance.id,
      epoch: instance.epoch,
      deployment: instance.deployment,
      module: spec.module,
      version: instance.version,
      grants: grantsOf(state.modules, version),
      concurrency: spec.concurrency,
      triggers: triggersOf(state.events, instance.deployment)
        .filter((trigger) => options.ready.has(trigger.name))
        .map(bindingOf),
      movable: spec.whenUnreachable === 'move',
    };
    bytes += sizeOfAssignment(assignment);
    if (bytes > DESIRED_BYTES_MAX) {
      leftOut.push(instance);
      continue;
    }
    assignments.push(assignment);
    const newest = state.modules.versions.get(spec.module) ?? [];
    for (const warm of warmVersionsMax === 0 ? [] : newest.slice(-warmVersionsMax)) grant(warm);
  }
  const gone = head.instancesOn(id).filter(({ state: its, nodeIncarnation }) => its === 'stopped' && nodeIncarnation === node.incarnation);
  const withdrawn = gone.slice(0, WITHDRAWN_MAX).map(({ id: instance, epoch, version }): Withdrawn => ({ instance, epoch, version }));
  const { term, revision } = options;
  const modules = [...grants.values()];
  return {
    message: { kind: 'desired', term, revision, trust, modules, assignments, landmarks, withdrawn },
    leftOut,
    isMoreWithdrawn: gone.length > withdrawn.length,
  };
}

/** What is around the text of one of these on the wire, at most: tags, lengths, numbers, digests, keys and signatures. */
const FRAME_BYTES = 512;
const KEY_BYTES = 192;
const TEXT_BYTES = 8;

function sum<T>(items: readonly T[], sizeOf: (item: T) => number): number {
  return items.reduce((bytes, item) => bytes + sizeOf(item), 0);
}

/** Three bytes for each letter where it may be any. */
function sizeOfText(text: string): number {
  return TEXT_BYTES + 3 * text.length;
}

function sizeOfKey({ mayGrant }: TrustedKey): number {
  return KEY_BYTES + sum(mayGrant, sizeOfText);
}

function sizeOfLandmark({ node, endpoint }: Landmark): number {
  return TEXT_BYTES + node.length + sizeOfText(endpoint);
}

function sizeOfGrant({ manifest, artefact: { statement } }: ModuleGrant): number {
  return 2 * FRAME_BYTES + sizeOfText(statement.target) + sum(manifest.capabilities, sizeOfText);
}

/** Names and subjects are ASCII. */
function sizeOfAssignment({ grants, triggers }: Assignment): number {
  const bindings = sum(
    triggers,
    ({ trigger, consumer, result }) => 4 * TEXT_BYTES + trigger.length + consumer.length + (result?.length ?? 0),
  );
  return FRAME_BYTES + sum(grants, (grant) => sizeOfText(describeCapability(grant))) + bindings;
}

/** Landmarks that nodes measure their distance to, each once. */
export function landmarksOfHead(head: Head): readonly Landmark[] {
  const ids = new Set<NodeId>();
  for (const { landmark } of head.landmarks().values()) if (landmark !== null) ids.add(landmark);
  return [...ids].sort().map((node) => {
    const record = head.state.nodes.nodes.get(node);
    assert(record !== undefined, `landmark ${node} is enrolled`);
    return { node, endpoint: record.facts.endpoint };
  });
}
