// Landmarks stand for zones of demand: the healthy node of lowest name in the origin's zone, or failing that in the nearest
// enclosing zone that has one. Nodes measure their round trip to it; its place serves while nothing is measured.
import { isWithinZone, type NodeId, type ZonePath } from '../domain/identifiers.ts';
import type { GeoPoint, NodeFacts, NodeStatus } from '../domain/node.ts';

export type LandmarkNode = { readonly facts: NodeFacts; readonly status: NodeStatus };

export type OriginPlace = {
  /** A healthy node of the zone itself, which others can ping; null when there is none. */
  readonly landmark: NodeId | null;
  /** Null when nothing is known of the zone nor of any zone around it. */
  readonly point: GeoPoint | null;
};

/** One pass over the fleet for all origins. */
export function landmarksOf(nodes: Iterable<LandmarkNode>, origins: Iterable<ZonePath>): ReadonlyMap<ZonePath, OriginPlace> {
  const found = new Map<ZonePath, { landmark: NodeFacts | null; nearest: NodeFacts | null; depth: number }>();
  for (const origin of origins) found.set(origin, { landmark: null, nearest: null, depth: 0 });
  if (found.size === 0) return new Map();
  /** Depth that each zone shares with each origin: there are few zones, and many nodes. */
  const depths = new Map<ZonePath, readonly number[]>();
  for (const { facts, status } of nodes) {
    let known = depths.get(facts.zone);
    if (known === undefined) depths.set(facts.zone, (known = [...found.keys()].map((origin) => sharedDepth(facts.zone, origin))));
    let at = 0;
    for (const [origin, place] of found) {
      const depth = known[at++] as number;
      if (isWithinZone(facts.zone, origin) && status === 'healthy' && (place.landmark === null || facts.node < place.landmark.node))
        place.landmark = facts;
      if (depth > place.depth || (depth > 0 && depth === place.depth && place.nearest !== null && facts.node < place.nearest.node)) {
        place.nearest = facts;
        place.depth = depth;
      }
    }
  }
  return new Map(
    [...found].map(([origin, { landmark, nearest }]) => [
      origin,
      { landmark: landmark?.node ?? null, point: landmark?.location ?? nearest?.location ?? null },
    ]),
  );
}

/** Path elements that two zones have in common from the top. */
function sharedDepth(a: ZonePath, b: ZonePath): number {
  const left = a.split('/');
  const right = b.split('/');
  let depth = 0;
  while (depth < left.length && depth < right.length && left[depth] === right[depth]) depth++;
  return depth;
}
