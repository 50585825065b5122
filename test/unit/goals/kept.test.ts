// What goals know after an older copy of the controller was put back: what the copy has, no more and no less. Each is seen to be broken
// by a platform that forgets or doubles what the copy has, and to hold for one that goes on from there.
import { describe, expect, it } from 'vitest';
import { CLAIMS } from '../../../scenarios/goals/claims.ts';
import { CONDITIONS } from '../../../scenarios/goals/conditions.ts';
import { fencing, onDemandEvents } from '../../../scenarios/goals/events.ts';
import { failureAndRecovery } from '../../../scenarios/goals/fleet-health.ts';
import { Repetitions, type Goal } from '../../../scenarios/goals/goals.ts';
import { lifecycle, proximity, resources } from '../../../scenarios/goals/placement.ts';
import { retries } from '../../../scenarios/goals/retries.ts';
import { signatures } from '../../../scenarios/goals/supply-chain.ts';
import type { GoalResult, RunRecord } from '../../../scenarios/record.ts';
import { SPREAD_NODE } from '../../../system/domain/deployment.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { at, deployed, scenarioOf, specOf, triggerOf } from '../../support/scenarios/scenario.ts';

const CONSUMER = 'trigger-echo';
const fault = { fault: 'fault-1', kind: 'restore', target: 'controller' };
/** A copy of 10 s, put back at 20 s. */
const copied = said(10 * S, 'fault.begun', { ...fault, detail: '' });
const restored = said(20 * S, 'fault.felt', fault);
const wiped = said(20 * S, 'fault.felt', { ...fault, fault: 'fault-4', kind: 'wipe' });
/** Its disk lies from 10 s on, and its power fails at 20 s. */
const lied = said(10 * S, 'fault.begun', { fault: 'fault-2', kind: 'disk-lies', target: 'controller', detail: '' });
const failed = said(20 * S, 'fault.felt', { fault: 'fault-3', kind: 'crash', target: 'controller' });

type Turn = { readonly from?: string; readonly node?: string | null; readonly epoch?: number; readonly instance?: string };
const turns = (micros: number, to: string, { from = 'pending', node = 'a-1', epoch = 1, instance = 'echo/0' }: Turn = {}): RunRecord =>
  said(micros, 'instance.state', { instance, deployment: 'echo', from, to, node, epoch, version: 1, cause: '' });
const accepts = (micros: number, event: string, sequence = 1): RunRecord =>
  said(micros, 'event.accepted', { event, subject: 'questions.plain', sequence, bytes: 1, instance: null, epoch: null });
const acknowledges = (micros: number, event: string): RunRecord =>
  said(micros, 'event.acknowledged', { consumer: CONSUMER, event, sequence: 1, attempt: 1, instance: 'echo/0', epoch: 1 });
const claims = (name: string, parameters: Record<string, string | number>, records: readonly RunRecord[]): GoalResult => {
  const goal = CLAIMS[name]?.create(parameters, scenarioOf({ steps: [{ at: at(0), do: 'trigger', spec: triggerOf() }] }), 0);
  if (goal === undefined) throw new Error(`no goal ${name}`);
  return judge(goal, records);
};
/** As a run shows records to its goals. */
const judgeTold = (goal: Goal, records: readonly RunRecord[]): GoalResult => {
  const repetitions = new Repetitions();
  return judge(
    goal,
    records.filter((record) => !repetitions.has(record)),
  );
};

