// Goals about when: each holds once, and is broken in each of its ways.
import { describe, expect, it } from 'vitest';
import { createGoals } from '../../../scenarios/goals/goals.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import type { GoalSpec } from '../../../scenarios/scenario.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { withGoal } from '../../support/scenarios/scenario.ts';

function judged(goal: string, parameters: GoalSpec['parameters'], records: readonly RunRecord[]): GoalResult {
  const [created] = createGoals(withGoal(goal, parameters));
  if (created === undefined) throw new Error(`there is no goal ${goal}`);
  return judge(created, records);
}

const becomes = (micros: number, to: string, node = 'a-1', from = 'suspect'): RunRecord =>
  said(micros, 'node.status', { node, incarnation: 1, from, to, cause: '' });
const letter = (micros: number, consumer = 'trigger-echo'): RunRecord =>
  said(micros, 'event.deadlettered', { consumer, event: 'e1', sequence: 1, attempts: 8, code: 'WM_GUEST_EXIT' });
const heals = (micros: number): RunRecord => said(micros, 'run.phase', { phase: 'quiet' });

describe('sometimes', () => {
  const parameters = { record: 'node.status', where: { to: 'unavailable', node: 'a-1' } };

  it('holds in every run, and says how often it happened', () => {
    expect(judged('sometimes', parameters, [becomes(1 * S, 'unavailable'), becomes(2 * S, 'unavailable')])).toMatchObject({
      held: true,
      reached: 2,
      checks: 2,
      claim: 'In some run node.status with to unavailable and node a-1 is written.',
      figures: { times: 2, firstMicros: 1 * S },
    });
    expect(judged('sometimes', parameters, [becomes(1 * S, 'healthy'), becomes(1 * S, 'unavailable', 'a-2')])).toMatchObject({
      held: true,
      reached: 0,
      checks: 0,
    });
  });

  it('has not happened while it happened less often than asked', () => {
    const twice = { ...parameters, atLeast: 2 };
    expect(judged('sometimes', twice, [becomes(1 * S, 'unavailable')])).toMatchObject({ held: true, reached: 0, figures: { times: 1 } });
    expect(judged('sometimes', twice, [becomes(1 * S, 'unavailable'), becomes(2 * S, 'unavailable')]).reached).toBe(2);
  });

  it('may name a state', () => {
    expect(judged('sometimes', { state: 'delivery-dead-lettered' }, [letter(1 * S)])).toMatchObject({
      reached: 1,
      claim: 'In some run a delivery is dead-lettered.',
    });
    expect(judged('sometimes', { state: 'queue-full' }, [letter(1 * S)]).reached).toBe(0);
  });
});

describe('never', () => {
  it('is broken by the first time, and names the node', () => {
    expect(judged('never', { record: 'node.status', where: { to: 'unavailable' } }, [becomes(3 * S, 'unavailable')])).toMatchObject({
      held: false,
      unconverged: false,
      micros: 3 * S,
      machine: 'a-1',
      because: 'It happened that node.status with to unavailable is written.',
    });
    expect(judged('never', { state: 'delivery-dead-lettered' }, [letter(1 * S)]).held).toBe(false);
  });

  it('holds otherwise, having looked', () => {
    const told = judged('never', { record: 'event.deadlettered', where: { consumer: 'trigger-other' } }, [letter(1 * S)]);
    expect(told).toMatchObject({ held: true, checks: 1 });
    expect(told.reached).toBeUndefined();
  });
});

