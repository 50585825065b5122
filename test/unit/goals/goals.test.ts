// The goals that a scenario may name, over records written by hand: each holds once and is broken in each of its ways.
import { describe, expect, it } from 'vitest';
import { CLAIMS, createGoals, createInvariants } from '../../../scenarios/goals/goals.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import type { GoalSpec } from '../../../scenarios/scenario.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { deployed, scenarioOf, withGoal } from '../../support/scenarios/scenario.ts';

function judged(goal: string, parameters: GoalSpec['parameters'], records: readonly RunRecord[]): GoalResult {
  const [created] = createGoals(withGoal(goal, parameters));
  if (created === undefined) throw new Error(`there is no goal ${goal}`);
  return judge(created, records);
}

const published = (micros: number, event: string, took = 2 * MS, outcome: 'accepted' | 'refused' = 'accepted'): RunRecord =>
  said(micros, 'workload.published', { event, subject: 'questions.plain', outcome, code: null, micros: took });
const result = (micros: number, source: string, trigger = 'echo'): RunRecord =>
  said(micros, 'workload.result', { event: `${source}/${trigger}`, subject: 'answers.echo', source, trigger, data: '' });
const isServed = (micros: number, node: string, other: { instance?: string; version?: number; epoch?: number } = {}): RunRecord =>
  said(micros, 'instance.serving', { node, instance: 'echo/0', epoch: 1, version: 1, ...other });
const isSeen = (ordinal: number, other: { state?: string; node?: string | null; version?: number } = {}): RunRecord =>
  said(50 * S, 'instance.observed', { instance: `echo/${ordinal}`, state: 'running', node: 'a-1', epoch: 1, version: 1, ...other });

it('gives every goal a name, a claim in words and at least one check', () => {
  const scenario = scenarioOf();
  const names = createInvariants(scenario).map((goal) => goal.name);
  expect(names).toEqual(['P1', 'P2', 'P3', 'P4', 'P5', 'P6', 'P7', 'P8', 'P11', 'R1.3', 'R9.3']);
  for (const [name, definition] of Object.entries(CLAIMS)) {
    // A budget needs one of its limits, and either will do.
    const parameters = { ...Object.fromEntries(Object.keys(definition.required).map((parameter) => [parameter, 'x'])), within: 1 };
    const told = judge(definition.create(parameters, scenario, 0), []);
    expect(told.name).toBe(name);
    expect(told.claim).toMatch(/\.$/);
    expect(definition.meaning).toMatch(/\.$/);
  }
});

describe('answered', () => {
  const parameters = { subject: 'questions.*', within: 100 * MS };

  it('holds when each accepted event has its result in time, counted from its first publication', () => {
    const told = judged('answered', parameters, [
      published(1 * S, 'e1'),
      result(1 * S + 98 * MS, 'e1'),
      published(2 * S, 'e2', 1, 'refused'),
    ]);
    expect(told).toMatchObject({ held: true, figures: { answered: 1, p50Micros: 100_000, p99Micros: 100_000 } });
  });

  it('counts a result that overtakes the acknowledgement of its event', () => {
    expect(judged('answered', parameters, [result(999 * MS, 'e1'), published(1 * S, 'e1')])).toMatchObject({
      held: true,
      figures: { p50Micros: 1_000 },
    });
  });

  it('is broken by a result that comes late', () => {
    const told = judged('answered', parameters, [published(1 * S, 'e1'), result(1 * S + 99 * MS, 'e1')]);
    expect(told).toMatchObject({
      held: false,
      unconverged: false,
      because: '100 % of 1 events on questions.* were answered within 101.0 ms; the limit is 100.0 ms.',
    });
  });

  it('is broken by a result that comes late, although another has none at the end', () => {
    const told = judged('answered', parameters, [published(1 * S, 'e1'), result(1 * S + 99 * MS, 'e1'), published(2 * S, 'e2')]);
    expect(told).toMatchObject({ held: false, unconverged: false });
  });

  it('forgives as many late ones as its percentile says', () => {
    const many = Array.from({ length: 10 }, (_, i) => [published(i * S, `e${i}`), result(i * S + (i === 9 ? 5 * S : 1), `e${i}`)]).flat();
    expect(judged('answered', { ...parameters, percentile: 90 }, many).held).toBe(true);
    expect(judged('answered', { ...parameters, percentile: 91 }, many).held).toBe(false);
  });

  it('has not converged when a result is missing, and when there was no event at all', () => {
    expect(judged('answered', parameters, [published(1 * S, 'e1')])).toMatchObject({
      unconverged: true,
      because: 'Event e1 was accepted and has no result by the end.',
    });
    expect(judged('answered', parameters, []).because).toBe('No event on questions.* was answered at all.');
    // A result of something else, such as a dead letter, answers nothing.
    expect(judged('answered', parameters, [published(1 * S, 'e1'), result(1 * S, 'e1', '')]).held).toBe(false);
  });
});

