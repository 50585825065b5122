// The laws of placement (P6, P7), held against a reference that looks at one node at a time.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { SPREAD_NODE } from '../../../system/domain/deployment.ts';
import { isWithinZone, type NodeId, type ProfileId, type ZonePath } from '../../../system/domain/identifiers.ts';
import {
  DEFAULT_WEIGHTS,
  decide,
  distanceKm,
  estimateRttMicros,
  Fleet,
  type FleetNode,
  type PlacementRequest,
  type PlacementWeights,
} from '../../../system/placement/placement.ts';
import { anyNode, anyRequirements, nodeOf, requestOf } from '../../support/controller/fleet.ts';

type Promised = { memoryBytes: number; cpuMillis: number };

function domainOf(node: FleetNode, level: number): string {
  return level === SPREAD_NODE ? node.facts.node : node.facts.faultDomain.split('/').slice(0, level).join('/');
}

function isFeasible(node: FleetNode, nodes: readonly FleetNode[], promised: Promised, request: PlacementRequest): boolean {
  const { requirements, spread, occupied, profiles } = request;
  const { facts } = node;
  if (node.status !== 'healthy') return false;
  if (requirements.architectures.length > 0 && !requirements.architectures.includes(facts.architecture)) return false;
  if (!requirements.isaFeatures.every((name) => facts.isaFeatures.includes(name))) return false;
  if (!requirements.hardware.every((name) => facts.hardware.includes(name))) return false;
  if (requirements.within !== null && !isWithinZone(facts.zone, requirements.within)) return false;
  if (profiles !== null && !profiles.has(facts.profile)) return false;
  if (promised.memoryBytes + requirements.memoryBytes > facts.memoryBytes) return false;
  if (promised.cpuMillis + requirements.cpuMillis > facts.cores * 1_000) return false;
  if (spread === 0) return true;
  const taken = nodes.filter((other) => occupied.includes(other.facts.node)).map((other) => domainOf(other, spread));
  return !taken.includes(domainOf(node, spread));
}

function scoreOf(
  node: FleetNode,
  promised: Promised,
  request: PlacementRequest,
  rttMicros: number | null,
  weights: PlacementWeights,
): number {
  const { facts } = node;
  const { memoryBytes, cpuMillis } = request.requirements;
  const point = request.place.point;
  const rtt = rttMicros ?? (point === null ? null : estimateRttMicros(distanceKm(facts.location, point)));
  const near = rtt === null ? 0 : (1_000 * 20_000) / (20_000 + rtt);
  const memory = facts.memoryBytes === 0 ? 0 : (facts.memoryBytes - promised.memoryBytes - memoryBytes) / facts.memoryBytes;
  const cpu = (facts.cores * 1_000 - promised.cpuMillis - cpuMillis) / (facts.cores * 1_000);
  const spare = 1_000 * (memory < cpu ? memory : cpu);
  return (weights.proximity * near + weights.utilisation * spare) / (weights.proximity + weights.utilisation);
}

const anyCase = fc.record({
  drawn: fc.array(anyNode, { maxLength: 40 }),
  requirements: anyRequirements,
  spread: fc.constantFrom(0, 1, 2, 3, SPREAD_NODE),
  occupied: fc.array(fc.nat(39), { maxLength: 3 }),
  landmark: fc.option(fc.nat(39), { nil: null }),
  profiles: fc.option(
    fc.subarray(['p-x86', 'p-arm']).map((names) => new Set(names as ProfileId[])),
    { nil: null },
  ),
  proximity: fc.integer({ min: 0, max: 10 }),
});

