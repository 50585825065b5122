// What is worth telling of an entry once it is durable, seen from the state before it.
import { pointsOf } from '../domain/deployment.ts';
import { assert } from '../domain/outcome.ts';
import type { Fact } from '../domain/telemetry.ts';
import { change, targetOf, type DeploymentEntry, type DeploymentsState, type InstanceEntry } from './state.ts';

export function factsOfDeploymentEntry(state: DeploymentsState, entry: DeploymentEntry): readonly Fact[] {
  switch (entry.kind) {
    case 'deployment-applied': {
      const { name, module, replicas } = entry.spec;
      return [
        { kind: 'deployment.applied', fields: { deployment: name, module, version: entry.version, replicas, revision: entry.revision } },
      ];
    }
    case 'deployment-rolled-back': {
      const from = state.deployments.get(entry.deployment)?.version ?? 0;
      return [{ kind: 'rollback.accepted', fields: { deployment: entry.deployment, from, to: entry.version } }];
    }
    case 'deployment-deleted':
      return [{ kind: 'deployment.deleted', fields: { deployment: entry.deployment } }];
  }
}

export function factsOfInstanceEntry(state: DeploymentsState, entry: InstanceEntry): readonly Fact[] {
  const before = state.instances.get(entry.instance);
  if (before === undefined) return [];
  const to = targetOf(before.state, entry);
  if (to === null) return [];
  const after = change(before, entry);
  const moved: Fact = {
    kind: 'instance.state',
    fields: {
      instance: before.id,
      deployment: before.deployment,
      from: before.state,
      to,
      node: after.node,
      epoch: after.epoch,
      version: after.version,
      cause: entry.cause,
    },
  };
  if (entry.kind !== 'instance-assigned') return [moved];
  const { chosen, runnersUp, feasible } = entry.decision;
  assert(chosen !== null, 'an instance is assigned to the node that was chosen');
  const proximity = chosen.factors.find((factor) => factor.name === 'proximity');
  return [
    {
      kind: 'placement.decided',
      fields: {
        instance: before.id,
        node: entry.node,
        score: chosen.score,
        proximityMicros: proximity === undefined ? null : microsOf(proximity.why),
        otherPoints: pointsOf(chosen, (name) => name !== 'proximity'),
        feasible,
        why: chosen.factors.map((factor) => `${factor.name} ${Math.round(factor.points)} x${factor.weight}: ${factor.why}`).join('; '),
        runnersUp: runnersUp.map((other) => `${other.node}=${other.score}`).join(' '),
      },
    },
    moved,
  ];
}

/** The round trip that a proximity factor names first: `12000 us measured to …`; null when it names none. */
function microsOf(why: string): number | null {
  const match = /^(\d+) us /.exec(why);
  return match?.[1] === undefined ? null : Number(match[1]);
}
