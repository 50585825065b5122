// P1 and P2: who is in the inventory, who is known to be gone, and whose work moved in time.
import { NODE_TRANSITIONS, type NodeStatus } from '../../system/domain/node.ts';
import type { LinkSpec, NodeSpec, Scenario } from '../scenario.ts';
import { COMMIT_MICROS, Commits } from './commits.ts';
import { describeBudget, describeMicros, describeSlack, goalOf, Ledger, STOPPED_IN_ORDER, type Goal } from './goal.ts';
import { Kept } from './kept.ts';

/** R1.2: sampling of the failure detector and message delay on top of the configured times. */
const DETECTION_SLACK_MICROS = 600_000;
/** R6.2: work of an unavailable node is placed again within this time of the mark. */
const REPLACEMENT_MICROS = 100_000;
/** A started agent is enrolled within this time when the controller can be reached. */
const ENROLMENT_MICROS = 10_000_000;

/** Faults that hold messages back. */
const NETWORK_FAULTS: readonly string[] = [
  'partition',
  'partition-one-way',
  'latency',
  'loss',
  'bandwidth',
  'burst-loss',
  'duplication',
  'reordering',
  'corruption',
  'clog',
  'swizzle',
  'half-open',
];

/** What a link may have of its own that takes heartbeats away or keeps them. */
const LOSING: readonly string[] = ['burst-loss', 'corruption', 'bandwidth'];

/** Whether what a node sends to its controller is lost now and then in peace too: then it is suspect now and then. */
function loses({ fleet }: Scenario, node: NodeSpec | undefined): boolean {
  if (node === undefined) return false;
  const home: string = fleet.controller.zone;
  const isLossy = ({ loss, impairments }: LinkSpec): boolean => loss[0] > 0 || impairments.some(({ kind }) => LOSING.includes(kind));
  const between = (zone: string): boolean =>
    fleet.links.some((link) => ((link.a === zone && link.b === home) || (link.b === zone && link.a === home)) && isLossy(link));
  if (!fleet.vehicles.some(({ vehicle }) => vehicle === node.zone)) return between(node.zone);
  return fleet.cells.some(({ zone, loss, bandwidth, edge }) => loss[0] > 0 || edge.loss[0] > 0 || bandwidth !== null || between(zone));
}

/** P1: every started agent is in the inventory, with what it reported and its current health. */
export function registration(scenario: Scenario, slackMicros = 0): Goal {
  const ledger = new Ledger('P1', 'Every started agent is in the inventory, with what it reported and its current health.');
  const facts = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node]));
  const waiting = new Map<string, number>();
  const up = new Set<string>();
  const seen = new Map<string, { readonly status: string; readonly matches: boolean }>();
  let controllerUp = false;
  let disturbed = 0;
  /** Vehicles without a cell. */
  const away = new Set<string>();
  return goalOf(
    ledger,
    (record) => {
      switch (record.kind) {
        case 'machine.started':
          if (record.fields.role === 'controller') controllerUp = true;
          else {
            up.add(record.fields.machine);
            waiting.set(record.fields.machine, record.micros);
          }
          break;
        case 'machine.stopped':
          if (record.fields.role === 'controller') controllerUp = false;
          else {
            up.delete(record.fields.machine);
            waiting.delete(record.fields.machine);
          }
          break;
        case 'fault.begun':
          disturbed += 1;
          break;
        case 'fault.ended':
          disturbed -= 1;
          for (const machine of waiting.keys()) waiting.set(machine, record.micros);
          break;
        case 'vehicle.attached':
          if (record.fields.to === null) away.add(record.fields.vehicle);
          else if (away.delete(record.fields.vehicle)) {
            for (const machine of waiting.keys())
              if (facts.get(machine)?.zone === record.fields.vehicle) waiting.set(machine, record.micros);
          }
          break;
        case 'node.enrolled': {
          const node = facts.get(record.fields.node);
          ledger.expect(
            node !== undefined &&
              node.architecture === record.fields.architecture &&
              node.zone === record.fields.zone &&
              node.cores === record.fields.cores &&
              node.memoryBytes === record.fields.memoryBytes,
            record,
            () => `Node ${record.fields.node} was enrolled with facts that differ from the machine's.`,
            record.fields.node,
          );
          const since = waiting.get(record.fields.node);
          if (since !== undefined && controllerUp && disturbed === 0 && !away.has(node?.zone ?? '')) {
            ledger.expect(
              record.micros - since <= ENROLMENT_MICROS + slackMicros,
              record,
              () =>
                `Node ${record.fields.node} was enrolled ${describeMicros(record.micros - since)} after its agent started; the limit is ${describeBudget(ENROLMENT_MICROS, slackMicros)}.`,
              record.fields.node,
            );
          }
          waiting.delete(record.fields.node);
          break;
        }
        case 'node.status': {
          const { node, from, to } = record.fields;
          ledger.expect(
            NODE_TRANSITIONS[from as NodeStatus]?.includes(to as NodeStatus) === true,
            record,
            () => `Node ${node} went from ${from} to ${to}, which is no change of status that exists.`,
            node,
          );
          break;
        }
        case 'inventory.observed': {
          const node = facts.get(record.fields.node);
          seen.set(record.fields.node, {
            status: record.fields.status,
            matches:
              node !== undefined &&
              node.architecture === record.fields.architecture &&
              node.zone === record.fields.zone &&
              node.cores === record.fields.cores &&
              node.memoryBytes === record.fields.memoryBytes,
          });
          break;
        }
        default:
      }
    },
    (end) => {
      for (const machine of up) {
        const view = seen.get(machine);
        ledger.expectByEnd(view !== undefined, end, () => `Node ${machine} runs but is not in the inventory at the end.`, machine);
        if (view === undefined) continue;
        ledger.expectByEnd(
          view.matches,
          end,
          () => `Node ${machine} is in the inventory with facts that differ from the machine's.`,
          machine,
        );
        ledger.expectByEnd(
          view.status === 'healthy' || view.status === 'draining' || (view.status === 'suspect' && loses(scenario, facts.get(machine))),
          end,
          () => `Node ${machine} runs, but the inventory calls it ${view.status} at the end.`,
          machine,
        );
      }
      for (const [machine, view] of seen) {
        if (up.has(machine)) continue;
        ledger.expectByEnd(
          view.status !== 'healthy',
          end,
          () => `Node ${machine} is off, but the inventory calls it healthy at the end.`,
          machine,
        );
      }
    },
  );
}

