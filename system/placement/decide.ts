// The decision: one pass over the columns, feasibility first, then a weighted score, ties broken by the lower name. What was
// refused is counted by reason; the best four are explained.
import type { PlacementCandidate, PlacementDecision, PlacementFactor, Requirements, SpreadLevel } from '../domain/deployment.ts';
import { SPREAD_NODE } from '../domain/deployment.ts';
import type { InstanceId, NodeId, ProfileId, ZonePath } from '../domain/identifiers.ts';
import { ARCHITECTURES, type Architecture } from '../domain/node.ts';
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
  /** Why it is not for another, as a node's fault: `has no code of hello@2/x86_64/x86-64: …`. Profiles may be missing here. */
  readonly whyNotCompiled: ReadonlyMap<ProfileId, string>;
  /** The only node that may have it; null: any. */
  readonly boundTo: NodeId | null;
  /** The node that it is to leave; null: none. */
  readonly leaves: NodeId | null;
  /** Nodes that are not to have it. */
  readonly avoids: readonly NodeId[];
};

/** Points that a node gets for proximity halve at this round trip. */
const RTT_MICROS_HALF = 20_000;
const POINTS_MAX = 1_000;
const RUNNERS_UP = 3;
/** Bound: profiles without code that a decision names one by one. */
const PROFILE_REASONS_MAX = 16;

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
  'the instance makes room there',
  'the instance failed there',
] as const;
const [SUSPECT, UNAVAILABLE, DRAINING, ARCHITECTURE, FEATURE, ZONE, MEMORY, CPU, SPREAD, PROFILE, BOUND, LEFT, AVOIDED] = REASONS.map(
  (_, i) => i,
) as [number, number, number, number, number, number, number, number, number, number, number, number, number];
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

/** Reasons of their own for profiles without code, in the order of the fleet's sorts. Bound: PROFILE_REASONS_MAX. */
function profileReasons(fleet: Fleet, { profiles, whyNotCompiled }: PlacementRequest): readonly string[] {
  if (profiles === null) return [];
  const lacking = fleet.sorts.filter(({ profile }) => !profiles.has(profile)).map(({ profile }) => whyNotCompiled.get(profile));
  return [...new Set(lacking.filter((why) => why !== undefined))].slice(0, PROFILE_REASONS_MAX);
}

/** Why nodes of each sort are refused for what they are, as an index in `reasons`; NO_NODE for sorts that are not. */
function refuseSorts(fleet: Fleet, { requirements, profiles, whyNotCompiled }: PlacementRequest, reasons: readonly string[]): Int8Array {
  const { architectures, isaFeatures, hardware } = requirements;
  const { bits, missing } = fleet.featureBits([...isaFeatures.map((name) => `isa ${name}`), ...hardware.map((name) => `hardware ${name}`)]);
  return Int8Array.from(fleet.sorts, ({ status, architecture, profile, features }) => {
    if (status !== 0) return STATUS_REASON[status] as number;
    if (architectures.length > 0 && !architectures.includes(ARCHITECTURES[architecture] as Architecture)) return ARCHITECTURE;
    if (missing !== null || !holdsBits(features, bits)) return FEATURE;
    if (profiles === null || profiles.has(profile)) return NO_NODE;
    const named = reasons.indexOf(whyNotCompiled.get(profile) ?? '', REASONS.length);
    return named < 0 ? PROFILE : named;
  });
}

export function decide(fleet: Fleet, request: PlacementRequest, weights: PlacementWeights): PlacementDecision {
  const { requirements, spread } = request;
  // Rules over names are answered once per distinct name, not once per node.
  const zones = requirements.within === null ? null : fleet.zonesWithin(requirements.within);
  const domains = fleet.domainsAt(spread === SPREAD_NODE ? 0 : spread);
  const proximity = fleet.proximityOf(request.origin, request.place.landmark, request.place.point);
  const reasons: readonly string[] = [...REASONS, ...profileReasons(fleet, request)];
  const reasonOfSort = refuseSorts(fleet, request, reasons);
  const occupiedRows = new Set(request.occupied.map((node) => fleet.rowOf(node)));
  occupiedRows.delete(NO_NODE);
  const occupiedDomains = new Set([...occupiedRows].map((row) => domains[fleet.domain[row] ?? 0]));
  const boundRow = request.boundTo === null ? null : fleet.rowOf(request.boundTo);
  const leftRow = request.leaves === null ? NO_NODE : fleet.rowOf(request.leaves);
  const avoidedRows = request.avoids.length === 0 ? null : new Set(request.avoids.map((node) => fleet.rowOf(node)));
  const spreadsNodes = spread === SPREAD_NODE;
  const spreadsDomains = spread > 0 && !spreadsNodes;
  const { memoryBytes, cpuMillis } = requirements;
  const weightSum = weights.proximity + weights.utilisation;
  assert(weightSum > 0, 'some weight of placement is more than 0');
  const counts = new Uint32Array(reasons.length);
  const examples = new Int32Array(reasons.length).fill(NO_NODE);
  const best: { row: number; score: number }[] = [];
  let feasible = 0;

  // Locals rather than fields: this loop is the budget of R4.6.
  const { size, sort, zone, domain, memoryBytes: memory, memoryBytesPromised, cpuMillis: cpu, cpuMillisPromised } = fleet;
  const { rttMicros } = proximity;
  let worst = -1;
  for (let row = 0; row < size; row++) {
    let reason = reasonOfSort[sort[row] as number] as number;
    const memoryLeft = (memory[row] as number) - (memoryBytesPromised[row] as number) - memoryBytes;
    const cpuLeft = (cpu[row] as number) - (cpuMillisPromised[row] as number) - cpuMillis;
    if (reason === NO_NODE && boundRow !== null && row !== boundRow) reason = BOUND;
    if (reason === NO_NODE && row === leftRow) reason = LEFT;
    if (avoidedRows !== null && reason === NO_NODE && avoidedRows.has(row)) reason = AVOIDED;
    if (reason !== NO_NODE) {
      // Refused for what it is.
    } else if (zones !== null && zones[zone[row] as number] === 0) reason = ZONE;
    else if (memoryLeft < 0) reason = MEMORY;
    else if (cpuLeft < 0) reason = CPU;
    else if (spreadsNodes && occupiedRows.has(row)) reason = SPREAD;
    else if (spreadsDomains && occupiedDomains.has(domains[domain[row] as number])) reason = SPREAD;
    if (reason !== NO_NODE) {
      counts[reason] = (counts[reason] as number) + 1;
      if (examples[reason] === NO_NODE) examples[reason] = row;
      continue;
    }
    feasible += 1;
    const near = proximityPoints(rttMicros[row] as number);
    const spare = utilisationPoints(memoryLeft, memory[row] as number, cpuLeft, cpu[row] as number);
    const score = (weights.proximity * near + weights.utilisation * spare) / weightSum;
    if (score < worst) continue;
    insert(fleet, best, row, score);
    if (best.length > RUNNERS_UP) worst = best[RUNNERS_UP]?.score ?? worst;
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
    refused: reasons.flatMap((reason, i) =>
      counts[i] === 0 ? [] : [{ reason, nodes: counts[i] as number, example: fleet.ids[examples[i] as number] as NodeId }],
    ),
    feasible,
  };
}

function holdsBits(features: Uint32Array, wanted: Uint32Array): boolean {
  return wanted.every((word, i) => ((features[i] ?? 0) & word) >>> 0 === word);
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