describe('eventually holds', () => {
  const starts = (micros: number, machine = 'a-1'): RunRecord =>
    said(micros, 'machine.started', { machine, role: 'node', zone: 'cloud/a', incarnation: 1 });
  const tick = (micros: number): RunRecord => said(micros, 'log', { level: 'info', message: '' });
  const nodes = (...records: readonly RunRecord[]): GoalResult =>
    judged('eventually', { holds: 'nodes-healthy', within: 2 * S }, [starts(1 * S), ...records]);

  it('is met in time after the healing, and stays met', () => {
    expect(nodes(becomes(2 * S, 'unavailable'), heals(10 * S), becomes(12 * S, 'healthy'), tick(20 * S))).toMatchObject({
      held: true,
      figures: { tookMicros: 2 * S },
      claim: 'Within 2.000 s of the healing, and from then on, every node that is on is healthy in the inventory, or drains.',
    });
    expect(nodes(becomes(2 * S, 'draining'), heals(10 * S)).figures).toEqual({ tookMicros: 0 });
  });

  it('is broken by what is missing later than that, whether it was met before or not', () => {
    expect(nodes(becomes(2 * S, 'unavailable'), heals(10 * S), becomes(12_001 * MS, 'healthy'))).toMatchObject({
      held: false,
      unconverged: false,
      machine: 'a-1',
      because: 'Node a-1 is unavailable. That was 2.001 s after the healing; the limit is 2.000 s.',
    });
    expect(nodes(becomes(2 * S, 'healthy'), heals(10 * S), becomes(20 * S, 'suspect')).because).toContain('Node a-1 is suspect.');
    expect(nodes(heals(10 * S), tick(13 * S)).because).toContain('Node a-1 is not in the inventory.');
  });

  it('has not converged when nothing came after the healing, or no healing', () => {
    expect(nodes(becomes(2 * S, 'unavailable'), heals(10 * S))).toMatchObject({ unconverged: true, because: 'Node a-1 is unavailable.' });
    expect(nodes(becomes(2 * S, 'healthy'))).toMatchObject({ unconverged: true, because: 'The run ended before its faults were healed.' });
  });

  it('asks nothing of a machine that is off', () => {
    const stops = said(9 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' });
    expect(nodes(becomes(2 * S, 'unavailable'), stops, heals(10 * S), tick(20 * S)).held).toBe(true);
  });

  it('knows instances that do not run', () => {
    const goes = (micros: number, to: string): RunRecord =>
      said(micros, 'instance.state', {
        instance: 'echo/0',
        deployment: 'echo',
        from: 'pending',
        to,
        node: 'a-2',
        epoch: 1,
        version: 1,
        cause: '',
      });
    const of = (...records: readonly RunRecord[]) => judged('eventually', { holds: 'instances-running', within: 1 * S }, records);
    expect(of(goes(1 * S, 'pending'), heals(2 * S), goes(3 * S, 'running')).held).toBe(true);
    expect(of(goes(1 * S, 'assigned'), heals(2 * S), tick(4 * S))).toMatchObject({
      machine: 'a-2',
      because: expect.stringContaining('Instance echo/0 is assigned.') as string,
    });
  });

  it('knows events that nobody settled, for each trigger that listened then', () => {
    const listens = said(1 * S, 'consumer.created', { consumer: 'trigger-echo', filter: 'questions.*', next: 5 });
    const accepts = (sequence: number, subject: string): RunRecord =>
      said(2 * S, 'event.accepted', { event: `e${sequence}`, subject, sequence, bytes: 1, instance: null, epoch: null });
    const settles = (micros: number, sequence: number): RunRecord =>
      said(micros, 'event.acknowledged', {
        consumer: 'trigger-echo',
        event: `e${sequence}`,
        sequence,
        attempt: 1,
        instance: null,
        epoch: null,
      });
    const of = (...records: readonly RunRecord[]) =>
      judged('eventually', { holds: 'events-settled', within: 1 * S }, [
        listens,
        accepts(4, 'questions.a'),
        accepts(5, 'questions.a'),
        accepts(6, 'other'),
        ...records,
      ]);
    expect(of(heals(3 * S), settles(4 * S, 5), tick(9 * S)).held).toBe(true);
    expect(of(heals(3 * S), settles(4_001 * MS, 5)).because).toContain('Event e5 is not settled for trigger-echo.');
  });
});

describe('eventually happens', () => {
  const accepts = (micros: number, deployment = 'echo'): RunRecord => said(micros, 'rollback.accepted', { deployment, from: 2, to: 1 });
  const issues = (micros: number, deployment = 'echo'): RunRecord =>
    said(micros, 'rollback.issued', { deployment, version: 1, nodes: 2, micros: 5 });
  const parameters = { after: 'rollback.accepted', record: 'rollback.issued', same: 'deployment', within: 100 * MS };

  it('after each occasion, in time', () => {
    expect(
      judged('eventually', parameters, [
        accepts(1 * S),
        accepts(1 * S, 'other'),
        issues(1 * S + 90 * MS, 'other'),
        issues(1 * S + 100 * MS),
      ]),
    ).toMatchObject({ held: true, checks: 3, figures: { microsMax: 100 * MS } });
  });

  it('is broken by one that comes late, for another, or not at all', () => {
    const late = judged('eventually', parameters, [accepts(1 * S), issues(1_101 * MS)]);
    expect(late).toMatchObject({
      unconverged: false,
      because:
        'rollback.accepted is written (deployment echo) at 1.000 s, and within 100.0 ms it did not happen that rollback.issued is written with the same deployment.',
    });
    expect(judged('eventually', parameters, [accepts(1 * S), issues(1_001 * MS, 'other')]).held).toBe(false);
    expect(judged('eventually', parameters, [accepts(1 * S)]).held).toBe(false);
  });

  it('judges nothing that has time left at the end', () => {
    expect(judged('eventually', parameters, [accepts(1 * S), issues(1 * S), accepts(60 * S - 50 * MS)]).held).toBe(true);
  });

  it('has not converged when there was no occasion', () => {
    expect(judged('eventually', { ...parameters, afterWhere: { to: 7 } }, [accepts(1 * S)])).toMatchObject({
      unconverged: true,
      because: 'It never happened that rollback.accepted with to 7 is written: there was nothing to follow.',
    });
  });

  it('once after the healing, and in time', () => {
    const enrols = (micros: number): RunRecord =>
      said(micros, 'node.enrolled', {
        node: 'a-1',
        incarnation: 1,
        architecture: 'x86_64',
        zone: 'z',
        cores: 1,
        memoryBytes: 1,
        profile: '',
      });
    const of = (...records: readonly RunRecord[]) => judged('eventually', { record: 'node.enrolled', within: 2 * S }, records);
    expect(of(enrols(1 * S), heals(5 * S), enrols(7 * S))).toMatchObject({ held: true, figures: { tookMicros: 2 * S } });
    expect(of(enrols(1 * S), heals(5 * S), enrols(7_001 * MS))).toMatchObject({ held: false, unconverged: false });
    expect(of(enrols(1 * S), heals(5 * S))).toMatchObject({ held: false, unconverged: true });
  });
});
