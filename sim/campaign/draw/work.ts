// Draws what is run and what operators do with it: modules, deployments, triggers, the events for them, and later pushes,
// rollbacks and scalings. It knows how all of it must stand in the end, which makes the goals of the run.
import { written, type Dice, type Fields } from './dice.ts';
import type { Site } from './fleet.ts';
import { againAt, type Losing } from './losses.ts';
import {
  ANSWERED_WITHIN,
  CALM_UNTIL_MS,
  drawDrains,
  drawForgeries,
  drawGreed,
  drawLongDrain,
  drawSpare,
  type TimedStep,
} from './operators.ts';

export type DrawnWork = {
  readonly steps: readonly TimedStep[];
  readonly workload: readonly Fields[];
  readonly observeState: readonly string[];
  readonly goals: readonly Fields[];
};

type Guest = {
  readonly example: string;
  readonly subject: string;
  readonly push?: Fields;
  readonly data: (dice: Dice) => string;
};

const GUESTS: readonly Guest[] = [
  { example: 'echo', subject: 'questions.plain', push: { limits: { fuel: 4_000_000, memory: '2MiB' } }, data: () => '{id}' },
  { example: 'counter', subject: 'counts.tick', data: () => '{n}' },
  { example: 'brake-alert', subject: 'sensors.brake', data: () => '{"v": {random:5:30}, "a": -{random:0:9}, "id": {n}}' },
  { example: 'burn', subject: 'jobs.burn', data: (dice) => `{random:100:${dice.pick([500, 4_000])}}` },
  {
    example: 'trap',
    subject: 'work.odd',
    push: { limits: { fuel: 1_000_000, memory: '1MiB', output: '4KiB' } },
    data: (dice) => dice.pick(['trap', 'bounds', 'stack', 'spin', 'grow', 'fail', 'fine']),
  },
  // A WASI 0.2 component that writes and publishes by its capabilities.
  { example: 'worst-speed', subject: 'roads.speed', data: () => 'a{random:1:9} {random:20:220}' },
  { example: 'forbidden', subject: 'tries.none', data: () => 'open clock random sleep publish state' },
];

const GUESTS_MAX = 3;
/** Bound: what a revoked key keeps from running waits so long, and its deliveries must not run out. */
const REVOKED_MS_MAX = 4_000;
const SETUP_MS = 2_000;
/** Of fewer, so little may be left under a curve that no event comes at all. */
const CURVED_EVENTS_MIN = 40;
/** Bound: events of one workload, so that one slow instance behind the longest link is done with all in the quiet phase. */
const EVENTS_MAX = [10, 40, 120] as const;
/** Each takes some round trips to the store of state, and only one at a time gets through. */
const COUNTED_EVENTS_MAX = [5, 10, 25] as const;
/** Of these each takes all its deliveries, and each delivery some trips over the longest link. */
const FAILING_EVENTS_MAX = [10, 20, 30] as const;
const EVENTS_OF: Readonly<Record<string, readonly number[]>> = { counter: COUNTED_EVENTS_MAX, trap: FAILING_EVENTS_MAX };
/** A counter must be given every event in the end: no delivery is its last. What always goes wrong must be over with soon. */
const DELIVERIES: Readonly<Record<string, number>> = { counter: 1_000, trap: 3 };

/** What a version of `forbidden` may do: nothing, a part, or all that it tries and that there is a capability for. */
const RIGHTS: readonly (readonly string[])[] = [[], [], ['clock'], ['clock', 'publish:forbidden.>', 'state-read:forbidden']];
/** So many deliveries outlast whatever happens to instances where nothing breaks. */
const OUTLASTING_DELIVERIES = 50;

/** A stream for each purpose. */
export type WorkDice = {
  readonly work: Dice;
  readonly authors: Dice;
  readonly needs: Dice;
  readonly forgeries: Dice;
  readonly rights: Dice;
  readonly greed: Dice;
  readonly spare: Dice;
  readonly drains: Dice;
};

/** When it happens; `isCalm`: no fault is drawn, and the fleet has nothing that breaks by itself; `losing`: last copies are lost. */
export type Frame = {
  readonly durationMs: number;
  readonly redeployMs: number | null;
  readonly isCalm: boolean;
  readonly losing: Losing | null;
};

