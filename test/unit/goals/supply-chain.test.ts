// P3, P4 and P5 over records written by hand: each way to break them is seen to be noticed, with its sentence.
import { describe, expect, it } from 'vitest';
import { capabilities } from '../../../scenarios/goals/capabilities.ts';
import { signatures, versions } from '../../../scenarios/goals/supply-chain.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { at as atMicros, pushOf, scenarioOf, specOf, triggerOf } from '../../support/scenarios/scenario.ts';

const KEY = 'ed25519:ops';
const trusts = said(0, 'trust.added', { key: KEY });
const stores = (version: number, digest: string, key: string = KEY): RunRecord =>
  said(1 * S, 'module.stored', { module: 'echo', version, digest, key });
const signs = (artefact: string): RunRecord => said(1 * S, 'artefact.signed', { module: 'echo', version: 1, profile: 'p', artefact });
const forges = (what: 'artefact' | 'module', digest: string): RunRecord =>
  said(1 * S, 'forgery.made', { what, digest, detail: 'unsigned' });
const loads = (artefact: string, other: { readonly digest?: string; readonly key?: string } = {}): RunRecord =>
  said(2 * S, 'artefact.loaded', { node: 'a-1', module: 'echo', version: 1, digest: 'd1', artefact, key: KEY, ...other });

