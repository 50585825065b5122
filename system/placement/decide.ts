// The decision: one pass over the columns, feasibility first, then a weighted score, ties broken by the lower name. What was
// refused is counted by reason; the best four are explained.
import type { PlacementCandidate, PlacementDecision, PlacementFactor, Requirements, SpreadLevel } from '../domain/deployment.ts';
import { SPREAD_NODE } from '../domain/deployment.ts';
import { isWithinZone, type InstanceId, type NodeId, type ProfileId, type ZonePath } from '../domain/identifiers.ts';
import { ARCHITECTURES } from '../domain/node.ts';
import { assert } from '../domain/outcome.ts';
import { NO_NODE, RTT_UNKNOWN, STATUSES, type Fleet } from './fleet.ts';
import type { OriginPlace } from './landmark.ts';

export type PlacementWeights = { readonly proximity: number; readonly utilisation: number };

/** R4.5: proximity weighs more than utilisation by default. */
export const DEFAULT_WEIGHTS: PlacementWeights = { proximity: 8, utilisation: 2 };

export type PlacementRequest = {
  readonly instance: InstanceId;
  readonly origin: ZonePath;
  readonly place: OriginPlace;
  readonly requirements: Requirements;
  readonly spread: SpreadLevel;
  /** Nodes that hold other instances of the deployment. */
  readonly occupied: readonly NodeId[];
  /** Profiles that the version is compiled for; null: not asked. */
  readonly profiles: ReadonlySet<ProfileId> | null;
  /** The only node that may have it; null: any. */
  readonly boundTo: NodeId | null;
};

/** Points that a node gets for proximity halve at this round trip. */
const RTT_MICROS_HALF = 20_000;
const POINTS_MAX = 1_000;
const RUNNERS_UP = 3;

const REASONS = [
  'suspect',
  'unavailable',
  'draining',
  'another architecture',
  'lacks an ISA feature or hardware',
  'outside the zone',
  'not enough memory left',
  'not enough CPU left',
  'shares a fault domain with another instance',
  'the module is not compiled for its profile',
  'the instance is bound to another node',
] as const;
const [SUSPECT, UNAVAILABLE, DRAINING, ARCHITECTURE, FEATURE, ZONE, MEMORY, CPU, SPREAD, PROFILE, BOUND] = REASONS.map((_, i) => i) as [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];
const STATUS_REASON: readonly number[] = STATUSES.map((status) =>
  status === 'suspect' ? SUSPECT : status === 'unavailable' ? UNAVAILABLE : DRAINING,
);

/** More is better, 0 to 1,000: 1,000 at no distance, 500 at RTT_MICROS_HALF; 0 when the distance cannot be told. */
export function proximityPoints(rttMicros: number): number {
  return rttMicros === RTT_UNKNOWN ? 0 : (POINTS_MAX * RTT_MICROS_HALF) / (RTT_MICROS_HALF + rttMicros);
}

/** The scarcer of memory and CPU that would be left, as a share of what there is. */
export function utilisationPoints(memoryLeft: number, memory: number, cpuLeft: number, cpu: number): number {
  const memoryShare = memory === 0 ? 0 : memoryLeft / memory;
  const cpuShare = cpu === 0 ? 0 : cpuLeft / cpu;
  return POINTS_MAX * (memoryShare < cpuShare ? memoryShare : cpuShare);
}

/** Zone, domain and profile rules, answered once per distinct name rather than once per node. */
function prepareNames(
  fleet: Fleet,
  request: PlacementRequest,
): { readonly zones: Uint8Array; readonly domains: Int32Array; readonly profiles: Uint8Array } {
  const { within } = request.requirements;
  const zones = Uint8Array.from(fleet.zones.names, (zone) => (within === null || isWithinZone(zone, within) ? 1 : 0));
  const profiles = Uint8Array.from(fleet.profiles.names, (profile) => (request.profiles === null || request.profiles.has(profile) ? 1 : 0));
  const prefixes = new Map<string, number>();
  const domains = Int32Array.from(fleet.domains.names, (domain) => {
    const prefix = domain.split('/').slice(0, request.spread).join('/');
    const known = prefixes.get(prefix);
    if (known !== undefined) return known;
    prefixes.set(prefix, prefixes.size);
    return prefixes.size - 1;
  });
  return { zones, domains, profiles };
}

