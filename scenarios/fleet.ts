// Resolves a fleet: nodes of a group written out, every pair of zones with exactly one link law, defaults filled in.
import ln from '@stdlib/math-base-special-ln';
import type { NodeId, ZonePath } from '../system/domain/identifiers.ts';
import type { Architecture } from '../system/domain/node.ts';
import { distanceKm } from './geography.ts';
import { impairmentsOf } from './impairments.ts';
import { suggest, type Source } from './mistakes.ts';
import { mobilityOf } from './mobility.ts';
import { clockOf } from './node-clock.ts';
import { batteryOf, thermalOf } from './power.ts';
import { list, pointOf, type Written } from './written.ts';
import type { FleetFeature, FleetSpec, LatencyLaw, LinkSpec, NodeSpec, ZoneSpec } from './scenario.ts';
import { checkFleetShape, isRecord } from './shape.ts';
import { parseDuration, parseRatio, parseSize } from './units.ts';

/** Fuel of one core in a microsecond where the scenario says nothing: order of magnitude of a server, an Arm A72, a RISC-V U74. */
const FUEL_PER_MICRO: Readonly<Record<Architecture, number>> = { x86_64: 1_000, aarch64: 800, riscv64: 300 };
const MEMORY_BYTES = 512 * 1_048_576;
const CORES = 4;
const WITHIN_ZONE_MICROS = 500;
const BETWEEN_ZONES_MICROS = 5_000;
/** Light in glass: 200 km in a millisecond. */
const MICROS_PER_KM = 5;
/** So many standard deviations above the median, a normal distribution has its 99th percentile. */
const DEVIATIONS_OF_P99 = 2.326347874;

/** Fleet files by name; null when there is none of that name. */
export type FleetLibrary = (name: string) => { readonly file: string; readonly text: string } | null;

export function resolveFleet(
  source: Source,
  value: unknown,
  library: FleetLibrary,
  readSource: (file: string, text: string) => Source,
): FleetSpec | null {
  const layers = layersOf(source, value, library, readSource);
  if (layers === null) return null;
  const zones = new Map<string, ZoneSpec>();
  for (const { value: fleet } of layers) {
    for (const zone of list(fleet['zones'])) {
      const path = String(zone['zone']) as ZonePath;
      zones.set(path, { zone: path, location: pointOf(zone['location']) ?? { latitude: 0, longitude: 0 } });
    }
  }
  if (zones.size === 0) {
    source.mistake(['fleet'], 'the fleet has no zones; expected at least one zone with a location');
    return null;
  }
  const mobility = mobilityOf(layers, zones, lawOf);
  const moving = new Set<string>(mobility.vehicles.map(({ vehicle }) => vehicle));
  const links = linksOf(layers, zones, moving);
  const nodes = nodesOf(layers, zones);
  const controller = controllerOf(layers, zones);
  if (controller === null) {
    source.mistake(['fleet'], "the fleet does not say where its controller is; expected 'controller' with a zone");
    return null;
  }
  if (moving.has(controller.zone)) source.mistake(['fleet'], `the controller is in '${controller.zone}', which moves; it has to stay`);
  if (nodes.length === 0) source.mistake(['fleet'], 'the fleet has no nodes; expected at least one');
  return { controller, zones: [...zones.values()], links, ...mobility, nodes };
}

/** What a world must be able to produce for this fleet, beyond machines with delays and loss between them. */
export function featuresOf({ links, vehicles, nodes }: FleetSpec): readonly FleetFeature[] {
  const kinds = links.flatMap(({ impairments }) => impairments.map(({ kind }) => kind));
  return [...new Set<FleetFeature>([...kinds, ...(vehicles.length > 0 ? ['vehicles' as const] : []), ...nodes.flatMap(machineFeaturesOf)])];
}

function machineFeaturesOf({ thermal, battery, clock }: NodeSpec): readonly FleetFeature[] {
  return [
    ...(thermal === null ? [] : ['thermal' as const]),
    ...(battery === null ? [] : ['battery' as const]),
    ...(clock === null ? [] : ['clock' as const]),
  ];
}

