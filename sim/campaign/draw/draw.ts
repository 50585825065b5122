// Swarm testing (H3.1): one seed draws a whole run: its fleet, its work, which kinds of fault it knows and how often each
// comes. What is drawn is a scenario file, which is loaded and played as any other, so that a failure is a file from the start.
// Runs differ most in what they leave out: each takes a subset of the kinds.
import { stringify } from 'yaml';
import { HEARTBEAT_MS, SCENARIO_SUFFIX } from '../../../scenarios/load.ts';
import { Dice, msOf, written, type Fields } from './dice.ts';
import type { FaultKind, Scenario } from '../../../scenarios/scenario.ts';
import { FAULT_DRAWS } from './faults.ts';
import { drawFleet, drawPlatform, isCalmFleet, type Site } from './fleet.ts';
import { baseOf } from './base.ts';
import { freshPlan, kindsOf, type Plan } from './plan.ts';
import { drawLosses, mayBefall, type Losing } from './losses.ts';
import { PAIR_DRAWS } from './pairs.ts';
import { CALM_UNTIL_MS, type TimedStep } from './operators.ts';
import { drawRoad, type Road } from './road.ts';
import { drawWork } from './work.ts';

export { FAULT_DRAWS } from './faults.ts';
export { drawNear, freshPlan, type Plan } from './plan.ts';

const DURATION_MS = { least: 15_000, most: 45_000 };
/** Long enough for the largest backoff, a lease and a placement, one after the other, and then for what has gathered. */
const QUIET = '45s';
/** Bound: faults of one kind in one run; a run draws how many at most. */
const FAULTS_MAX = [1, 3, 10] as const;
/** Bound: kinds that the question of a run names. */
const KINDS_TOLD_MAX = 6;
/** Bound: pairs of faults of one sort in one run; one run in so many that know the first kind has some. */
const PAIRS_MAX = 3;
const PAIRED_RUNS = 2;
/** Mean distances of two faults of one kind. */
const DISTANCES_MS = [1_500, 4_000, 10_000, 25_000] as const;
/** Before the end of the work, where modules have to be deployed once more, and before that, where nothing may spoil them. */
const REDEPLOY_MS = 5_000;
const UNSPOILT_MS = 1_000;
const NOTHING_LOST: Losing = { faults: [], lies: [], againMs: null };

/** A scenario to draw from, rather than from nothing: its text, and what it means. */
export type Base = { readonly scenario: Scenario; readonly text: string };

export type Drawn = {
  readonly file: string;
  readonly text: string;
  /** How often each kind of fault is begun. */
  readonly faults: Readonly<Record<string, number>>;
  readonly nodes: number;
};

/** The same seed, kinds and base draw the same text anywhere. `seed` is canonical. */
export function drawRun(seed: string, kinds: readonly FaultKind[], base: Base | null): Drawn {
  return drawPlan(freshPlan(seed, kinds), base);
}

/** The same plan and base draw the same text anywhere. `unrepairable`: last good copies are lost too; not with a base, whose work is set up once. */
export function drawPlan(plan: Plan, base: Base | null, unrepairable = false): Drawn {
  const { seed } = plan;
  const drawn = base === null ? drawAll(plan, unrepairable) : { ...baseOf(base), losing: NOTHING_LOST, beside: 0 };
  const { site, durationMs, redeployMs, calmMs, losing } = drawn;
  const frame = { fromMs: calmMs, durationMs, redeployMs };
  const repairable = [...drawFaults(plan, site, frame), ...drawPairs(plan, site, frame)].sort((a, b) => a.ms - b.ms);
  const faults: readonly DrawnFault[] = unrepairable
    ? [...repairable.filter((fault) => mayBefall(fault, losing.lies)), ...losing.faults].sort((a, b) => a.ms - b.ms)
    : repairable;
  const counts: Record<string, number> = {};
  for (const { kind } of faults) counts[kind] = (counts[kind] ?? 0) + 1;
  const spoilt = redeployMs === null ? [] : drawSpoilt(plan, faults, site, redeployMs);
  const steps = [...(drawn.document['steps'] as readonly Fields[]), ...[...faults, ...spoilt].sort((a, b) => a.ms - b.ms).map(stepOf)];
  const told = Object.entries(counts).map(([kind, count]) => `${kind} ${count}`);
  const document = {
    // The language allows 200 characters; the steps have the counts too.
    question: `Does the platform recover from what ${seed} drew${base === null ? '' : ` for ${base.scenario.name}`}: ${shortened(told)}?`,
    requirements: ['H3.1'],
    tags: ['fuzz'],
    ...drawn.document,
    steps,
  };
  const name = base === null ? `fuzz-${seed}` : `fuzz-${base.scenario.name}-${seed}`;
  const from = base === null ? '' : ` ${base.scenario.name}`;
  const option = unrepairable ? ' --unrepairable' : '';
  const how =
    plan.near === null
      ? `Drawn by \`wasmmatrix fuzz${from} --seed ${seed} --runs 1${option}\``
      : `Drawn by \`wasmmatrix fuzz${from}${option}\`, near the run of ${plan.near}`;
  return {
    file: `${name}${SCENARIO_SUFFIX}`,
    text: `# ${how}. Seed ${seed}.\n${stringify(document, { flowCollectionPadding: true })}`,
    faults: counts,
    nodes: site.nodes.length + drawn.beside,
  };
}