test('P6: the chosen node is feasible, and no feasible node beats it on the score of the policy', () => {
  fc.assert(
    fc.property(anyCase, ({ drawn, requirements, spread, occupied, landmark, profiles, proximity }) => {
      const weights = { proximity, utilisation: DEFAULT_WEIGHTS.utilisation };
      const nodes = drawn.map((fields, row) => nodeOf(row, fields));
      const fleet = new Fleet();
      for (const node of nodes) fleet.update(node);
      const landmarkId = landmark === null ? null : (nodes[landmark]?.facts.node ?? null);
      drawn.forEach(({ rttMicros }, row) => {
        if (landmarkId !== null && rttMicros !== null) fleet.measure(nodes[row]!.facts.node, landmarkId, rttMicros);
      });
      const rttOf = (row: number): number | null => (landmarkId === null ? null : row === landmark ? 0 : drawn[row]!.rttMicros);
      const request = requestOf({
        requirements,
        spread,
        occupied: occupied.flatMap((row) => nodes[row]?.facts.node ?? []),
        profiles,
        place: { landmark: landmarkId, point: { latitude: 50, longitude: 8 } },
      });
      const nothing = { memoryBytes: 0, cpuMillis: 0 };
      const feasible = nodes.map((node, row) => ({ node, row })).filter(({ node }) => isFeasible(node, nodes, nothing, request));
      const ranked = feasible
        .map(({ node, row }) => ({ node: node.facts.node, score: scoreOf(node, nothing, request, rttOf(row), weights) }))
        .sort((a, b) => b.score - a.score || (a.node < b.node ? -1 : 1));
      const decision = decide(fleet, request, weights);
      expect(decision.feasible).toBe(feasible.length);
      expect(decision.chosen?.node ?? null).toBe(ranked[0]?.node ?? null);
      expect(decision.chosen?.score ?? null).toBe(ranked[0]?.score ?? null);
      expect(decision.runnersUp.map(({ node }) => node)).toEqual(ranked.slice(1, 4).map(({ node }) => node));
      expect(decision.refused.reduce((sum, { nodes: count }) => sum + count, 0)).toBe(nodes.length - feasible.length);
    }),
    { numRuns: 500 },
  );
});

test('a fleet that nodes were removed from decides as one that never had them', () => {
  fc.assert(
    fc.property(anyCase, fc.array(fc.nat(39), { maxLength: 20 }), ({ drawn, requirements, spread, landmark, proximity }, removals) => {
      const weights = { proximity, utilisation: DEFAULT_WEIGHTS.utilisation };
      const nodes = drawn.map((fields, row) => nodeOf(row, fields));
      const gone = new Set(removals.flatMap((row) => nodes[row]?.facts.node ?? []));
      const landmarkId = landmark === null ? null : (nodes[landmark]?.facts.node ?? null);
      const fleetOf = (there: readonly FleetNode[]): Fleet => {
        const fleet = new Fleet();
        for (const node of there) fleet.update(node);
        drawn.forEach(({ rttMicros }, row) => {
          const { node } = nodes[row]!.facts;
          if (landmarkId !== null && rttMicros !== null && fleet.rowOf(node) >= 0) fleet.measure(node, landmarkId, rttMicros);
        });
        for (const { facts } of there) if (!gone.has(facts.node) && facts.memoryBytes > 0) fleet.promise(facts.node, 1, 1);
        return fleet;
      };
      const shrunk = fleetOf(nodes);
      for (const node of gone) shrunk.remove(node);
      const fresh = fleetOf(nodes.filter(({ facts }) => !gone.has(facts.node)));
      const place = { landmark: landmarkId !== null && gone.has(landmarkId) ? null : landmarkId, point: { latitude: 50, longitude: 8 } };
      const request = requestOf({ requirements, spread, place });
      const summary = (fleet: Fleet): unknown => {
        const { chosen, runnersUp, feasible, refused } = decide(fleet, request, weights);
        return [chosen, runnersUp, feasible, refused.map(({ reason, nodes: count }) => `${reason} ${count}`).sort()];
      };
      expect(shrunk.size).toBe(fresh.size);
      expect(summary(shrunk)).toEqual(summary(fresh));
    }),
    { numRuns: 300 },
  );
});

