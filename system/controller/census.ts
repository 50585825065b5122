// What a leading controller has at a moment, counted for metrics. Pure; read at each scrape, so that a figure is right at once
// after a restart, which no sequence of records would give.
import type { InstanceState } from '../domain/deployment.ts';
import type { NodeStatus } from '../domain/node.ts';
import type { Census } from '../domain/telemetry.ts';
import type { ControllerState } from './state.ts';

type OfDeployment = { readonly deployment: string; readonly replicas: number; readonly instances: Record<InstanceState, number> };

export function countCensus(state: ControllerState, more: Pick<Census, 'sessions' | 'journalSequence' | 'queues'>): Census {
  const nodes: Record<NodeStatus, number> = { healthy: 0, suspect: 0, unavailable: 0, draining: 0 };
  for (const { status } of state.nodes.nodes.values()) nodes[status] += 1;
  const deployments = new Map<string, OfDeployment>();
  for (const { spec } of state.deployments.deployments.values()) deployments.set(spec.name, begin(spec.name, spec.replicas));
  for (const { deployment, state: instanceState, node } of state.deployments.instances.values()) {
    // Who has stopped and left its node is kept for its epoch only.
    if (instanceState === 'stopped' && node === null) continue;
    let counted = deployments.get(deployment);
    if (counted === undefined) deployments.set(deployment, (counted = begin(deployment, 0)));
    counted.instances[instanceState] += 1;
  }
  return { term: state.term, nodes, deployments: [...deployments.values()], ...more };
}

function begin(deployment: string, replicas: number): OfDeployment {
  return { deployment, replicas, instances: { pending: 0, assigned: 0, running: 0, failed: 0, stopped: 0 } };
}