describe('failover', () => {
  const dies = (cause = 'power loss'): RunRecord => said(5 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause });
  const judgedFor = (...records: readonly RunRecord[]): GoalResult =>
    judged('failover', { within: 4 * S }, [isServed(1 * S, 'a-1'), ...records]);

  it('holds when the work is served elsewhere in time', () => {
    expect(judgedFor(dies(), isServed(9 * S, 'a-2'))).toMatchObject({ held: true, figures: { microsMax: 4 * S } });
  });

  it('is broken when that takes too long', () => {
    const told = judgedFor(dies(), isServed(9_001 * MS, 'a-2'));
    expect(told).toMatchObject({
      held: false,
      machine: 'a-1',
      because: 'Instance echo/0 was served on a-2 4.001 s after a-1 died; the limit is 4.000 s.',
    });
  });

  it('has not converged when it is served nowhere, or when nothing had to move', () => {
    expect(judgedFor(dies())).toMatchObject({ unconverged: true, because: 'Instance echo/0 is served nowhere since a-1 died at 5.000 s.' });
    expect(judgedFor().because).toBe('No instance had to move: the scenario tested nothing.');
    expect(judgedFor(dies('stopped')).because).toContain('tested nothing');
    expect(judgedFor(dies(), isServed(6 * S, 'a-1')).because).toContain('tested nothing');
  });

  it('asks nothing for what had ended before', () => {
    const ended = said(2 * S, 'instance.ended', { node: 'a-1', instance: 'echo/0', epoch: 1, cause: 'scaled' });
    expect(judgedFor(ended, dies()).because).toContain('tested nothing');
  });

  it('asks nothing for what is to stay with its node, nor for what nobody wants any more', () => {
    const [goal] = createGoals({ ...deployed({ whenUnreachable: 'stay' }), goals: [{ goal: 'failover', parameters: { within: 4 * S } }] });
    if (goal === undefined) throw new Error('there is the goal');
    expect(judge(goal, [isServed(1 * S, 'a-1'), dies()]).because).toContain('tested nothing');
    const scaled = said(6 * S, 'instance.state', {
      instance: 'echo/0',
      deployment: 'echo',
      from: 'running',
      to: 'stopped',
      node: null,
      epoch: 1,
      version: 1,
      cause: 'scaled to 0',
    });
    expect(judgedFor(dies(), scaled).because).toContain('tested nothing');
    // Until it was stopped it was wanted.
    expect(judgedFor(dies(), { ...scaled, micros: 9_001 * MS }).because).toBe(
      'Instance echo/0 was served nowhere for 4.001 s after a-1 died, until it was stopped; the limit is 4.000 s.',
    );
  });
});

