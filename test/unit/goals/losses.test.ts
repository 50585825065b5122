// What stays claimed when the controller loses what only its disk had: what was told up to the copy, and all that is safe or not.
import { describe, expect, it } from 'vitest';
import { capabilities } from '../../../scenarios/goals/capabilities.ts';
import { CLAIMS } from '../../../scenarios/goals/claims.ts';
import { fencing, onDemandEvents } from '../../../scenarios/goals/events.ts';
import { failureAndRecovery } from '../../../scenarios/goals/fleet-health.ts';
import { lifecycle } from '../../../scenarios/goals/placement.ts';
import { retries } from '../../../scenarios/goals/retries.ts';
import { signatures, versions } from '../../../scenarios/goals/supply-chain.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { judge, S, said } from '../../support/scenarios/records.ts';
import { at, pushOf, scenarioOf, specOf, triggerOf } from '../../support/scenarios/scenario.ts';

const KEY = 'ed25519:ops';
const CONSUMER = 'trigger-echo';
const fault = { fault: 'fault-1', kind: 'restore', target: 'controller' };
/** A copy of 10 s, put back at 20 s. */
const copied = said(10 * S, 'fault.begun', { ...fault, detail: '' });
const restored = said(20 * S, 'fault.felt', fault);
const wiped = said(20 * S, 'fault.felt', { ...fault, kind: 'wipe' });
const nodeWiped = said(20 * S, 'fault.felt', { ...fault, kind: 'wipe', target: 'a-1' });

/** Its disk lies from 10 s on, and its power fails at 20 s. */
const lied = said(10 * S, 'fault.begun', { fault: 'fault-2', kind: 'disk-lies', target: 'controller', detail: '' });
const failed = said(20 * S, 'fault.felt', { fault: 'fault-3', kind: 'crash', target: 'controller' });

const accepts = (micros: number, event: string, sequence = 1): RunRecord =>
  said(micros, 'event.accepted', { event, subject: 'questions.plain', sequence, bytes: 1, instance: null, epoch: null });
const acknowledges = (micros: number, event: string): RunRecord =>
  said(micros, 'event.acknowledged', { consumer: CONSUMER, event, sequence: 1, attempt: 1, instance: 'echo/0', epoch: 1 });

describe('of versions', () => {
  const stores = (micros: number, version: number, digest: string): RunRecord =>
    said(micros, 'module.stored', { module: 'echo', version, digest, key: KEY });
  const sees = (version: number, digest: string): RunRecord =>
    said(50 * S, 'module.observed', { module: 'echo', version, digest, key: KEY });
  const judged = (...records: readonly RunRecord[]) => judge(versions(), records);

  it('those that the copy has must be there, and the numbers of the others are given again', () => {
    const before = [stores(5 * S, 1, 'd1'), copied, stores(15 * S, 2, 'd2'), restored];
    expect(judged(...before, stores(30 * S, 2, 'd3'), sees(1, 'd1'), sees(2, 'd3'))).toMatchObject({ held: true, because: '' });
    expect(judged(...before).because).toBe('Version 1 of module echo was stored and is missing or changed at the end.');
    expect(judged(...before, stores(30 * S, 1, 'd3')).because).toBe('Module echo version 1 was rewritten.');
  });

  it('none is left on a new disk, and all are left when the disk was that of a node', () => {
    expect(judged(stores(5 * S, 1, 'd1'), wiped, stores(30 * S, 1, 'd2'), sees(1, 'd2'))).toMatchObject({ held: true });
    expect(judged(stores(5 * S, 1, 'd1'), nodeWiped).held).toBe(false);
  });

  it('one that was told just after the copy was taken may be in it', () => {
    const before = [stores(5 * S, 1, 'd1'), copied, stores(10 * S + 1, 2, 'd2'), restored, stores(30 * S, 3, 'd3')];
    expect(judged(...before, sees(1, 'd1'), sees(2, 'd2'), sees(3, 'd3'))).toMatchObject({ held: true });
    expect(judged(...before, sees(1, 'd1'), sees(3, 'd3')).because).toContain('Version 2 of module echo was stored and is missing');
  });

  it('what was acknowledged up to the copy must be recovered', () => {
    const acknowledged = (micros: number, sequence: number): RunRecord =>
      said(micros, 'command.acknowledged', { command: 'module-push', id: `c-${sequence}`, sequence, micros: 1 });
    const before = [acknowledged(5 * S, 7), copied, acknowledged(15 * S, 9), restored];
    const starts = (sequence: number): RunRecord => said(22 * S, 'controller.started', { term: 2, sequence, entries: 0 });
    expect(judged(...before, starts(7)).held).toBe(true);
    expect(judged(...before, starts(6)).because).toContain('but had acknowledged module-push c-7 at 7');
  });
});