export function drawWork(
  { work: dice, authors, needs, forgeries, rights, greed, spare, drains }: WorkDice,
  site: Site,
  { durationMs, redeployMs, isCalm, losing }: Frame,
): DrawnWork {
  const demand = drawDemand(needs, site);
  const parts = dice
    .sample(GUESTS, dice.between(1, GUESTS_MAX))
    // One of them alone, so that there is room for all wherever it must be.
    .map((guest, i) => drawGuest(dice, guest, { site, durationMs, redeployMs, atMs: SETUP_MS + i * 700, demand: i === 0 ? demand : null }))
    .map((part) => drawRights(rights, part))
    .map((part) => drawAuthor(authors, drawNearer(authors, part), durationMs));
  // What is stored is spoilt and put right by a further push, which a spare one does not get.
  const spareOnes = redeployMs === null ? drawSpare(spare, site, durationMs) : { steps: [], goals: [] };
  const work = parts.flatMap(({ steps }) => steps);
  const short = drawDrains(dice, site, durationMs);
  const long = isCalm && work.every(({ step }) => mayLeave(step, site)) ? drawLongDrain(drains, site, zonesOf(work), durationMs) : null;
  return {
    steps: [
      ...(losing === null ? work : [...work, ...setUpAgain(work, losing.againMs, redeployMs)]),
      ...(long?.steps ?? short),
      ...(losing === null || redeployMs === null ? [] : undrainAgain(short, redeployMs)),
      ...spareOnes.steps,
      ...drawForgeries(forgeries, durationMs),
      ...drawGreed(greed, durationMs),
    ],
    workload: parts.flatMap(({ workload }) => workload),
    observeState: parts.flatMap(({ observeState }) => observeState),
    goals: [
      ...parts.flatMap(({ goals }) => goals),
      ...(isCalm ? parts.flatMap(answersOf) : []),
      ...spareOnes.goals,
      ...(long?.goals ?? []),
      { 'queue-bounded': { refusedAtLeast: 0 } },
    ],
  };
}

/** What a controller that lost its disk knows nothing of. Before the end modules are pushed and deployed once more anyway. */
function setUpAgain(work: readonly TimedStep[], againMs: number | null, redeployMs: number | null): readonly TimedStep[] {
  const isFirst = ({ ms }: TimedStep): boolean => ms < CALM_UNTIL_MS;
  const setup = work.filter(isFirst);
  const bound = setup.filter(({ step }) => 'trigger' in step);
  const last = redeployMs === null ? [] : againAt(redeployMs - 100, []);
  const triggers = redeployMs === null ? [] : bound.map(({ step }) => ({ ms: redeployMs + 600, step }));
  return [...(againMs === null ? [] : againAt(againMs, setup)), ...last, ...triggers];
}

/** A copy may know of a drain, and not that the node was taken back. */
function undrainAgain(drains: readonly TimedStep[], redeployMs: number): readonly TimedStep[] {
  const nodes = new Set(drains.flatMap(({ step }) => ('drain' in step ? [step['drain']] : [])));
  return [...nodes].map((node) => ({ ms: redeployMs - 50, step: { undrain: node } }));
}

/** Where demand is, and most of the work. */
function zonesOf(work: readonly TimedStep[]): readonly unknown[] {
  return work.flatMap(({ step }) => ('deploy' in step ? [step['origin']] : []));
}

/** Whether what a step wants running finds room on the nodes that have joined for certain, but for one. */
function mayLeave(step: Fields, { nodes }: Site): boolean {
  if ('scale' in step) return Number(step['replicas']) < nodes.filter(({ late }) => !late).length;
  if (!('deploy' in step)) return true;
  const isFree = step['needs'] === undefined && step['whenUnreachable'] === undefined && typeof step['spread'] !== 'number';
  return isFree && Number(step['replicas']) < nodes.filter(({ late }) => !late).length;
}

/** Where nothing breaks, what always succeeds has a result in the end, unless it runs out of deliveries first. */
function answersOf({ steps }: DrawnWork): readonly Fields[] {
  const isRevoked = steps.some(({ step }) => 'revoke' in step);
  return steps.flatMap(({ step }) => {
    const { trigger, on, result, deliveries } = step;
    const isSure = trigger !== 'trap' && trigger !== 'forbidden' && Number(deliveries) >= OUTLASTING_DELIVERIES && !isRevoked;
    return trigger !== undefined && result !== undefined && isSure ? [{ answered: { subject: on, within: ANSWERED_WITHIN } }] : [];
  });
}