test('P7: placing until nothing fits never promises more than a node has, and honours the spread', () => {
  fc.assert(
    fc.property(
      fc.array(anyNode, { maxLength: 12 }),
      anyRequirements,
      fc.constantFrom(0, 1, 2, 3, SPREAD_NODE),
      (drawn, requirements, spread) => {
        const nodes = drawn.map((fields, row) => nodeOf(row, fields));
        const fleet = new Fleet();
        for (const node of nodes) fleet.update(node);
        const placed: NodeId[] = [];
        for (let i = 0; i < 30; i++) {
          const { chosen } = decide(fleet, requestOf({ requirements, spread, occupied: placed }), DEFAULT_WEIGHTS);
          if (chosen === null) break;
          fleet.promise(chosen.node, requirements.memoryBytes, requirements.cpuMillis);
          placed.push(chosen.node);
        }
        for (const { facts } of nodes) {
          const here = placed.filter((node) => node === facts.node).length;
          expect(here * requirements.memoryBytes).toBeLessThanOrEqual(facts.memoryBytes);
          expect(here * requirements.cpuMillis).toBeLessThanOrEqual(facts.cores * 1_000);
        }
        if (spread === 0) return;
        const domains = placed.map((id) =>
          domainOf(
            nodes.find((node) => node.facts.node === id)!,
            spread,
          ),
        );
        expect(new Set(domains).size).toBe(domains.length);
      },
    ),
  );
});

test('the order in which nodes enrol does not change the decision', () => {
  fc.assert(
    fc.property(fc.array(anyNode, { minLength: 1, maxLength: 20 }), anyRequirements, (drawn, requirements) => {
      const nodes = drawn.map((fields, row) => nodeOf(row, fields));
      const forwards = new Fleet();
      const backwards = new Fleet();
      for (const node of nodes) forwards.update(node);
      for (const node of nodes.toReversed()) backwards.update(node);
      const request = requestOf({ requirements });
      expect(decide(backwards, request, DEFAULT_WEIGHTS).chosen).toEqual(decide(forwards, request, DEFAULT_WEIGHTS).chosen);
    }),
  );
});

test('a node that is bound to its instance is the only one that may have it', () => {
  const fleet = new Fleet();
  const [near, far] = [0, 1].map((row) =>
    nodeOf(row, {
      architecture: 'x86_64',
      isaFeatures: [],
      hardware: [],
      cores: 1,
      memoryBytes: 100,
      latitude: 50,
      longitude: 8 + row * 90,
      zone: 'cloud/eu',
      rack: row,
      profile: 'p-x86',
      status: 'healthy',
    }),
  );
  fleet.update(near!);
  fleet.update(far!);
  const requirements = { architectures: [], isaFeatures: [], hardware: [], within: null as ZonePath | null, memoryBytes: 1, cpuMillis: 1 };
  expect(decide(fleet, requestOf({ requirements }), DEFAULT_WEIGHTS).chosen?.node).toBe(near!.facts.node);
  expect(decide(fleet, requestOf({ requirements, boundTo: far!.facts.node }), DEFAULT_WEIGHTS).chosen?.node).toBe(far!.facts.node);
});

test('R11.5: nodes without code are refused by the name of the cell, and beyond a bound without names', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.nat(40), (profiles, named) => {
      const fleet = new Fleet();
      const all = Array.from({ length: profiles }, (_, i) => `p-${i}` as ProfileId);
      for (const [row, profile] of all.entries()) {
        const [drawn] = fc.sample(anyNode, { numRuns: 1, seed: row });
        const { facts } = nodeOf(row, drawn!);
        fleet.update({ facts: { ...facts, profile }, status: 'healthy' });
      }
      const whyNotCompiled = new Map(all.slice(0, named).map((profile) => [profile, `has no code of m@1/${profile}`]));
      const requirements = { architectures: [], isaFeatures: [], hardware: [], within: null, memoryBytes: 0, cpuMillis: 0 };
      const { refused, chosen } = decide(fleet, requestOf({ requirements, profiles: new Set(), whyNotCompiled }), DEFAULT_WEIGHTS);
      const whys = [...whyNotCompiled.values()].slice(0, 16);
      const nameless = profiles - whys.length;
      expect(chosen).toBe(null);
      expect(refused.map(({ reason, nodes }) => ({ reason, nodes }))).toEqual([
        ...(nameless > 0 ? [{ reason: 'the module is not compiled for its profile', nodes: nameless }] : []),
        ...whys.map((reason) => ({ reason, nodes: 1 })),
      ]);
    }),
  );
});