describe('of a disk that lied or rotted', () => {
  const created = said(0, 'consumer.created', { consumer: CONSUMER, filter: 'questions.*', next: 1 });
  const events = (...records: readonly RunRecord[]) => judge(onDemandEvents(scenarioOf()), [created, ...records]);

  it('nothing is owed that was acknowledged between the lie and the loss of power, and all before it and after it', () => {
    expect(events(lied, accepts(15 * S, 'e1'), failed).held).toBe(true);
    expect(events(accepts(5 * S, 'e1'), lied, failed).because).toContain('Event e1 was accepted and neither processed nor');
    expect(events(lied, accepts(15 * S, 'e1')).held).toBe(false);
    const over = said(16 * S, 'fault.ended', { fault: 'fault-2', kind: 'disk-lies', target: 'controller' });
    expect(events(lied, accepts(15 * S, 'e1'), over, failed).held).toBe(false);
    const again = { ...lied, micros: 16 * S, fields: { ...lied.fields, fault: 'fault-4' } } as RunRecord;
    // Two lies: what came in the first is on the platter only when both are over.
    expect(events(lied, accepts(15 * S, 'e1'), again, over, failed).held).toBe(true);
    // The power failed once: what survived is there, and what comes now may be lost in the next failure.
    const later = { ...failed, micros: 40 * S };
    expect(events(lied, failed, accepts(30 * S, 'e1'), later).held).toBe(true);
    expect(events(lied, failed, over, accepts(30 * S, 'e1'), later).held).toBe(false);
  });

  it('a key may be trusted that was so at any time since the lie', () => {
    const stores = (key: string): RunRecord => said(30 * S, 'module.stored', { module: 'echo', version: 1, digest: 'd1', key });
    const judged = (key: string) =>
      judge(signatures(scenarioOf()), [
        said(1 * S, 'trust.added', { key: KEY }),
        lied,
        said(15 * S, 'trust.added', { key: 'new' }),
        said(16 * S, 'trust.revoked', { key: KEY }),
        failed,
        stores(key),
      ]);
    expect(judged(KEY).held).toBe(true);
    expect(judged('new').held).toBe(true);
    expect(judged('never').because).toContain('its key never is not trusted');
  });

  it('a version that survived one loss may survive the next', () => {
    const stores = (micros: number, version: number): RunRecord =>
      said(micros, 'module.stored', { module: 'echo', version, digest: `d${version}`, key: KEY });
    const sees = (version: number): RunRecord =>
      said(50 * S, 'module.observed', { module: 'echo', version, digest: `d${version}`, key: KEY });
    const before = [stores(5 * S, 1), lied, stores(15 * S, 2), failed, { ...failed, micros: 25 * S }];
    expect(judge(versions(), [...before, stores(30 * S, 3), sees(1), sees(2), sees(3)])).toMatchObject({ held: true, because: '' });
    expect(judge(versions(), [...before, stores(30 * S, 4)]).because).toContain('the history has a gap');
  });

  it('nobody starts from a journal that rotted, and it is said why', () => {
    const rots = said(12 * S, 'fault.felt', { fault: 'fault-5', kind: 'disk-rot', target: 'controller' });
    const starts = (micros: number): RunRecord => said(micros, 'controller.started', { term: 2, sequence: 9, entries: 0 });
    const ends = (cause: string): RunRecord => said(14 * S, 'machine.stopped', { machine: 'controller', role: 'controller', cause });
    const judged = (...records: readonly RunRecord[]) => judge(versions(), [copied, ...records]);
    expect(judged(rots, ends('power loss'), ends('WM_JOURNAL_CORRUPT: Record 1'), restored, starts(22 * S)).held).toBe(true);
    expect(judged(rots, starts(15 * S)).because).toContain('The controller started from a journal that had rotted');
    expect(judged(rots, ends('WM_BUG: whatever')).because).toContain('ended for another reason: WM_BUG');
    expect(judged(ends('WM_STORAGE_FULL: no room'), starts(15 * S)).held).toBe(true);
    expect(judged({ ...rots, fields: { ...rots.fields, target: 'a-1' } } as RunRecord, starts(15 * S)).held).toBe(true);
  });
});

