// P6, P7, P8: where instances go, what nodes are promised, and which states an instance may pass through.
import { INSTANCE_TRANSITIONS, SPREAD_NODE, type DeploymentSpec, type InstanceState } from '../../system/domain/deployment.ts';
import type { RunRecord } from '../record.ts';
import type { NodeSpec, Scenario } from '../scenario.ts';
import { goalOf, Ledger, type Goal } from './goal.ts';
import { DeploymentsInForce } from './in-force.ts';
import { Kept } from './kept.ts';

/**
 * R4.5, the default policy: of 1,000 points proximity gives up to 800, and half of these at a round trip of 20 ms. Said here once
 * more, so that a policy that forgot it is seen; a fraction of a point is rounding.
 */
const PROXIMITY_POINTS = 800;
const HALF_MICROS = 20_000;

/** P6: among feasible nodes the chosen one is not beaten on the policy's score; spread is honoured. */
export function proximity(scenario: Scenario): Goal {
  const ledger = new Ledger('P6', 'Among feasible nodes the chosen one is not beaten on the score of the policy, and spread is honoured.');
  const inForce = new DeploymentsInForce(scenario);
  const domains = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node.faultDomain.split('/')]));
  const places = new Map<string, { node: string; deployment: string }>();
  const kept = new Kept([places]);
  const domainOf = (node: string, level: number): string =>
    level === SPREAD_NODE ? node : (domains.get(node) ?? []).slice(0, level).join('/');
  return goalOf(ledger, (record) => {
    inForce.observe(record);
    kept.observe(record);
    if (record.kind === 'placement.decided') {
      const { instance, node, score, proximityMicros, otherPoints, runnersUp, why } = record.fields;
      for (const part of runnersUp === '' ? [] : runnersUp.split(' ')) {
        const [other = '', points = ''] = part.split('=');
        ledger.expect(
          Number(points) <= score,
          record,
          () => `Instance ${instance} was placed on ${node} (${score} points: ${why}) although ${other} had ${points}.`,
          node,
        );
      }
      const near = proximityMicros === null ? 0 : (PROXIMITY_POINTS * HALF_MICROS) / (HALF_MICROS + proximityMicros);
      ledger.expect(
        score - otherPoints > Math.floor(near) - 1,
        record,
        () =>
          `Instance ${instance} was placed on ${node} with ${score} points, ${otherPoints} of them for other things, and ${Math.floor(near)} are due to its proximity alone (${why}): the policy does not look at how far a node is.`,
        node,
      );
      ledger.checks += 1;
    }
    if (record.kind !== 'instance.state') return;
    const { instance, deployment, to, node, cause } = record.fields;
    if (node === null || to === 'pending' || to === 'stopped' || to === 'failed') {
      places.delete(instance);
      return;
    }
    const spreads = inForce.of(deployment).map((spec) => spec.spread);
    if (to === 'assigned' && spreads.length > 0 && !spreads.includes(0)) {
      for (const [other, place] of places) {
        if (other === instance || place.deployment !== deployment) continue;
        ledger.expect(
          spreads.some((spread) => domainOf(place.node, spread) !== domainOf(node, spread)),
          record,
          () =>
            `Instances ${instance} and ${other} share the fault domain ${domainOf(node, spreads[0] ?? 0)}, which the deployment forbids (${cause}).`,
          node,
        );
      }
    }
    places.set(instance, { node, deployment });
  });
}

/** P7: no node is promised more than it has; nothing is placed where it must not be, or cannot run. */
export function resources(scenario: Scenario): Goal {
  const ledger = new Ledger(
    'P7',
    'No node is promised more memory or CPU than it has, and none is given what its architecture, its features, its hardware or its zone rule out, or anything new while it is drained.',
  );
  const inForce = new DeploymentsInForce(scenario);
  const nodes = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node]));
  /** By node and instance, what it was placed with. */
  const held = new Map<string, Map<string, Promised>>();
  const whereIs = new Map<string, string>();
  const draining = new Set<string>();
  const kept = new Kept([held, whereIs, draining]);
  return goalOf(ledger, (record) => {
    inForce.observe(record);
    kept.observe(record);
    // An agent that starts anew takes new work.
    if (record.kind === 'node.enrolled') draining.delete(record.fields.node);
    if (record.kind === 'node.status') {
      if (record.fields.to === 'draining') draining.add(record.fields.node);
      else if (record.fields.to === 'healthy') draining.delete(record.fields.node);
    }
    if (record.kind !== 'instance.state') return;
    const { instance, deployment, from, to, node } = record.fields;
    const before = whereIs.get(instance);
    const promised = to === 'assigned' || before !== node ? null : (held.get(node)?.get(instance) ?? null);
    if (before !== undefined) held.get(before)?.delete(instance);
    whereIs.delete(instance);
    if (node === null || (to !== 'assigned' && to !== 'running')) return;
    const machine = nodes.get(node);
    const specs = inForce.of(deployment);
    if (machine === undefined || specs.length === 0) return;
    const instances = held.get(node) ?? new Map<string, Promised>();
    held.set(node, instances.set(instance, promised ?? leastOf(specs)));
    whereIs.set(instance, node);
    let memoryBytes = 0;
    let cpuMillis = 0;
    for (const each of instances.values()) {
      memoryBytes += each.memoryBytes;
      cpuMillis += each.cpuMillis;
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
    // Running it is where it was placed: what was asked for since then is held to its own placement.
    if (to !== 'assigned') return;
    // One that is told another version while it waits to be moved is not new there.
    ledger.expect(
      from !== 'pending' || !draining.has(node),
      record,
      () => `Instance ${instance} was placed on ${node}, which is drained.`,
      node,
    );
    const mismatches = specs.map(({ requirements }) => mismatchOf(requirements, machine));
    ledger.expect(
      mismatches.includes(null),
      record,
      () => `Instance ${instance} needs ${mismatches[0]?.needs} and was placed on ${node}, which ${mismatches[0]?.has}.`,
      node,
    );
  });
}

