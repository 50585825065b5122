// The fleet as columns: one row a node, one typed array a property, names interned as numbers. What many nodes have in common
// (status, architecture, features as bits, profile) is a sort, answered once for all of them. Rows are never removed; a node
// that is gone is unavailable. Promised memory and CPU are kept here (P7).
import { isWithinZone, type NodeId, type ProfileId, type ZonePath } from '../domain/identifiers.ts';
import type { Requirements } from '../domain/deployment.ts';
import { ARCHITECTURES, type GeoPoint, type NodeFacts, type NodeStatus } from '../domain/node.ts';
import { assert } from '../domain/outcome.ts';
import { distanceKm, estimateRttMicros } from './distance.ts';

export const NO_NODE = -1;
/** Index of `healthy` in the status column; only such nodes take new work. */
export const STATUSES: readonly NodeStatus[] = ['healthy', 'suspect', 'unavailable', 'draining'];
const ROWS_MIN = 64;
/** Bound: origins whose proximity column is kept; the least recently used goes first. */
const ORIGINS_MAX = 64;
/** Bound: requirements to lie within a zone whose answers are kept; the oldest goes first. */
const ZONES_WITHIN_MAX = 64;
/** Bound: distinct names of features over the fleet, those of nodes that were there earlier in this term included. */
export const FEATURES_MAX = 1_024;
const BITS = 32;
const WORD_SHIFT = 5;
/** No round trip can be told. */
export const RTT_UNKNOWN = 0xffff_ffff;
/** An estimate from distance rather than a measurement. */
const MEASURED = 1;

/** What nodes may have in common. */
export type Sort = {
  /** Index in STATUSES and in ARCHITECTURES. */
  readonly status: number;
  readonly architecture: number;
  readonly profile: ProfileId;
  /** A bit for each feature of the fleet, 32 a word; missing words are 0. */
  readonly features: Uint32Array;
};

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

/** Bits of these numbers, in as many words as they need. */
function bitsOf(ids: readonly number[]): Uint32Array {
  const bits = new Uint32Array(ids.reduce((words, id) => Math.max(words, (id >>> WORD_SHIFT) + 1), 0));
  for (const id of ids) bits[id >>> WORD_SHIFT] = (bits[id >>> WORD_SHIFT] ?? 0) | (1 << (id & (BITS - 1)));
  return bits;
}

/** Architecture features and hardware live in one space. */
function featureNamesOf({ isaFeatures, hardware }: Pick<NodeFacts, 'isaFeatures' | 'hardware'>): readonly string[] {
  return [...isaFeatures.map((name) => `isa ${name}`), ...hardware.map((name) => `hardware ${name}`)];
}

type Column = Uint8Array | Uint32Array | Int32Array | Float64Array;

function grow<T extends Column>(column: T, length: number): T {
  const wider = new (column.constructor as new (length: number) => T)(length);
  wider.set(column);
  return wider;
}

function forgetOldest<Key>(kept: Map<Key, unknown>, most: number): void {
  for (const oldest of kept.keys()) {
    if (kept.size <= most) return;
    kept.delete(oldest);
  }
}

export class Fleet {
  readonly ids: NodeId[] = [];
  readonly #rows = new Map<NodeId, number>();
  readonly points: GeoPoint[] = [];
  readonly zones = new Interned<ZonePath>();
  readonly domains = new Interned<ZonePath>();
  readonly #features = new Interned<string>();
  #capacity = ROWS_MIN;
  zone = new Int32Array(ROWS_MIN);
  domain = new Int32Array(ROWS_MIN);
  memoryBytes = new Float64Array(ROWS_MIN);
  memoryBytesPromised = new Float64Array(ROWS_MIN);
  cpuMillis = new Float64Array(ROWS_MIN);
  cpuMillisPromised = new Float64Array(ROWS_MIN);
  /** Number of the sort of each node. */
  sort = new Int32Array(ROWS_MIN);
  readonly sorts: Sort[] = [];
  readonly #sortIds = new Interned<string>();
  readonly #zonesWithin = new Map<ZonePath, Uint8Array>();
  /** Bound: the levels of a path. */
  readonly #domainsAt = new Map<number, { readonly prefixes: Interned<string>; numbers: Int32Array }>();
  /** By origin, least recently used first. */
  readonly #proximities = new Map<ZonePath, Proximity>();
  /** What each node measured, by landmark. */
  readonly #measurements = new Map<NodeId, Map<number, number>>();

  get size(): number {
    return this.ids.length;
  }

  /** What a node would have to have more of to take on one more with these requirements; 0 of what it has enough of. */
  lackingOn(
    node: NodeId,
    { memoryBytes, cpuMillis }: Pick<Requirements, 'memoryBytes' | 'cpuMillis'>,
  ): Pick<Requirements, 'memoryBytes' | 'cpuMillis'> {
    const row = this.rowOf(node);
    assert(row !== NO_NODE, `node ${node} is in the fleet`);
    const left = (all: Float64Array, promised: Float64Array): number => (all[row] ?? 0) - (promised[row] ?? 0);
    return {
      memoryBytes: Math.max(0, memoryBytes - left(this.memoryBytes, this.memoryBytesPromised)),
      cpuMillis: Math.max(0, cpuMillis - left(this.cpuMillis, this.cpuMillisPromised)),
    };
  }

  rowOf(node: NodeId): number {
    return this.#rows.get(node) ?? NO_NODE;
  }