function layersOf(
  source: Source,
  value: unknown,
  library: FleetLibrary,
  readSource: (file: string, text: string) => Source,
): readonly Written[] | null {
  const own: readonly Written[] = isRecord(value) ? [{ source, base: ['fleet'], value }] : [];
  const use = typeof value === 'string' ? value : isRecord(value) && typeof value['use'] === 'string' ? value['use'] : null;
  if (use === null) return own;
  const found = library(use);
  if (found === null) {
    source.mistake(typeof value === 'string' ? ['fleet'] : ['fleet', 'use'], `there is no fleet '${use}' in scenarios/fleets`);
    return null;
  }
  const file = readSource(found.file, found.text);
  const written = file.value();
  if (!checkFleetShape(file, written) || !isRecord(written)) return null;
  return [{ source: file, base: [], value: written }, ...own];
}

function controllerOf(layers: readonly Written[], zones: ReadonlyMap<string, ZoneSpec>): FleetSpec['controller'] | null {
  for (const { source, base, value } of [...layers].reverse()) {
    const controller = value['controller'];
    if (!isRecord(controller)) continue;
    const zone = zones.get(String(controller['zone']));
    if (zone === undefined) {
      source.mistake(
        [...base, 'controller', 'zone'],
        `unknown zone '${String(controller['zone'])}'; ${suggest(String(controller['zone']), [...zones.keys()])}`,
      );
      return null;
    }
    return { zone: zone.zone, location: pointOf(controller['location']) ?? zone.location };
  }
  return null;
}

function nodesOf(layers: readonly Written[], zones: ReadonlyMap<string, ZoneSpec>): readonly NodeSpec[] {
  const nodes = new Map<string, NodeSpec>();
  for (const { source, base, value } of layers) {
    const inLayer = new Set<string>();
    list(value['nodes']).forEach((written, i) => {
      const zone = zones.get(String(written['zone']));
      if (zone === undefined) {
        source.mistake(
          [...base, 'nodes', i, 'zone'],
          `unknown zone '${String(written['zone'])}'; ${suggest(String(written['zone']), [...zones.keys()])}`,
        );
        return;
      }
      const count = typeof written['count'] === 'number' ? written['count'] : null;
      for (let n = 1; n <= (count ?? 1); n++) {
        const node = nodeOf(
          { source, base: [...base, 'nodes', i], value: written },
          count === null ? String(written['node']) : `${String(written['node'])}-${n}`,
          zone,
        );
        if (inLayer.has(node.node) || node.node === 'controller') {
          source.mistake(
            [...base, 'nodes', i, 'node'],
            inLayer.has(node.node) ? `there are two nodes called '${node.node}'` : "'controller' is the controller's own name",
          );
          return;
        }
        inLayer.add(node.node);
        nodes.set(node.node, node);
      }
    });
  }
  return [...nodes.values()];
}

function nodeOf({ source, base, value: written }: Written, name: string, zone: ZoneSpec): NodeSpec {
  const architecture = (written['architecture'] as Architecture | undefined) ?? 'x86_64';
  return {
    node: name as NodeId,
    zone: zone.zone,
    faultDomain: (typeof written['faultDomain'] === 'string' ? written['faultDomain'] : `${zone.zone}/${name}`) as ZonePath,
    location: pointOf(written['location']) ?? zone.location,
    architecture,
    isaFeatures: texts(written['isaFeatures']),
    cores: numberOr(written['cores'], CORES),
    memoryBytes: parseSize(String(written['memory'])) ?? MEMORY_BYTES,
    hardware: texts(written['hardware']),
    fuelPerMicro: numberOr(written['fuelPerMicro'], FUEL_PER_MICRO[architecture]),
    thermal: thermalOf(source, written['thermal'], [...base, 'thermal']),
    battery: batteryOf(source, written['battery'], [...base, 'battery']),
    clock: clockOf(source, written['clock'], [...base, 'clock']),
    startMicros: parseDuration(String(written['start'])) ?? 0,
  };
}