describe('goals that count refusals', () => {
  it('refused counts by code', () => {
    const refusal = said(1 * S, 'module.refused', { module: 'echo', digest: 'd', key: null, code: 'WM_SIGNATURE_MISSING' });
    expect(judged('refused', { code: 'WM_SIGNATURE_MISSING' }, [refusal]).held).toBe(true);
    expect(judged('refused', { code: 'WM_SIGNATURE_MISSING', atLeast: 2 }, [refusal])).toMatchObject({
      unconverged: true,
      because: '1 refusals with WM_SIGNATURE_MISSING are on record, and 2 were due.',
    });
    expect(judged('refused', { code: 'WM_SIGNATURE_INVALID' }, [refusal]).held).toBe(false);
  });

  it('artefact-refused counts what agents refused', () => {
    const refusal = said(1 * S, 'artefact.refused', {
      node: 'a-1',
      module: 'echo',
      version: 1,
      artefact: 'x',
      code: 'WM_SIGNATURE_INVALID',
    });
    expect(judged('artefact-refused', { code: 'WM_SIGNATURE_INVALID' }, [refusal]).held).toBe(true);
    expect(judged('artefact-refused', { code: 'WM_SIGNATURE_INVALID' }, []).because).toBe(
      '0 artefacts were refused by agents with WM_SIGNATURE_INVALID, and 1 were due: an agent did not check.',
    );
  });

  it('capability-refused counts by operation', () => {
    const refusal = said(1 * S, 'capability.refused', {
      node: 'a-1',
      instance: 'echo/0',
      module: 'echo',
      capability: 'clock',
      operation: 'clock_time_get',
    });
    expect(judged('capability-refused', { operation: 'clock_time_get' }, [refusal]).held).toBe(true);
    expect(judged('capability-refused', { operation: 'publish' }, [refusal]).because).toBe('publish was refused 0 times, and 1 were due.');
  });
});

describe('version-everywhere', () => {
  const parameters = { deployment: 'echo', version: 2 };

  it('holds when registry and agents agree on the version', () => {
    const records = [
      isServed(1 * S, 'a-1'),
      isServed(2 * S, 'a-1', { version: 2 }),
      isSeen(0, { version: 2 }),
      isSeen(1, { state: 'stopped', node: null }),
    ];
    expect(judged('version-everywhere', parameters, records)).toMatchObject({ held: true, checks: 3 });
  });

  it('does not take for the last word what a returning node begins with', () => {
    const records = [
      isServed(1 * S, 'a-1'),
      isServed(2 * S, 'b-1', { version: 2, epoch: 2 }),
      isServed(3 * S, 'a-1'),
      isSeen(0, { version: 2, node: 'b-1' }),
    ];
    expect(judged('version-everywhere', parameters, records)).toMatchObject({ held: true });
  });

  it('has not converged when the registry, an agent or everybody says otherwise', () => {
    expect(judged('version-everywhere', parameters, [isServed(1 * S, 'a-1', { version: 2 }), isSeen(0)]).because).toBe(
      'Instance echo/0 is running in version 1 at the end.',
    );
    expect(
      judged('version-everywhere', parameters, [isServed(1 * S, 'a-1', { version: 2 }), isSeen(0, { state: 'failed', version: 2 })])
        .because,
    ).toContain('is failed in version 2');
    expect(judged('version-everywhere', parameters, [isServed(1 * S, 'a-1'), isSeen(0, { version: 2 })]).because).toBe(
      'Node a-1 last served echo/0 in version 1.',
    );
    expect(judged('version-everywhere', parameters, []).because).toBe('Deployment echo has no instance at the end.');
  });
});

describe('running', () => {
  it('holds when enough instances run, in the zone where one is named', () => {
    expect(judged('running', { deployment: 'echo', atLeast: 2 }, [isSeen(0), isSeen(1)]).held).toBe(true);
    expect(judged('running', { deployment: 'echo', atLeast: 1, zone: 'cloud/b' }, [isSeen(0), isSeen(1, { node: 'b-1' })]).held).toBe(true);
    expect(judged('running', { deployment: 'echo', atLeast: 2, zone: 'cloud' }, [isSeen(0), isSeen(1, { node: 'b-1' })]).held).toBe(true);
  });

  it('has not converged otherwise', () => {
    expect(judged('running', { deployment: 'echo', atLeast: 2 }, [isSeen(0), isSeen(1, { state: 'failed' })]).because).toBe(
      '1 instances of echo run at the end; 2 were due.',
    );
    expect(judged('running', { deployment: 'echo', atLeast: 1, zone: 'cloud/b' }, [isSeen(0)]).because).toBe(
      '0 instances of echo run in cloud/b at the end; 1 were due.',
    );
    expect(judged('running', { deployment: 'other', atLeast: 1 }, [isSeen(0)]).held).toBe(false);
    expect(judged('running', { deployment: 'echo', atLeast: 0, atMost: 0 }, [isSeen(0)]).because).toBe(
      '1 instances of echo run at the end; at most 0 may.',
    );
  });
});