export function decide(fleet: Fleet, request: PlacementRequest, weights: PlacementWeights): PlacementDecision {
  const { requirements, spread } = request;
  const { zones, domains, profiles } = prepareNames(fleet, request);
  const proximity = fleet.proximityOf(request.origin, request.place.landmark, request.place.point);
  const architectures = Uint8Array.from(ARCHITECTURES, (name) =>
    requirements.architectures.length === 0 || requirements.architectures.includes(name) ? 1 : 0,
  );
  const wanted = [...requirements.isaFeatures.map((name) => `isa ${name}`), ...requirements.hardware.map((name) => `hardware ${name}`)];
  const { bits, missing } = fleet.featureBits(wanted);
  const words = fleet.words;
  const occupiedRows = new Set(request.occupied.map((node) => fleet.rowOf(node)));
  occupiedRows.delete(NO_NODE);
  const occupiedDomains = new Set([...occupiedRows].map((row) => domains[fleet.domain[row] ?? 0]));
  const boundRow = request.boundTo === null ? null : fleet.rowOf(request.boundTo);
  const spreadsNodes = spread === SPREAD_NODE;
  const spreadsDomains = spread > 0 && !spreadsNodes;
  const { memoryBytes, cpuMillis } = requirements;
  const weightSum = weights.proximity + weights.utilisation;
  assert(weightSum > 0, 'some weight of placement is more than 0');
  const counts = new Uint32Array(REASONS.length);
  const examples = new Int32Array(REASONS.length).fill(NO_NODE);
  const best: { row: number; score: number }[] = [];
  let feasible = 0;

  for (let row = 0; row < fleet.size; row++) {
    let reason = NO_NODE;
    const status = fleet.status[row] as number;
    const memoryLeft = (fleet.memoryBytes[row] as number) - (fleet.memoryBytesPromised[row] as number) - memoryBytes;
    const cpuLeft = (fleet.cpuMillis[row] as number) - (fleet.cpuMillisPromised[row] as number) - cpuMillis;
    if (status !== 0) reason = STATUS_REASON[status] as number;
    else if (boundRow !== null && row !== boundRow) reason = BOUND;
    else if (architectures[fleet.architecture[row] as number] === 0) reason = ARCHITECTURE;
    else if (missing !== null || !holdsBits(fleet.features, row * words, bits)) reason = FEATURE;
    else if (zones[fleet.zone[row] as number] === 0) reason = ZONE;
    else if (profiles[fleet.profile[row] as number] === 0) reason = PROFILE;
    else if (memoryLeft < 0) reason = MEMORY;
    else if (cpuLeft < 0) reason = CPU;
    else if (spreadsNodes && occupiedRows.has(row)) reason = SPREAD;
    else if (spreadsDomains && occupiedDomains.has(domains[fleet.domain[row] as number])) reason = SPREAD;
    if (reason !== NO_NODE) {
      counts[reason] = (counts[reason] as number) + 1;
      if (examples[reason] === NO_NODE) examples[reason] = row;
      continue;
    }
    feasible += 1;
    const near = proximityPoints(proximity.rttMicros[row] as number);
    const spare = utilisationPoints(memoryLeft, fleet.memoryBytes[row] as number, cpuLeft, fleet.cpuMillis[row] as number);
    const score = (weights.proximity * near + weights.utilisation * spare) / weightSum;
    insert(fleet, best, row, score);
  }

  const explain = ({ row, score }: { row: number; score: number }): PlacementCandidate => {
    const rtt = proximity.rttMicros[row] as number;
    const memoryLeft = (fleet.memoryBytes[row] as number) - (fleet.memoryBytesPromised[row] as number) - memoryBytes;
    const cpuLeft = (fleet.cpuMillis[row] as number) - (fleet.cpuMillisPromised[row] as number) - cpuMillis;
    const factors: readonly PlacementFactor[] = [
      {
        name: 'proximity',
        points: proximityPoints(rtt),
        weight: weights.proximity,
        why:
          rtt === RTT_UNKNOWN
            ? `nothing is known of ${request.origin}`
            : proximity.measured[row] === 1
              ? `${rtt} us measured to ${request.origin}`
              : `${rtt} us estimated from the distance to ${request.origin}`,
      },
      {
        name: 'utilisation',
        points: utilisationPoints(memoryLeft, fleet.memoryBytes[row] as number, cpuLeft, fleet.cpuMillis[row] as number),
        weight: weights.utilisation,
        why: `${memoryLeft} bytes and ${cpuLeft} thousandths of a core would be left`,
      },
    ];
    return { node: fleet.ids[row] as NodeId, score, factors };
  };

  const [chosen, ...runnersUp] = best.map(explain);
  return {
    instance: request.instance,
    chosen: chosen ?? null,
    runnersUp,
    refused: REASONS.flatMap((reason, i) =>
      counts[i] === 0 ? [] : [{ reason, nodes: counts[i] as number, example: fleet.ids[examples[i] as number] as NodeId }],
    ),
    feasible,
  };
}

function holdsBits(features: Uint32Array, from: number, bits: Uint32Array): boolean {
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i] as number;
    if (((features[from + i] as number) & word) >>> 0 !== word) return false;
  }
  return true;
}

/** Keeps the chosen one and its runners-up, best first. */
function insert(fleet: Fleet, best: { row: number; score: number }[], row: number, score: number): void {
  let at = best.length;
  while (at > 0) {
    const other = best[at - 1];
    assert(other !== undefined, 'the best are without gaps');
    if (other.score > score || (other.score === score && (fleet.ids[other.row] as string) < (fleet.ids[row] as string))) break;
    at -= 1;
  }
  if (at > RUNNERS_UP) return;
  best.splice(at, 0, { row, score });
  if (best.length > RUNNERS_UP + 1) best.pop();
}
