// Answers to operators' questions, from the head state. Pure.
import type { PlacementDecision } from '../domain/deployment.ts';
import type { InstanceId } from '../domain/identifiers.ts';
import type { DeploymentView, OperatorAnswer, OperatorQuery } from '../domain/operator.ts';
import { instancesOf, viewInstances, type DeploymentRecord } from '../deployments/deployments.ts';
import { triggersOf } from '../events/events.ts';
import { viewModules, viewTrust } from '../modules/modules.ts';
import { viewNodes } from '../nodes/nodes.ts';
import type { ControllerState } from './state.ts';

type RefusalOf = (instance: InstanceId) => PlacementDecision | null;

export function answerQuery(state: ControllerState, query: OperatorQuery, refusalOf: RefusalOf): OperatorAnswer {
  const { term } = state;
  switch (query.kind) {
    case 'nodes':
      return { kind: 'nodes', term, nodes: viewNodes(state.nodes) };
    case 'modules':
      return { kind: 'modules', term, modules: viewModules(state.modules) };
    case 'deployments': {
      const sorted = [...state.deployments.deployments.values()].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
      return { kind: 'deployments', term, deployments: sorted.map((deployment) => viewDeployment(state, deployment, refusalOf)) };
    }
    case 'instances':
      return { kind: 'instances', term, instances: viewInstances(state.deployments) };
    case 'trust':
      return { kind: 'trust', term, keys: viewTrust(state.modules) };
  }
}

function viewDeployment(state: ControllerState, { spec, version, revision }: DeploymentRecord, refusalOf: RefusalOf): DeploymentView {
  const decisions = instancesOf(state.deployments, spec.name)
    .filter((instance) => instance.state !== 'stopped')
    .map((instance) => refusalOf(instance.id) ?? instance.decision)
    .filter((decision) => decision !== null);
  return { spec, revision, version, triggers: triggersOf(state.events, spec.name), decisions };
}