describe('P3', () => {
  const judged = (...records: readonly RunRecord[]) => judge(signatures(scenarioOf()), [trusts, ...records]);

  it('holds when only what a trusted key signed is stored and loaded', () => {
    const result = judged(stores(1, 'd1'), signs('x1'), loads('x1'), forges('module', 'd2'));
    expect(result).toMatchObject({ held: true, because: '' });
    expect(result.checks).toBeGreaterThan(4);
  });

  it('is broken when the controller stores what it must not', () => {
    expect(judged(stores(1, 'd1', 'ed25519:stranger')).because).toBe(
      'Module echo version 1 was stored although its key ed25519:stranger is not trusted.',
    );
    expect(judged(said(0, 'trust.revoked', { key: KEY }), stores(1, 'd1')).because).toContain('is not trusted');
    expect(judged(forges('module', 'd1'), stores(1, 'd1')).because).toBe(
      'Module echo version 1 was stored although its signature must not be believed: unsigned.',
    );
  });

  it('is broken when a node loads a forgery, something that was never stored, or something signed by a stranger', () => {
    const forged = judged(stores(1, 'd1'), forges('artefact', 'x1'), signs('x1'), loads('x1'));
    expect(forged).toMatchObject({ held: false, machine: 'a-1' });
    expect(forged.because).toBe(
      'Node a-1 loaded echo version 1 although the signature of its artefact must not be believed (unsigned): the agent did not check it.',
    );
    expect(judged(loads('x1')).because).toBe('Node a-1 loaded echo version 1, which was never stored as deployable.');
    expect(judged(stores(1, 'd1'), loads('x1', { key: 'ed25519:stranger' })).because).toBe(
      'Node a-1 loaded echo version 1, signed by ed25519:stranger, which is not trusted.',
    );
  });

  const runs = (micros: number): RunRecord =>
    said(micros, 'invocation.started', { node: 'a-1', instance: 'echo/0', epoch: 1, version: 1, trigger: 'echo', event: 'e1', attempt: 1 });
  const isTold = (micros: number): RunRecord =>
    said(micros, 'agent.desired', { node: 'a-1', term: 1, revision: 5, assignments: 0, applied: true });
  const revokes = said(10 * S, 'trust.revoked', { key: KEY });

  it('is broken when what a revoked key signed runs where that is known, or where no lease can be left', () => {
    const before = [stores(1, 'd1'), signs('x1'), loads('x1'), revokes];
    expect(judged(...before, runs(10 * S + 500 * MS)).held).toBe(true);
    expect(judged(...before, isTold(11 * S + 1), runs(11 * S + 2)).because).toBe(
      `Node a-1 ran event e1 with echo version 1, whose key ${KEY} was revoked before.`,
    );
    // A lease of 2.5 s by a clock that is off by a fifth, and a second for what was on its way.
    expect(judged(...before, runs(13_900 * MS)).held).toBe(true);
    expect(judged(...before, runs(14_100 * MS)).held).toBe(false);
    expect(judged(...before, said(12 * S, 'trust.added', { key: KEY }), runs(20 * S)).held).toBe(true);
  });

  it('lets a node that cannot know go on with what is bound to it', () => {
    const staying = scenarioOf({ steps: [pushOf(), { at: atMicros(0), do: 'deploy', spec: specOf({ whenUnreachable: 'stay' }) }] });
    const before = [trusts, stores(1, 'd1'), signs('x1'), revokes];
    expect(judge(signatures(staying), [...before, loads('x1'), runs(60 * S)]).held).toBe(true);
    expect(judge(signatures(staying), [...before, isTold(12 * S), loads('x1')]).held).toBe(false);
  });

  it('lets a node that ended before it can have stored what it was told begin as if it had never heard of it', () => {
    const staying = scenarioOf({ steps: [pushOf(), { at: atMicros(0), do: 'deploy', spec: specOf({ whenUnreachable: 'stay' }) }] });
    const ends = (micros: number): RunRecord => said(micros, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'WM_STORAGE_FULL' });
    const before = [trusts, stores(1, 'd1'), signs('x1'), revokes, isTold(12 * S)];
    expect(judge(signatures(staying), [...before, ends(12 * S + 900 * MS), loads('x1')]).held).toBe(true);
    expect(judge(signatures(staying), [...before, ends(13 * S + 1), loads('x1')]).held).toBe(false);
    // What it was told long before that is on its disk, however often it was told since.
    const often = [14_000, 14_300, 14_600, 14_900].map((ms) => isTold(ms * MS));
    expect(judge(signatures(staying), [...before, ...often, ends(15 * S), loads('x1')]).held).toBe(false);
  });

  it('is broken when a node with a session in peace goes on because nobody tells it', () => {
    const staying = scenarioOf({ steps: [pushOf(), { at: atMicros(0), do: 'deploy', spec: specOf({ whenUnreachable: 'stay' }) }] });
    const before = [trusts, stores(1, 'd1'), signs('x1'), loads('x1')];
    const session = (micros: number, state: 'connected' | 'lost') =>
      said(micros, 'agent.session', { node: 'a-1', state, attempt: 1, cause: '' });
    const judgedFor = (...records: readonly RunRecord[]) => judge(signatures(staying), [...before, ...records]);
    expect(judgedFor(session(1 * S, 'connected'), revokes, runs(14_100 * MS)).because).toContain('was revoked before');
    expect(judgedFor(session(1 * S, 'connected'), revokes, runs(13_900 * MS)).held).toBe(true);
    expect(judgedFor(session(1 * S, 'connected'), revokes, session(11 * S, 'lost'), runs(60 * S)).held).toBe(true);
    const cut = said(9 * S, 'fault.begun', { fault: 'f', kind: 'partition', target: 'a-1', detail: '' });
    expect(judgedFor(session(1 * S, 'connected'), cut, revokes, runs(60 * S)).held).toBe(true);
    const healed = said(20 * S, 'fault.ended', { fault: 'f', kind: 'partition', target: 'a-1' });
    expect(judgedFor(session(1 * S, 'connected'), cut, revokes, healed, runs(23_900 * MS)).held).toBe(true);
    expect(judgedFor(session(1 * S, 'connected'), cut, revokes, healed, runs(24_100 * MS)).held).toBe(false);
  });

  it('believes an artefact that the controller signed again with its own hand', () => {
    expect(judged(stores(1, 'd1'), forges('artefact', 'x1'), signs('x1'), signs('x1'), loads('x1')).held).toBe(true);
  });

  it('believes one whose forgery was lost with the controller that made it, unless that is told of again', () => {
    const ends = said(2 * S, 'machine.stopped', { machine: 'controller', role: 'controller', cause: 'power loss' });
    const before = [stores(1, 'd1'), forges('artefact', 'x1'), ends];
    expect(judged(...before, signs('x1'), loads('x1')).held).toBe(true);
    const again: RunRecord = { ...signs('x1'), correlation: 'repeated/9' };
    expect(judged(...before, again, loads('x1')).because).toContain('must not be believed');
    expect(judged(...before, again, signs('x1'), loads('x1')).held).toBe(true);
    expect(
      judged(
        stores(1, 'd1'),
        forges('artefact', 'x1'),
        { ...ends, micros: 1 * S, fields: { ...ends.fields, machine: 'a-1' } } as RunRecord,
        signs('x1'),
        loads('x1'),
      ).held,
    ).toBe(false);
  });

  it('has not converged while a refusal is not on record', () => {
    const refusing = scenarioOf({ steps: [pushOf({ signing: 'unsigned', accepted: false })] });
    expect(judge(signatures(refusing), [trusts])).toMatchObject({
      unconverged: true,
      because: '1 pushes had to be refused, and 0 refusals are on record.',
    });
    const refusal = said(1 * S, 'module.refused', { module: 'echo', digest: 'd1', key: null, code: 'WM_SIGNATURE_MISSING' });
    expect(judge(signatures(refusing), [trusts, refusal]).held).toBe(true);
  });
});

