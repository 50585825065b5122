// The fleet as columns: one row a node, one typed array a property, names interned as numbers, features as bits. Rows are
// never removed; a node that is gone is unavailable. Promised memory and CPU are kept here (P7).
import type { NodeId, ProfileId, ZonePath } from '../domain/identifiers.ts';
import { ARCHITECTURES, type GeoPoint, type NodeFacts, type NodeStatus } from '../domain/node.ts';
import { assert } from '../domain/outcome.ts';
import { distanceKm, estimateRttMicros } from './distance.ts';

export const NO_NODE = -1;
/** Index of `healthy` in the status column; only such nodes take new work. */
export const STATUSES: readonly NodeStatus[] = ['healthy', 'suspect', 'unavailable', 'draining'];
const ROWS_MIN = 64;
/** Bound: origins whose proximity column is kept; the least recently used goes first. */
const ORIGINS_MAX = 64;
/** Bound: distinct names of features over the fleet. */
const FEATURES_MAX = 1_024;
const BITS = 32;
/** No round trip can be told. */
export const RTT_UNKNOWN = 0xffff_ffff;
/** An estimate from distance rather than a measurement. */
const MEASURED = 1;

export type FleetNode = { readonly facts: NodeFacts; readonly status: NodeStatus };

/** Round trips between each node and one origin. */
export type Proximity = {
  readonly landmark: NodeId | null;
  readonly point: GeoPoint | null;
  readonly rttMicros: Uint32Array;
  /** 1 where the node measured it, 0 where it was estimated from distance. */
  readonly measured: Uint8Array;
};

class Interned<Name extends string> {
  readonly names: Name[] = [];
  readonly #ids = new Map<Name, number>();

  idOf(name: Name): number {
    let id = this.#ids.get(name);
    if (id === undefined) {
      id = this.names.length;
      this.names.push(name);
      this.#ids.set(name, id);
    }
    return id;
  }

  find(name: Name): number | null {
    return this.#ids.get(name) ?? null;
  }
}

type Column = Uint8Array | Uint32Array | Int32Array | Float64Array;

function grow<T extends Column>(column: T, length: number): T {
  const wider = new (column.constructor as new (length: number) => T)(length);
  wider.set(column);
  return wider;
}

export class Fleet {
  readonly ids: NodeId[] = [];
  readonly #rows = new Map<NodeId, number>();
  readonly points: GeoPoint[] = [];
  readonly zones = new Interned<ZonePath>();
  readonly domains = new Interned<ZonePath>();
  readonly profiles = new Interned<ProfileId>();
  readonly #features = new Interned<string>();
  #capacity = ROWS_MIN;
  #words = 1;
  status = new Uint8Array(ROWS_MIN);
  architecture = new Uint8Array(ROWS_MIN);
  zone = new Int32Array(ROWS_MIN);
  domain = new Int32Array(ROWS_MIN);
  profile = new Int32Array(ROWS_MIN);
  memoryBytes = new Float64Array(ROWS_MIN);
  memoryBytesPromised = new Float64Array(ROWS_MIN);
  cpuMillis = new Float64Array(ROWS_MIN);
  cpuMillisPromised = new Float64Array(ROWS_MIN);
  /** `words` words a row. */
  features = new Uint32Array(ROWS_MIN);
  /** By origin, least recently used first. */
  readonly #proximities = new Map<ZonePath, Proximity>();
  /** What each node measured, by landmark. */
  readonly #measurements = new Map<NodeId, Map<number, number>>();

  get size(): number {
    return this.ids.length;
  }

  get words(): number {
    return this.#words;
  }

  rowOf(node: NodeId): number {
    return this.#rows.get(node) ?? NO_NODE;
  }

