// What `fuzz --unrepairable` adds: moments at which the last good copy is gone. The controller's disk is wiped, alone or with those of all
// nodes, or an older copy of it is put back. Afterwards an operator sets up again what the run is about.
import { written, type Dice } from './dice.ts';
import type { Site } from './fleet.ts';
import { CALM_UNTIL_MS, type TimedStep } from './operators.ts';

const CONTROLLER = 'controller';
const OFF_MS_MAX = 2_000;
const AGE_MS_MAX = 8_000;
/** Between two losses, and before the operator begins anew. */
const APART_MS = 1_000;
/** Less is no time for a loss. */
const ROOM_MS = 1_500;
/** Kinds that a controller which loses its disk is spared: its terms go on from the civil time at which it was put back. */
const CIVIL_KINDS: readonly string[] = ['clock-step', 'clock-freeze'];

/** `kind`: of the fault that is told first. */
export type DrawnLoss = TimedStep & { readonly kind: 'wipe' | 'restore' };

export type Losing = {
  readonly faults: readonly DrawnLoss[];
  /** When operators set everything up again before the end of the run, besides; null for never. */
  readonly againMs: number | null;
};

/** At least one loss, over before `untilMs`; two never overlap. */
export function drawLosses(dice: Dice, { nodes }: Site, untilMs: number): Losing {
  const faults: DrawnLoss[] = [];
  let againMs: number | null = null;
  let fromMs = CALM_UNTIL_MS;
  for (let left = dice.between(1, 2); left > 0 && untilMs - APART_MS - fromMs >= ROOM_MS; left--) {
    const room = untilMs - APART_MS - fromMs;
    const off = dice.between(20, Math.min(OFF_MS_MAX, room - 1_000));
    const what = dice.pick(['wipe', 'restore', 'restore', 'everything'] as const);
    const lasts = what === 'restore' ? off + dice.between(20, Math.min(AGE_MS_MAX, room - off - 100)) : off;
    const ms = fromMs + dice.between(0, room - lasts);
    if (what === 'restore')
      faults.push({ ms, kind: 'restore', step: { restore: CONTROLLER, off: written(off), for: written(lasts), lastCopy: true } });
    else faults.push({ ms, kind: 'wipe', step: { wipe: CONTROLLER, for: written(off), lastCopy: true } });
    if (what === 'everything') for (const { node } of nodes) faults.push({ ms, kind: 'wipe', step: { wipe: node, for: written(off) } });
    fromMs = ms + lasts + APART_MS;
    againMs = dice.chance(1, 2) && fromMs < untilMs ? fromMs : null;
  }
  return { faults, againMs };
}

/** Whether a drawn fault may befall a fleet that loses its last copies. */
export function mayBefall(kind: string, step: Readonly<Record<string, unknown>>): boolean {
  return !(CIVIL_KINDS.includes(kind) && step[kind] === CONTROLLER);
}

/** What is set up once more: who is trusted, then the steps of the first setup, one after the other. */
export function againAt(ms: number, setup: readonly TimedStep[]): readonly TimedStep[] {
  return [{ ms, step: { trust: 'ops' } }, ...setup.map(({ step }, i) => ({ ms: ms + 1 + i, step }))];
}
