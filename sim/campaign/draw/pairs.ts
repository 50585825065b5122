// Faults that are drawn one upon the other: the second comes while the first is still felt. Two kinds that are drawn each for itself
// hardly ever meet within the milliseconds that matter, as where power fails between what a slow disk was asked for and what it has done.
import type { FaultKind } from '../../../scenarios/scenario.ts';
import { msOf, written, type Dice, type Fields } from './dice.ts';
import { CONTROLLER, CONTROLLER_MS_MAX, lasting, NETWORK_MS_MAX, NODE_MS_MAX } from './faults.ts';
import type { Site } from './fleet.ts';

export type Follower = {
  /** The step without its time. */
  readonly step: Fields;
  /** After the begin of the first. */
  readonly afterMs: number;
};

export type PairDraw = {
  /** A run that knows this kind may have the pair. */
  readonly first: FaultKind;
  readonly second: FaultKind;
  readonly draw: (dice: Dice, site: Site) => { readonly step: Fields; readonly follower: Follower };
};

/** Bound: power that fails again comes back before an operator gives up. */
const OFF_MS_MAX = 1_500;
/** A machine that starts again reads its disk for about as long. */
const STARTING_MS_MAX = 150;

export const PAIR_DRAWS: readonly PairDraw[] = [
  {
    // Power fails while what was written waits for its sync.
    first: 'disk-slow',
    second: 'crash',
    draw(dice, site) {
      const machine = someMachine(dice, site);
      const slow = { 'disk-slow': machine, factor: dice.pick([50, 200, 500]), for: lasting(dice, longest(machine)) };
      return { step: slow, follower: within(dice, slow, powerCut(dice, machine)) };
    },
  },
  {
    // A machine that nobody reaches loses power, or comes back to the same silence.
    first: 'partition',
    second: 'crash',
    draw(dice, site) {
      const { node } = dice.pick(site.nodes);
      const cut = { partition: [node], from: [CONTROLLER], for: lasting(dice, NETWORK_MS_MAX) };
      return { step: cut, follower: within(dice, cut, powerCut(dice, dice.chance(1, 2) ? node : CONTROLLER)) };
    },
  },
  {
    // Power fails again while a machine starts.
    first: 'crash',
    second: 'crash',
    draw(dice, site) {
      const machine = someMachine(dice, site);
      const first = powerCut(dice, machine);
      return {
        step: first,
        follower: { step: powerCut(dice, machine), afterMs: msOf(first['for']) + dice.between(1, STARTING_MS_MAX) },
      };
    },
  },
];

/** The controller as often as any of the nodes together: what it keeps is what was promised. */
function someMachine(dice: Dice, { nodes }: Site): string {
  return dice.chance(1, 2) ? CONTROLLER : dice.pick(nodes).node;
}

function longest(machine: string): number {
  return machine === CONTROLLER ? CONTROLLER_MS_MAX : NODE_MS_MAX;
}

function powerCut(dice: Dice, machine: string): Fields {
  return { crash: machine, for: written(dice.between(20, OFF_MS_MAX)) };
}

function within(dice: Dice, first: Fields, step: Fields): Follower {
  return { step, afterMs: dice.between(1, msOf(first['for']) - 1) };
}
