// What must be true of work and registry while a vehicle drives.
import type { GeoPoint } from '../../system/domain/node.ts';
import { distanceKm } from '../geography.ts';
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';
import { countOf, describeBudget, describeMicros, goalOf, Ledger, textOf, type Goal, type GoalParameters } from './goal.ts';

/** An agent does not tell of smaller moves, nor does the record of a vehicle. */
const PLACE_KM_MAX = 0.1;

/** From `within` after each handover to the next, what serves a deployment is in the zone of the vehicle's cell. */
export function near(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const deployment = textOf(parameters, 'deployment');
  const vehicle = textOf(parameters, 'vehicle');
  const within = countOf(parameters, 'within');
  const ledger = new Ledger(
    'near',
    `Within ${describeBudget(within, slackMicros)} of each handover of ${vehicle}, ${deployment} is served in the zone of its cell, until the next.`,
  );
  const zones = new Map(scenario.fleet.nodes.map((node) => [node.node as string, node.zone as string]));
  /** Where each instance is served. */
  const serving = new Map<string, string>();
  let zone: string | null = null;
  let since = 0;
  let handovers = 0;
  let worst = 0;
  let isSettled = true;
  /** Nothing is near before anything is served at all. */
  let hasServed = false;
  /** From when on it has not been served in the zone, without a break; null: it is. */
  let astraySince: number | null = null;
  const settle = (record: RunRecord): void => {
    if (zone === null || !hasServed) {
      astraySince = null;
      return;
    }
    const astray = [...serving].find(([, node]) => zones.get(node) !== zone);
    if (astray === undefined && serving.size > 0) {
      astraySince = null;
      if (!isSettled) {
        isSettled = true;
        ledger.checks += 1;
        worst = Math.max(worst, record.micros - since);
      }
      return;
    }
    astraySince ??= record.micros;
    if (record.micros - Math.max(astraySince, since) <= within + slackMicros) return;
    const where =
      astray === undefined ? `${deployment} is served nowhere` : `${astray[0]} is still served on ${astray[1]} in ${zones.get(astray[1])}`;
    ledger.expect(
      false,
      record,
      () => `${describeMicros(record.micros - since)} after ${vehicle} changed to the cell of ${zone}, ${where}.`,
      astray?.[1] ?? 'controller',
    );
  };
  return goalOf(
    ledger,
    (record) => {
      // As it was until now, and as it is from now on.
      settle(record);
      if (record.kind === 'vehicle.attached' && record.fields.vehicle === vehicle) {
        handovers += record.fields.zone === null ? 0 : 1;
        zone = record.fields.zone;
        since = record.micros;
        isSettled = false;
      }
      if (record.kind === 'instance.serving' && record.fields.instance.startsWith(`${deployment}/`)) {
        if (!hasServed) since = record.micros;
        hasServed = true;
        serving.set(record.fields.instance, record.fields.node);
      }
      if (record.kind === 'instance.ended' && serving.get(record.fields.instance) === record.fields.node)
        serving.delete(record.fields.instance);
      settle(record);
    },
    (end) => {
      ledger.expectByEnd(handovers > 1, end, () => `${vehicle} never changed its cell: the scenario tested nothing.`);
      ledger.expectByEnd(serving.size > 0, end, () => `${deployment} is served nowhere at the end.`);
      ledger.figures['handovers'] = handovers;
      ledger.figures['worstMicros'] = worst;
    },
  );
}

/** Where the registry has a node is where its vehicle was, at most `within` ago; what is out of reach cannot tell. */
export function tracked(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const node = textOf(parameters, 'node');
  const within = countOf(parameters, 'within') + slackMicros;
  const ledger = new Ledger(
    'tracked',
    `The registry has ${node} where it was at most ${describeBudget(countOf(parameters, 'within'), slackMicros)} ago, while it is in reach.`,
  );
  const spec = scenario.fleet.nodes.find((one) => one.node === node);
  /** Bound: the places of `within`. */
  let places: { readonly micros: number; readonly at: GeoPoint }[] = [];
  let known: GeoPoint | null = null;
  let reachedMicros: number | null = null;
  return goalOf(
    ledger,
    (record) => {
      if (record.kind === 'node.enrolled' && record.fields.node === node && known === null) known = places.at(-1)?.at ?? null;
      if (record.kind === 'node.moved' && record.fields.node === node) known = record.fields;
      if (record.kind === 'vehicle.attached' && record.fields.vehicle === spec?.zone)
        reachedMicros = record.fields.to === null ? null : (reachedMicros ?? record.micros);
      if (record.kind !== 'vehicle.moved' || record.fields.vehicle !== spec?.zone) return;
      places.push({ micros: record.micros, at: record.fields });
      while ((places[1]?.micros ?? Infinity) <= record.micros - within) places = places.slice(1);
      const registered = known;
      if (registered === null || reachedMicros === null || record.micros - reachedMicros < within) return;
      const offKm = Math.min(...places.map(({ at }) => distanceKm(at, registered)));
      ledger.expect(
        offKm <= PLACE_KM_MAX,
        record,
        () => `The registry has ${node} ${offKm.toFixed(1)} km from where it was at any time in the last ${describeMicros(within)}.`,
        node,
      );
    },
    (end) => ledger.expectByEnd(ledger.checks > 0, end, () => `${node} never moved while it was in reach: the scenario tested nothing.`),
  );
}