describe('of events', () => {
  const created = said(0, 'consumer.created', { consumer: CONSUMER, filter: 'questions.*', next: 1 });
  const judged = (...records: readonly RunRecord[]) => judge(onDemandEvents(scenarioOf()), [created, ...records]);

  it('those that the copy has are owed, and those since are not', () => {
    expect(judged(copied, accepts(15 * S, 'e1'), restored)).toMatchObject({ held: true, figures: { accepted: 1 } });
    expect(judged(accepts(5 * S, 'e1'), copied, restored).because).toContain('Event e1 was accepted and neither processed nor');
    expect(judged(accepts(5 * S, 'e1'), wiped).held).toBe(true);
    expect(judged(accepts(5 * S, 'e1'), nodeWiped).held).toBe(false);
  });

  it('one may be accepted again, and none may be acknowledged before its guest ran', () => {
    expect(judged(copied, accepts(15 * S, 'e1'), restored, acknowledges(30 * S, 'e1')).because).toContain(
      'acknowledged before the guest ran',
    );
    const again = judged(wiped, { ...created, micros: 21 * S }, accepts(30 * S, 'e1'));
    expect(again).toMatchObject({ held: false, unconverged: true });
    expect(judged(copied, accepts(15 * S, 'e1'), restored, accepts(30 * S, 'e1')).because).not.toContain('accepted twice');
  });

  it('failures are counted anew', () => {
    const retried = said(15 * S, 'event.retried', {
      consumer: CONSUMER,
      event: 'e1',
      sequence: 1,
      attempt: 2,
      delayMs: 1,
      code: 'WM_GUEST_EXIT',
    });
    const delivered = said(30 * S, 'event.delivered', {
      consumer: CONSUMER,
      event: 'e1',
      sequence: 1,
      attempt: 1,
      instance: null,
      epoch: null,
    });
    const scenario = scenarioOf({ steps: [{ at: at(0), do: 'trigger', spec: triggerOf() }] });
    expect(judge(retries(scenario), [retried, delivered]).because).toContain('failures were forgotten');
    expect(judge(retries(scenario), [retried, wiped, delivered]).held).toBe(true);
  });
});

