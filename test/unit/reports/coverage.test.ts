import { describe, expect, test } from 'vitest';
import { Coverage, coverageLines, TRANSITIONS } from '../../../reports/coverage.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';

const S = 1_000_000;
const said = (micros: number, kind: string, fields: object): RunRecord =>
  ({ source: 'controller', incarnation: 1, sequence: 1, micros, kind, correlation: null, fields }) as unknown as RunRecord;
const begun = (micros: number, kind: string): RunRecord =>
  said(micros, 'fault.begun', { fault: `the ${kind}`, kind, target: 'n', detail: '' });
const felt = (micros: number, kind: string): RunRecord => said(micros, 'fault.felt', { fault: `the ${kind}`, kind, target: 'n' });
const ended = (micros: number, kind: string): RunRecord => said(micros, 'fault.ended', { fault: `the ${kind}`, kind, target: 'n' });
const node = (micros: number, from: string, to: string): RunRecord =>
  said(micros, 'node.status', { node: 'n', incarnation: 1, from, to, cause: '' });
const goal = (name: string, checks: number): GoalResult => ({ name, checks }) as unknown as GoalResult;

/** States for these tests: a command is refused, or a trust is revoked. */
const STATES = {
  names: ['refused', 'revoked'],
  watch: () => ({ next: ({ kind }: RunRecord) => (kind === 'command.refused' ? ['refused'] : []) }),
};

type Covered = readonly (readonly [readonly RunRecord[], readonly GoalResult[]])[];

/** In a world that does not say when a fault is felt. */
function covered(...runs: Covered) {
  return coveredIn(false, runs);
}

function coveredIn(feels: boolean, runs: Covered) {
  const coverage = new Coverage(['crash', 'loss', 'pause'], STATES);
  for (const [records, goals] of runs) {
    const run = coverage.run(feels);
    for (const record of records) run.next(record);
    run.end(goals);
  }
  return coverage.summary();
}