/** What faults are drawn over. */
export type Ground = {
  readonly document: Fields;
  readonly site: Site;
  readonly durationMs: number;
  /** When everything is pushed and deployed once more; null when nothing has to be. */
  readonly redeployMs: number | null;
  /** No fault before. */
  readonly calmMs: number;
};

/** `beside`: nodes that no fault is drawn over. */
type Whole = Ground & { readonly losing: Losing; readonly beside: number };

function drawAll({ ground, faults }: Plan, unrepairable: boolean): Whole {
  const durationMs = new Dice(ground, 'shape').between(DURATION_MS.least, DURATION_MS.most);
  const spoils = unrepairable || kindsOf(faults).some((kind) => FAULT_DRAWS[kind].spoilsModules === true);
  const redeployMs = spoils ? durationMs - REDEPLOY_MS : null;
  const { fleet, site } = drawFleet(
    {
      fleet: new Dice(ground, 'fleet'),
      ways: new Dice(ground, 'ways'),
      power: new Dice(ground, 'power'),
      vehicles: new Dice(ground, 'vehicles'),
      clocks: new Dice(ground, 'clocks'),
    },
    durationMs,
  );
  const losing = unrepairable && redeployMs !== null ? drawLosses(new Dice(ground, 'losses'), site, redeployMs) : NOTHING_LOST;
  const platform = drawPlatform(new Dice(ground, 'platform'), fleet);
  const isCalm = !unrepairable && kindsOf(faults).length === 0 && isCalmFleet(fleet);
  const heartbeatMs = platform === null ? HEARTBEAT_MS : msOf(platform['heartbeat']);
  const road = isCalm ? drawRoad(new Dice(ground, 'road'), { controllerZone: site.controllerZone, heartbeatMs, durationMs }) : null;
  const work = drawWork(
    {
      work: new Dice(ground, 'work'),
      authors: new Dice(ground, 'authors'),
      needs: new Dice(ground, 'needs'),
      forgeries: new Dice(ground, 'forgeries'),
      rights: new Dice(ground, 'rights'),
      greed: new Dice(ground, 'greed'),
      spare: new Dice(ground, 'spare'),
      drains: new Dice(ground, 'drains'),
    },
    site,
    {
      durationMs,
      redeployMs,
      isCalm,
      losing: unrepairable ? losing : null,
    },
  );
  return {
    document: {
      duration: written(durationMs),
      quiet: QUIET,
      fleet: road === null ? fleet : withRoad(fleet, road),
      ...(platform === null ? {} : { platform }),
      steps: [...work.steps, ...(road?.steps ?? [])].sort((a, b) => a.ms - b.ms).map(stepOf),
      workload: [...work.workload, ...(road?.workload ?? [])],
      observe: ['answers.>'],
      ...(work.observeState.length === 0 ? {} : { observeState: work.observeState }),
      goals: [...work.goals, ...(road?.goals ?? [])],
    },
    site,
    durationMs,
    redeployMs,
    calmMs: CALM_UNTIL_MS,
    losing,
    beside: road?.fleet.nodes.length ?? 0,
  };
}

