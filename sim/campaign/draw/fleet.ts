// Draws a fleet: zones with links between them, and nodes of every architecture, size and speed. What it leaves to chance is
// what deployments must not depend on; what it never draws is a node too small for one instance of each drawn module.
import { written, type Dice, type Fields } from './dice.ts';

const ZONES = ['cloud/a', 'cloud/b', 'edge/n', 'edge/s'] as const;
const NODES_MAX = 9;
const ARCHITECTURES = ['x86_64', 'aarch64', 'riscv64'] as const;
const LATE_MS_MAX = 8_000;

/** The places and machines that a run may break, as drawn or as a scenario names them. */
export type Site = {
  readonly zones: readonly string[];
  readonly controllerZone: string;
  /** `late`: it joins while the run is under way, so that commands about it may come too early. */
  readonly nodes: readonly { readonly node: string; readonly zone: string; readonly late: boolean }[];
};

export type DrawnFleet = { readonly fleet: Fields; readonly site: Site };

export function drawFleet(dice: Dice): DrawnFleet {
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
    };
  });
  const links = zones.flatMap((a, i) =>
    zones.slice(i).flatMap((b) => (dice.chance(2, 3) ? [{ between: [a, b], ...drawLink(dice, a === b) }] : [])),
  );
  const controllerZone = dice.pick(zones);
  return {
    fleet: {
      controller: { zone: controllerZone },
      zones: zones.map((zone) => ({ zone, location: [dice.between(40, 60), dice.between(-5, 25)] })),
      ...(links.length === 0 ? {} : { links }),
      nodes,
    },
    site: { zones, controllerZone, nodes: nodes.map((node) => ({ node: node.node, zone: node.zone, late: 'start' in node })) },
  };
}

function drawLink(dice: Dice, within: boolean): Fields {
  const micros = within ? dice.between(100, 1_000) : dice.between(1_000, 50_000);
  const latency = dice.pick<unknown>([
    `${micros}us`,
    { uniform: { min: `${micros}us`, max: `${micros * dice.between(1, 2)}us` } },
    { normal: { mean: `${micros + Math.floor(micros / 2)}us`, deviation: `${Math.floor(micros / 2)}us`, min: `${micros}us` } },
  ]);
  return { latency, ...(dice.chance(1, 3) ? { loss: dice.pick(['1/1000', '1/100', '1/20']) } : {}) };
}

/** Times of the control plane, at half of all runs its own. */
export function drawPlatform(dice: Dice): Fields | null {
  if (dice.chance(1, 2)) return null;
  const heartbeatMs = dice.pick([200, 500, 1_000]);
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
