// Draws a fleet: zones with links between them, and nodes of every architecture, size and speed. What it leaves to chance is
// what deployments must not depend on; what it never draws is a node too small for one instance of each drawn module.
import { written, type Dice, type Fields } from './dice.ts';

const ZONES = ['cloud/a', 'cloud/b', 'edge/n', 'edge/s'] as const;
const NODES_MAX = 9;
export const ARCHITECTURES = ['x86_64', 'aarch64', 'riscv64'] as const;
const LATE_MS_MAX = 8_000;
const THOUSAND = 1_000;

/** The places and machines that a run may break, as drawn or as a scenario names them. */
export type Site = {
  readonly zones: readonly string[];
  readonly controllerZone: string;
  /**
   * `late`: it joins while the run is under way, so that commands about it may come too early.
   */
  readonly nodes: readonly { readonly node: string; readonly zone: string; readonly late: boolean; readonly architecture: string }[];
};

export type DrawnFleet = { readonly fleet: Fields; readonly site: Site };

/** A stream for each purpose. */
export type FleetDice = {
  readonly fleet: Dice;
  readonly ways: Dice;
  readonly power: Dice;
  readonly vehicles: Dice;
  readonly clocks: Dice;
};

export function drawFleet({ fleet: dice, ways, power, vehicles, clocks }: FleetDice, durationMs: number): DrawnFleet {
  const zones = ZONES.slice(0, dice.between(1, ZONES.length));
  const nodes = Array.from({ length: dice.between(2, NODES_MAX) }, (_, i) => {
    // Each zone has a node before any has two.
    const zone = zones[i] ?? dice.pick(zones);
    return {
      node: `n-${i + 1}`,
      zone,
      architecture: dice.pick(ARCHITECTURES),
      cores: dice.between(1, 4),
      memory: `${dice.pick([128, 256, 512])}MiB`,
      ...(dice.chance(1, 4) ? { fuelPerMicro: dice.pick([50, 100, 2_000]) } : {}),
      ...(dice.chance(1, 5) ? { start: written(dice.between(100, LATE_MS_MAX)) } : {}),
      ...drawPower(power),
      clock: drawClock(clocks),
    };
  });
  const links = zones.flatMap((a, i) =>
    zones.slice(i).flatMap((b) => (dice.chance(2, 3) ? [{ between: [a, b], ...drawLink(dice, a === b), ...drawWay(ways) }] : [])),
  );
  const controllerZone = dice.pick(zones);
  const places = zones.map((zone) => ({ zone, location: [dice.between(40, 60), dice.between(-5, 25)] as const }));
  const driving = drawVehicle(vehicles, places, controllerZone, durationMs);
  // A vehicle reaches others over cells only.
  const fixed = links.filter(({ between: [a, b] }) => a === b || (a !== driving?.vehicle && b !== driving?.vehicle));
  return {
    fleet: {
      controller: { zone: controllerZone },
      zones: places,
      ...(fixed.length === 0 ? {} : { links: fixed }),
      ...driving?.fields,
      nodes,
    },
    site: {
      zones,
      controllerZone,
      nodes: nodes.map((node) => ({ node: node.node, zone: node.zone, late: 'start' in node, architecture: node.architecture })),
    },
  };
}

/** What is wrong with a link for good. Rates and losses that no quiet phase could work off are left out. */
function drawWay(dice: Dice): Fields {
  if (!dice.chance(1, 5)) return {};
  return dice.pick<() => Fields>([
    () => ({ bandwidth: { rate: dice.pick(['64KiB', '256KiB', '4MiB']), queue: dice.pick(['32KiB', '256KiB']) } }),
    () => ({ burstLoss: { burst: written(dice.between(20, 400)), apart: written(dice.between(1_000, 8_000)) } }),
    () => ({ duplication: dice.pick(['1/100', '1/4']) }),
    () => ({ reordering: { ratio: dice.pick(['1/50', '1/4']), delay: written(dice.between(1, 100)) } }),
    () => ({ corruption: dice.pick(['1/5000', '1/500']) }),
  ])();
}

/**
 * No clock is right. Oscillators differ by less than what a lease leaves to the controller's time; civil time by what machines have that
 * nobody sets, and certificates forgive.
 */
export function drawClock(dice: Dice): Fields {
  return { offset: written(dice.pick([-5_000, -1_000, -40, 0, 40, 1_000, 5_000])), drift: dice.between(-100, 100) };
}

