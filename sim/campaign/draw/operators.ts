// Draws what operators do beside running their work: nodes that are drained and taken back, a deployment that nobody needs any more,
// pushes that must be refused.
import { written, type Dice, type Fields } from './dice.ts';
import type { Site } from './fleet.ts';

/** A step and when it happens, in milliseconds. */
export type TimedStep = { readonly ms: number; readonly step: Fields };

/** What is done, and what must be true of it. */
export type DrawnSteps = { readonly steps: readonly TimedStep[]; readonly goals: readonly Fields[] };

/** Events begin when the trigger is there for certain: what nobody listens to yet is accepted and gone. */
export const CALM_UNTIL_MS = 5_000;
/** Longer than any run: all that is asked is that it comes. */
export const ANSWERED_WITHIN = '10m';
/** Where nothing breaks, a node that is drained has given away what it had by then. */
const DRAINED_WITHIN_MS = 5_000;
const NOTHING: DrawnSteps = { steps: [], goals: [] };

/** Pushes that must be refused: no key, one that nobody trusts, and a manifest that was changed after it was signed. */
export function drawForgeries(dice: Dice, durationMs: number): readonly TimedStep[] {
  if (!dice.chance(1, 4)) return [];
  return Array.from({ length: dice.between(1, 3) }, () => ({
    ms: dice.between(CALM_UNTIL_MS, durationMs - 2_000),
    step: { push: dice.pick(['forged', 'echo']), example: 'echo', signing: dice.pick(['unsigned', 'untrusted', 'tampered']) },
  }));
}

/** A push by a trusted key that asks for more than this key may grant, which is what other pushes by it ask for. */
export function drawGreed(dice: Dice, durationMs: number): readonly TimedStep[] {
  if (!dice.chance(1, 4)) return [];
  const capabilities = [dice.pick(['publish:>', 'publish:greed.>', 'state-write:greed'])];
  const ms = dice.between(CALM_UNTIL_MS, durationMs - 2_000);
  return [{ ms, step: { push: 'greedy', example: 'echo', capabilities, accepted: false } }];
}

/** A deployment that no event is for, scaled up and down and in the end to nothing: nothing of it may be left. */
export function drawSpare(dice: Dice, { zones, nodes }: Site, durationMs: number): DrawnSteps {
  if (!dice.chance(1, 4)) return NOTHING;
  const fromMs = dice.between(2_000, 5_000);
  const steps: TimedStep[] = [
    { ms: fromMs, step: { push: 'spare', example: 'echo' } },
    { ms: fromMs + 200, step: { deploy: 'spare', origin: dice.pick(zones), replicas: dice.between(1, nodes.length) } },
  ];
  let ms = fromMs + 200;
  for (let left = dice.between(0, 2); left > 0; left--) {
    ms += dice.between(500, 3_000);
    steps.push({ ms, step: { scale: 'spare', replicas: dice.between(0, nodes.length) } });
  }
  steps.push({ ms: dice.between(ms + 500, durationMs - 1_000), step: { scale: 'spare', replicas: 0 } });
  return { steps, goals: [{ running: { deployment: 'spare', atLeast: 0, atMost: 0 } }] };
}

/** A node that is drained is taken back before the work ends: what is wanted must fit again. */
export function drawDrains(dice: Dice, site: Site, durationMs: number): readonly TimedStep[] {
  if (!dice.chance(1, 3)) return [];
  const known = site.nodes.filter(({ late }) => !late);
  return dice.sample(known, dice.between(1, 2)).flatMap(({ node }) => {
    const ms = dice.between(CALM_UNTIL_MS, durationMs - 4_000);
    return [
      { ms, step: { drain: node } },
      { ms: dice.between(ms + 500, durationMs - 1_000), step: { undrain: node } },
    ];
  });
}

/** Where nothing breaks and all of the work may go elsewhere, a busy node that is drained for long must be empty before long. */
export function drawLongDrain(dice: Dice, { nodes }: Site, busyZones: readonly unknown[], durationMs: number): DrawnSteps | null {
  const known = nodes.filter(({ late }) => !late);
  if (known.length === 0 || dice.chance(1, 4)) return null;
  const busy = known.filter(({ zone }) => busyZones.includes(zone));
  const { node } = dice.pick(busy.length === 0 ? known : busy);
  const ms = dice.between(CALM_UNTIL_MS, durationMs - 2 * DRAINED_WITHIN_MS + 1_000);
  return {
    steps: [
      { ms, step: { drain: node } },
      { ms: dice.between(ms + DRAINED_WITHIN_MS + 500, durationMs - 1_000), step: { undrain: node } },
    ],
    goals: [{ drained: { node, within: written(DRAINED_WITHIN_MS) } }],
  };
}