type Promised = { readonly memoryBytes: number; readonly cpuMillis: number };

function leastOf(specs: readonly DeploymentSpec[]): Promised {
  return {
    memoryBytes: Math.min(...specs.map(({ requirements }) => requirements.memoryBytes)),
    cpuMillis: Math.min(...specs.map(({ requirements }) => requirements.cpuMillis)),
  };
}

/** Why a machine must not have it; null when it may. */
function mismatchOf(
  { architectures, isaFeatures, hardware, within }: DeploymentSpec['requirements'],
  machine: NodeSpec,
): { readonly needs: string; readonly has: string } | null {
  if (architectures.length > 0 && !architectures.includes(machine.architecture))
    return { needs: architectures.join(' or '), has: `is ${machine.architecture}` };
  const feature = isaFeatures.find((wanted) => !machine.isaFeatures.includes(wanted));
  if (feature !== undefined) return { needs: `the instructions ${feature}`, has: `has ${listed(machine.isaFeatures)}` };
  const device = hardware.find((wanted) => !machine.hardware.includes(wanted));
  if (device !== undefined) return { needs: `the hardware ${device}`, has: `has ${listed(machine.hardware)}` };
  if (within !== null && machine.zone !== within && !machine.zone.startsWith(`${within}/`))
    return { needs: `to be within ${within}`, has: `is in ${machine.zone}` };
  return null;
}

function listed(names: readonly string[]): string {
  return names.length === 0 ? 'none' : names.join(', ');
}

/** P8: instances pass through the states of the life cycle only. */
export function lifecycle(): Goal {
  const ledger = new Ledger(
    'P8',
    'Instances go through the transitions of the life cycle only, and an agent serves only what it was assigned.',
  );
  const state = new Map<string, string>();
  const epochs = new Map<string, number>();
  /** Where each was last said to be. */
  const whereIs = new Map<string, string | null>();
  /** The highest epochs, those included that the controller lost: agents may serve these until they are told. */
  const assigned = new Map<string, number>();
  const kept = new Kept([state, epochs, whereIs]);
  const check = (record: Extract<RunRecord, { kind: 'instance.state' }>): void => {
    const { instance, from, to, epoch, node } = record.fields;
    // Of one that is first heard of after a lie nobody knows what the controller still had.
    const before = state.get(instance) ?? (kept.isComplete ? 'pending' : from);
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
    if (from === 'assigned' && to === 'assigned') {
      const said = `Instance ${instance} was assigned once more`;
      ledger.expect(kept.losses.any, record, () => `${said}, and no older copy of the controller was put back.`, node);
      ledger.expect(epoch > (epochs.get(instance) ?? 0), record, () => `${said} in epoch ${epoch}, which it had.`, node);
      const was = whereIs.get(instance) ?? node;
      ledger.expect(node === was, record, () => `${said} on ${node}, and was on ${was}.`, node);
    }
    whereIs.set(instance, node);
    epochs.set(instance, epoch);
    assigned.set(instance, Math.max(epoch, assigned.get(instance) ?? 0));
    state.set(instance, to);
  };
  /** Version that a node said it serves, by `node instance epoch`. */
  const served = new Map<string, number>();
  return goalOf(ledger, (record) => {
    kept.observe(record);
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
      epoch <= (assigned.get(instance) ?? 0),
      record,
      () => `Node ${node} serves ${instance} in epoch ${epoch}, which was never assigned.`,
      node,
    );
  });
}