/** Each version of what tries everything has rights of its own. */
function drawRights(dice: Dice, part: DrawnWork): DrawnWork {
  const given = ({ ms, step }: TimedStep): TimedStep =>
    step['push'] === 'forbidden' ? { ms, step: { ...step, capabilities: dice.pick(RIGHTS) } } : { ms, step };
  return { ...part, steps: part.steps.map(given) };
}

type Place = {
  readonly site: Site;
  readonly durationMs: number;
  readonly redeployMs: number | null;
  readonly atMs: number;
  readonly demand: Demand | null;
};

/** What a deployment asks of its places, of which there are so many. */
type Demand = { readonly fields: Fields; readonly replicasMax: number };

/** What only some machines can meet; null for nothing, as most deployments ask. */
function drawDemand(dice: Dice, { nodes }: Site): Demand | null {
  if (!dice.chance(1, 3)) return null;
  const { architecture } = dice.pick(nodes);
  const { zone } = dice.pick(nodes);
  const level = dice.between(1, 2);
  const places = new Set(nodes.map((node) => node.zone.split('/').slice(0, level).join('/')));
  return dice.pick<Demand>([
    {
      fields: { needs: { architectures: [architecture] } },
      replicasMax: nodes.filter((node) => node.architecture === architecture).length,
    },
    { fields: { needs: { within: zone } }, replicasMax: nodes.filter((node) => node.zone === zone).length },
    { fields: { needs: { memory: dice.pick(['24MiB', '32MiB']), cpu: dice.pick([50, 200]) } }, replicasMax: nodes.length },
    { fields: { spread: level }, replicasMax: places.size },
  ]);
}

function drawGuest(dice: Dice, guest: Guest, { site, durationMs, redeployMs, atMs, demand }: Place): DrawnWork {
  const name = guest.example;
  const push = { push: name, ...guest.push };
  const apart = dice.chance(1, 2);
  const replicasMax = demand?.replicasMax ?? (apart ? site.nodes.length : site.nodes.length + 2);
  let replicas = dice.between(1, replicasMax);
  let versions = 1;
  let version = 1;
  const spec = {
    origin: dice.pick(site.zones),
    ...(apart ? { spread: 'node' } : {}),
    // What stays gives no room to others, so it may not fill a node that something else has to be on.
    ...(dice.chance(1, 6) && apart && demand === null ? { whenUnreachable: 'stay' } : {}),
    ...(dice.chance(1, 2) ? { concurrency: dice.between(2, 8) } : {}),
    ...demand?.fields,
  };
  const steps: TimedStep[] = [
    { ms: atMs, step: push },
    { ms: atMs + 200, step: { deploy: name, ...spec, replicas } },
    { ms: atMs + 400, step: drawTrigger(dice, guest) },
  ];
  let ms = atMs + CALM_UNTIL_MS;
  const lastMs = (redeployMs ?? durationMs) - 1_500;
  for (let left = dice.between(0, 4); left > 0; left--) {
    const nextMs = ms + dice.between(500, 8_000);
    if (nextMs > lastMs) break;
    ms = nextMs;
    const what = dice.pick(['version', 'rollback', 'scale', 'scale'] as const);
    if (what === 'version') {
      versions += 1;
      version = versions;
      steps.push({ ms, step: push }, { ms: ms + 300, step: { deploy: name, ...spec, replicas } });
      ms += 300;
    } else if (what === 'rollback') {
      version = dice.between(1, versions);
      steps.push({ ms, step: { rollback: name, version } });
    } else {
      replicas = dice.between(0, replicasMax);
      steps.push({ ms, step: { scale: name, replicas } });
    }
  }
  if (redeployMs !== null || replicas === 0) {
    replicas = Math.max(1, replicas);
    const againMs = redeployMs ?? Math.max(ms + 500, lastMs);
    if (redeployMs !== null) {
      versions += 1;
      version = versions;
      steps.push({ ms: againMs, step: push });
    }
    const step = redeployMs === null ? { scale: name, replicas } : { deploy: name, ...spec, replicas };
    steps.push({ ms: againMs + 300, step });
  }
  return {
    steps,
    workload: drawWorkload(dice, guest, site, durationMs),
    observeState: name === 'counter' ? ['counter/count'] : [],
    goals: [
      { running: { deployment: name, atLeast: replicas } },
      { 'version-everywhere': { deployment: name, version } },
      ...(name === 'counter' ? [{ 'counted-once': { key: 'counter/count', subject: guest.subject } }] : []),
    ],
  };
}

