// P11 and the fence (R1.3) over records written by hand: each way to break them is seen to be noticed, with its sentence.
import { describe, expect, it } from 'vitest';
import { fencing, onDemandEvents } from '../../../scenarios/goals/events.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import type { Scenario } from '../../../scenarios/scenario.ts';
import { judge, MS, S, said } from '../../support/scenarios/records.ts';
import { deployed, scenarioOf } from '../../support/scenarios/scenario.ts';

const CONSUMER = 'trigger-echo';
const accepts = (micros: number, event = 'e1', sequence = 1, from: { instance: string; epoch: number } | null = null): RunRecord =>
  said(micros, 'event.accepted', {
    event,
    subject: 'questions.plain',
    sequence,
    bytes: 1,
    instance: from?.instance ?? null,
    epoch: from?.epoch ?? null,
  });
const invocation = { node: 'a-1', instance: 'echo/0', epoch: 1, version: 1, trigger: 'echo', event: 'e1', attempt: 1 };
const starts = (micros: number, other: Partial<typeof invocation> = {}): RunRecord =>
  said(micros, 'invocation.started', { ...invocation, ...other });
const finishes = (micros: number, outcome = 'completed'): RunRecord =>
  said(micros, 'invocation.finished', { ...invocation, outcome, fuel: 1, memoryBytesPeak: 1, micros: 1, hostCalls: 0 });
const acknowledges = (micros: number, epoch = 1): RunRecord =>
  said(micros, 'event.acknowledged', { consumer: CONSUMER, event: 'e1', sequence: 1, attempt: 1, instance: 'echo/0', epoch });

