// Demand that moves: a van drives past roadside units, and work that needs what only those have follows it from one to the next. Drawn beside
// everything else of a run in which nothing breaks, since only there is a time promised within which it has followed.
import { AGENT_BOUNDS } from '../../../agents/bounds.ts';
import { PROBE_HEARTBEATS } from '../../../agents/probes/probes.ts';
import { written, type Dice, type Fields } from './dice.ts';
import { ARCHITECTURES, drawClock } from './fleet.ts';
import { ANSWERED_WITHIN, CALM_UNTIL_MS, type DrawnSteps, type TimedStep } from './operators.ts';

export type Road = DrawnSteps & {
  /** What a fleet has besides. */
  readonly fleet: { readonly zones: readonly Fields[]; readonly links: readonly Fields[]; readonly nodes: readonly Fields[] } & Fields;
  readonly workload: readonly Fields[];
};

const UNITS_MAX = 4;
const VAN = 'fleet/van';
const LENS = 'lens';
const WORK = 'follower';
/** Metres that a thousandth of a degree of latitude is long. */
const METRES_OF_THOUSANDTH = 111.2;
const THOUSAND = 1_000;
/** Between two units, beside what their radio takes: so much that one of them is nearer by enough to move, whatever else they have to do. */
const APART_MS = { least: 14, most: 40 };
/** The first unit is known to be the nearest. */
const LEAVES_MS = { least: 7_000, most: 10_000 };
const STAGE_MS_LEAST = 1_500;
/** For the controller to look, the artefact to get there, and the work to begin. */
const MOVE_MS = 3_000;

/** What of the run matters here: `heartbeatMs` is that of the platform. */
export type Beside = { readonly controllerZone: string; readonly heartbeatMs: number; readonly durationMs: number };

/** Null: nobody drives. */
export function drawRoad(dice: Dice, { controllerZone, heartbeatMs, durationMs }: Beside): Road | null {
  if (!dice.chance(1, 3)) return null;
  const spacing = dice.between(4, 12);
  const [south, longitude] = [dice.between(41, 59), dice.between(-4, 24)];
  const units = Array.from({ length: dice.between(2, UNITS_MAX) }, (_, i) => ({
    zone: `road/unit-${i + 1}`,
    location: [(south * THOUSAND + i * spacing) / THOUSAND, longitude] as const,
  }));
  const apart = `${dice.between(APART_MS.least, APART_MS.most)}ms`;
  const away = `${dice.between(5, 25)}ms`;
  const leavesMs = dice.between(LEAVES_MS.least, LEAVES_MS.most);
  const leastMs = leavesMs + STAGE_MS_LEAST * (units.length - 1);
  const arrivesMs = dice.between(leastMs, Math.max(leastMs, durationMs));
  const [first, last] = [units[0], units.at(-1)];
  return {
    fleet: {
      zones: [...units, { zone: VAN, location: first?.location }],
      links: units.flatMap(({ zone }, i) => [
        { between: [controllerZone, zone], latency: away },
        ...units.slice(i + 1).map((other) => ({ between: [zone, other.zone], latency: apart })),
      ]),
      nodes: [
        ...units.map(({ zone }, i) => ({
          node: `unit-${i + 1}`,
          zone,
          architecture: dice.pick(ARCHITECTURES),
          cores: 8,
          memory: '1GiB',
          hardware: [LENS],
          clock: drawClock(dice),
        })),
        { node: 'van', zone: VAN, architecture: dice.pick(ARCHITECTURES), cores: 2, memory: '256MiB', clock: drawClock(dice) },
      ],
      cells: units.map(({ zone, location }, i) => ({
        cell: `unit-${i + 1}`,
        zone,
        location,
        // More than half of the way to the next: it is never out of reach.
        reach: `${Math.ceil((spacing * METRES_OF_THOUSANDTH * dice.between(65, 100)) / 100)}m`,
        latency: `${dice.between(1, 3)}ms`,
        edge: { delay: `${dice.between(0, 3)}ms` },
      })),
      vehicles: [
        {
          vehicle: VAN,
          path: [
            { to: first?.location, at: written(leavesMs) },
            { to: last?.location, at: written(arrivesMs) },
          ],
          interruption: written(dice.between(0, 50)),
        },
      ],
    },
    steps: stepsOf(dice),
    workload: [
      {
        name: WORK,
        subject: 'road.seen',
        from: VAN,
        start: written(CALM_UNTIL_MS + 500),
        end: written(durationMs),
        every: written(dice.between(200, 1_000)),
      },
    ],
    goals: [
      { near: { deployment: WORK, vehicle: VAN, within: written(nearWithinMs(heartbeatMs)) } },
      { answered: { subject: 'road.seen', within: ANSWERED_WITHIN } },
    ],
  };
}

/** A unit that fell behind is told to be near until its last good round trip is forgotten; a heartbeat tells of it. */
function nearWithinMs(heartbeatMs: number): number {
  const { probeIntervalMs, probeSamplesMax } = AGENT_BOUNDS;
  return probeSamplesMax * Math.max(probeIntervalMs, PROBE_HEARTBEATS * heartbeatMs) + heartbeatMs + MOVE_MS;
}

function stepsOf(dice: Dice): readonly TimedStep[] {
  const deploy = { deploy: WORK, origin: VAN, needs: { hardware: [LENS] }, whenNearer: 'move', concurrency: dice.between(1, 16) };
  return [
    { ms: 4_100, step: { push: WORK, example: 'echo' } },
    { ms: 4_300, step: deploy },
    { ms: 4_500, step: { trigger: WORK, on: 'road.seen', result: 'answers.road', deliveries: 50 } },
  ];
}