describe('of safety', () => {
  it('fences that are raised from then on hold as before', () => {
    const raised = (micros: number, epoch: number): RunRecord => said(micros, 'fence.raised', { instance: 'echo/0', epoch });
    const writes = (micros: number, epoch: number): RunRecord =>
      said(micros, 'state.written', { key: 'k', version: 1, bytes: 1, instance: 'echo/0', epoch });
    const scenario = scenarioOf();
    expect(judge(fencing(scenario), [raised(5 * S, 5), writes(30 * S, 1)]).held).toBe(false);
    expect(judge(fencing(scenario), [raised(5 * S, 5), wiped, writes(30 * S, 1)]).held).toBe(true);
    expect(judge(fencing(scenario), [raised(5 * S, 5), wiped, raised(25 * S, 2), writes(30 * S, 1)]).because).toContain(
      'the fence did not hold',
    );
  });

  it('what a node still serves of a controller that is lost holds nobody else up, and is no last word', () => {
    const raised = (micros: number, epoch: number): RunRecord => said(micros, 'fence.raised', { instance: 'echo/0', epoch });
    const serves = (micros: number, node: string, epoch: number): RunRecord =>
      said(micros, 'instance.serving', { instance: 'echo/0', epoch, node, version: epoch, trigger: null } as never);
    const runs = said(30 * S, 'invocation.started', {
      node: 'a-1',
      instance: 'echo/0',
      epoch: 3,
      version: 3,
      trigger: 'echo',
      event: 'e1',
      attempt: 1,
    });
    const scenario = scenarioOf({ steps: [{ at: at(0), do: 'deploy', spec: specOf() }] });
    const late = [raised(19 * S, 4), restored, serves(21 * S, 'b-1', 4), raised(22 * S, 3), serves(23 * S, 'a-1', 3)];
    expect(judge(fencing(scenario), [copied, ...late, runs]).held).toBe(true);
    expect(judge(fencing(scenario), [copied, restored, raised(21 * S, 4), ...late.slice(2), runs]).because).toContain(
      'a stale instance works on',
    );
    const everywhere = (records: readonly RunRecord[]) => {
      const goal = CLAIMS['version-everywhere']?.create({ deployment: 'echo', version: 3 }, scenario, 0);
      if (goal === undefined) throw new Error('no goal version-everywhere');
      return judge(goal, records);
    };
    const seen = said(50 * S, 'instance.observed', { instance: 'echo/0', state: 'running', node: 'a-1', epoch: 3, version: 3 });
    expect(everywhere([copied, ...late, seen]).held).toBe(true);
    expect(everywhere([copied, restored, raised(21 * S, 4), ...late.slice(2), seen]).because).toContain('last served echo/0 in version 4');
  });

  it('a node that the copy had given up may hold a lease since, and one that is given up now may not', () => {
    const leases = said(15 * S, 'agent.lease', { node: 'a-1', state: 'held' });
    const goes = (correlation: string | null): RunRecord => ({
      ...said(22 * S, 'node.status', { node: 'a-1', incarnation: 1, from: 'suspect', to: 'unavailable', cause: '' }),
      correlation,
    });
    const later = said(23 * S, 'run.phase', { phase: 'end' });
    const judged = (...records: readonly RunRecord[]) => judge(fencing(scenarioOf()), [copied, leases, ...records, later]);
    expect(judged(restored, goes('repeated/58')).held).toBe(true);
    expect(judged(restored, goes(null)).because).toContain('was given up while its agent held its lease');
    expect(judged(goes('repeated/58')).held).toBe(false);
  });

  it('a key that is trusted since the copy is trusted no longer, and one that was trusted before is', () => {
    const trusts = (micros: number, key: string): RunRecord => said(micros, 'trust.added', { key });
    const stores = (key: string): RunRecord => said(30 * S, 'module.stored', { module: 'echo', version: 1, digest: 'd1', key });
    const judged = (key: string) =>
      judge(signatures(scenarioOf()), [
        trusts(1 * S, KEY),
        copied,
        trusts(15 * S, 'new'),
        said(16 * S, 'trust.revoked', { key: KEY }),
        restored,
        stores(key),
      ]);
    expect(judged(KEY).held).toBe(true);
    expect(judged('new').because).toContain('its key new is not trusted');
  });

  it('guests may do what one version of their number may, and nothing else', () => {
    const push = (capability: string) => pushOf({ capabilities: [capability] });
    const scenario = scenarioOf({ steps: [push('publish:a'), push('publish:b'), { at: at(0), do: 'deploy', spec: specOf() }] });
    const commands = (id: string, step: number): RunRecord => said(0, 'operator.commanded', { id, command: 'module-push', step });
    const stores = (micros: number, id: string): RunRecord => ({
      ...said(micros, 'module.stored', { module: 'echo', version: 1, digest: id, key: KEY }),
      correlation: id,
    });
    const runs: RunRecord = {
      ...said(30 * S, 'invocation.started', {
        node: 'a-1',
        instance: 'echo/0',
        epoch: 1,
        version: 1,
        trigger: 'echo',
        event: 'e',
        attempt: 1,
      }),
      correlation: 'e',
    };
    const publishes = (subject: string): RunRecord => ({
      ...said(31 * S, 'event.accepted', { event: 'r', subject, sequence: 9, bytes: 1, instance: 'echo/0', epoch: 1 }),
      correlation: 'e',
    });
    const judged = (subject: string) =>
      judge(capabilities(scenario), [
        commands('c1', 0),
        commands('c2', 1),
        stores(1 * S, 'c1'),
        wiped,
        stores(25 * S, 'c2'),
        runs,
        publishes(subject),
      ]);
    expect(judged('a').held).toBe(true);
    expect(judged('b').held).toBe(true);
    expect(judged('c').because).toContain('published on c without a capability');
  });

  it('instances begin anew, and a node serves no epoch that nobody ever gave', () => {
    const goes = (micros: number, from: string, to: string, epoch: number): RunRecord =>
      said(micros, 'instance.state', { instance: 'echo/0', deployment: 'echo', from, to, node: 'a-1', epoch, version: 1, cause: '' });
    const serves = (epoch: number): RunRecord =>
      said(30 * S, 'instance.serving', { instance: 'echo/0', epoch, node: 'a-1', version: 1, trigger: null } as never);
    const before = [goes(1 * S, 'pending', 'assigned', 5), wiped, goes(25 * S, 'pending', 'assigned', 1)];
    expect(judge(lifecycle(), [...before, serves(5)])).toMatchObject({ held: true, because: '' });
    expect(judge(lifecycle(), [...before, serves(6)]).because).toContain('which was never assigned');
    expect(
      judge(
        lifecycle(),
        before.filter((record) => record !== wiped),
      ).held,
    ).toBe(false);
  });

  it('a node that was silent before may be one that the controller never heard of', () => {
    const records = [
      said(0, 'machine.started', { machine: 'controller', role: 'controller', zone: 'cloud/eu/a', incarnation: 1 }),
      said(1 * S, 'node.enrolled', {
        node: 'a-1',
        incarnation: 1,
        zone: 'cloud/eu/a',
        architecture: 'x86_64',
        cores: 4,
        memoryBytes: 1,
      } as never),
      said(19 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' }),
    ];
    const later = said(50 * S, 'run.phase', { phase: 'end' });
    expect(judge(failureAndRecovery(scenarioOf()), [...records, later]).because).toContain('the failure detector is late');
    expect(judge(failureAndRecovery(scenarioOf()), [...records, wiped, later]).held).toBe(true);
  });
});

describe('of how things stand in the end', () => {
  const goal = (name: string, parameters: Record<string, string | number>) =>
    CLAIMS[name]?.create(parameters, scenarioOf({ steps: [{ at: at(0), do: 'trigger', spec: triggerOf() }] }), 0);
  const judged = (name: string, parameters: Record<string, string | number>, records: readonly RunRecord[]) => {
    const made = goal(name, parameters);
    if (made === undefined) throw new Error(`no goal ${name}`);
    return judge(made, records);
  };

  it('the version is the one that was applied last', () => {
    const serves = said(30 * S, 'instance.serving', { instance: 'echo/0', epoch: 1, node: 'a-1', version: 1, trigger: null } as never);
    const seen = said(50 * S, 'instance.observed', { instance: 'echo/0', state: 'running', node: 'a-1', epoch: 1, version: 1 });
    const applied = said(29 * S, 'deployment.applied', { deployment: 'echo', module: 'echo', version: 1, replicas: 1, revision: 1 });
    const raised = said(29 * S, 'fence.raised', { instance: 'echo/0', epoch: 1 });
    const parameters = { deployment: 'echo', version: 3 };
    expect(judged('version-everywhere', parameters, [wiped, applied, raised, serves, seen]).held).toBe(true);
    expect(
      judged('version-everywhere', parameters, [
        wiped,
        { ...applied, fields: { ...applied.fields, version: 2 } } as RunRecord,
        raised,
        serves,
        seen,
      ]).held,
    ).toBe(false);
    expect(judged('version-everywhere', parameters, [applied, serves, seen]).held).toBe(false);
  });

  it('a counter has no effect twice, and all that was acknowledged since', () => {
    const reads = (value: string): RunRecord => said(50 * S, 'state.observed', { key: 'count', value });
    const parameters = { key: 'count', subject: 'questions.plain' };
    const before = [accepts(1 * S, 'e1'), acknowledges(2 * S, 'e1'), wiped, accepts(30 * S, 'e2'), acknowledges(31 * S, 'e2')];
    expect(judged('counted-once', parameters, [...before, reads('1')]).held).toBe(true);
    expect(judged('counted-once', parameters, [...before, reads('0')]).because).toContain('1 were acknowledged and not lost');
    expect(judged('counted-once', parameters, [...before, reads('3')]).because).toContain('an effect came twice');
    expect(judged('counted-once', parameters, [...before.filter((record) => record !== wiped), reads('1')]).held).toBe(false);
  });
});