describe('an instance that follows its work', () => {
  const leaves = (micros: number, from = 'running'): RunRecord =>
    said(micros, 'instance.state', {
      instance: 'echo/0',
      deployment: 'echo',
      from,
      to: 'pending',
      node: null,
      epoch: 1,
      version: 1,
      cause: 'nearer',
    });
  const arrives = (to: string): RunRecord =>
    said(49_500 * MS, 'instance.state', {
      instance: 'echo/0',
      deployment: 'echo',
      from: to === 'running' ? 'assigned' : 'pending',
      to,
      node: 'b-1',
      epoch: 2,
      version: 1,
      cause: 'nearer',
    });
  const isOnItsWay = isSeen(0, { state: 'assigned', node: 'b-1' });

  it.each([
    ['running', { deployment: 'echo', atLeast: 1 }],
    ['version-everywhere', { deployment: 'echo', version: 1 }],
  ])('is %s while it is on its way to another node at the end, and for no longer than that takes', (goal, parameters) => {
    const judgedAs = (whenNearer: 'move' | 'stay', ...records: readonly RunRecord[]): boolean => {
      const created = CLAIMS[goal]?.create(parameters, deployed({ whenNearer }), 0);
      if (created === undefined) throw new Error(`there is no goal ${goal}`);
      return judge(created, [isServed(1 * S, 'a-1'), ...records, isOnItsWay]).held;
    };
    expect(judgedAs('move', leaves(49 * S), arrives('assigned'))).toBe(true);
    expect(judgedAs('stay', leaves(49 * S), arrives('assigned'))).toBe(false);
    expect(judgedAs('move', leaves(47 * S), arrives('assigned'))).toBe(false);
    expect(judgedAs('move', leaves(49 * S, 'failed'), arrives('assigned'))).toBe(false);
    // It arrived, and was seen not to run all the same.
    expect(judgedAs('move', leaves(49 * S), arrives('assigned'), arrives('running'))).toBe(false);
  });
});

describe('counted-once', () => {
  const accepted = (event: string, subject = 'counts.tick'): RunRecord =>
    said(1 * S, 'event.accepted', { event, subject, sequence: 1, bytes: 1, instance: null, epoch: null });
  const reads = (value: string | null): RunRecord => said(50 * S, 'state.observed', { key: 'counter/count', value });
  const parameters = { key: 'counter/count', subject: 'counts.*' };

  it('holds when the count is the number of different events', () => {
    expect(
      judged('counted-once', parameters, [accepted('e1'), accepted('e2'), accepted('e2'), accepted('e3', 'other'), reads('2\nids')]),
    ).toMatchObject({
      held: true,
      figures: { counted: 2 },
    });
  });

  it('is broken by one too many, one too few, and a value that is none', () => {
    expect(judged('counted-once', parameters, [accepted('e1'), reads('2')])).toMatchObject({
      unconverged: false,
      because: 'State counter/count says 2 and 1 events were accepted: an effect came twice.',
    });
    expect(judged('counted-once', parameters, [accepted('e1'), reads(null)])).toMatchObject({
      unconverged: false,
      because: 'State counter/count says 0 and 1 events were accepted, of which 0 are under way: an effect is lost.',
    });
    expect(judged('counted-once', parameters, [accepted('e1'), reads('?')])).toMatchObject({ held: false, unconverged: false });
  });

  it('has not converged while an event whose effect is missing is under way, and is broken when it is settled', () => {
    const settled = (event: string, consumer: string): RunRecord =>
      said(40 * S, 'event.acknowledged', { event, consumer, sequence: 1, instance: 'echo/0', epoch: 1, attempt: 1 });
    const events = [accepted('e1', 'questions.a'), accepted('e2', 'questions.b')];
    const counting = { key: 'counter/count', subject: 'questions.*' };
    expect(judged('counted-once', counting, [...events, settled('e1', 'trigger-echo'), reads('1')])).toMatchObject({
      unconverged: true,
      because: 'State counter/count says 1 and 2 events were accepted, of which 1 are under way at the end.',
    });
    expect(judged('counted-once', counting, [...events, settled('e1', 'other'), reads('0')]).unconverged).toBe(true);
    const both = [...events, settled('e1', 'trigger-echo'), settled('e2', 'trigger-echo')];
    expect(judged('counted-once', counting, [...both, reads('1')])).toMatchObject({ held: false, unconverged: false });
    expect(judged('counted-once', counting, [...both, reads('2')]).held).toBe(true);
    // Too many is wrong for good, whatever is under way.
    expect(judged('counted-once', counting, [...events, reads('3')])).toMatchObject({ held: false, unconverged: false });
  });

  it('has not converged when there was nothing to count, or nobody looked', () => {
    expect(judged('counted-once', parameters, [reads('0')])).toMatchObject({
      unconverged: true,
      because: 'No event on counts.* was accepted.',
    });
    expect(judged('counted-once', parameters, [accepted('e1')]).because).toBe(
      'State counter/count was not read at the end: name it in observeState.',
    );
  });
});

