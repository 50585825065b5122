// What may break in a drawn run: one entry for each kind of fault, so that a kind without an entry does not compile. Every
// drawn fault ends on its own or when the phase of work ends, and destroys nothing for good: the quiet phase must reach
// liveness whatever was drawn.
import type { FaultKind } from '../../../scenarios/scenario.ts';
import { written, type Dice, type Fields } from './dice.ts';
import type { Site } from './fleet.ts';

export type FaultDraw = {
  /** The step without its time. */
  readonly draw: (dice: Dice, site: Site) => Fields;
  /** True when modules have to be pushed and deployed once more after it, as their operator would: it spoils what is stored. */
  readonly spoilsModules?: true;
};

export const CONTROLLER = 'controller';
/** Bound: an operator waits 30 s for an answer, and a command that nobody carried out fails the run. */
export const CONTROLLER_MS_MAX = 4_000;
export const NODE_MS_MAX = 12_000;
export const NETWORK_MS_MAX = 8_000;
/** From a second that leaps to a day that is wrong. */
const STEPS_MS = [-86_400_000, -3_000, -40, 40, 1_000, 60_000, 86_400_000] as const;

export const FAULT_DRAWS: Readonly<Record<FaultKind, FaultDraw>> = {
  crash: {
    draw(dice, site) {
      const step = onMachine('crash', dice, site);
      return step['crash'] !== CONTROLLER && dice.chance(1, 20) ? { ...step, for: 'ever' } : step;
    },
  },
  pause: { draw: (dice, site) => onMachine('pause', dice, site) },
  reboot: { draw: (dice, site) => onMachine('reboot', dice, site) },
  upgrade: { draw: (dice, site) => ({ ...onNode('upgrade', dice, site), version: `9.${dice.between(0, 9)}.0` }) },
  wipe: { draw: (dice, site) => onNode('wipe', dice, site) },
  restore: {
    draw(dice, site) {
      const off = dice.between(20, 2_000);
      return { restore: dice.pick(site.nodes).node, off: written(off), for: written(off + dice.between(20, NODE_MS_MAX)) };
    },
  },
  throttle: { draw: (dice, site) => ({ ...onMachine('throttle', dice, site), factor: dice.pick([2, 5, 20]) }) },
  'memory-pressure': {
    draw: (dice, site) => ({ ...onNode('memory-pressure', dice, site), leaves: dice.pick(['64KiB', '1MiB', '4MiB']) }),
  },
  'clock-step': { draw: (dice, site) => ({ ...onMachine('clock-step', dice, site), by: written(dice.pick(STEPS_MS)) }) },
  // What an oscillator may be off by. A lease is safe for no larger difference than what it leaves to the controller's time.
  'clock-drift': { draw: (dice, site) => ({ ...onMachine('clock-drift', dice, site), ppm: dice.pick([-500, -50, 50, 500]) }) },
  'clock-freeze': { draw: (dice, site) => onMachine('clock-freeze', dice, site) },
  'disk-full': { draw: (dice, site) => onMachine('disk-full', dice, site) },
  'disk-slow': { draw: (dice, site) => ({ ...onMachine('disk-slow', dice, site), factor: dice.pick([5, 50, 500]) }) },
  'disk-lies': { draw: (dice, site) => onNode('disk-lies', dice, site) },
  'disk-rot': { draw: (dice, site) => ({ 'disk-rot': dice.pick(site.nodes).node }) },
  partition: {
    draw(dice, site) {
      const [a, b] = sides(dice, site);
      return { partition: a, from: b, for: lasting(dice, NETWORK_MS_MAX) };
    },
  },
  'partition-one-way': {
    draw(dice, site) {
      const [a, b] = sides(dice, site);
      const [from, to] = dice.chance(1, 2) ? [a, b] : [b, a];
      return { 'partition-one-way': from, to, for: lasting(dice, NETWORK_MS_MAX) };
    },
  },
  latency: {
    draw: (dice, site) => ({ latency: link(dice, site), factor: dice.pick([2, 5, 20]), for: lasting(dice, NETWORK_MS_MAX) }),
  },
  loss: {
    draw: (dice, site) => ({ loss: link(dice, site), ratio: dice.pick(['1/100', '1/10', '1/3']), for: lasting(dice, NETWORK_MS_MAX) }),
  },
  bandwidth: {
    draw: (dice, site) => ({
      bandwidth: link(dice, site),
      rate: dice.pick(['8KiB', '64KiB', '1MiB']),
      queue: dice.pick(['4KiB', '64KiB']),
      for: lasting(dice, NETWORK_MS_MAX),
    }),
  },
  'burst-loss': {
    draw: (dice, site) => ({
      'burst-loss': link(dice, site),
      ratio: dice.pick(['1/2', '100%']),
      burst: written(dice.between(50, 1_000)),
      apart: written(dice.between(200, 3_000)),
      for: lasting(dice, NETWORK_MS_MAX),
    }),
  },
  duplication: {
    draw: (dice, site) => ({ duplication: link(dice, site), ratio: dice.pick(['1/10', '100%']), for: lasting(dice, NETWORK_MS_MAX) }),
  },
  reordering: {
    draw: (dice, site) => ({
      reordering: link(dice, site),
      ratio: dice.pick(['1/10', '1/2']),
      delay: written(dice.between(1, 500)),
      for: lasting(dice, NETWORK_MS_MAX),
    }),
  },
  corruption: {
    draw: (dice, site) => ({ corruption: link(dice, site), ratio: dice.pick(['1/100', '1/10']), for: lasting(dice, NETWORK_MS_MAX) }),
  },
  clog: { draw: (dice, site) => ({ clog: someOf(dice, site), for: lasting(dice, NETWORK_MS_MAX) }) },
  swizzle: {
    draw: (dice, site) => ({ swizzle: [CONTROLLER, ...site.nodes.map(({ node }) => node)], for: lasting(dice, NETWORK_MS_MAX) }),
  },
  'half-open': {
    draw(dice, site) {
      const [a, b] = sides(dice, site);
      return { 'half-open': a, with: b, for: lasting(dice, NETWORK_MS_MAX) };
    },
  },
  'broker-outage': { draw: (dice) => onBroker('broker-outage', dice) },
  'broker-slow': { draw: (dice) => ({ ...onBroker('broker-slow', dice), by: written(dice.pick([5, 100, 800])) }) },
  'broker-loses-answers': { draw: (dice) => ({ ...onBroker('broker-loses-answers', dice), ratio: dice.pick(['1/20', '1/4']) }) },
  'broker-repeats': { draw: (dice) => ({ ...onBroker('broker-repeats', dice), ratio: dice.pick(['1/20', '1/4']) }) },
  'reset-connections': {
    draw: (dice, site) => ({ 'reset-connections': dice.chance(1, 2) ? CONTROLLER : dice.pick(site.nodes).node }),
  },
  'spoil-artefact': {
    draw: (dice) => ({ ...onBroker('spoil-artefact', dice), how: dice.pick(['truncated', 'changed', 'swapped']) }),
  },
  garbage: { draw: (dice, site) => onNode('garbage', dice, site) },
  'forge-artefact': {
    draw: (dice) => ({ 'forge-artefact': CONTROLLER, for: lasting(dice, CONTROLLER_MS_MAX) }),
    spoilsModules: true,
  },
};