describe('coverage', () => {
  test('counts a transition under the faults that are active, or ended shortly before', () => {
    const { transitions } = covered(
      [[node(1 * S, 'healthy', 'suspect'), begun(2 * S, 'crash'), node(3 * S, 'suspect', 'unavailable'), ended(4 * S, 'crash')], []],
      [[begun(1 * S, 'loss'), ended(2 * S, 'loss'), node(6 * S, 'suspect', 'unavailable'), node(8 * S, 'unavailable', 'healthy')], []],
    );
    const of = (name: string) => transitions.find((row) => row.name === name);
    expect(of('node healthy to suspect')).toEqual({ name: 'node healthy to suspect', runs: 1, under: {} });
    expect(of('node suspect to unavailable')).toMatchObject({ runs: 2, under: { crash: 1, loss: 1 } });
    expect(of('node unavailable to healthy')).toMatchObject({ runs: 1, under: {} });
  });

  test('counts a run once, however often something happens in it', () => {
    const again = [begun(1 * S, 'crash'), node(2 * S, 'healthy', 'suspect'), node(3 * S, 'healthy', 'suspect')];
    expect(covered([again, []]).transitions.find(({ name }) => name === 'node healthy to suspect')).toMatchObject({
      runs: 1,
      under: { crash: 1 },
    });
  });

  test('says which invariants had something to check with which faults, and what was never met', () => {
    const { invariants, never, faults } = covered(
      [[begun(1 * S, 'crash')], [goal('P1', 3), goal('P5', 0)]],
      [[begun(1 * S, 'loss')], [goal('P1', 1), goal('P5', 0)]],
    );
    expect(invariants).toEqual([
      { name: 'P1', runs: 2, under: { crash: 1, loss: 1 } },
      { name: 'P5', runs: 0, under: {} },
    ]);
    expect(faults.map(({ name, runs }) => [name, runs])).toEqual([
      ['crash', 1],
      ['loss', 1],
      ['pause', 0],
    ]);
    expect(never).toEqual({ faults: ['pause'], unfelt: [], transitions: TRANSITIONS, states: ['refused', 'revoked'], invariants: ['P5'] });
  });

  test('counts a fault from when it is felt, where its world says so, and says apart which were begun and never felt', () => {
    const summary = coveredIn(true, [
      [
        [
          begun(1 * S, 'loss'),
          begun(1 * S, 'crash'),
          node(2 * S, 'healthy', 'suspect'),
          felt(3 * S, 'crash'),
          node(4 * S, 'suspect', 'unavailable'),
          ended(5 * S, 'loss'),
          ended(5 * S, 'crash'),
          node(6 * S, 'unavailable', 'healthy'),
        ],
        [goal('P1', 1)],
      ],
      [[begun(1 * S, 'loss')], []],
    ]);
    const of = (name: string) => summary.transitions.find((row) => row.name === name);
    expect(of('node healthy to suspect')).toMatchObject({ runs: 1, under: {} });
    expect(of('node suspect to unavailable')).toMatchObject({ runs: 1, under: { crash: 1 } });
    expect(of('node unavailable to healthy')).toMatchObject({ runs: 1, under: { crash: 1 } });
    expect(summary.invariants).toEqual([{ name: 'P1', runs: 1, under: { crash: 1 } }]);
    expect(summary.faults.map(({ name, runs, begun: times }) => [name, runs, times])).toEqual([
      ['crash', 1, 1],
      ['loss', 0, 2],
      ['pause', 0, 0],
    ]);
    expect(summary.never).toMatchObject({ faults: ['pause'], unfelt: ['loss'] });
    expect(coverageLines(summary).at(-1)).toMatch(/^Never: fault pause, .*\. Begun, never felt: loss in 2 runs\.$/);
    const twice = new Coverage(['crash', 'loss', 'pause'], STATES);
    twice.include(summary);
    twice.include(summary);
    expect(twice.summary().faults.map(({ runs, begun: times }) => [runs, times])).toEqual([
      [2, 2],
      [0, 4],
      [0, 0],
    ]);
  });

  test('counts states as it does transitions, and says what each run met', () => {
    const coverage = new Coverage(['crash', 'loss', 'pause'], STATES);
    const refused = said(3 * S, 'command.refused', { id: 'c', command: 'scale', code: 'WM_UNKNOWN' });
    const play = (...records: readonly RunRecord[]) => {
      const run = coverage.run(false);
      for (const record of records) run.next(record);
      return run.end([goal('P1', 1)]);
    };
    const first = play(refused, refused);
    expect(first.pairs).toEqual(['command refused × ', 'refused × ', 'P1 × ']);
    expect([...first.states]).toEqual([['refused', 2]]);
    for (const _ of [1, 2])
      expect(play(begun(1 * S, 'crash'), refused).pairs).toEqual(
        ['command refused', 'refused', 'P1'].flatMap((name) => [`${name} × `, `${name} × crash`]),
      );
    // Of transitions, two states and an invariant, each alone and under three kinds.
    expect(coverage.pairs).toEqual({ met: 6, of: (TRANSITIONS.length + 3) * 4 });
    expect(coverage.summary().states).toEqual([
      { name: 'refused', runs: 3, under: { crash: 2 } },
      { name: 'revoked', runs: 0, under: {} },
    ]);
  });

  test('counts nothing of the end, when the fleet is stopped', () => {
    const lost = (micros: number): RunRecord => said(micros, 'agent.session', { node: 'n', state: 'lost', attempt: 1, cause: '' });
    const end = said(4 * S, 'run.phase', { phase: 'end' });
    const ofLost = (...records: readonly RunRecord[]) => covered([records, []]).transitions.find(({ name }) => name === 'session lost');
    expect(ofLost(begun(1 * S, 'crash'), end, lost(5 * S))).toMatchObject({ runs: 0, under: {} });
    expect(ofLost(begun(1 * S, 'crash'), lost(3 * S), end)).toMatchObject({ runs: 1, under: { crash: 1 } });
  });

  test('reads what was counted before there were states, and faults that are felt', () => {
    const { states: _, faults, ...rest } = covered([[begun(1 * S, 'crash')], [goal('P1', 1)]]);
    const older = { ...rest, faults: faults.map(({ begun: __, ...row }) => row) };
    const coverage = new Coverage(['crash', 'loss', 'pause'], STATES);
    coverage.include(older);
    expect(coverage.summary()).toMatchObject({ runs: 1, states: [{ runs: 0 }, { runs: 0 }], faults: [{ runs: 1, begun: 1 }, {}, {}] });
  });

  test('of two campaigns is the sum of both', () => {
    const [first, second] = [
      covered([[begun(1 * S, 'crash'), node(2 * S, 'healthy', 'suspect')], [goal('P1', 1)]]),
      covered([[node(2 * S, 'healthy', 'suspect')], [goal('P5', 1)]]),
    ];
    const both = new Coverage(['crash', 'loss', 'pause'], STATES);
    both.include(first);
    both.include(second);
    expect(both.summary()).toMatchObject({
      runs: 2,
      invariants: [
        { name: 'P1', runs: 1 },
        { name: 'P5', runs: 1 },
      ],
    });
    expect(both.summary().transitions.find(({ name }) => name === 'node healthy to suspect')).toMatchObject({
      runs: 2,
      under: { crash: 1 },
    });
  });

  test('is a table with a column for each fault that was met, and a line of what never was', () => {
    const lines = coverageLines(covered([[begun(1 * S, 'crash'), node(2 * S, 'healthy', 'suspect')], [goal('P5', 0)]]));
    expect(lines[0]).toBe('1 runs');
    expect(lines[1]?.trim().split(/ +/)).toEqual(['runs', 'crash']);
    expect(lines.find((line) => line.startsWith('node healthy to suspect'))?.split(/ {2,}/)).toEqual(['node healthy to suspect', '1', '1']);
    expect(lines.at(-1)).toMatch(/^Never: fault loss, fault pause, instance pending to assigned, .*, P5\.$/);
  });
});
