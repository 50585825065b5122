// P6, P7, P8: where instances go, what nodes are promised, and which states an instance may pass through.
import { INSTANCE_TRANSITIONS, SPREAD_NODE, type DeploymentSpec, type InstanceState } from '../../system/domain/deployment.ts';
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';
import { goalOf, Ledger, type Goal } from './goal.ts';

/** P6: among feasible nodes the chosen one is not beaten on the policy's score; spread is honoured. */
export function proximity(scenario: Scenario): Goal {
  const ledger = new Ledger('P6', 'Among feasible nodes the chosen one is not beaten on the score of the policy, and spread is honoured.');
  const specs = specsOf(scenario);
  const domains = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node.faultDomain.split('/')]));
  const places = new Map<string, { node: string; deployment: string }>();
  const domainOf = (node: string, level: number): string =>
    level === SPREAD_NODE ? node : (domains.get(node) ?? []).slice(0, level).join('/');
  return goalOf(ledger, (record) => {
    if (record.kind === 'placement.decided') {
      const { instance, node, score, runnersUp, why } = record.fields;
      for (const part of runnersUp === '' ? [] : runnersUp.split(' ')) {
        const [other = '', points = ''] = part.split('=');
        ledger.expect(
          Number(points) <= score,
          record,
          () => `Instance ${instance} was placed on ${node} (${score} points: ${why}) although ${other} had ${points}.`,
          node,
        );
      }
      ledger.checks += 1;
    }
    if (record.kind !== 'instance.state') return;
    const { instance, deployment, to, node, cause } = record.fields;
    if (node === null || to === 'pending' || to === 'stopped' || to === 'failed') {
      places.delete(instance);
      return;
    }
    const spread = specs.get(deployment)?.spread ?? 0;
    if (to === 'assigned' && spread > 0) {
      for (const [other, place] of places) {
        if (other === instance || place.deployment !== deployment) continue;
        ledger.expect(
          domainOf(place.node, spread) !== domainOf(node, spread),
          record,
          () =>
            `Instances ${instance} and ${other} share the fault domain ${domainOf(node, spread)}, which the deployment forbids (${cause}).`,
          node,
        );
      }
    }
    places.set(instance, { node, deployment });
  });
}

/** P7: no node is promised more than it has; no artefact on an architecture it was not built for. */
export function resources(scenario: Scenario): Goal {
  const ledger = new Ledger('P7', 'No node is promised more memory or CPU than it has, and none runs what its architecture cannot.');
  const specs = specsOf(scenario);
  const nodes = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node]));
  const held = new Map<string, Map<string, string>>();
  return goalOf(ledger, (record) => {
    if (record.kind !== 'instance.state') return;
    const { instance, deployment, to, node } = record.fields;
    for (const instances of held.values()) instances.delete(instance);
    if (node === null || (to !== 'assigned' && to !== 'running')) return;
    const machine = nodes.get(node);
    const spec = specs.get(deployment);
    if (machine === undefined || spec === undefined) return;
    const instances = held.get(node) ?? new Map<string, string>();
    held.set(node, instances.set(instance, deployment));
    let memoryBytes = 0;
    let cpuMillis = 0;
    for (const name of instances.values()) {
      memoryBytes += specs.get(name)?.requirements.memoryBytes ?? 0;
      cpuMillis += specs.get(name)?.requirements.cpuMillis ?? 0;
    }
    ledger.expect(
      memoryBytes <= machine.memoryBytes,
      record,
      () => `Node ${node} is promised ${memoryBytes} bytes of memory and has ${machine.memoryBytes}.`,
      node,
    );
    ledger.expect(
      cpuMillis <= machine.cores * 1_000,
      record,
      () => `Node ${node} is promised ${cpuMillis} thousandths of a core and has ${machine.cores * 1_000}.`,
      node,
    );
    const wanted = spec.requirements.architectures;
    ledger.expect(
      wanted.length === 0 || wanted.includes(machine.architecture),
      record,
      () => `Instance ${instance} needs ${wanted.join(' or ')} and was placed on ${node}, which is ${machine.architecture}.`,
      node,
    );
  });
}

/** P8: instances pass through the states of the life cycle only. */
export function lifecycle(): Goal {
  const ledger = new Ledger(
    'P8',
    'Instances go through the transitions of the life cycle only, and an agent serves only what it was assigned.',
  );
  const state = new Map<string, string>();
  const epochs = new Map<string, number>();
  const check = (record: Extract<RunRecord, { kind: 'instance.state' }>): void => {
    const { instance, from, to, epoch, node } = record.fields;
    const before = state.get(instance) ?? 'pending';
    ledger.expect(from === before, record, () => `Instance ${instance} was said to leave ${from}, but it was ${before}.`, node);
    ledger.expect(
      INSTANCE_TRANSITIONS[from as InstanceState]?.includes(to as InstanceState) === true,
      record,
      () => `Instance ${instance} went from ${from} to ${to}, which is no transition of the life cycle.`,
      node,
    );
    ledger.expect(
      epoch >= (epochs.get(instance) ?? 0),
      record,
      () => `The epoch of instance ${instance} went back from ${epochs.get(instance)} to ${epoch}.`,
      node,
    );
    epochs.set(instance, epoch);
    state.set(instance, to);
  };
  /** Version that a node said it serves, by `node instance epoch`. */
  const served = new Map<string, number>();
  return goalOf(ledger, (record) => {
    if (record.kind === 'instance.state') check(record);
    if (record.kind === 'invocation.started') {
      const { node, instance, epoch, version, event } = record.fields;
      const said = served.get(`${node} ${instance} ${epoch}`);
      ledger.expect(
        said === version,
        record,
        () => `Node ${node} ran event ${event} with version ${version} of ${instance}, but said that it serves version ${said ?? 'none'}.`,
        node,
      );
    }
    if (record.kind !== 'instance.serving') return;
    const { instance, epoch, node, version } = record.fields;
    served.set(`${node} ${instance} ${epoch}`, version);
    ledger.expect(
      epoch <= (epochs.get(instance) ?? 0),
      record,
      () => `Node ${node} serves ${instance} in epoch ${epoch}, which was never assigned.`,
      node,
    );
  });
}

function specsOf(scenario: Scenario): ReadonlyMap<string, DeploymentSpec> {
  const specs = new Map<string, DeploymentSpec>();
  for (const step of scenario.steps) if (step.do === 'deploy') specs.set(step.spec.name, step.spec);
  return specs;
}