/** P2: an unresponsive node is marked in time, its work re-placed in time, and it returns under a new incarnation. */
export function failureAndRecovery(scenario: Scenario, slackMicros = 0): Goal {
  const ledger = new Ledger(
    'P2',
    `A node that stops answering is marked unavailable within ${scenario.platform.unavailableAfterMs} ms (+${DETECTION_SLACK_MICROS / 1_000} ms), its work is placed again within ${REPLACEMENT_MICROS / 1_000} ms of the mark, and it returns under a new incarnation; a controller that stood still gives up no node for its own silence${describeSlack(slackMicros)}.`,
  );
  const movable = new Map<string, boolean>();
  const holder = new Map<string, { node: string | null; deployment: string; state: string }>();
  const silentSince = new Map<string, number>();
  const unavailable = new Map<string, number>();
  const orphans = new Map<string, { readonly node: string; readonly since: number }>();
  const enrolled = new Set<string>();
  /** Faults of the network that last, and nodes that went silent during one: what they had sent may arrive late. */
  const disturbances = new Set<string>(
    scenario.fleet.vehicles.length > 0 || scenario.fleet.links.some(({ impairments }) => impairments.length > 0) ? ['fleet'] : [],
  );
  const disturbed = new Set<string>();
  /** Nodes that are off or frozen, and since when, whoever knows it. */
  const still = new Map<string, number>();
  const missIfKnown = (node: string, micros: number): void => {
    if (enrolled.has(node) && !unavailable.has(node)) silentSince.set(node, micros);
  };
  const fallSilent = (node: string, micros: number): void => {
    still.set(node, micros);
    if (disturbances.size > 0) disturbed.add(node);
    else disturbed.delete(node);
    missIfKnown(node, micros);
  };
  const speak = (node: string): void => {
    still.delete(node);
    silentSince.delete(node);
  };
  let controllerSince: number | null = null;
  /** While it is frozen, since when; and until when nobody is given up, since what was silent was the controller. */
  let frozenSince: number | null = null;
  let graceUntil = 0;
  const commits = new Commits(scenario);
  const kept = new Kept([holder, unavailable, enrolled]);
  const detectionMicros = scenario.platform.unavailableAfterMs * 1_000 + DETECTION_SLACK_MICROS + slackMicros;
  const replacementMicros = REPLACEMENT_MICROS + slackMicros;
  /** Less a hundredth, which a clock may be fast by. */
  const graceMicros = scenario.platform.unavailableAfterMs * 990;
  const stoodStillMicros = 2 * scenario.platform.heartbeatIntervalMs * 1_000 + DETECTION_SLACK_MICROS + slackMicros;
  // One that stays at any time is held to nothing: when it was changed is not on record.
  for (const step of scenario.steps)
    if (step.do === 'deploy') movable.set(step.spec.name, step.spec.whenUnreachable === 'move' && movable.get(step.spec.name) !== false);

  const checkTimes = (record: { readonly source: string; readonly micros: number }): void => {
    if (controllerSince === null) return;
    for (const [node, since] of silentSince) {
      // A heartbeat that comes before the node is suspect leaves no trace.
      const late = disturbed.has(node) ? scenario.platform.suspectAfterMs * 1_000 : 0;
      const from = Math.max(since, controllerSince) + late;
      // A mark is known when it is durable; the detection's own slack has room for a disk at its usual speed.
      const commitMicros = commits.microsFor(from + detectionMicros) - COMMIT_MICROS;
      if (record.micros - from <= detectionMicros + commitMicros) continue;
      ledger.expect(
        false,
        record,
        () =>
          `Node ${node} stopped at ${describeMicros(since)} and was not marked unavailable within ${describeMicros(detectionMicros)}: the failure detector is late.`,
        node,
      );
    }
    for (const [instance, orphan] of orphans) {
      const from = Math.max(orphan.since, controllerSince);
      if (record.micros - from <= replacementMicros) continue;
      ledger.expect(
        false,
        record,
        () =>
          `Instance ${instance} was not placed again within ${describeMicros(replacementMicros)} of its node ${orphan.node} being marked unavailable.`,
        orphan.node,
      );
    }
  };

  return goalOf(ledger, (record) => {
    checkTimes(record);
    commits.observe(record);
    // The controller goes by the nodes that it has now: it misses those of them that are silent, whenever it missed them before.
    if (kept.observe(record) !== null) {
      // It has not begun with that yet.
      controllerSince = null;
      orphans.clear();
      silentSince.clear();
      for (const [node, micros] of still) missIfKnown(node, micros);
    }
    switch (record.kind) {
      case 'machine.started':
        if (record.fields.role === 'controller') controllerSince = record.micros;
        else speak(record.fields.machine);
        break;
      case 'machine.stopped':
        if (record.fields.role === 'controller') {
          controllerSince = null;
          orphans.clear();
        } else if (record.fields.cause !== STOPPED_IN_ORDER) fallSilent(record.fields.machine, record.micros);
        break;
      // A controller that is frozen cannot be held to a time; a node that is frozen is silent like a dead one.
      case 'machine.paused': {
        const { machine } = record.fields;
        if (machine === 'controller') {
          controllerSince = null;
          frozenSince = record.micros;
        } else fallSilent(machine, record.micros);
        break;
      }
      case 'machine.resumed':
        if (record.fields.machine === 'controller') {
          controllerSince = record.micros;
          // A shorter stop may go unnoticed, and takes no more from anybody than a check that is late.
          if (frozenSince !== null && record.micros - frozenSince >= stoodStillMicros) graceUntil = record.micros + graceMicros;
          frozenSince = null;
        } else speak(record.fields.machine);
        break;
      case 'fault.begun':
        if (NETWORK_FAULTS.includes(record.fields.kind)) disturbances.add(record.fields.fault);
        break;
      case 'fault.ended':
        disturbances.delete(record.fields.fault);
        break;
      case 'instance.state': {
        const { instance, deployment, to, node } = record.fields;
        holder.set(instance, { node, deployment, state: to });
        if (to === 'assigned' || to === 'stopped' || to === 'running') orphans.delete(instance);
        break;
      }
      case 'placement.refused':
        orphans.delete(record.fields.instance);
        break;
      case 'node.enrolled': {
        const { node, incarnation } = record.fields;
        const before = unavailable.get(node);
        if (before !== undefined) {
          ledger.expect(
            incarnation > before,
            record,
            () => `Node ${node} returned after it was unavailable, but kept incarnation ${before}.`,
            node,
          );
          unavailable.delete(node);
        }
        enrolled.add(node);
        silentSince.delete(node);
        break;
      }
      case 'node.status': {
        const { node, from, to, incarnation } = record.fields;
        // Something that it sent before it fell silent has arrived.
        if (from === 'suspect' && to !== 'unavailable' && silentSince.has(node)) silentSince.set(node, record.micros);
        const givenUp = unavailable.get(node);
        if (givenUp !== undefined && from === 'unavailable') {
          ledger.expect(
            incarnation > givenUp,
            record,
            () => `Node ${node} returned after it was unavailable, but kept incarnation ${givenUp}.`,
            node,
          );
        }
        if (to === 'unavailable') {
          ledger.expect(
            record.micros >= graceUntil || silentSince.has(node),
            record,
            () =>
              `Node ${node} was given up ${describeMicros(graceUntil - record.micros)} before the controller, which had stood still, could have missed it.`,
            node,
          );
          silentSince.delete(node);
          unavailable.set(node, incarnation);
          for (const [instance, held] of holder) {
            if (held.node !== node || held.state === 'stopped' || held.state === 'pending' || movable.get(held.deployment) === false)
              continue;
            orphans.set(instance, { node, since: record.micros });
          }
        }
        break;
      }
      default:
    }
  });
}