function onMachine(kind: FaultKind, dice: Dice, site: Site): Fields {
  if (dice.chance(1, 4)) return { [kind]: CONTROLLER, for: lasting(dice, CONTROLLER_MS_MAX) };
  return onNode(kind, dice, site);
}

/** The broker and whatever else the controller serves. */
function onBroker(kind: FaultKind, dice: Dice): Fields {
  return { [kind]: CONTROLLER, for: lasting(dice, CONTROLLER_MS_MAX) };
}

/** What befalls the controller may take the last good copy, or makes no sense there. */
function onNode(kind: FaultKind, dice: Dice, site: Site): Fields {
  return { [kind]: dice.pick(site.nodes).node, for: lasting(dice, NODE_MS_MAX) };
}

/** Two sides with no machine in both: nodes against the controller, a zone against another or the controller, or two halves. */
function sides(dice: Dice, site: Site): readonly [readonly string[], readonly string[]] {
  const names = site.nodes.map(({ node }) => node);
  const [first = '', second] = dice.sample(site.zones, 2);
  if (second !== undefined && dice.chance(1, 3)) return [[first], [second]];
  if (first !== site.controllerZone && dice.chance(1, 2)) return [[first], [CONTROLLER]];
  const cut = dice.sample(names, dice.between(1, Math.max(1, names.length - 1)));
  return [cut, dice.chance(1, 2) ? [CONTROLLER] : [CONTROLLER, ...names.filter((name) => !cut.includes(name))]];
}

function someOf(dice: Dice, site: Site): readonly string[] {
  const names = [CONTROLLER, ...site.nodes.map(({ node }) => node)];
  return dice.sample(names, dice.between(1, names.length));
}

function link(dice: Dice, site: Site): readonly [string, string] {
  return [dice.pick(site.zones), dice.pick(site.zones)];
}

/** Short ones as often as long ones: what matters is often over within a heartbeat. */
export function lasting(dice: Dice, msMax: number): string {
  return written(dice.between(20, dice.pick([300, 2_000, msMax])));
}
