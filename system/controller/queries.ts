// Answers to operators' questions, from the head state. Pure.
import type { DeploymentView, PlacementDecision } from '../domain/deployment.ts';
import type { InstanceId } from '../domain/identifiers.ts';
import type { MatrixCell } from '../domain/matrix.ts';
import type { OperatorAnswer, OperatorQuery } from '../domain/operator.ts';
import type { EventView } from '../domain/watch.ts';
import { instancesOf, viewInstances, type DeploymentRecord } from '../deployments/deployments.ts';
import { triggersOf } from '../events/events.ts';
import { viewModules, viewTrust } from '../modules/modules.ts';
import { viewNodes, type LoadOf } from '../nodes/nodes.ts';
import type { ControllerState } from './state.ts';

/** Bound: decisions that one view of a deployment shows. */
const DECISIONS_SHOWN_MAX = 256;

/** What queries read beside the state: it lives in memory only. */
export type Inventory = {
  readonly state: ControllerState;
  readonly loadOf: LoadOf;
  readonly refusalOf: (instance: InstanceId) => PlacementDecision | null;
  readonly events: () => readonly EventView[];
  readonly matrix: () => readonly MatrixCell[];
};

/** A question about what is; what would be is planned. */
export type StateQuery = Exclude<OperatorQuery, { readonly kind: 'plan' }>;

export function answerQuery({ state, loadOf, refusalOf, events, matrix }: Inventory, query: StateQuery): OperatorAnswer {
  const { term } = state;
  switch (query.kind) {
    case 'nodes':
      return { kind: 'nodes', term, nodes: viewNodes(state.nodes, loadOf) };
    case 'modules':
      return { kind: 'modules', term, modules: viewModules(state.modules) };
    case 'deployments':
      return { kind: 'deployments', term, deployments: viewDeployments(state, refusalOf) };
    case 'instances':
      return { kind: 'instances', term, instances: viewInstances(state.deployments) };
    case 'trust':
      return { kind: 'trust', term, keys: viewTrust(state.modules) };
    case 'events':
      return { kind: 'events', term, events: events() };
    case 'matrix':
      return { kind: 'matrix', term, cells: matrix() };
  }
}

function viewDeployments(state: ControllerState, refusalOf: Inventory['refusalOf']): readonly DeploymentView[] {
  const sorted = [...state.deployments.deployments.values()].sort((a, b) => (a.spec.name < b.spec.name ? -1 : 1));
  return sorted.map((deployment) => viewDeployment(state, deployment, refusalOf));
}

export function viewDeployment(
  state: ControllerState,
  { spec, version, revision }: DeploymentRecord,
  refusalOf: Inventory['refusalOf'],
): DeploymentView {
  const decisions = instancesOf(state.deployments, spec.name)
    .filter((instance) => instance.state !== 'stopped')
    .map((instance) => refusalOf(instance.id) ?? instance.decision)
    .filter((decision) => decision !== null);
  const refused = decisions.filter(({ chosen }) => chosen === null);
  const shown = decisions.length <= DECISIONS_SHOWN_MAX ? decisions : [...refused, ...decisions.filter(({ chosen }) => chosen !== null)];
  return { spec, revision, version, triggers: triggersOf(state.events, spec.name), decisions: shown.slice(0, DECISIONS_SHOWN_MAX) };
}