describe('queue-bounded', () => {
  const holds = (depth: number): RunRecord => said(1 * S, 'queue.depth', { queue: 'broker', depth, bound: 200 });
  const refusal = said(1 * S, 'event.refused', { event: 'e', subject: 's', code: 'WM_BUS_FULL' });

  it('holds when the bound is met, refused at and not passed', () => {
    expect(judged('queue-bounded', {}, [holds(200), refusal])).toMatchObject({ held: true, figures: { depthMax: 200, refused: 1 } });
  });

  it('is broken beyond the bound', () => {
    expect(judged('queue-bounded', {}, [holds(201), refusal])).toMatchObject({
      unconverged: false,
      because: 'Queue broker holds 201 events; its bound is 200.',
    });
  });

  it('has not converged when the storm was none', () => {
    expect(judged('queue-bounded', { refusedAtLeast: 2 }, [holds(3), refusal]).because).toBe(
      '1 events were refused at the bound; 2 were due: the storm was no storm.',
    );
  });
});

describe('happens', () => {
  const becomes = (to: string): RunRecord => said(1 * S, 'node.status', { node: 'a-1', incarnation: 1, from: 'healthy', to, cause: '' });
  const parameters = { record: 'node.status', field: 'to', value: 'unavailable' };

  it('counts records of a kind, and of a value in a field', () => {
    expect(judged('happens', { record: 'node.status', atLeast: 2, atMost: 2 }, [becomes('suspect'), becomes('unavailable')])).toMatchObject(
      { held: true, figures: { times: 2 } },
    );
    expect(judged('happens', { ...parameters, atLeast: 1, atMost: 1 }, [becomes('suspect'), becomes('unavailable')]).held).toBe(true);
    const numbers = { record: 'queue.depth', field: 'depth', value: 3, atLeast: 1 };
    expect(judged('happens', numbers, [said(1 * S, 'queue.depth', { queue: 'q', depth: 3, bound: 9 })]).held).toBe(true);
  });

  it('is broken by one too many, and names the node', () => {
    const told = judged('happens', { ...parameters, atMost: 0 }, [becomes('unavailable')]);
    expect(told).toMatchObject({
      unconverged: false,
      machine: 'a-1',
      because: 'node.status with to unavailable happened 1 time; at most 0 are allowed.',
    });
  });

  it('has not converged with too few', () => {
    expect(judged('happens', { ...parameters, atLeast: 2 }, [becomes('unavailable')])).toMatchObject({
      unconverged: true,
      because: 'node.status with to unavailable happened 1 time; at least 2 were due.',
    });
  });
});
