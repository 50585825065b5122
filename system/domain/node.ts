// A node: a machine with an agent on it, what it can do, and what the controller believes about it (R1).
import type { Endpoint, Incarnation, NodeId, ProfileId, ZonePath } from './identifiers.ts';

export type Architecture = 'x86_64' | 'aarch64' | 'riscv64';
export const ARCHITECTURES: readonly Architecture[] = ['x86_64', 'aarch64', 'riscv64'];

/** Degrees, WGS 84. */
export type GeoPoint = { readonly latitude: number; readonly longitude: number };

/** What an agent says of its node when it enrols. */
export type NodeFacts = {
  readonly node: NodeId;
  readonly architecture: Architecture;
  /** ISA features beyond the baseline, such as `avx2`, `sve`, `v`; sorted. */
  readonly isaFeatures: readonly string[];
  readonly cores: number;
  /** Memory that guests may use, in bytes. */
  readonly memoryBytes: number;
  /** Special hardware by name, such as `can`, `gpu`; sorted. */
  readonly hardware: readonly string[];
  readonly location: GeoPoint;
  readonly zone: ZonePath;
  /** What fails together with this node, most general first: `cloud/eu-west/rack-3`. */
  readonly faultDomain: ZonePath;
  readonly profile: ProfileId;
  /** Full triple that artefacts for this node are compiled for. */
  readonly target: string;
  readonly agentVersion: string;
  /** Where the node answers pings of other nodes. */
  readonly endpoint: Endpoint;
};

/**
 * healthy: heartbeats arrive. suspect: late; nothing new is placed there, nothing is moved.
 * unavailable: its lease has lapsed for certain; movable work is placed elsewhere.
 * draining: healthy, but takes no new work and gives away what it has.
 */
export type NodeStatus = 'healthy' | 'suspect' | 'unavailable' | 'draining';

/** What may follow on what. */
export const NODE_TRANSITIONS: Readonly<Record<NodeStatus, readonly NodeStatus[]>> = {
  healthy: ['suspect', 'draining', 'unavailable'],
  suspect: ['healthy', 'unavailable', 'draining'],
  unavailable: ['healthy', 'draining'],
  draining: ['healthy', 'suspect', 'unavailable'],
};

/** Last known load of a node; never journalled. */
export type NodeLoad = {
  readonly cpuPermille: number;
  readonly memoryBytesFree: number;
  readonly invocationsActive: number;
};

export function sameLoad(a: NodeLoad, b: NodeLoad): boolean {
  return a.cpuPermille === b.cpuPermille && a.memoryBytesFree === b.memoryBytesFree && a.invocationsActive === b.invocationsActive;
}

/** Measured round trip from a node to a landmark, in microseconds: the least of the recent probes. */
export type LatencyReport = { readonly landmark: NodeId; readonly rttMicros: number };

/** A distance counts for so long after the node reported it last: longer than a restart and a lossy line, shorter than a change of place. */
export const MEASURED_FOR_MS = 60_000;

export type NodeView = {
  readonly facts: NodeFacts;
  readonly status: NodeStatus;
  readonly incarnation: Incarnation;
  /** Civil milliseconds of the last change of status. */
  readonly sinceMs: number;
  readonly cause: string;
  /** As last reported to this controller; null: not heard since it started. */
  readonly load: NodeLoad | null;
};
