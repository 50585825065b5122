// What `fuzz --unrepairable` adds: moments at which the last good copy is gone. The controller's disk is wiped, alone or with those of all
// nodes, or an older copy of it is put back; before that it may rot, so that nobody starts from it, or lie until its power fails. Afterwards
// an operator sets up again what the run is about.
import type { FaultKind } from '../../../scenarios/scenario.ts';
import { msOf, written, type Dice } from './dice.ts';
import type { Site } from './fleet.ts';
import { CALM_UNTIL_MS, type TimedStep } from './operators.ts';

const CONTROLLER = 'controller';
const OFF_MS_MAX = 2_000;
const AGE_MS_MAX = 8_000;
/** Of a copy during whose life more happens than time passes. */
const AGE_MS_LEAST = 400;
const CRASH_MS_MAX = 300;
/** Between two losses, and before the operator begins anew. */
const APART_MS = 1_000;
/** Less is no time for a loss. */
const ROOM_MS = 1_500;
/** Kinds that a controller which loses its disk is spared: its terms go on from the civil time at which it was put back. */
const CIVIL_KINDS: readonly string[] = ['clock-step', 'clock-freeze'];
/**
 * Kinds after or during which it may start, or take long to: it must have begun its term before the disk lies. One that is lost is given
 * again, to two processes, and agents cannot tell which of them speaks.
 */
const ENDING_KINDS: readonly string[] = ['crash', 'reboot', 'pause', 'throttle', 'disk-full', 'disk-slow'];
/** How long its start may take when it is well. */
const START_MS = 3_000;

/** `kind`: of the fault that is told first. */
export type DrawnLoss = TimedStep & { readonly kind: FaultKind };

/** From when to when its disk lies, in milliseconds. */
export type Lie = { readonly fromMs: number; readonly toMs: number };

export type Losing = {
  readonly faults: readonly DrawnLoss[];
  readonly lies: readonly Lie[];
  /** When operators set everything up again before the end of the run, besides; null for never. */
  readonly againMs: number | null;
};

/** At least one loss, over before `untilMs`; two never overlap. */
export function drawLosses(dice: Dice, { nodes }: Site, untilMs: number): Losing {
  const faults: DrawnLoss[] = [];
  const lies: Lie[] = [];
  let againMs: number | null = null;
  let fromMs = CALM_UNTIL_MS;
  for (let left = dice.between(1, 2); left > 0 && untilMs - APART_MS - fromMs >= ROOM_MS; left--) {
    const room = untilMs - APART_MS - fromMs;
    const off = dice.between(20, Math.min(OFF_MS_MAX, room - 1_000));
    const what = dice.pick(['wipe', 'restore', 'restore', 'everything', 'rot', 'lies'] as const);
    const isCopied = what !== 'wipe' && what !== 'everything';
    const leastMs = what === 'rot' || what === 'lies' ? AGE_MS_LEAST : 20;
    const lasts = isCopied ? off + dice.between(leastMs, Math.min(AGE_MS_MAX, room - off - 100)) : off;
    const ms = fromMs + dice.between(0, room - lasts);
    if (isCopied)
      faults.push({ ms, kind: 'restore', step: { restore: CONTROLLER, off: written(off), for: written(lasts), lastCopy: true } });
    else faults.push({ ms, kind: 'wipe', step: { wipe: CONTROLLER, for: written(off), lastCopy: true } });
    if (what === 'everything') for (const { node } of nodes) faults.push({ ms, kind: 'wipe', step: { wipe: node, for: written(off) } });
    if (what === 'rot') faults.push(...drawRot(dice, ms, lasts - off));
    if (what === 'lies') {
      const lie = drawLie(dice, ms, lasts - off);
      faults.push(...lie.faults);
      lies.push(lie);
    }
    fromMs = ms + lasts + APART_MS;
    againMs = dice.chance(1, 2) && fromMs < untilMs ? fromMs : null;
  }
  return { faults, lies, againMs };
}

/** After the copy was taken; mostly somebody tries to start from what rotted before that is put back, `ageMs` after it was taken. */
function drawRot(dice: Dice, ms: number, ageMs: number): readonly DrawnLoss[] {
  const rotMs = ms + dice.between(1, ageMs - 200);
  const rot: DrawnLoss = { ms: rotMs, kind: 'disk-rot', step: { 'disk-rot': CONTROLLER, lastCopy: true } };
  if (dice.chance(1, 4)) return [rot];
  const crashMs = dice.between(rotMs + 1, ms + ageMs - 100);
  return [rot, { ms: crashMs, kind: 'crash', step: { crash: CONTROLLER, for: written(dice.between(20, CRASH_MS_MAX)) } }];
}

/**
 * After the copy was taken: the disk lies, the power fails, and when it is back the disk has what it kept. Whoever starts goes on with
 * that, if it is enough to start from: what it kept of blobs, keys and journals need not fit. So the copy is put back in the end.
 */
function drawLie(dice: Dice, ms: number, ageMs: number): Lie & { readonly faults: readonly DrawnLoss[] } {
  const fromMs = ms + dice.between(1, Math.ceil(ageMs / 2));
  const crashMs = dice.between(fromMs + 1, ms + ageMs - 100);
  const off = dice.between(20, CRASH_MS_MAX);
  const toMs = crashMs + dice.between(1, off - 1);
  return {
    fromMs,
    toMs,
    faults: [
      { ms: fromMs, kind: 'disk-lies', step: { 'disk-lies': CONTROLLER, for: written(toMs - fromMs), lastCopy: true } },
      { ms: crashMs, kind: 'crash', step: { crash: CONTROLLER, for: written(off) } },
    ],
  };
}

/** Whether a drawn fault may befall a fleet that loses its last copies. */
export function mayBefall({ ms, kind, step }: DrawnLoss, lies: readonly Lie[]): boolean {
  if (step[kind] !== CONTROLLER) return true;
  if (CIVIL_KINDS.includes(kind)) return false;
  const toMs = ms + (step['for'] === undefined ? 0 : msOf(step['for']));
  return !ENDING_KINDS.includes(kind) || lies.every((lie) => ms > lie.toMs || toMs + START_MS < lie.fromMs);
}

/** What is set up once more: who is trusted, then the steps of the first setup, one after the other. */
export function againAt(ms: number, setup: readonly TimedStep[]): readonly TimedStep[] {
  return [{ ms, step: { trust: 'ops' } }, ...setup.map(({ step }, i) => ({ ms: ms + 1 + i, step }))];
}