describe('P11', () => {
  const created = said(0, 'consumer.created', { consumer: CONSUMER, filter: 'questions.*', next: 1 });
  const judged = (...records: readonly RunRecord[]) => judge(onDemandEvents(scenarioOf()), [created, ...records]);

  it('holds when an event is accepted, run, finished and acknowledged', () => {
    const result = judged(accepts(1 * S), starts(2 * S), finishes(3 * S), acknowledges(4 * S));
    expect(result).toMatchObject({ held: true, figures: { accepted: 1 } });
    expect(result.checks).toBe(3);
  });

  it('holds when an event is dead-lettered with a reason, and is broken when there is none', () => {
    const buried = (code: string): RunRecord =>
      said(4 * S, 'event.deadlettered', { consumer: CONSUMER, event: 'e1', sequence: 1, attempts: 3, code });
    expect(judged(accepts(1 * S), buried('WM_GUEST_TRAPPED')).held).toBe(true);
    expect(judged(accepts(1 * S), buried('')).because).toBe('Event e1 was dead-lettered without a reason.');
  });

  it('is broken by an acknowledgement before the guest has finished', () => {
    const sentence =
      'Event e1 was acknowledged for trigger echo by echo/0, but no guest had finished it: it was acknowledged before the guest ran.';
    expect(judged(accepts(1 * S), acknowledges(2 * S), starts(3 * S), finishes(4 * S))).toMatchObject({
      held: false,
      unconverged: false,
      because: sentence,
    });
    expect(judged(accepts(1 * S), starts(2 * S), finishes(3 * S, 'WM_GUEST_TRAPPED'), acknowledges(4 * S)).because).toBe(sentence);
  });

  it('is broken by an event that is accepted twice', () => {
    expect(judged(accepts(1 * S), accepts(2 * S)).because).toBe(
      'Event e1 was accepted twice: the duplicate was not recognised, so its effect doubled.',
    );
  });

  it('knows an event by a repetition that is told of first, and then is not surprised by the event', () => {
    const repeats = (sequence: number): RunRecord => said(1 * S, 'event.duplicate', { event: 'e1', subject: 'questions.plain', sequence });
    expect(judged(repeats(1)).unconverged).toBe(true);
    const both = [repeats(1), accepts(1 * S)];
    expect(judged(...both, starts(2 * S), finishes(3 * S), acknowledges(4 * S)).held).toBe(true);
    expect(judged(...both, accepts(2 * S)).because).toContain('accepted twice');
    expect(judged(repeats(1), accepts(1 * S, 'e1', 2)).because).toContain('accepted twice');
  });

  it('has not converged while an accepted event is neither processed nor set aside', () => {
    const result = judged(accepts(1 * S));
    expect(result).toMatchObject({ held: false, unconverged: true });
    expect(result.because).toBe(
      'Event e1 was accepted and neither processed nor dead-lettered for trigger-echo by the end: it is lost or stuck.',
    );
  });

  it('asks nothing for events from before the trigger, or on other subjects', () => {
    const late = said(0, 'consumer.created', { consumer: CONSUMER, filter: 'questions.*', next: 5 });
    expect(judge(onDemandEvents(scenarioOf()), [late, accepts(1 * S)]).held).toBe(true);
    expect(
      judged(said(1 * S, 'event.accepted', { event: 'e1', subject: 'other', sequence: 1, bytes: 1, instance: null, epoch: null })).held,
    ).toBe(true);
  });

  it('is broken by a delay beyond the largest backoff', () => {
    const retried = (delayMs: number): RunRecord =>
      said(2 * S, 'event.retried', { consumer: CONSUMER, event: 'e1', sequence: 1, attempt: 1, delayMs, code: 'WM_GUEST_EXIT' });
    expect(judged(retried(5_000)).held).toBe(true);
    expect(judged(retried(5_001)).because).toBe('Event e1 is delivered again after 5001 ms; the largest backoff is 5000 ms.');
  });

  it('has not converged while a guest exists with nothing left to do, unless its machine is gone', () => {
    const result = judged(starts(2 * S));
    expect(result).toMatchObject({
      unconverged: true,
      machine: 'a-1',
      because: 'A guest of echo/0 with event e1 on a-1 still exists at the end, with nothing left to do.',
    });
    expect(judged(starts(2 * S), said(3 * S, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' })).held).toBe(true);
  });
});

describe('R1.3', () => {
  const judged = (...records: readonly RunRecord[]) => judge(fencing(deployed({})), records);
  const leaseIs = (micros: number, state: 'held' | 'lapsed'): RunRecord => said(micros, 'agent.lease', { node: 'a-1', state });
  const isGivenUp = said(5 * S, 'node.status', { node: 'a-1', incarnation: 1, from: 'suspect', to: 'unavailable', cause: '' });

  it('is broken when a node is given up while its agent holds its lease, unless the machine is off or frozen', () => {
    expect(judged(leaseIs(1 * S, 'held'), leaseIs(4 * S, 'lapsed'), isGivenUp, writes(6 * S, 1)).held).toBe(true);
    expect(judged(leaseIs(1 * S, 'held'), isGivenUp, writes(6 * S, 1)).because).toBe(
      'Node a-1 was given up while its agent held its lease: a lease must lapse before, or the same work runs twice.',
    );
    const freezes = said(2 * S, 'machine.paused', { machine: 'a-1' });
    expect(judged(leaseIs(1 * S, 'held'), freezes, isGivenUp, writes(6 * S, 1)).held).toBe(true);
  });

  it('is broken so too by a node that was frozen before, when it has had the time to let the lease of then lapse', () => {
    const frozen = [said(2 * S, 'machine.paused', { machine: 'a-1' }), said(2 * S + MS, 'machine.resumed', { machine: 'a-1' })];
    expect(judged(leaseIs(1 * S, 'held'), ...frozen, isGivenUp, writes(6 * S, 1))).toMatchObject({ held: false, machine: 'a-1' });
    expect(judged(leaseIs(1 * S, 'held'), ...frozen, leaseIs(4 * S, 'lapsed'), isGivenUp, writes(6 * S, 1)).held).toBe(true);
    // Since it goes on its lease may be one that it has not looked at yet.
    const late = [said(2 * S, 'machine.paused', { machine: 'a-1' }), said(3 * S, 'machine.resumed', { machine: 'a-1' })];
    expect(judged(leaseIs(1 * S, 'held'), ...late, isGivenUp, writes(6 * S, 1)).held).toBe(true);
    // Without one there is nothing to hold.
    expect(judged(...frozen, isGivenUp, writes(6 * S, 1)).held).toBe(true);
  });

  const isRaised = said(10 * S, 'fence.raised', { instance: 'echo/0', epoch: 2 });
  const runsElsewhere = said(10 * S, 'instance.state', {
    instance: 'echo/0',
    deployment: 'echo',
    from: 'assigned',
    to: 'running',
    node: 'a-2',
    epoch: 2,
    version: 1,
    cause: 'serving',
  });
  const writes = (micros: number, epoch: number): RunRecord =>
    said(micros, 'state.written', { key: 'k', version: 1, bytes: 1, instance: 'echo/0', epoch });

  it('holds when only the newest placement has effects, and stale ones are refused', () => {
    const result = judged(
      writes(9 * S, 1),
      isRaised,
      writes(11 * S, 2),
      acknowledges(12 * S, 2),
      accepts(13 * S, 'r', 1, { instance: 'echo/0', epoch: 2 }),
      said(14 * S, 'effect.fenced', { what: 'event e1', instance: 'echo/0', epoch: 1, current: 2 }),
    );
    expect(result).toMatchObject({ held: true, checks: 5 });
  });

  it('lets an effect become durable that was admitted just before the fence', () => {
    expect(judged(isRaised, writes(10 * S + 50 * MS, 1)).held).toBe(true);
    expect(judged(isRaised, writes(10 * S + 51 * MS, 1)).held).toBe(false);
  });

  it('lets it take so much longer as the disk of the controller is slower, while it is', () => {
    const scenario = deployed({});
    const spec = { kind: 'disk-slow', machine: 'controller', factor: 4, forMicros: 5 * S } as const;
    const slow = { ...scenario, steps: [...scenario.steps, { at: { atMicros: 8 * S }, do: 'fault', fault: spec }] } as Scenario;
    const fault = { fault: 'f', kind: 'disk-slow', target: 'controller' } as const;
    const begins = said(8 * S, 'fault.begun', { ...fault, detail: '' });
    const ends = said(9 * S, 'fault.ended', fault);
    expect(judge(fencing(slow), [begins, isRaised, writes(10 * S + 200 * MS, 1)]).held).toBe(true);
    expect(judge(fencing(slow), [begins, isRaised, writes(10 * S + 201 * MS, 1)]).held).toBe(false);
    expect(judge(fencing(slow), [begins, ends, isRaised, writes(10 * S + 51 * MS, 1)]).held).toBe(false);
  });

  it('is broken by each kind of stale effect', () => {
    const sentence = (what: string): string =>
      `${what} of instance echo/0 in epoch 1 took effect although the instance was placed elsewhere (epoch 2): the fence did not hold.`;
    expect(judged(isRaised, writes(11 * S, 1)).because).toBe(sentence('The write of k'));
    expect(judged(isRaised, acknowledges(11 * S, 1)).because).toBe(sentence('The acknowledgement of event e1'));
    expect(judged(isRaised, accepts(11 * S, 'e1', 1, { instance: 'echo/0', epoch: 1 })).because).toBe(sentence('Event e1'));
  });

  it('takes the word of the controller where the broker was never told', () => {
    expect(judged(runsElsewhere, writes(11 * S, 1)).held).toBe(false);
  });

  it('is broken by a stale placement that begins something new, unless it is bound to its node', () => {
    const serves = (node: string, epoch: number): RunRecord =>
      said(10 * S, 'instance.serving', { node, instance: 'echo/0', epoch, version: 1 });
    const stale = [serves('a-1', 1), serves('a-2', 2), starts(11 * S)];
    expect(judged(...stale)).toMatchObject({
      held: false,
      machine: 'a-1',
      because: 'Node a-1 started event e1 for instance echo/0 in epoch 1 although a-2 serves it in epoch 2: a stale instance works on.',
    });
    expect(judge(fencing(deployed({ whenUnreachable: 'stay' })), stale).held).toBe(true);
  });

  it('lets a node that answers finish what it was handed before its work was taken, for a lease, and one that was given up nothing', () => {
    const serves = (node: string, epoch: number): RunRecord =>
      said(10 * S, 'instance.serving', { node, instance: 'echo/0', epoch, version: 1 });
    const becomes = (micros: number, from: string, to: string): RunRecord =>
      said(micros, 'node.status', { node: 'a-1', incarnation: 1, from, to, cause: 'c' });
    const taken = [serves('a-1', 1), said(10 * S, 'fence.raised', { instance: 'echo/0', epoch: 2 }), serves('a-2', 2)];
    expect(judged(...taken, starts(11 * S)).held).toBe(true);
    expect(judged(...taken, starts(13 * S)).held).toBe(false);
    expect(judged(becomes(9 * S, 'suspect', 'unavailable'), ...taken, starts(11 * S)).held).toBe(false);
    expect(
      judged(becomes(10 * S, 'suspect', 'unavailable'), ...taken, becomes(11 * S, 'unavailable', 'healthy'), starts(11 * S)).held,
    ).toBe(false);
    expect(judged(becomes(5 * S, 'suspect', 'unavailable'), becomes(6 * S, 'unavailable', 'healthy'), ...taken, starts(11 * S)).held).toBe(
      true,
    );
  });
});