function withRoad(fleet: Fields, road: Road): Fields {
  const both = (field: 'zones' | 'links' | 'nodes'): readonly Fields[] => [
    ...((fleet[field] ?? []) as readonly Fields[]),
    ...road.fleet[field],
  ];
  return { ...fleet, ...road.fleet, zones: both('zones'), links: both('links'), nodes: both('nodes') };
}

type DrawnFault = TimedStep & { readonly kind: FaultKind };

/** When faults may begin. */
type Frame = Pick<Ground, 'durationMs' | 'redeployMs'> & { readonly fromMs: number };

function drawFaults(plan: Plan, site: Site, { fromMs, durationMs, redeployMs }: Frame): readonly DrawnFault[] {
  const faults: DrawnFault[] = [];
  for (const kind of kindsOf(plan.faults)) {
    const { draw, spoilsModules } = FAULT_DRAWS[kind];
    const dice = new Dice(plan.faults[kind] ?? plan.seed, `fault ${kind}`);
    const distanceMs = dice.pick(DISTANCES_MS);
    const spoils = spoilsModules === true;
    if (spoils && redeployMs === null) continue;
    let ms = fromMs + dice.between(0, distanceMs);
    const most = new Dice(plan.faults[kind] ?? plan.seed, `most of ${kind}`).pick(FAULTS_MAX);
    for (let left: number = most; left > 0; left--, ms += dice.between(1, 2 * distanceMs)) {
      const step = draw(dice, site);
      const endMs = spoils ? ms + msOf(step['for']) + UNSPOILT_MS : ms;
      if (endMs > (spoils ? (redeployMs ?? 0) : durationMs - 1)) break;
      faults.push({ ms, step, kind });
    }
  }
  return faults.sort((a, b) => a.ms - b.ms);
}

/** Drawn from the seed of the first kind, each sort of pair in a stream of its own. */
function drawPairs(plan: Plan, site: Site, { fromMs, durationMs }: Frame): readonly DrawnFault[] {
  return PAIR_DRAWS.flatMap(({ first, second, draw }) => {
    const seed = plan.faults[first];
    if (seed === undefined) return [];
    const dice = new Dice(seed, `pair ${first} ${second}`);
    if (durationMs <= fromMs || !dice.chance(1, PAIRED_RUNS)) return [];
    return Array.from({ length: dice.between(1, PAIRS_MAX) }, () => {
      const ms = dice.between(fromMs, durationMs - 1);
      const { step, follower } = draw(dice, site);
      const isWithin = ms + follower.afterMs < durationMs;
      return [{ ms, step, kind: first }, ...(isWithin ? [{ ms: ms + follower.afterMs, step: follower.step, kind: second }] : [])];
    }).flat();
  });
}

/** Something is pushed and deployed just when what is stored is spoilt, and once more when all else is: a fault that spoils nothing shows nothing. */
function drawSpoilt(plan: Plan, faults: readonly DrawnFault[], { zones, nodes }: Site, redeployMs: number): readonly TimedStep[] {
  const spoiling = faults.filter(({ kind }) => FAULT_DRAWS[kind].spoilsModules === true);
  if (spoiling.length === 0) return [];
  const dice = new Dice(plan.ground, 'spoilt');
  const deploy = { deploy: 'spoilt', origin: dice.pick(zones), replicas: dice.between(1, nodes.length) };
  return [...spoiling.map(({ ms }) => ms), redeployMs].flatMap((ms) => [
    { ms, step: { push: 'spoilt', example: 'echo' } },
    { ms: ms + 300, step: deploy },
  ]);
}

function stepOf({ ms, step }: TimedStep): Fields {
  return { at: written(ms), ...step };
}

function shortened(told: readonly string[]): string {
  if (told.length <= KINDS_TOLD_MAX) return told.join(', ') || 'no fault';
  return `${told.slice(0, KINDS_TOLD_MAX).join(', ')} and ${told.length - KINDS_TOLD_MAX} more kinds`;
}