function linksOf(layers: readonly Written[], zones: ReadonlyMap<string, ZoneSpec>, moving: ReadonlySet<string>): readonly LinkSpec[] {
  const written = new Map<string, LinkSpec>();
  for (const { source, base, value } of layers) {
    list(value['links']).forEach((link, i) => {
      const ends = texts(link['between'], false);
      ends.forEach((end, side) => {
        if (!zones.has(end))
          source.mistake([...base, 'links', i, 'between', side], `link to an unknown zone '${end}'; ${suggest(end, [...zones.keys()])}`);
      });
      const [a, b] = ends.map((end) => zones.get(end));
      if (a === undefined || b === undefined) return;
      const vehicle = a === b ? undefined : [a.zone, b.zone].find((zone) => moving.has(zone));
      if (vehicle !== undefined)
        return source.mistake(
          [...base, 'links', i, 'between'],
          `'${vehicle}' moves, and reaches others over cells only; say what its cells are like instead`,
        );
      const loss = link['loss'] === undefined ? ([0, 1] as const) : parseRatio(String(link['loss']));
      if (loss === null)
        return source.mistake([...base, 'links', i, 'loss'], `found ${JSON.stringify(link['loss'])}, expected a chance of at most 1`);
      const law = link['latency'] === undefined ? defaultLaw(a, b) : lawOf(link['latency']);
      if (law === null)
        return source.mistake(
          [...base, 'links', i, 'latency'],
          'the delays of the law contradict each other: expected min <= mean, max and median, and median < p99',
        );
      const impairments = impairmentsOf(source, link, [...base, 'links', i]);
      written.set(linkKey(a.zone, b.zone), { a: a.zone, b: b.zone, latency: law, loss, impairments });
      return undefined;
    });
  }
  const all = [...zones.values()];
  return all.flatMap((a, i) =>
    all.slice(i).map(
      (b) =>
        written.get(linkKey(a.zone, b.zone)) ?? {
          a: a.zone,
          b: b.zone,
          latency: defaultLaw(a, b),
          loss: [0, 1] as const,
          impairments: [],
        },
    ),
  );
}

function linkKey(a: ZonePath, b: ZonePath): string {
  return a < b ? `${a} ${b}` : `${b} ${a}`;
}

function defaultLaw(a: ZoneSpec, b: ZoneSpec): LatencyLaw {
  if (a.zone === b.zone) return { law: 'constant', micros: WITHIN_ZONE_MICROS };
  return { law: 'constant', micros: BETWEEN_ZONES_MICROS + Math.round(distanceKm(a.location, b.location) * MICROS_PER_KM) };
}

export function lawOf(value: unknown): LatencyLaw | null {
  if (typeof value === 'string') return { law: 'constant', micros: parseDuration(value) ?? 0 };
  if (!isRecord(value)) return null;
  const { uniform, normal, logNormal, exponential, empirical } = value;
  if (Array.isArray(empirical)) return { law: 'empirical', micros: empirical.map(micros) };
  if (isRecord(uniform)) {
    const microsMin = parseDuration(String(uniform['min'])) ?? 0;
    const microsMax = parseDuration(String(uniform['max'])) ?? 0;
    return microsMin <= microsMax ? { law: 'uniform', microsMin, microsMax } : null;
  }
  if (isRecord(logNormal)) {
    const [microsMedian, microsP99, microsMin] = [logNormal['median'], logNormal['p99'], logNormal['min'] ?? '0s'].map(micros);
    if (!(microsMin! <= microsMedian! && 0 < microsMedian! && microsMedian! < microsP99!)) return null;
    return {
      law: 'log-normal',
      microsMedian: microsMedian!,
      sigma: ln(microsP99! / microsMedian!) / DEVIATIONS_OF_P99,
      microsMin: microsMin!,
    };
  }
  if (isRecord(exponential)) {
    const [microsMean, microsMin] = [exponential['mean'], exponential['min'] ?? '0s'].map(micros);
    return microsMin! <= microsMean! ? { law: 'exponential', microsMean: microsMean!, microsMin: microsMin! } : null;
  }
  if (!isRecord(normal)) return null;
  const microsMean = parseDuration(String(normal['mean'])) ?? 0;
  const microsMin = parseDuration(String(normal['min'])) ?? 0;
  return microsMin <= microsMean
    ? { law: 'normal', microsMean, microsDeviation: parseDuration(String(normal['deviation'])) ?? 0, microsMin }
    : null;
}

function micros(value: unknown): number {
  return parseDuration(String(value)) ?? 0;
}

/** Sorted by code unit unless the order means something. */
function texts(value: unknown, sorted = true): readonly string[] {
  const found = Array.isArray(value) ? value.map(String) : [];
  return sorted ? found.sort((a, b) => (a < b ? -1 : 1)) : found;
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}
