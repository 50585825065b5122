// Arbitrary fleets and requests for placement, small enough to disagree about and varied enough to matter.
import fc from 'fast-check';
import type { Requirements } from '../../../system/domain/deployment.ts';
import type { Endpoint, InstanceId, NodeId, ProfileId, ZonePath } from '../../../system/domain/identifiers.ts';
import { ARCHITECTURES, type NodeFacts, type NodeStatus } from '../../../system/domain/node.ts';
import type { FleetNode, PlacementRequest } from '../../../system/placement/placement.ts';

const ZONES = ['cloud/eu', 'cloud/us', 'edge/a', 'fleet/t1'];
const FEATURES = ['avx2', 'sve', 'v'];
const HARDWARE = ['can', 'gpu'];
const PROFILES = ['p-x86', 'p-arm'];

export const anyNode = fc.record({
  architecture: fc.constantFrom(...ARCHITECTURES),
  isaFeatures: fc.subarray(FEATURES),
  hardware: fc.subarray(HARDWARE),
  cores: fc.integer({ min: 1, max: 4 }),
  memoryBytes: fc.integer({ min: 0, max: 1_000 }),
  latitude: fc.integer({ min: -80, max: 80 }),
  longitude: fc.integer({ min: -180, max: 180 }),
  zone: fc.constantFrom(...ZONES),
  rack: fc.integer({ min: 0, max: 2 }),
  profile: fc.constantFrom(...PROFILES),
  status: fc.oneof(
    { weight: 5, arbitrary: fc.constant<NodeStatus>('healthy') },
    { weight: 1, arbitrary: fc.constantFrom<NodeStatus>('suspect', 'unavailable', 'draining') },
  ),
  rttMicros: fc.option(fc.integer({ min: 0, max: 200_000 }), { nil: null }),
});

export function nodeOf(row: number, drawn: Omit<typeof anyNode extends fc.Arbitrary<infer T> ? T : never, 'rttMicros'>): FleetNode {
  const { latitude, longitude, rack, status, ...rest } = drawn;
  const id = `n${String(row).padStart(3, '0')}`;
  const facts: NodeFacts = {
    ...rest,
    node: id as NodeId,
    zone: drawn.zone as ZonePath,
    profile: drawn.profile as ProfileId,
    location: { latitude, longitude },
    faultDomain: `${drawn.zone}/rack-${rack}` as ZonePath,
    target: 't',
    agentVersion: '1',
    endpoint: `agent/${id}` as Endpoint,
  };
  return { facts, status };
}

export const anyRequirements: fc.Arbitrary<Requirements> = fc.record({
  architectures: fc.subarray([...ARCHITECTURES]),
  isaFeatures: fc.subarray(FEATURES, { maxLength: 1 }),
  hardware: fc.subarray(HARDWARE, { maxLength: 1 }),
  within: fc.option(
    fc.constantFrom('cloud', 'cloud/eu', 'edge', 'fleet/t1').map((zone) => zone as ZonePath),
    { nil: null },
  ),
  memoryBytes: fc.integer({ min: 0, max: 600 }),
  cpuMillis: fc.integer({ min: 0, max: 2_500 }),
});

export function requestOf(fields: Partial<PlacementRequest> & Pick<PlacementRequest, 'requirements'>): PlacementRequest {
  return {
    instance: 'd/0' as InstanceId,
    origin: 'cloud/eu' as ZonePath,
    place: { landmark: null, point: { latitude: 50, longitude: 8 } },
    spread: 0,
    occupied: [],
    profiles: null,
    whyNotCompiled: new Map(),
    boundTo: null,
    leaves: null,
    avoids: [],
    ...fields,
  };
}