  /** Takes over what the nodes of `other` measured. */
  learn(other: Fleet): void {
    for (const [landmark, rtts] of other.#measurements) {
      for (const [row, micros] of rtts) this.measure(other.ids[row] as NodeId, landmark, micros);
    }
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
    this.zone[row] = this.zones.idOf(facts.zone);
    this.domain[row] = this.domains.idOf(facts.faultDomain);
    this.memoryBytes[row] = facts.memoryBytes;
    this.cpuMillis[row] = facts.cores * 1_000;
    this.sort[row] = this.#sortOf(node);
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

  /** Nothing is promised on it any more. The last row takes its place, so that there are no holes. */
  remove(node: NodeId): void {
    const row = this.rowOf(node);
    assert(row !== NO_NODE, `node ${node} is in the fleet when it is removed`);
    assert(this.memoryBytesPromised[row] === 0 && this.cpuMillisPromised[row] === 0, `nothing is promised on ${node} when it is removed`);
    const last = this.ids.length - 1;
    for (const column of this.#columns()) {
      column[row] = column[last] ?? 0;
      column[last] = 0;
    }
    this.points[row] = this.points[last] as GeoPoint;
    this.ids[row] = this.ids[last] as NodeId;
    this.points.pop();
    this.ids.pop();
    this.#rows.delete(node);
    if (row !== last) this.#rows.set(this.ids[row], row);
    this.#measurements.delete(node);
    for (const measured of this.#measurements.values()) {
      const micros = measured.get(last);
      measured.delete(last);
      measured.delete(row);
      if (row !== last && micros !== undefined) measured.set(row, micros);
    }
    this.#proximities.clear();
  }

  #columns(): readonly (Int32Array | Float64Array)[] {
    return [this.zone, this.domain, this.sort, this.memoryBytes, this.memoryBytesPromised, this.cpuMillis, this.cpuMillisPromised];
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

  /** Its distance to this landmark is estimated again, as before it was first measured. */
  forget(node: NodeId, landmark: NodeId): void {
    if (this.#measurements.get(landmark)?.delete(this.rowOf(node)) !== true) return;
    for (const [origin, proximity] of this.#proximities) if (proximity.landmark === landmark) this.#proximities.delete(origin);
  }

  /** By zone number: 1 where it lies within `within`. Kept, and continued when zones are added. */
  zonesWithin(within: ZonePath): Uint8Array {
    const { names } = this.zones;
    const known = this.#zonesWithin.get(within);
    if (known?.length === names.length) return known;
    const answers = new Uint8Array(names.length);
    if (known !== undefined) answers.set(known);
    for (let zone = known?.length ?? 0; zone < names.length; zone++) answers[zone] = isWithinZone(names[zone] as ZonePath, within) ? 1 : 0;
    this.#zonesWithin.set(within, answers);
    forgetOldest(this.#zonesWithin, ZONES_WITHIN_MAX);
    return answers;
  }

  /** By domain number: a number for its first `level` path elements. Kept, and continued when domains are added. */
  domainsAt(level: number): Int32Array {
    const { names } = this.domains;
    let known = this.#domainsAt.get(level);
    if (known === undefined) this.#domainsAt.set(level, (known = { prefixes: new Interned<string>(), numbers: new Int32Array(0) }));
    if (known.numbers.length === names.length) return known.numbers;
    const from = known.numbers.length;
    const numbers = grow(known.numbers, names.length);
    for (let domain = from; domain < names.length; domain++) {
      const path = names[domain] as ZonePath;
      numbers[domain] = known.prefixes.idOf(path.split('/').slice(0, level).join('/'));
    }
    known.numbers = numbers;
    return numbers;
  }

  /** False: this node would bring more names of features than there is room for in a fleet. */
  hasRoomFor(facts: Pick<NodeFacts, 'isaFeatures' | 'hardware'>): boolean {
    const unknown = new Set(featureNamesOf(facts).filter((name) => this.#features.find(name) === null));
    return unknown.size === 0 || this.#features.names.length + unknown.size <= FEATURES_MAX;
  }

  /** Bits of these features, or the first that no node has. */
  featureBits(names: readonly string[]): { readonly bits: Uint32Array; readonly missing: string | null } {
    const ids: number[] = [];
    let missing: string | null = null;
    for (const name of names) {
      const id = this.#features.find(name);
      if (id === null) missing ??= name;
      else ids.push(id);
    }
    return { bits: bitsOf(ids), missing };
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
    forgetOldest(this.#proximities, ORIGINS_MAX);
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

  #sortOf({ facts, status }: FleetNode): number {
    const { architecture, isaFeatures, hardware, profile } = facts;
    const id = this.#sortIds.idOf(JSON.stringify([status, architecture, isaFeatures, hardware, profile]));
    if (id < this.sorts.length) return id;
    const features = bitsOf(featureNamesOf(facts).map((name) => this.#features.idOf(name)));
    this.sorts.push({ status: STATUSES.indexOf(status), architecture: ARCHITECTURES.indexOf(architecture), profile, features });
    return id;
  }

  #grow(): void {
    const capacity = this.#capacity * 2;
    this.zone = grow(this.zone, capacity);
    this.domain = grow(this.domain, capacity);
    this.sort = grow(this.sort, capacity);
    this.memoryBytes = grow(this.memoryBytes, capacity);
    this.memoryBytesPromised = grow(this.memoryBytesPromised, capacity);
    this.cpuMillis = grow(this.cpuMillis, capacity);
    this.cpuMillisPromised = grow(this.cpuMillisPromised, capacity);
    this.#capacity = capacity;
  }
}
