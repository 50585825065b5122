// What a node is to run and to hold, derived from the state: nothing here is remembered (architecture §5).
import type { NodeId, Term, TriggerName } from '../domain/identifiers.ts';
import type { ModuleVersion } from '../domain/module.ts';
import { assert } from '../domain/outcome.ts';
import type { Assignment, ControllerMessage, Landmark, ModuleGrant } from '../domain/session.ts';
import { holdsNode } from '../deployments/deployments.ts';
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

export function buildDesired(head: Head, id: NodeId, options: DesiredOptions): Extract<ControllerMessage, { readonly kind: 'desired' }> {
  const { state } = head;
  const node = state.nodes.nodes.get(id);
  assert(node !== undefined, `node ${id} has a session only when it is enrolled`);
  const grants = new Map<string, ModuleGrant>();
  const grant = (version: ModuleVersion | null): boolean => {
    const artefact = version === null ? null : findArtefact(state.modules, version.manifest.digest, node.facts.profile);
    if (version === null || artefact === null) return false;
    const { manifest, signature } = version;
    // Two versions may have the same bytes; the agent is told of each by its own number.
    grants.set(`${manifest.name} ${version.version}`, { version: version.version, manifest, signature, artefact });
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
    if (!grant(version)) continue;
    const newest = state.modules.versions.get(spec.module) ?? [];
    for (const warm of newest.slice(-WARM_VERSIONS_MAX)) grant(warm);
    assert(version !== null, `version ${instance.version} of ${spec.module} is stored`);
    assignments.push({
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
    });
  }
  return {
    kind: 'desired',
    term: options.term,
    revision: options.revision,
    trust: viewTrust(state.modules),
    modules: [...grants.values()],
    assignments,
    landmarks: landmarksOfHead(head),
  };
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