/** Work that follows demand, unless it is bound to its node. */
function drawNearer(dice: Dice, part: DrawnWork): DrawnWork {
  if (!dice.chance(1, 4)) return part;
  const follows = ({ ms, step }: TimedStep): TimedStep =>
    'deploy' in step && step['whenUnreachable'] === undefined ? { ms, step: { ...step, whenNearer: 'move' } } : { ms, step };
  return { ...part, steps: part.steps.map(follows) };
}

/** An author of its own, whose key is revoked when everything was pushed and deployed, and trusted again. */
function drawAuthor(dice: Dice, part: DrawnWork, durationMs: number): DrawnWork {
  const lastMs = Math.max(...part.steps.map(({ ms }) => ms));
  const fromMs = Math.max(lastMs + 1_000, CALM_UNTIL_MS);
  if (!dice.chance(1, 5) || fromMs > durationMs - REVOKED_MS_MAX - 2_000) return part;
  const author = `author-of-${String(part.steps.flatMap(({ step }) => ('push' in step ? [step['push']] : []))[0])}`;
  const revokeMs = dice.between(fromMs, durationMs - REVOKED_MS_MAX - 1_000);
  const signed = part.steps.map(({ ms, step }) => ({ ms, step: 'push' in step ? { ...step, by: author } : step }));
  return {
    ...part,
    steps: [
      ...signed,
      { ms: revokeMs, step: { revoke: author } },
      { ms: revokeMs + dice.between(100, REVOKED_MS_MAX), step: { trust: author } },
    ],
  };
}

function drawTrigger(dice: Dice, { example, subject }: Guest): Fields {
  const backoffMs = dice.pick([20, 100, 500]);
  return {
    trigger: example,
    on: subject,
    ...(dice.chance(2, 3) ? { result: `answers.${example}` } : {}),
    deliveries: DELIVERIES[example] ?? dice.pick([1, 3, 8, 50]),
    // A guest that asks for state behind the slowest link is done within it: what is handed out again each time is never settled.
    ackWait: written(dice.pick([2_000, 5_000])),
    backoff: written(backoffMs),
    backoffMax: written(backoffMs * dice.pick([1, 5, 10])),
  };
}

function drawWorkload(dice: Dice, guest: Guest, site: Site, durationMs: number): readonly Fields[] {
  return Array.from({ length: dice.between(1, 2) }, (_, i) => {
    const shape = dice.pick(['steady', 'poisson', 'burst'] as const);
    const burst = dice.pick([2, 5, 20]);
    const startMs = dice.between(CALM_UNTIL_MS, Math.floor(durationMs / 2));
    const endMs = dice.between(startMs + 1_000, durationMs);
    const events = dice.pick(EVENTS_OF[guest.example] ?? EVENTS_MAX);
    const everyMs = Math.max(5, Math.ceil(((endMs - startMs) * (shape === 'burst' ? burst : 1)) / events));
    return {
      name: `${guest.example}-${i + 1}`,
      subject: guest.subject,
      from: dice.pick(site.zones),
      start: written(startMs),
      end: written(endMs),
      every: written(everyMs),
      ...(shape === 'steady' ? {} : { shape }),
      ...(shape === 'burst' ? { burst } : {}),
      ...(shape !== 'burst' && events >= CURVED_EVENTS_MIN && dice.chance(1, 3) ? { curve: drawCurve(dice, endMs - startMs) } : {}),
      data: guest.data(dice),
    };
  });
}

/** A day, or several, of nights and peaks: at most twice as many events as without it. */
function drawCurve(dice: Dice, lengthMs: number): Fields {
  const periodMs = Math.ceil(lengthMs / dice.between(1, 3));
  const rates = Array.from({ length: dice.between(2, 4) }, (_, i) => (i === 0 ? 0.5 : dice.pick([0, 0.2, 1, 2])));
  return {
    period: written(periodMs),
    points: rates.map((rate, i) => ({ at: written(Math.floor((periodMs * i) / rates.length)), rate })),
  };
}
