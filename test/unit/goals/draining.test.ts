// `drained` over records written by hand: nothing new on a drained node, and nothing old on it for long.
import { describe, expect, it } from 'vitest';
import { createGoals } from '../../../scenarios/goals/goals.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { deployed, withGoal } from '../../support/scenarios/scenario.ts';

const isIn = (micros: number, from: string, to: string, node: string | null): RunRecord =>
  said(micros, 'instance.state', { instance: 'echo/0', deployment: 'echo', from, to, node, epoch: 1, version: 1, cause: '' });
const marks = (micros: number, from: string, to: string): RunRecord =>
  said(micros, 'node.status', { node: 'a-1', incarnation: 1, from, to, cause: '' });
const placed = [isIn(1 * S, 'pending', 'assigned', 'a-1'), isIn(2 * S, 'assigned', 'running', 'a-1')];
const drains = marks(5 * S, 'healthy', 'draining');
const later = marks(6 * S, 'draining', 'suspect');

function judged(...records: readonly RunRecord[]): GoalResult {
  const [goal] = createGoals(withGoal('drained', { node: 'a-1', within: 500 * MS }));
  if (goal === undefined) throw new Error('there is no goal drained');
  return judge(goal, records);
}

describe('drained', () => {
  it('holds when its work leaves in time, and may come back when the drain is over', () => {
    const left = isIn(5 * S + 1, 'running', 'pending', null);
    expect(judged(...placed, drains, left, later, marks(7 * S, 'suspect', 'healthy'), ...placed).held).toBe(true);
  });

  it('is broken by work that stays', () => {
    expect(judged(...placed, drains, later)).toMatchObject({
      held: false,
      machine: 'a-1',
      because: 'Instance echo/0 is still on a-1 1.000 s after a-1 began to drain: the drain is ignored.',
    });
  });

  it('is broken by work that comes', () => {
    expect(judged(drains, isIn(6 * S, 'pending', 'assigned', 'a-1')).because).toBe('Instance echo/0 was placed on a-1, which is drained.');
  });

  it('says nothing of work that was made to stay, and something of a drain that never was', () => {
    const [goal] = createGoals({
      ...withGoal('drained', { node: 'a-1', within: 500 * MS }),
      steps: deployed({ whenUnreachable: 'stay' }).steps,
    });
    expect(goal === undefined ? null : judge(goal, [...placed, drains, later]).held).toBe(true);
    expect(judged().because).toBe('a-1 was never drained: the scenario tested nothing.');
  });
});
