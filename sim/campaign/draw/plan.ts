// From which seeds a run is drawn. A fresh plan draws all from one; a plan near another one keeps most of what that one drew, so
// that what led somewhere new leads there again, and a little further.
import type { FaultKind, Ratio } from '../../../scenarios/scenario.ts';
import { Dice } from './dice.ts';

export type Plan = {
  /** Of the run itself: what is left to chance while it is played. */
  readonly seed: string;
  /** Duration, fleet, platform and work are drawn from this one, and the scenario where several are named. */
  readonly ground: string;
  /** Kinds of fault, in the order of the world's kinds, each with the seed that its times and targets are drawn from. */
  readonly faults: Readonly<Partial<Record<FaultKind, string>>>;
  /** Seed of the run that it was drawn near to; null for a fresh one. */
  readonly near: string | null;
};

/** How likely each kind is to be in a run: from peace, in which what only peace shows is seen, over a few to a third of them. */
const INTENSITIES: readonly Ratio[] = [
  [0, 1],
  [1, 24],
  [1, 12],
  [1, 12],
  [1, 5],
  [1, 3],
];
/** How a plan differs from the one that it is near to. */
const CHANGES = ['chance', 'times', 'kinds', 'ground', 'both'] as const;
/** Bound: kinds that one change redraws or adds. */
const KINDS_CHANGED_MAX = 3;

export function freshPlan(seed: string, kinds: readonly FaultKind[]): Plan {
  const [numerator, denominator] = new Dice(seed, 'intensity').pick(INTENSITIES);
  // A stream for each kind: a new kind leaves the others where they were.
  const subset = kinds.filter((kind) => new Dice(seed, `whether ${kind}`).chance(numerator, denominator));
  return { seed, ground: seed, faults: Object.fromEntries(subset.map((kind) => [kind, seed])), near: null };
}

/** A plan for the run of `seed`, near `parent`; `other` lends it faults where both are joined. `dice` decide, and nothing else. */
export function drawNear(dice: Dice, seed: string, parent: Plan, other: Plan, kinds: readonly FaultKind[]): Plan {
  const faults: Partial<Record<FaultKind, string>> = { ...parent.faults };
  let { ground } = parent;
  switch (dice.pick(CHANGES)) {
    case 'chance':
      break;
    case 'times':
      for (const kind of dice.sample(kindsOf(faults), dice.between(1, KINDS_CHANGED_MAX))) faults[kind] = seed;
      break;
    case 'kinds':
      for (const kind of kindsOf(faults)) if (dice.chance(1, 4)) delete faults[kind];
      for (const kind of dice.sample(
        kinds.filter((one) => !(one in parent.faults)),
        dice.between(1, KINDS_CHANGED_MAX),
      ))
        faults[kind] = seed;
      break;
    case 'ground':
      ground = seed;
      break;
    case 'both':
      for (const kind of kindsOf(other.faults)) if (dice.chance(1, 2)) faults[kind] = other.faults[kind] ?? seed;
      break;
  }
  // In the order of the world's kinds, whatever came first.
  const ordered = kinds.flatMap((kind) => (faults[kind] === undefined ? [] : [[kind, faults[kind]] as const]));
  return { seed, ground, faults: Object.fromEntries(ordered), near: parent.seed };
}

export function kindsOf(faults: Plan['faults']): readonly FaultKind[] {
  return Object.keys(faults) as readonly FaultKind[];
}
