// What a counter must have counted after a loss where two triggers listen to one subject, and only one of them counts: whoever settles an
// event first says nothing of the other.
import { describe, expect, it } from 'vitest';
import { CLAIMS } from '../../../scenarios/goals/claims.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import type { TriggerName } from '../../../system/domain/identifiers.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { at, scenarioOf, triggerOf } from '../../support/scenarios/scenario.ts';

const COUNTER = 'trigger-echo';
const OTHER = 'trigger-other';
const fault = { fault: 'fault-1', kind: 'restore', target: 'controller' };
/** A copy of 10 s, put back at 20 s. */
const copied = said(10 * S, 'fault.begun', { ...fault, detail: '' });
const restored = said(20 * S, 'fault.felt', fault);
/** Its disk lies from 10 s on, and its power fails at 20 s. */
const lied = said(10 * S, 'fault.begun', { fault: 'fault-2', kind: 'disk-lies', target: 'controller', detail: '' });
const failed = said(20 * S, 'fault.felt', { fault: 'fault-3', kind: 'crash', target: 'controller' });

const accepts = (micros: number, event: string, subject = 'questions.plain'): RunRecord =>
  said(micros, 'event.accepted', { event, subject, sequence: 1, bytes: 1, instance: null, epoch: null });
const delivers = (micros: number, event: string, consumer: string): RunRecord =>
  said(micros, 'event.delivered', { consumer, event, sequence: 1, attempt: 1, instance: null, epoch: null });
const acknowledges = (micros: number, event: string, consumer: string): RunRecord =>
  said(micros, 'event.acknowledged', { consumer, event, sequence: 1, attempt: 1, instance: 'echo/0', epoch: 1 });
const buries = (micros: number, event: string, consumer: string): RunRecord =>
  said(micros, 'event.deadlettered', { consumer, event, sequence: 1, attempts: 8, code: 'WM_GUEST_TRAP' });

const steps = [triggerOf(), triggerOf({ name: 'other' as TriggerName })].map((spec) => ({ at: at(0), do: 'trigger', spec }) as const);
const judged = (counted: number, ...records: readonly RunRecord[]): GoalResult => {
  const goal = CLAIMS['counted-once']?.create({ key: 'count', subject: 'questions.plain' }, scenarioOf({ steps }), 0);
  if (goal === undefined) throw new Error('no goal counted-once');
  return judge(goal, [...records, said(50 * S, 'state.observed', { key: 'count', value: `${counted}` })]);
};
const LOST = '1 were acknowledged and not lost: an effect is lost';

describe('of two triggers that listen to one subject', () => {
  /** Whether the goal holds with no effect when one has settled e1 after these records, and with none and one when both have. */
  const heldAfter = (...before: readonly RunRecord[]): readonly boolean[] => {
    const one = [...before, acknowledges(40 * S, 'e1', OTHER)];
    const both = [...one, delivers(41 * S, 'e1', COUNTER), acknowledges(42 * S, 'e1', COUNTER)];
    return [judged(0, ...one), judged(0, ...both), judged(1, ...both)].map(({ held }) => held);
  };
  const DUE_WHEN_BOTH_HAVE = [true, false, true];

  it('one that was under way at the loss and is published again is not due before both have settled it', () => {
    expect(heldAfter(copied, accepts(15 * S, 'e1'), restored, accepts(30 * S, 'e1'))).toEqual(DUE_WHEN_BOTH_HAVE);
  });

  it('nor is one that the copy has, of which it was told just after', () => {
    expect(heldAfter(copied, accepts(10 * S + 1, 'e1'), restored)).toEqual(DUE_WHEN_BOTH_HAVE);
    expect(heldAfter(copied, accepts(10 * S + 1, 'e1'), restored, delivers(30 * S, 'e1', OTHER))).toEqual(DUE_WHEN_BOTH_HAVE);
    const settled = [acknowledges(11 * S, 'e1', COUNTER), acknowledges(11 * S, 'e1', OTHER)];
    expect(heldAfter(copied, accepts(10 * S + 1, 'e1'), ...settled, restored, delivers(30 * S, 'e1', OTHER))).toEqual(DUE_WHEN_BOTH_HAVE);
  });

  it('nor is one that a disk that lied has lost, or of which it lost that one has settled it', () => {
    expect(heldAfter(lied, accepts(15 * S, 'e1'), acknowledges(16 * S, 'e1', COUNTER), failed, accepts(30 * S, 'e1'))).toEqual(
      DUE_WHEN_BOTH_HAVE,
    );
    expect(heldAfter(lied, accepts(15 * S, 'e1'), acknowledges(16 * S, 'e1', COUNTER), failed, delivers(30 * S, 'e1', OTHER))).toEqual(
      DUE_WHEN_BOTH_HAVE,
    );
  });

  it('one that both have settled by the copy stays due, although it is told again', () => {
    const before = [accepts(1 * S, 'e1'), acknowledges(2 * S, 'e1', COUNTER), acknowledges(3 * S, 'e1', OTHER), copied, restored];
    const again = acknowledges(21 * S, 'e1', OTHER);
    expect(judged(0, ...before, again).because).toContain(LOST);
    // And is not under way at the next loss.
    const wiped = said(30 * S, 'fault.felt', { fault: 'fault-4', kind: 'wipe', target: 'controller' });
    expect(judged(1, ...before, again, wiped).because).toContain('0 events were accepted: an effect came twice');
  });
});

describe('of dead letters', () => {
  const counts = [accepts(1 * S, 'e1'), acknowledges(2 * S, 'e1', COUNTER), acknowledges(2 * S, 'e1', OTHER), copied];

  it('those of other subjects make up for no effect that came twice', () => {
    const unrelated = [accepts(3 * S, 'o1', 'readings.plain'), buries(9 * S, 'o1', 'trigger-readings')];
    expect(judged(2, ...unrelated, ...counts, restored).because).toContain('1 events were accepted: an effect came twice');
  });

  it('those of the subject may have had their effect, before the loss or after', () => {
    const buried = [accepts(12 * S, 'e2'), buries(15 * S, 'e2', COUNTER), buries(15 * S, 'e2', OTHER)];
    expect(judged(2, ...counts, ...buried, restored)).toMatchObject({ held: true, because: '' });
    expect(judged(3, ...counts, ...buried, restored).because).toContain('2 events were accepted: an effect came twice');
  });

  it('one that the copy does not know of leaves its event due once it is settled', () => {
    const buried = [accepts(1 * S, 'e1'), copied, buries(12 * S, 'e1', COUNTER), restored];
    const settled = [delivers(30 * S, 'e1', COUNTER), acknowledges(31 * S, 'e1', COUNTER), acknowledges(32 * S, 'e1', OTHER)];
    expect(judged(0, ...buried, ...settled).because).toContain(LOST);
    expect(judged(1, ...buried, ...settled)).toMatchObject({ held: true, because: '' });
  });
});