describe('P4', () => {
  const judged = (...records: readonly RunRecord[]) => judge(versions(), records);
  const isThere = (version: number, digest: string): RunRecord =>
    said(50 * S, 'module.observed', { module: 'echo', version, digest, key: KEY });
  const acknowledges = (sequence: number): RunRecord =>
    said(1 * S, 'command.acknowledged', { id: 'command-4', command: 'deployment-scale', sequence, micros: 0 });
  const recovers = (sequence: number): RunRecord => said(2 * S, 'controller.started', { term: 2, sequence, entries: sequence });
  const rollsBack = said(10 * S, 'rollback.accepted', { deployment: 'echo', from: 2, to: 1 });
  const isIssued = (micros: number): RunRecord =>
    said(10 * S + micros, 'rollback.issued', { deployment: 'echo', version: 1, nodes: 1, micros });
  const isCommanded = (micros: number): RunRecord =>
    said(micros, 'agent.desired', { node: 'a-1', term: 1, revision: 5, assignments: 1, applied: true });
  const serves = (micros: number, version = 1): RunRecord =>
    said(micros, 'instance.serving', { node: 'a-1', instance: 'echo/0', epoch: 1, version });

  it('holds for a history without gaps that is all there at the end', () => {
    const result = judged(stores(1, 'd1'), stores(2, 'd2'), stores(1, 'd1'), isThere(1, 'd1'), isThere(2, 'd2'));
    expect(result).toMatchObject({ held: true });
    expect(result.checks).toBe(5);
  });

  it('is broken by a gap and by a version that is rewritten', () => {
    expect(judged(stores(2, 'd2')).because).toBe('Module echo got version 2 after 0: the history has a gap.');
    expect(judged(stores(1, 'd1'), stores(1, 'other')).because).toBe('Module echo version 1 was rewritten.');
  });

  it('has not converged while a version is missing or another at the end', () => {
    expect(judged(stores(1, 'd1'))).toMatchObject({
      unconverged: true,
      because: 'Version 1 of module echo was stored and is missing or changed at the end.',
    });
    expect(judged(stores(1, 'd1'), isThere(1, 'other')).held).toBe(false);
  });

  it('is broken when a controller comes back without what it had acknowledged (R13.6)', () => {
    expect(judged(acknowledges(7), recovers(7)).held).toBe(true);
    const lost = judged(acknowledges(7), recovers(6));
    expect(lost).toMatchObject({ held: false, machine: 'controller' });
    expect(lost.because).toBe(
      'The controller recovered its journal up to 6, but had acknowledged deployment-scale command-4 at 7: what was acknowledged is lost, so the journal was not synced before the reply.',
    );
  });

  it('says nothing of the time of a machine that was slowed down, or lost its copy of the code', () => {
    const begins = (kind: string, target: string) => said(5 * S, 'fault.begun', { fault: 'f', kind, target, detail: '' });
    const late = [rollsBack, isCommanded(10_020 * MS), serves(10_031 * MS)];
    const served = serves(1 * S);
    expect(judged(served, begins('wipe', 'a-1'), ...late).held).toBe(true);
    expect(judged(served, begins('throttle', 'a-1'), ...late).held).toBe(true);
    expect(judged(begins('disk-slow', 'controller'), rollsBack, isIssued(11 * MS)).held).toBe(true);
    expect(judged(served, begins('wipe', 'a-2'), ...late).held).toBe(false);
    expect(judged(served, begins('loss', 'a-1'), ...late).held).toBe(false);
  });

  it('counts from the lease without which a machine may start nothing', () => {
    const isHeld = (micros: number, state: 'held' | 'lapsed') => said(micros, 'agent.lease', { node: 'a-1', state });
    const [told, late] = [[serves(1 * S), rollsBack, isCommanded(10_020 * MS)], serves(10_031 * MS)];
    expect(judged(...told, isHeld(10_025 * MS, 'held'), late)).toMatchObject({ held: true, figures: { serveMicrosMax: 6_000 } });
    expect(judged(...told, isHeld(10_025 * MS, 'lapsed'), late).held).toBe(false);
    expect(judged(isHeld(10 * S, 'held'), ...told, late).held).toBe(false);
  });

  it('holds a machine to its times again when it has worked off what gathered while it was slow', () => {
    const throttled = (endMicros: number): readonly RunRecord[] => [
      serves(1 * S),
      said(5 * S, 'fault.begun', { fault: 'f', kind: 'throttle', target: 'a-1', detail: '' }),
      said(endMicros, 'fault.ended', { fault: 'f', kind: 'throttle', target: 'a-1' }),
    ];
    const late = [rollsBack, isCommanded(10_020 * MS), serves(10_031 * MS)];
    // Slow for two seconds, and two more to catch up: the command at 10.02 s finds it as it should be.
    expect(judged(...throttled(7 * S), ...late).because).toBe(
      'Node a-1 served version 1 of echo/0 11.0 ms after its command; the budget is 10.0 ms.',
    );
    // Slow for three: it may still be catching up.
    expect(judged(...throttled(8 * S), ...late).held).toBe(true);
    const hot = (micros: number, factor: number) => said(micros, 'machine.throttled', { machine: 'a-1', factor, cause: '85 degrees' });
    expect(judged(serves(1 * S), hot(5 * S, 3), ...late).held).toBe(true);
    expect(judged(serves(1 * S), hot(5 * S, 3), hot(6 * S, 1), ...late).held).toBe(false);
  });

  it('holds a node that lost its copies to its times again when it has served the version once more', () => {
    const rots = said(5 * S, 'fault.begun', { fault: 'f', kind: 'disk-rot', target: 'a-1', detail: '' });
    const late = [rollsBack, isCommanded(10_020 * MS), serves(10_031 * MS)];
    expect(judged(serves(1 * S), rots, serves(6 * S), ...late).held).toBe(false);
    const stops = said(7 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' });
    expect(judged(serves(1 * S), rots, serves(6 * S), stops, ...late).held).toBe(true);
    // What a fault that is over did shows at the next start, and not at every later one.
    const ends = said(6 * S, 'fault.ended', { fault: 'f', kind: 'disk-rot', target: 'a-1' });
    const again = said(9 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' });
    expect(judged(serves(1 * S), rots, ends, stops, ...late).held).toBe(true);
    expect(judged(serves(1 * S), rots, ends, stops, serves(8 * S), again, ...late).held).toBe(false);
    // Or when the copy is next read, however much later.
    const fetches = (micros: number) => said(micros, 'artefact.fetched', { node: 'a-1', artefact: 'x1', bytes: 9 });
    const loaded = (module: string) =>
      said(10_026 * MS, 'artefact.loaded', { node: 'a-1', module, version: 1, digest: 'd1', artefact: 'x1', key: KEY });
    const refetched = (module: string): readonly RunRecord[] => [
      said(0, 'deployment.applied', { deployment: 'echo', module: 'echo', version: 1, replicas: 1, revision: 1 }),
      ...late.slice(0, 2),
      fetches(10_025 * MS),
      loaded(module),
      ...late.slice(2),
    ];
    const rotten = [serves(1 * S), rots, ends, stops, serves(8 * S), again];
    expect(judged(...rotten, ...refetched('echo')).held).toBe(true);
    expect(judged(...rotten, ...refetched('other')).held).toBe(false);
    expect(judged(serves(1 * S), ...refetched('echo')).held).toBe(false);
  });

  it('is broken by a rollback that is issued or served late (R2.2)', () => {
    const served = serves(1 * S);
    const inTime = judged(rollsBack, served, isIssued(9 * MS), isCommanded(10_020 * MS), serves(10_029 * MS));
    expect(inTime).toMatchObject({ held: true, figures: { issueMicrosMax: 9_000, serveMicrosMax: 9_000 } });
    expect(judged(rollsBack, isIssued(11 * MS)).because).toBe(
      'The rollback of echo to version 1 was issued 11.0 ms after the request; the budget is 10.0 ms.',
    );
    expect(judged(rollsBack, served, isCommanded(10_020 * MS), serves(10_031 * MS)).because).toBe(
      'Node a-1 served version 1 of echo/0 11.0 ms after its command; the budget is 10.0 ms.',
    );
    // Another version, or a node that has not heard of it yet, is no rollback that is served.
    expect(judged(rollsBack, served, isCommanded(10_020 * MS), serves(10_100 * MS, 2)).held).toBe(true);
    expect(judged(served, isCommanded(9 * S), rollsBack, serves(11 * S)).held).toBe(true);
    // Nor is one that has to fetch the version first, or that lost power in between.
    expect(judged(rollsBack, isCommanded(10_020 * MS), serves(10_100 * MS)).held).toBe(true);
    const loses = said(10_030 * MS, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' });
    expect(judged(rollsBack, served, isCommanded(10_020 * MS), loses, serves(10_100 * MS)).held).toBe(true);
  });
});

describe('P5', () => {
  const scenario = scenarioOf({
    steps: [
      pushOf({ capabilities: ['state-write:counter/', 'publish:alerts.*'] }),
      { at: atMicros(0), do: 'deploy', spec: specOf() },
      { at: atMicros(0), do: 'trigger', spec: triggerOf() },
    ],
  });
  const writes = (key: string, instance: string | null = 'echo/0'): RunRecord =>
    said(1 * S, 'state.written', { key, version: 1, bytes: 1, instance, epoch: 1 });
  const publishes = (subject: string, instance: string | null = 'echo/0'): RunRecord =>
    said(1 * S, 'event.accepted', { event: 'e', subject, sequence: 1, bytes: 1, instance, epoch: 1 });
  const judged = (...records: readonly RunRecord[]) => judge(capabilities(scenario), records);

  it('holds for effects that a capability or the trigger covers, and for those of no guest', () => {
    const result = judged(
      writes('counter/a'),
      publishes('alerts.brake'),
      publishes('answers.echo'),
      publishes('dead.trigger-echo'),
      writes('anything', null),
      publishes('anything', null),
      said(1 * S, 'capability.refused', {
        node: 'a-1',
        instance: 'echo/0',
        module: 'echo',
        capability: 'clock',
        operation: 'clock_time_get',
      }),
    );
    expect(result).toMatchObject({ held: true, checks: 5 });
  });

  it('is broken by state and by events beyond the capabilities', () => {
    expect(judged(writes('secret')).because).toBe('Instance echo/0 wrote state secret without a capability that covers it.');
    expect(judged(publishes('alerts.brake.deep')).because).toBe(
      'Instance echo/0 published on alerts.brake.deep without a capability that covers it.',
    );
  });

  it('grants nothing that only a refused push asked for', () => {
    const refused = scenarioOf({ steps: [pushOf({ capabilities: ['publish:>'], accepted: false }), ...scenario.steps.slice(1)] });
    expect(judge(capabilities(refused), [publishes('alerts.brake')]).held).toBe(false);
  });
});