  /** Adds a node or takes over what changed of it. */
  update(node: FleetNode): void {
    const { facts } = node;
    let row = this.rowOf(facts.node);
    if (row === NO_NODE) {
      row = this.ids.length;
      if (row === this.#capacity) this.#grow();
      this.ids.push(facts.node);
      this.#rows.set(facts.node, row);
      this.#proximities.clear();
    } else if (
      this.points[row]?.latitude !== facts.location.latitude ||
      this.points[row]?.longitude !== facts.location.longitude ||
      this.zones.names[this.zone[row] ?? 0] !== facts.zone
    ) {
      this.#proximities.clear();
    }
    this.points[row] = facts.location;
    this.status[row] = STATUSES.indexOf(node.status);
    this.architecture[row] = ARCHITECTURES.indexOf(facts.architecture);
    this.zone[row] = this.zones.idOf(facts.zone);
    this.domain[row] = this.domains.idOf(facts.faultDomain);
    this.profile[row] = this.profiles.idOf(facts.profile);
    this.memoryBytes[row] = facts.memoryBytes;
    this.cpuMillis[row] = facts.cores * 1_000;
    this.#setFeatures(row, facts);
  }

  /** P7: what is promised to instances; negative amounts take it back. */
  promise(node: NodeId, memoryBytes: number, cpuMillis: number): void {
    const row = this.rowOf(node);
    assert(row !== NO_NODE, `node ${node} has a row before anything is promised on it`);
    const memory = (this.memoryBytesPromised[row] ?? 0) + memoryBytes;
    const cpu = (this.cpuMillisPromised[row] ?? 0) + cpuMillis;
    assert(memory >= 0 && cpu >= 0, `what is taken back on ${node} was promised before`);
    this.memoryBytesPromised[row] = memory;
    this.cpuMillisPromised[row] = cpu;
  }

  measure(node: NodeId, landmark: NodeId, rttMicros: number): void {
    const row = this.rowOf(node);
    if (row === NO_NODE || this.rowOf(landmark) === NO_NODE) return;
    let measured = this.#measurements.get(landmark);
    if (measured === undefined) this.#measurements.set(landmark, (measured = new Map()));
    measured.set(row, Math.min(rttMicros, RTT_UNKNOWN - 1));
    for (const proximity of this.#proximities.values()) {
      if (proximity.landmark !== landmark) continue;
      proximity.rttMicros[row] = measured.get(row) ?? RTT_UNKNOWN;
      proximity.measured[row] = MEASURED;
    }
  }

  /** Bits of these features, or the first that no node has. Architecture features and hardware live in one space. */
  featureBits(names: readonly string[]): { readonly bits: Uint32Array; readonly missing: string | null } {
    const bits = new Uint32Array(this.#words);
    let missing: string | null = null;
    for (const name of names) {
      const id = this.#features.find(name);
      if (id === null) missing ??= name;
      else bits[id >>> 5] = (bits[id >>> 5] ?? 0) | (1 << (id & 31));
    }
    return { bits, missing };
  }

  /** Round trips of every node to `origin`, measured to `landmark` or estimated from the place `point`. */
  proximityOf(origin: ZonePath, landmark: NodeId | null, point: GeoPoint | null): Proximity {
    const known = this.#proximities.get(origin);
    if (
      known !== undefined &&
      known.landmark === landmark &&
      known.point?.latitude === point?.latitude &&
      known.point?.longitude === point?.longitude
    ) {
      this.#proximities.delete(origin);
      this.#proximities.set(origin, known);
      return known;
    }
    const proximity = this.#computeProximity(landmark, point);
    this.#proximities.delete(origin);
    this.#proximities.set(origin, proximity);
    for (const oldest of this.#proximities.keys()) {
      if (this.#proximities.size <= ORIGINS_MAX) break;
      this.#proximities.delete(oldest);
    }
    return proximity;
  }

  #computeProximity(landmark: NodeId | null, point: GeoPoint | null): Proximity {
    const rttMicros = new Uint32Array(this.#capacity);
    const measured = new Uint8Array(this.#capacity);
    for (let row = 0; row < this.size; row++) {
      const at = this.points[row];
      assert(at !== undefined, 'every row has a place');
      rttMicros[row] = point === null ? RTT_UNKNOWN : estimateRttMicros(distanceKm(at, point));
    }
    if (landmark !== null) {
      const self = this.rowOf(landmark);
      for (const [row, micros] of this.#measurements.get(landmark) ?? []) {
        rttMicros[row] = micros;
        measured[row] = MEASURED;
      }
      if (self !== NO_NODE) {
        rttMicros[self] = 0;
        measured[self] = MEASURED;
      }
    }
    return { landmark, point, rttMicros, measured };
  }

  #setFeatures(row: number, facts: NodeFacts): void {
    const ids = [...facts.isaFeatures.map((name) => `isa ${name}`), ...facts.hardware.map((name) => `hardware ${name}`)].map((name) =>
      this.#features.idOf(name),
    );
    assert(this.#features.names.length <= FEATURES_MAX, `a fleet names at most ${FEATURES_MAX} features`);
    const words = Math.max(1, Math.ceil(this.#features.names.length / BITS));
    if (words > this.#words) this.#widen(words);
    this.features.fill(0, row * this.#words, (row + 1) * this.#words);
    for (const id of ids) {
      const at = row * this.#words + (id >>> 5);
      this.features[at] = (this.features[at] ?? 0) | (1 << (id & 31));
    }
  }

  #widen(words: number): void {
    const wider = new Uint32Array(this.#capacity * words);
    for (let row = 0; row < this.size; row++) wider.set(this.features.subarray(row * this.#words, (row + 1) * this.#words), row * words);
    this.features = wider;
    this.#words = words;
  }

  #grow(): void {
    const capacity = this.#capacity * 2;
    this.status = grow(this.status, capacity);
    this.architecture = grow(this.architecture, capacity);
    this.zone = grow(this.zone, capacity);
    this.domain = grow(this.domain, capacity);
    this.profile = grow(this.profile, capacity);
    this.memoryBytes = grow(this.memoryBytes, capacity);
    this.memoryBytesPromised = grow(this.memoryBytesPromised, capacity);
    this.cpuMillis = grow(this.cpuMillis, capacity);
    this.cpuMillisPromised = grow(this.cpuMillisPromised, capacity);
    this.features = grow(this.features, capacity * this.#words);
    this.#capacity = capacity;
  }
}