describe('P2', () => {
  const starts = (micros: number): RunRecord =>
    said(micros, 'machine.started', { machine: 'controller', role: 'controller', zone: 'cloud/a', incarnation: 1 });
  const enrols = (micros: number, incarnation: number): RunRecord =>
    said(micros, 'node.enrolled', { node: 'a-1', incarnation, zone: 'cloud/a', architecture: 'x86_64', cores: 1, memoryBytes: 1 } as never);
  const dies = (micros: number): RunRecord => said(micros, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' });
  const isGivenUp = (micros: number): RunRecord =>
    said(micros, 'node.status', { node: 'a-1', incarnation: 1, from: 'suspect', to: 'unavailable', cause: '' });
  const stops = said(20 * S, 'machine.stopped', { machine: 'controller', role: 'controller', cause: 'power loss' });
  const later = said(50 * S, 'run.phase', { phase: 'end' });
  const scenario = scenarioOf({ steps: [{ at: at(0), do: 'deploy', spec: specOf() }] });
  const judged = (...records: readonly RunRecord[]) =>
    judge(failureAndRecovery(scenario), [starts(0), enrols(1 * S, 1), ...records, later]);
  const back = [restored, stops, starts(21 * S)];

  it('a node that the copy takes for well and that is off is given up again', () => {
    expect(judged(dies(8 * S), copied, isGivenUp(11 * S), ...back).because).toContain('the failure detector is late');
    expect(judged(dies(8 * S), copied, isGivenUp(11 * S), ...back, isGivenUp(24 * S))).toMatchObject({ held: true, because: '' });
    expect(judged(copied, dies(15 * S), isGivenUp(19 * S), ...back).because).toContain('the failure detector is late');
  });

  it('one that the copy has given up, or never heard of, or that is on again, is not missed', () => {
    expect(judged(dies(2 * S), isGivenUp(5 * S), copied, ...back).held).toBe(true);
    const first = said(12 * S, 'node.enrolled', { node: 'b-1', incarnation: 1 } as never);
    const gone = said(18 * S, 'machine.stopped', { machine: 'b-1', role: 'node', cause: 'power loss' });
    expect(judged(copied, first, gone, ...back).held).toBe(true);
    const on = said(13 * S, 'machine.started', { machine: 'a-1', role: 'node', zone: 'cloud/a', incarnation: 2 });
    expect(judged(dies(8 * S), copied, isGivenUp(11 * S), on, ...back).held).toBe(true);
  });

  it('what a node holds in the copy is placed again when it is given up', () => {
    const before = [turns(5 * S, 'running'), copied, turns(15 * S, 'pending', { from: 'running', node: null }), ...back];
    expect(judged(...before, dies(22 * S), isGivenUp(25 * S)).because).toContain('Instance echo/0 was not placed again');
    expect(judged(...before, dies(22 * S), isGivenUp(25 * S), turns(25 * S, 'assigned', { node: 'a-2' })).held).toBe(true);
  });

  it('a node that the copy has given up returns under a new incarnation', () => {
    const before = [dies(2 * S), isGivenUp(5 * S), copied, enrols(15 * S, 2), ...back];
    expect(judged(...before, enrols(22 * S, 1)).because).toContain('but kept incarnation 1');
    expect(judged(...before, enrols(22 * S, 2)).held).toBe(true);
  });
});

describe('P6 and P7', () => {
  const others = (micros: number, ...instances: readonly string[]): readonly RunRecord[] =>
    instances.map((instance) => turns(micros, 'assigned', { instance }));

  it('what the copy has placed counts, and what was placed since does not', () => {
    const cpu = (...records: readonly RunRecord[]) => judge(resources(scenarioOf()), records);
    expect(cpu(...others(5 * S, 'echo/0', 'echo/1'), copied, restored, ...others(25 * S, 'echo/2')).because).toContain(
      'thousandths of a core',
    );
    expect(cpu(...others(5 * S, 'echo/0'), copied, ...others(15 * S, 'echo/1'), restored, ...others(25 * S, 'echo/2')).held).toBe(true);
    expect(cpu(...others(5 * S, 'echo/0', 'echo/1'), wiped, ...others(25 * S, 'echo/2')).held).toBe(true);
    const spread = (...records: readonly RunRecord[]) => judge(proximity(deployed({ spread: SPREAD_NODE })), records);
    expect(spread(...others(5 * S, 'echo/0'), copied, restored, ...others(25 * S, 'echo/1')).because).toContain('share the fault domain');
    expect(spread(copied, ...others(15 * S, 'echo/0'), restored, ...others(25 * S, 'echo/1')).held).toBe(true);
  });

  it('two copies are kept apart, whichever is put back first', () => {
    const second = { ...fault, fault: 'fault-9' };
    const records = [
      ...others(5 * S, 'echo/0'),
      copied,
      ...others(11 * S, 'echo/1'),
      said(12 * S, 'fault.begun', { ...second, detail: '' }),
      restored,
      said(22 * S, 'fault.felt', second),
      ...others(25 * S, 'echo/2'),
    ];
    expect(judge(resources(scenarioOf()), records).held).toBe(false);
    expect(
      judge(
        resources(scenarioOf()),
        records.filter(({ micros }) => micros !== 22 * S),
      ).held,
    ).toBe(true);
  });

  it('a node that the copy knows as drained gets nothing, and one that was drained since may', () => {
    const drains = (micros: number): RunRecord =>
      said(micros, 'node.status', { node: 'a-1', incarnation: 1, from: 'healthy', to: 'draining', cause: '' });
    const healthy = said(15 * S, 'node.status', { node: 'a-1', incarnation: 1, from: 'draining', to: 'healthy', cause: '' });
    const judged = (...records: readonly RunRecord[]) => judge(resources(scenarioOf()), [...records, restored, turns(25 * S, 'assigned')]);
    expect(judged(drains(5 * S), copied, healthy).because).toContain('which is drained');
    expect(judged(copied, drains(15 * S)).held).toBe(true);
  });

  it('the deployment is in force that the copy has, and one of which it may know already is so perhaps', () => {
    const scenario = scenarioOf({
      steps: [
        { at: at(0), do: 'deploy', spec: specOf({ spread: SPREAD_NODE }) },
        { at: at(0), do: 'deploy', spec: specOf({ spread: 0 }) },
      ],
    });
    const commands = (micros: number, step: number): RunRecord =>
      said(micros, 'operator.commanded', { id: `c${step}`, command: 'deployment-apply', step });
    const answers = (micros: number, step: number): RunRecord =>
      said(micros, 'operator.answered', {
        id: `c${step}`,
        command: 'deployment-apply',
        outcome: 'done',
        code: null,
        sequence: 1,
        micros: 1,
      });
    const together = others(25 * S, 'echo/0', 'echo/1');
    const judged = (...records: readonly RunRecord[]) =>
      judge(proximity(scenario), [commands(1 * S, 0), answers(2 * S, 0), ...records, ...together]);
    expect(judged(copied, commands(11 * S, 1), answers(12 * S, 1), restored).because).toContain('share the fault domain');
    expect(judged(commands(9 * S, 1), copied, answers(12 * S, 1), restored).held).toBe(true);
    expect(judged(commands(8 * S, 1), answers(9 * S, 1), copied, restored).held).toBe(true);
    // Of a new disk nobody knows what is in force until something is applied.
    expect(judged(copied, commands(11 * S, 1), answers(12 * S, 1), wiped).held).toBe(true);
  });
});

describe('P8', () => {
  const judged = (...records: readonly RunRecord[]) => judgeTold(lifecycle(), records);

  it('instances go on from where the copy has them', () => {
    const before = [
      turns(5 * S, 'assigned', { epoch: 5 }),
      copied,
      turns(15 * S, 'running', { from: 'assigned', epoch: 5 }),
      turns(16 * S, 'pending', { from: 'running', epoch: 6 }),
      restored,
    ];
    expect(judged(...before, turns(25 * S, 'assigned', { epoch: 6 })).because).toContain('was said to leave pending, but it was assigned');
    expect(judged(...before, turns(25 * S, 'running', { from: 'assigned', epoch: 4 })).because).toContain('went back from 5 to 4');
    expect(judged(...before, turns(25 * S, 'running', { from: 'assigned', epoch: 5 })).held).toBe(true);
    expect(judged(copied, turns(15 * S, 'assigned'), restored, turns(25 * S, 'running', { from: 'assigned' })).because).toContain(
      'was said to leave assigned, but it was pending',
    );
  });

  it('what was on the way to the disk when the copy was taken is told again, and judged again', () => {
    const tail = turns(10 * S + 1, 'assigned');
    const again = (record: RunRecord): RunRecord => ({ ...record, micros: 21 * S, correlation: 'repeated/7' });
    const goesOn = turns(25 * S, 'running', { from: 'assigned' });
    expect(judged(copied, tail, restored, again(tail), goesOn)).toMatchObject({ held: true, because: '' });
    const known = turns(5 * S, 'assigned');
    expect(judged(known, copied, restored, again(known), goesOn)).toMatchObject({ held: true, because: '' });
    const moved = turns(15 * S, 'running', { from: 'assigned' });
    expect(judged(known, copied, moved, restored, again(known), goesOn)).toMatchObject({ held: true, because: '' });
    // The same happened once more after the copy.
    const runs = turns(6 * S, 'running', { from: 'assigned' });
    const lapses = turns(15 * S, 'assigned', { from: 'running' });
    const once = [known, runs, copied, lapses, { ...runs, micros: 16 * S }, restored, again(runs)];
    expect(judged(...once, turns(25 * S, 'assigned', { from: 'running' }))).toMatchObject({ held: true, because: '' });
  });

  it('of one that is first heard of after a lie nobody knows what it was, and of a copy of before one does', () => {
    const goesOn = turns(25 * S, 'running', { from: 'assigned' });
    expect(judged(lied, turns(15 * S, 'assigned'), failed, goesOn).held).toBe(true);
    expect(judged({ ...copied, micros: 9 * S }, lied, failed, { ...restored, micros: 21 * S }, goesOn).held).toBe(false);
    // A copy of a disk that lies lacks what was only in its cache.
    expect(judged(lied, turns(11 * S, 'assigned'), { ...copied, micros: 12 * S }, failed, restored, goesOn).held).toBe(true);
  });
});

describe('P11', () => {
  const created = said(0, 'consumer.created', { consumer: CONSUMER, filter: 'questions.*', next: 1 });
  const judged = (...records: readonly RunRecord[]) => judge(onDemandEvents(scenarioOf()), [created, ...records]);

  it('an event that the copy has is known again, and not accepted twice', () => {
    const before = [accepts(5 * S, 'e1'), copied, accepts(15 * S, 'e2', 2)];
    expect(judged(...before, restored, accepts(25 * S, 'e1', 9)).because).toContain('Event e1 was accepted twice');
    expect(judged(...before, restored, accepts(25 * S, 'e2', 9)).because).not.toContain('accepted twice');
    expect(judged(...before, wiped, accepts(25 * S, 'e1', 1)).because).not.toContain('accepted twice');
  });

  it('an event that was settled since the copy is owed once more', () => {
    const ran = said(6 * S, 'invocation.finished', {
      node: 'a-1',
      instance: 'echo/0',
      epoch: 1,
      trigger: 'echo',
      event: 'e1',
      outcome: 'completed',
    } as never);
    const before = [accepts(5 * S, 'e1'), copied, ran, acknowledges(15 * S, 'e1'), restored];
    const owed = judged(...before);
    expect(owed).toMatchObject({ held: false, unconverged: true });
    expect(owed.because).toContain('Event e1 was accepted and neither processed nor');
    expect(judged(...before, acknowledges(25 * S, 'e1'))).toMatchObject({ held: true, because: '' });
  });
});

describe('R1.3 and R9.3', () => {
  it('a fence that the copy has holds again, and one that was raised since does not', () => {
    const raised = (micros: number, epoch: number): RunRecord => said(micros, 'fence.raised', { instance: 'echo/0', epoch });
    const writes = (epoch: number): RunRecord =>
      said(30 * S, 'state.written', { key: 'k', version: 1, bytes: 1, instance: 'echo/0', epoch });
    const judged = (epoch: number) => judge(fencing(scenarioOf()), [raised(5 * S, 5), copied, raised(15 * S, 6), restored, writes(epoch)]);
    expect(judged(4).because).toContain('the fence did not hold');
    expect(judged(5).held).toBe(true);
  });

  it('failures that the copy has are counted on, and those since are not', () => {
    const fails = (micros: number, attempt: number): RunRecord =>
      said(micros, 'event.retried', { consumer: CONSUMER, event: 'e1', sequence: 1, attempt, delayMs: 1, code: 'WM_GUEST_EXIT' });
    const delivers = (attempt: number): RunRecord =>
      said(30 * S, 'event.delivered', { consumer: CONSUMER, event: 'e1', sequence: 1, attempt, instance: null, epoch: null });
    const scenario = scenarioOf({ steps: [{ at: at(0), do: 'trigger', spec: triggerOf() }] });
    const judged = (attempt: number) => judge(retries(scenario), [fails(5 * S, 2), copied, fails(15 * S, 3), restored, delivers(attempt)]);
    expect(judged(1).because).toContain('failures were forgotten');
    expect(judged(2).held).toBe(true);
  });
});

describe('counted-once', () => {
  const judged = (counted: number, ...records: readonly RunRecord[]) =>
    claims('counted-once', { key: 'count', subject: 'questions.plain' }, [
      accepts(1 * S, 'e1'),
      acknowledges(2 * S, 'e1'),
      ...records,
      said(50 * S, 'state.observed', { key: 'count', value: `${counted}` }),
    ]);

  it('no more comes than of what the copy has, what was accepted since it was put back, and what was under way then', () => {
    const before = [copied, accepts(11 * S, 'e2', 2), acknowledges(12 * S, 'e2'), accepts(19 * S, 'e3', 3), restored];
    const since = [accepts(30 * S, 'e4', 9), acknowledges(31 * S, 'e4')];
    expect(judged(4, ...before, ...since).because).toContain('an effect came twice');
    expect(judged(3, ...before, ...since).held).toBe(true);
    expect(judged(2, ...before, ...since).held).toBe(true);
    expect(judged(3, wiped, ...since).because).toContain('an effect came twice');
  });

  it('no less comes than of what was acknowledged up to the copy and since', () => {
    expect(judged(0, copied, restored).because).toContain('1 were acknowledged and not lost: an effect is lost');
    expect(judged(1, copied, accepts(11 * S, 'e2', 2), acknowledges(12 * S, 'e2'), restored).held).toBe(true);
    expect(judged(1, copied, restored, accepts(30 * S, 'e4', 9), acknowledges(31 * S, 'e4')).held).toBe(false);
  });

  it('what was on the way to the disk when the copy was taken is known when it is delivered', () => {
    const delivers = said(30 * S, 'event.delivered', {
      consumer: CONSUMER,
      event: 'e2',
      sequence: 2,
      attempt: 1,
      instance: null,
      epoch: null,
    });
    const before = [copied, accepts(10 * S + 1, 'e2', 2), acknowledges(11 * S, 'e2'), restored];
    expect(judged(2, ...before).because).toContain('an effect came twice');
    expect(judged(2, ...before, delivers).held).toBe(true);
  });
});

describe('conditions', () => {
  const missing = (name: string, ...records: readonly RunRecord[]): string => {
    const condition = CONDITIONS[name]?.create(scenarioOf({ steps: [{ at: at(0), do: 'trigger', spec: triggerOf() }] }));
    if (condition === undefined) throw new Error(`no condition ${name}`);
    for (const record of records) condition.observe(record);
    return condition.missing()?.because ?? '';
  };

  it('instances that the copy has waiting are wanted again', () => {
    const runs = turns(15 * S, 'running', { from: 'assigned' });
    expect(missing('instances-running', turns(5 * S, 'assigned'), copied, runs, restored)).toBe('Instance echo/0 is assigned.');
    expect(missing('instances-running', copied, turns(15 * S, 'assigned'), restored)).toBe('');
  });

  it('nodes are what the copy takes them for, until it hears of them', () => {
    const on = said(1 * S, 'machine.started', { machine: 'a-1', role: 'node', zone: 'cloud/a', incarnation: 1 });
    const enrols = (micros: number): RunRecord => said(micros, 'node.enrolled', { node: 'a-1' } as never);
    expect(missing('nodes-healthy', on, copied, enrols(11 * S), restored)).toBe('Node a-1 is not in the inventory.');
    expect(missing('nodes-healthy', on, copied, enrols(11 * S), restored, enrols(22 * S))).toBe('');
    expect(missing('nodes-healthy', on, enrols(2 * S), copied, restored)).toBe('');
    expect(missing('nodes-healthy', on, enrols(2 * S), wiped)).toBe('Node a-1 is not in the inventory.');
    // What is left after a lie is not told.
    expect(missing('nodes-healthy', on, lied, enrols(12 * S), failed)).toBe('');
    const turnsTo = (micros: number, to: 'healthy' | 'suspect'): RunRecord =>
      said(micros, 'node.status', { node: 'a-1', incarnation: 1, from: 'healthy', to, cause: '' });
    expect(missing('nodes-healthy', on, enrols(2 * S), lied, turnsTo(15 * S, 'suspect'), failed)).toBe('');
    expect(missing('nodes-healthy', on, enrols(2 * S), lied, turnsTo(15 * S, 'suspect'))).toBe('Node a-1 is suspect.');
    expect(missing('nodes-healthy', on, enrols(2 * S), turnsTo(9 * S, 'suspect'), lied, failed)).toBe('Node a-1 is suspect.');
    expect(missing('nodes-healthy', on, enrols(2 * S), lied, failed, turnsTo(25 * S, 'suspect'))).toBe('Node a-1 is suspect.');
  });

  it('events are settled that the copy has, for the consumers that it has', () => {
    const creates = (micros: number): RunRecord => said(micros, 'consumer.created', { consumer: CONSUMER, filter: 'questions.*', next: 1 });
    const settled = acknowledges(12 * S, 'e1');
    expect(missing('events-settled', creates(1 * S), accepts(5 * S, 'e1'), copied, settled, restored)).toContain('Event e1 is not settled');
    expect(missing('events-settled', copied, creates(11 * S), restored, accepts(25 * S, 'e1'))).toBe('');
    expect(missing('events-settled', creates(1 * S), wiped, accepts(25 * S, 'e1'))).toBe('');
    expect(missing('events-settled', creates(1 * S), copied, restored, accepts(25 * S, 'e1'))).toContain('Event e1 is not settled');
    expect(missing('events-settled', lied, creates(11 * S), failed, accepts(25 * S, 'e1'))).toBe('');
  });
});

describe('P3', () => {
  const trusts = (micros: number, key: string): RunRecord => said(micros, 'trust.added', { key });
  const revokes = (micros: number, key: string): RunRecord => said(micros, 'trust.revoked', { key });
  const stores = (micros: number): RunRecord => said(micros, 'module.stored', { module: 'echo', version: 1, digest: 'd1', key: 'k' });
  const judged = (...records: readonly RunRecord[]) => judge(signatures(scenarioOf()), records);

  it('a key that the copy knows as revoked is so again, whatever became of it since', () => {
    const before = [trusts(1 * S, 'k'), revokes(5 * S, 'k'), copied, trusts(12 * S, 'k'), revokes(15 * S, 'k'), restored];
    expect(judged(...before, stores(25 * S)).because).toContain('its key k is not trusted');
    expect(judged(...before, trusts(24 * S, 'k'), stores(25 * S)).held).toBe(true);
    expect(judged(trusts(1 * S, 'k'), copied, revokes(15 * S, 'k'), restored, stores(25 * S)).held).toBe(true);
  });

  it('after a lie one may be trusted that was so at any time since', () => {
    expect(judged(lied, trusts(12 * S, 'k'), revokes(15 * S, 'k'), failed, stores(25 * S)).held).toBe(true);
    expect(judged(trusts(1 * S, 'k'), revokes(5 * S, 'k'), lied, failed, stores(25 * S)).held).toBe(false);
  });

  it('a node that was told while a key was trusted need not know that it is not, until it is told again', () => {
    const told = (micros: number): RunRecord =>
      said(micros, 'agent.desired', { node: 'a-1', term: 1, revision: 1, assignments: 1, applied: true });
    const loads = said(30 * S, 'artefact.loaded', {
      node: 'a-1',
      module: 'echo',
      version: 1,
      digest: 'd1',
      artefact: 'x',
      key: 'k',
    });
    const before = [trusts(1 * S, 'k'), stores(2 * S), revokes(5 * S, 'k'), copied, trusts(12 * S, 'k'), told(14 * S), restored];
    expect(judged(...before, loads)).toMatchObject({ held: true, because: '' });
    expect(judged(...before, told(28 * S), loads).because).toContain('which is not trusted');
  });
});

describe('answered', () => {
  const publishes = (micros: number, event: string): RunRecord =>
    said(micros, 'workload.published', { event, subject: 'questions.plain', outcome: 'accepted', micros: S / 2 } as never);
  const answers = (micros: number, event: string): RunRecord =>
    said(micros, 'workload.result', { event: `r-${event}`, subject: 'answers.echo', source: event, trigger: 'echo', data: '' });
  const known = [accepts(1 * S, 'e1'), publishes(1 * S, 'e1'), answers(2 * S, 'e1')];
  const judged = (...records: readonly RunRecord[]) =>
    claims('answered', { subject: 'questions.plain', within: 60 * S }, [...known, ...records]);

  it('what was accepted and lost before its publisher was told is not owed', () => {
    const late = [accepts(19 * S, 'e2', 2), wiped, publishes(20 * S + 1, 'e2')];
    expect(judged(...late)).toMatchObject({ held: true, because: '' });
    expect(judged(copied, accepts(19 * S, 'e2', 2), restored, publishes(20 * S + 1, 'e2')).held).toBe(true);
    expect(judged(accepts(19 * S, 'e2', 2), publishes(20 * S + 1, 'e2')).because).toContain('Event e2 was accepted and has no result');
    // Accepted once more, or known to the copy, it is owed.
    expect(judged(accepts(19 * S, 'e2', 2), wiped, accepts(21 * S, 'e2', 1), publishes(21 * S, 'e2')).held).toBe(false);
    const duplicate = said(21 * S, 'event.duplicate', { event: 'e2', subject: 'questions.plain', sequence: 2 });
    expect(judged(copied, accepts(10 * S + 1, 'e2', 2), restored, duplicate, publishes(21 * S, 'e2')).held).toBe(false);
  });

  it('what the copy has is owed, although its publisher was told later', () => {
    const before = [accepts(9 * S, 'e2', 2), copied, publishes(11 * S, 'e2'), restored];
    expect(judged(...before).because).toContain('Event e2 was accepted and has no result');
    expect(judged(...before, answers(25 * S, 'e2')).held).toBe(true);
  });
});

describe('version-everywhere', () => {
  const applies = (micros: number, version: number): RunRecord =>
    said(micros, 'deployment.applied', { deployment: 'echo', module: 'echo', version, replicas: 1, revision: 1 });
  const serves = (micros: number, version: number, epoch = 1, node = 'a-1'): RunRecord =>
    said(micros, 'instance.serving', { instance: 'echo/0', epoch, node, version });
  const sees = (version: number, epoch = 1): RunRecord =>
    said(50 * S, 'instance.observed', { instance: 'echo/0', state: 'running', node: 'a-1', epoch, version });
  const judged = (...records: readonly RunRecord[]) => claims('version-everywhere', { deployment: 'echo', version: 3 }, records);

  it('is about the version that a rollback after the loss went to', () => {
    const rolled = said(30 * S, 'rollback.accepted', { deployment: 'echo', from: 2, to: 1 });
    const before = [wiped, applies(25 * S, 2), turns(25 * S, 'assigned'), serves(26 * S, 2), rolled];
    expect(judged(...before, serves(31 * S, 1), sees(1))).toMatchObject({ held: true, because: '' });
    expect(judged(...before, sees(2)).held).toBe(false);
  });

  it('is about the version that the copy has, where nothing was applied since', () => {
    const before = [applies(2 * S, 2), turns(2 * S, 'assigned'), serves(3 * S, 2), copied, applies(12 * S, 3), serves(13 * S, 3), restored];
    expect(judged(...before, serves(22 * S, 2), sees(2))).toMatchObject({ held: true, because: '' });
    expect(judged(...before, sees(3)).held).toBe(false);
  });

  it('what a node has served all the time it need not say again, and what it was handed by a lost controller is no word', () => {
    const before = [applies(2 * S, 2), turns(2 * S, 'assigned'), copied];
    expect(judged(...before, serves(12 * S, 2), restored, sees(2))).toMatchObject({ held: true, because: '' });
    // The same epoch was given twice: before the loss to b-1, and since to a-1.
    const moved = turns(12 * S, 'assigned', { node: 'b-1', epoch: 2 });
    const again = turns(22 * S, 'assigned', { node: 'a-1', epoch: 2 });
    expect(judged(...before, moved, restored, again, serves(23 * S, 2, 2), serves(24 * S, 1, 2, 'b-1'), sees(2, 2))).toMatchObject({
      held: true,
      because: '',
    });
    expect(judged(...before, moved, restored, again, serves(23 * S, 2, 2), serves(24 * S, 1, 2), sees(2, 2)).held).toBe(false);
  });
});
