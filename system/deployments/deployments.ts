// What is wanted, and the instances that come of it. Pure: the fold of deployment and instance entries; each change of state of
// an instance is asserted against INSTANCE_TRANSITIONS (P8). Where instances go is decided elsewhere and only recorded here.
// Surprising: a stopped instance is kept, without a node, so that its epoch goes on when its name is used again; of deployments that
// were deleted long ago only the highest epoch is, and every new instance begins there.
import type { InstanceView } from '../domain/deployment.ts';
import type { InstanceRecord } from './instance.ts';
import type { DeploymentsState } from './state.ts';

export { checkDeployment } from './check.ts';
export { factsOfDeploymentEntry, factsOfInstanceEntry } from './facts.ts';
export { holdsNode, retryDelayMs, type InstanceRecord } from './instance.ts';
export { planApply, planDelete, planHelloReports, planLetGo, planReport, planRollback } from './plan.ts';
export {
  applyDeploymentEntry,
  applyInstanceEntry,
  createDeploymentsState,
  instancesOf,
  isDeploymentEntry,
  isInstanceEntry,
  type DeploymentEntry,
  type DeploymentRecord,
  type DeploymentsState,
  type InstanceEntry,
} from './state.ts';

/** Null: it is no longer of interest to anybody but its successor. */
export function viewInstance(instance: InstanceRecord): InstanceView | null {
  if (instance.state === 'stopped' && instance.node === null) return null;
  const { id, deployment, state, node, nodeIncarnation, epoch, module, version, sinceMs, cause } = instance;
  return { id, deployment, state, node, nodeIncarnation, epoch, module, version, sinceMs, cause };
}

export function viewInstances(state: DeploymentsState): readonly InstanceView[] {
  return [...state.instances.values()].map(viewInstance).filter((view) => view !== null);
}