/** A node that gets hot, or that hangs on a battery, which is charged before long. */
function drawPower(dice: Dice): Fields {
  if (!dice.chance(1, 8)) return {};
  if (dice.chance(1, 2)) return { thermal: { constant: written(dice.between(2_000, 15_000)), full: 120, factor: dice.pick([2, 5, 10]) } };
  const fullMs = dice.between(8_000, 40_000);
  return {
    battery: { full: written(fullMs), idle: written(fullMs * dice.between(1, 4)), charge: written(dice.between(500, 6_000)) },
  };
}

type Driving = { readonly vehicle: string; readonly fields: Fields };
type Place = { readonly zone: string; readonly location: readonly [number, number] };

/** One zone drives among cells of the others, now and then out of reach of all; it begins and ends beside a mast. */
function drawVehicle(dice: Dice, places: readonly Place[], controllerZone: string, durationMs: number): Driving | null {
  const movable = places.filter(({ zone }) => zone !== controllerZone);
  if (movable.length === 0 || !dice.chance(1, 4)) return null;
  const vehicle = dice.pick(movable);
  const [latitude, longitude] = vehicle.location;
  const around = (): readonly [number, number] => [
    latitude + dice.between(-20, 20) / THOUSAND,
    longitude + dice.between(-20, 20) / THOUSAND,
  ];
  const masts = places
    .filter(({ zone }) => zone !== vehicle.zone)
    .map(({ zone }, i) => ({ zone, location: i === 0 ? vehicle.location : around() }));
  const stations = Array.from({ length: dice.between(1, 3) }, around);
  const lastMs = Math.floor(durationMs * 0.8);
  const stops = [...stations, dice.pick(masts).location];
  return {
    vehicle: vehicle.zone,
    fields: {
      cells: masts.map(({ zone, location }, i) => ({
        cell: `mast-${i + 1}`,
        zone,
        location,
        reach: `${dice.between(800, 4_000)}m`,
        latency: written(dice.between(1, 20)),
        edge: { delay: written(dice.between(0, 40)), loss: dice.pick(['1/100', '1/10']) },
        ...(dice.chance(1, 3) ? { bandwidth: { rate: dice.pick(['128KiB', '1MiB']), queue: '256KiB' } } : {}),
      })),
      vehicles: [
        {
          vehicle: vehicle.zone,
          path: stops.map((to, i) => ({ to, at: written(Math.floor((lastMs * (i + 1)) / stops.length)) })),
          interruption: written(dice.between(0, 200)),
          ...(dice.chance(1, 2) ? { hysteresis: dice.pick(['0%', '30%']) } : {}),
        },
      ],
    },
  };
}

function drawLink(dice: Dice, within: boolean): Fields {
  const micros = within ? dice.between(100, 1_000) : dice.between(1_000, 50_000);
  const latency = dice.pick<unknown>([
    `${micros}us`,
    { uniform: { min: `${micros}us`, max: `${micros * dice.between(1, 2)}us` } },
    { normal: { mean: `${micros + Math.floor(micros / 2)}us`, deviation: `${Math.floor(micros / 2)}us`, min: `${micros}us` } },
    { logNormal: { median: `${micros * 2}us`, p99: `${micros * dice.between(3, 8)}us`, min: `${micros}us` } },
    { exponential: { mean: `${micros * 2}us`, min: `${micros}us` } },
    { empirical: Array.from({ length: dice.between(2, 9) }, () => `${micros * dice.between(1, 4)}us`) },
  ]);
  return { latency, ...(dice.chance(1, 3) ? { loss: dice.pick(['1/1000', '1/100', '1/20']) } : {}) };
}

/** No vehicle drives out of reach, and no battery runs dry. */
export function isCalmFleet({ vehicles, nodes }: Fields): boolean {
  return !Array.isArray(vehicles) && (nodes as readonly Fields[]).every((node) => !('battery' in node));
}

function isRough({ vehicles, links }: Fields): boolean {
  return Array.isArray(vehicles) || (Array.isArray(links) && links.some((link: Fields) => 'loss' in link || 'burstLoss' in link));
}

/** Times of the control plane, at half of all runs its own. */
export function drawPlatform(dice: Dice, fleet: Fields): Fields | null {
  if (dice.chance(1, 2)) return null;
  // Where messages are lost for good a lease of half a second lapses for good, every few seconds.
  const heartbeatMs = isRough(fleet) ? 1_000 : dice.pick([200, 500, 1_000]);
  const suspectMs = heartbeatMs * dice.between(2, 4);
  const unavailableMs = suspectMs + heartbeatMs * dice.between(2, 5);
  return {
    heartbeat: written(heartbeatMs),
    suspect: written(suspectMs),
    unavailable: written(unavailableMs),
    lease: written(unavailableMs - dice.pick([100, 250, 500]) * (heartbeatMs === 200 ? 1 : 2)),
    queue: dice.pick([50, 200, 1_000]),
  };
}
