// Resolves the cells of a fleet, and the vehicles that drive through them: distances, times of arrival, what a cell is like from its
// mast to its edge.
import type { GeoPoint } from '../system/domain/node.ts';
import { distanceKm } from './geography.ts';
import { impairmentsOf } from './impairments.ts';
import { suggest, type Path, type Source } from './mistakes.ts';
import type { CellSpec, LatencyLaw, Ratio, VehicleSpec, ZoneSpec } from './scenario.ts';
import { isRecord } from './shape.ts';
import { parseDistance, parseDuration, parseRatio, parseSize, parseSpeed } from './units.ts';
import { list, pointOf, type Written } from './written.ts';

type Fields = Readonly<Record<string, unknown>>;
type Mobility = { readonly cells: readonly CellSpec[]; readonly vehicles: readonly VehicleSpec[] };

/** A neighbour must be better by a few decibels in every network; a tenth of the reach is about 3 dB in a city. */
const HYSTERESIS: Ratio = [1, 10];
/** What a handover of LTE costs, 30 to 60 ms. */
const INTERRUPTION_MICROS = 50_000;
const MICROS_PER_HOUR = 3_600_000_000;
const NO_LOSS: Ratio = [0, 1];

export function mobilityOf(
  layers: readonly Written[],
  zones: ReadonlyMap<string, ZoneSpec>,
  lawOf: (value: unknown) => LatencyLaw | null,
): Mobility {
  const vehicles = new Map<string, VehicleSpec>();
  const cells = new Map<string, CellSpec>();
  for (const { source, base, value } of layers) {
    list(value['vehicles']).forEach((written, i) => {
      const vehicle = vehicleOf(source, written, [...base, 'vehicles', i], zones);
      if (vehicle !== null) vehicles.set(vehicle.vehicle, vehicle);
    });
  }
  for (const { source, base, value } of layers) {
    list(value['cells']).forEach((written, i) => {
      const path = [...base, 'cells', i];
      const cell = cellOf(source, written, path, zones, lawOf);
      if (cell === null) return;
      if (vehicles.has(cell.zone)) source.mistake([...path, 'zone'], `'${cell.zone}' moves; a cell stands where it is`);
      cells.set(cell.cell, cell);
    });
    if (vehicles.size > 0 && cells.size === 0 && 'vehicles' in value)
      source.mistake([...base, 'vehicles'], 'there are no cells, so vehicles would reach nothing; expected cells as well', 'key');
  }
  return { cells: [...cells.values()], vehicles: [...vehicles.values()] };
}

function known(source: Source, name: unknown, path: Path, zones: ReadonlyMap<string, ZoneSpec>): ZoneSpec | null {
  const zone = zones.get(String(name));
  if (zone === undefined) source.mistake(path, `unknown zone '${String(name)}'; ${suggest(String(name), [...zones.keys()])}`);
  return zone ?? null;
}

function cellOf(
  source: Source,
  written: Fields,
  path: Path,
  zones: ReadonlyMap<string, ZoneSpec>,
  lawOf: (value: unknown) => LatencyLaw | null,
): CellSpec | null {
  const zone = known(source, written['zone'], [...path, 'zone'], zones);
  if (zone === null) return null;
  const latency = lawOf(written['latency']);
  if (latency === null) source.mistake([...path, 'latency'], 'the delays of the law contradict each other');
  const reachMetres = parseDistance(String(written['reach'])) ?? 0;
  if (reachMetres === 0) source.mistake([...path, 'reach'], 'found nothing, expected more than 0');
  const bandwidth = impairmentsOf(source, { bandwidth: written['bandwidth'] }, path).find((one) => one.kind === 'bandwidth') ?? null;
  const edge = isRecord(written['edge']) ? written['edge'] : {};
  const loss = written['loss'] === undefined ? NO_LOSS : chanceOf(source, written['loss'], [...path, 'loss']);
  const bytesPerS = edge['rate'] === undefined ? (bandwidth?.bytesPerS ?? null) : parseSize(String(edge['rate']));
  if (edge['rate'] !== undefined && (bandwidth === null || bytesPerS === 0))
    source.mistake(
      [...path, 'edge', 'rate'],
      bandwidth === null ? "the cell has no 'bandwidth' that could shrink" : 'found nothing, expected more than 0',
    );
  return {
    cell: String(written['cell']),
    zone: zone.zone,
    location: pointOf(written['location']) ?? zone.location,
    reachMetres: Math.max(1, reachMetres),
    latency: latency ?? { law: 'constant', micros: 0 },
    loss,
    bandwidth,
    edge: {
      delayMicros: edge['delay'] === undefined ? 0 : (parseDuration(String(edge['delay'])) ?? 0),
      loss: edge['loss'] === undefined ? loss : chanceOf(source, edge['loss'], [...path, 'edge', 'loss']),
      bytesPerS,
    },
  };
}

/** Below 1: what lets nothing through is no cell. */
function chanceOf(source: Source, value: unknown, path: Path): Ratio {
  const ratio = parseRatio(String(value));
  if (ratio !== null && ratio[0] < ratio[1]) return ratio;
  source.mistake(path, `found ${JSON.stringify(value)}, expected a chance below 1`);
  return NO_LOSS;
}

function vehicleOf(source: Source, written: Fields, path: Path, zones: ReadonlyMap<string, ZoneSpec>): VehicleSpec | null {
  const zone = known(source, written['vehicle'], [...path, 'vehicle'], zones);
  if (zone === null) return null;
  const hysteresis = written['hysteresis'] === undefined ? HYSTERESIS : parseRatio(String(written['hysteresis']));
  if (hysteresis === null) source.mistake([...path, 'hysteresis'], `found ${JSON.stringify(written['hysteresis'])}, expected a part of 1`);
  return {
    vehicle: zone.zone,
    path: pathOf(source, list(written['path']), [...path, 'path'], zone.location),
    hysteresis: hysteresis ?? HYSTERESIS,
    interruptionMicros: written['interruption'] === undefined ? INTERRUPTION_MICROS : (parseDuration(String(written['interruption'])) ?? 0),
  };
}

function pathOf(source: Source, places: readonly Fields[], path: Path, start: GeoPoint): VehicleSpec['path'] {
  const points: { micros: number; location: GeoPoint }[] = [{ micros: 0, location: start }];
  let from = { micros: 0, location: start };
  places.forEach((place, i) => {
    const location = pointOf(place['to']) ?? from.location;
    const { speed, at } = place;
    const kmPerHour = speed === undefined ? null : (parseSpeed(String(speed)) ?? 0);
    if (kmPerHour === 0) source.mistake([...path, i, 'speed'], 'found no speed, expected more than 0');
    const micros =
      kmPerHour === null
        ? (parseDuration(String(at)) ?? 0)
        : from.micros + Math.round((distanceKm(from.location, location) / (kmPerHour || 1)) * MICROS_PER_HOUR);
    if (micros < from.micros || (micros === from.micros && distanceKm(from.location, location) > 0))
      source.mistake([...path, i, kmPerHour === null ? 'at' : 'to'], 'expected a time after the place before, and its wait');
    points.push({ micros, location });
    const wait = place['wait'] === undefined ? 0 : (parseDuration(String(place['wait'])) ?? 0);
    if (wait > 0) points.push({ micros: micros + wait, location });
    from = { micros: micros + wait, location };
  });
  return points;
}
