// Budgets, and the times that they measure.
import { describe, expect, it, test } from 'vitest';
import { createGoals, DURATIONS } from '../../../scenarios/goals/goals.ts';
import { Histogram } from '../../../scenarios/goals/histogram.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import type { GoalSpec } from '../../../scenarios/scenario.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { withGoal } from '../../support/scenarios/scenario.ts';

function judged(parameters: GoalSpec['parameters'], records: readonly RunRecord[]): GoalResult {
  const [created] = createGoals(withGoal('budget', parameters));
  if (created === undefined) throw new Error('there is no goal budget');
  return judge(created, records);
}

const took = (micros: number, node = 'a-1', outcome = 'completed'): RunRecord =>
  said(1 * S, 'invocation.finished', {
    node,
    instance: 'echo/0',
    epoch: 1,
    version: 1,
    trigger: 'echo',
    event: 'e',
    attempt: 1,
    outcome,
    fuel: 1,
    memoryBytesPeak: 1,
    micros,
    hostCalls: 0,
  });

describe('budget', () => {
  const ten = Array.from({ length: 10 }, (_, i) => took((i + 1) * MS));

  it('holds when so many in a hundred are within the limit, and tells the percentiles', () => {
    const told = judged({ of: 'invocation', within: 9 * MS, percentile: 90 }, ten);
    expect(told).toMatchObject({ held: true, checks: 12, figures: { measured: 10, maxMicros: 10 * MS } });
    // To one part in 128, never below.
    expect(told.figures['p50Micros']).toBeGreaterThanOrEqual(5 * MS);
    expect(told.figures['p50Micros']).toBeLessThanOrEqual((5 * MS * 129) / 128);
    expect(told.claim).toBe('90 % of the times of a guest that completed, from its start to its end are within 9.0 ms.');
  });

  it('is broken by one microsecond, whatever the percentiles are rounded to', () => {
    expect(judged({ of: 'invocation', within: 10 * MS }, ten).held).toBe(true);
    expect(judged({ of: 'invocation', within: 10 * MS - 1 }, ten)).toMatchObject({ held: false, unconverged: false });
    expect(judged({ of: 'invocation', within: 9 * MS, percentile: 91 }, ten).because).toMatch(
      /^9 of 10 times of invocation were within 9\.0 ms; 91 % had to be\. p50 .* longest 10\.0 ms\.$/,
    );
  });

  it('has a floor too: the percentile is not below it', () => {
    expect(judged({ of: 'invocation', above: 10 * MS }, ten)).toMatchObject({
      held: true,
      claim: 'The longest of the times of a guest that completed, from its start to its end is 10.0 ms or more.',
    });
    expect(judged({ of: 'invocation', above: 10 * MS + 1 }, ten)).toMatchObject({ held: false, unconverged: true });
    expect(judged({ of: 'invocation', above: 5 * MS, percentile: 50 }, ten).held).toBe(true);
    expect(judged({ of: 'invocation', above: 5 * MS + 1, percentile: 50 }, ten).because).toMatch(
      /^Nothing made invocation slow: 5 of 10 times were below 5\.0 ms, and fewer than 5 may be\. p50 .* longest 10\.0 ms\.$/,
    );
    expect(judged({ of: 'invocation', above: 1 * MS, percentile: 1 }, ten).held).toBe(true);
  });

  it('holds a percentile between its floor and its limit', () => {
    const between = { of: 'invocation', within: 9 * MS, above: 9 * MS, percentile: 90 };
    expect(judged(between, ten).claim).toBe(
      '90 % of the times of a guest that completed, from its start to its end are within 9.0 ms. Percentile 90 of the times of a guest that completed, from its start to its end is 9.0 ms or more.',
    );
    expect(judged(between, ten).held).toBe(true);
    expect(judged(between, [...ten, ...ten.map(() => took(1 * MS))]).because).toMatch(/times were below 9\.0 ms/);
    expect(judged(between, [...ten, took(10 * MS), took(10 * MS)]).because).toMatch(/were within 9\.0 ms/);
  });

  it('measures what has the values asked for, and what counts at all', () => {
    const records = [took(1 * MS), took(90 * MS, 'b-1'), took(99 * MS, 'a-1', 'WM_GUEST_TRAP')];
    expect(judged({ of: 'invocation', within: 2 * MS, where: { node: 'a-1' } }, records)).toMatchObject({
      held: true,
      figures: { measured: 1 },
    });
    expect(judged({ of: 'invocation', within: 2 * MS }, records).held).toBe(false);
  });

  it('has not converged when too little was measured', () => {
    expect(judged({ of: 'invocation', within: 1 * S, atLeast: 11 }, ten)).toMatchObject({
      unconverged: true,
      because: '10 times of invocation were measured, and 11 were due.',
    });
    expect(judged({ of: 'rollback', within: 1 * S }, ten)).toMatchObject({ unconverged: true, checks: 1 });
  });
});

describe('durations', () => {
  const machine = (micros: number, kind: 'machine.stopped' | 'machine.started', cause = 'power loss'): RunRecord =>
    kind === 'machine.stopped'
      ? said(micros, kind, { machine: 'a-1', role: 'node', cause })
      : said(micros, kind, { machine: 'a-1', role: 'node', zone: 'z', incarnation: 2 });
  const marked = (micros: number): RunRecord =>
    said(micros, 'node.status', { node: 'a-1', incarnation: 1, from: 'suspect', to: 'unavailable', cause: '' });
  const session = (micros: number, state: 'connected' | 'lost'): RunRecord =>
    said(micros, 'agent.session', { node: 'a-1', state, attempt: 1, cause: '' });
  const published = said(2 * S, 'workload.published', { event: 'e1', subject: 's', outcome: 'accepted', code: null, micros: 1 * S });
  const result = (micros: number): RunRecord =>
    said(micros, 'workload.result', { event: 'r', subject: 'answers', source: 'e1', trigger: 'echo', data: '' });
  const accepted = said(1 * S, 'event.accepted', { event: 'e1', subject: 's', sequence: 1, bytes: 1, instance: null, epoch: null });
  const acknowledged = said(3 * S, 'event.acknowledged', {
    consumer: 'c',
    event: 'e1',
    sequence: 1,
    attempt: 1,
    instance: null,
    epoch: null,
  });
  const placed = (node: string): RunRecord =>
    said(1 * S, 'placement.decided', {
      instance: 'echo/0',
      node,
      score: 1,
      proximityMicros: null,
      otherPoints: 0,
      feasible: 1,
      why: '',
      runnersUp: '',
    });
  const served = said(3 * S, 'instance.serving', { node: 'a-1', instance: 'echo/0', epoch: 1, version: 1 });
  const enrolled = said(3 * S, 'node.enrolled', {
    node: 'a-1',
    incarnation: 2,
    architecture: 'x86_64',
    zone: 'z',
    cores: 1,
    memoryBytes: 1,
    profile: '',
  });
  const answered = (outcome: 'done' | 'refused'): RunRecord =>
    said(3 * S, 'operator.answered', { id: 'c', command: 'scale', outcome, code: null, sequence: 1, micros: 2 * S });
  const trusted = (micros: number): RunRecord => said(micros, 'trust.added', { key: 'k' });
  const revoked = (micros: number): RunRecord => said(micros, 'trust.revoked', { key: 'k' });
  const issued = said(3 * S, 'rollback.issued', { deployment: 'echo', version: 1, nodes: 1, micros: 2 * S });

  const cases: Readonly<Record<string, readonly (readonly [records: readonly RunRecord[], times: readonly number[]])[]>> = {
    answer: [
      [[published, result(3 * S)], [2 * S]],
      // A result may overtake the acknowledgement of its event.
      [[result(1_500 * MS), published], [500 * MS]],
    ],
    publication: [[[published], [1 * S]]],
    settlement: [
      [
        [accepted, acknowledged, acknowledged],
        [2 * S, 2 * S],
      ],
      [[acknowledged], []],
    ],
    invocation: [[[took(2 * S), took(2 * S, 'a-1', 'WM_GUEST_TRAP')], [2 * S]]],
    command: [[[answered('done'), answered('refused')], [2 * S]]],
    rollback: [[[issued], [2 * S]]],
    detection: [
      [[machine(1 * S, 'machine.stopped'), marked(4 * S), marked(5 * S)], [3 * S]],
      [[said(1 * S, 'machine.paused', { machine: 'a-1' }), machine(2 * S, 'machine.stopped'), marked(4 * S)], [3 * S]],
      [[machine(1 * S, 'machine.stopped', 'stopped'), marked(4 * S)], []],
      [[machine(1 * S, 'machine.stopped'), machine(2 * S, 'machine.started'), marked(4 * S)], []],
    ],
    activation: [
      [[placed('a-1'), served], [2 * S]],
      [[placed('b-1'), served], []],
    ],
    enrolment: [[[machine(1 * S, 'machine.started'), enrolled, enrolled], [2 * S]]],
    trust: [
      [[trusted(1 * S), revoked(4 * S), revoked(5 * S)], [3 * S]],
      [[trusted(1 * S), trusted(2 * S), revoked(4 * S)], [2 * S]],
    ],
    reconnection: [[[session(1 * S, 'connected'), session(2 * S, 'lost'), session(5 * S, 'connected')], [3 * S]]],
  };

  test.each(Object.keys(DURATIONS))('%s', (name) => {
    expect(cases[name], `a case of ${name}`).toBeDefined();
    for (const [records, times] of cases[name] ?? []) {
      const measured: number[] = [];
      const ends = new Set<string>();
      const watch = DURATIONS[name]?.create();
      for (const record of records)
        watch?.(
          record,
          (end) => ends.add(end.kind).size > 0,
          (micros) => measured.push(micros),
        );
      expect(measured).toEqual(times);
      expect([...ends]).toEqual(times.length === 0 ? [] : [DURATIONS[name]?.ends]);
    }
  });
});

describe('a histogram', () => {
  test('gives the nearest rank to one part in 128, exactly for small values, and never more than the largest', () => {
    const values = [0, 1, 5, 127, 128, 255, 256, 257, 1_000, 65_537, 1_000_003, 90_000_000_001];
    for (const value of values) {
      const one = new Histogram();
      one.add(value);
      expect(one.percentile(50)).toBe(value);
      one.add(value * 3 + 1);
      const told = one.percentile(50);
      expect(told).toBeGreaterThanOrEqual(value);
      expect(told - value).toBeLessThanOrEqual(value < 256 ? 0 : value / 128);
    }
    expect(new Histogram().percentile(99)).toBe(0);
  });

  test('agrees with sorting', () => {
    const histogram = new Histogram();
    const values = Array.from({ length: 1_000 }, (_, i) => (i * 7_919) % 1_000);
    for (const value of values) histogram.add(value);
    for (const percent of [1, 10, 25]) expect(histogram.percentile(percent)).toBe(percent * 10 - 1);
    expect([histogram.count, histogram.max]).toEqual([1_000, 999]);
  });
});
