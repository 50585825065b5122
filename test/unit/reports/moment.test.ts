// A run at one instant: what records say up to then, and nothing that a crash has ended.
import { describe, expect, it } from 'vitest';
import { Fold, LAST_RECORDS_MAX } from '../../../reports/moment.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { said } from '../../support/scenarios/records.ts';

const INSTANCE = { instance: 'echo/0', epoch: 1, version: 1 };
const NODE = { node: 'a-1' };
const INVOCATION = { ...NODE, ...INSTANCE, trigger: 'echo', event: 'e-1', attempt: 1 };
const started = said(10, 'invocation.started', INVOCATION);
const finished = said(20, 'invocation.finished', {
  ...INVOCATION,
  outcome: 'completed',
  fuel: 1,
  memoryBytesPeak: 1,
  micros: 1,
  hostCalls: 0,
});
const working: readonly RunRecord[] = [
  said(0, 'machine.started', { machine: 'a-1', role: 'node', zone: 'z', incarnation: 1 }),
  said(1, 'agent.session', { ...NODE, state: 'connected', attempt: 0, cause: 'welcome' }),
  said(2, 'agent.lease', { ...NODE, state: 'held' }),
  said(3, 'agent.desired', { ...NODE, term: 1, revision: 7, assignments: 1, applied: true }),
  said(4, 'agent.desired', { ...NODE, term: 1, revision: 6, assignments: 0, applied: false }),
  said(5, 'instance.state', {
    ...INSTANCE,
    deployment: 'echo',
    from: 'pending',
    to: 'assigned',
    node: 'a-1',
    cause: 'placed',
  }),
  said(6, 'instance.serving', { ...NODE, ...INSTANCE }),
];
const foldOf = (records: readonly RunRecord[]): Fold => {
  const fold = new Fold();
  for (const record of records) fold.add(record);
  return fold;
};

describe('a machine at one instant', () => {
  it('is what its agent and the controller said until then', () => {
    expect(foldOf([...working, started]).node('a-1')).toMatchObject({
      machine: { state: 'running', incarnation: 1, sinceMicros: 0 },
      session: { state: 'connected', sinceMicros: 1 },
      lease: { state: 'held', sinceMicros: 2 },
      // What was refused as stale is not desired.
      desired: { revision: 7, sinceMicros: 3 },
      assigned: [{ instance: 'echo/0', state: 'assigned', cause: 'placed' }],
      serving: [{ instance: 'echo/0', sinceMicros: 6 }],
      invocations: [{ event: 'e-1', sinceMicros: 10 }],
      invocationsFinished: 0,
    });
    expect(foldOf([...working, started, finished]).node('a-1')).toMatchObject({ invocations: [], invocationsFinished: 1 });
  });

  it('loses with its power what ran in it, and not what the controller still holds of it', () => {
    const node = foldOf([...working, started, said(15, 'machine.stopped', { machine: 'a-1', role: 'node', cause: 'power loss' })]).node(
      'a-1',
    );
    expect(node).toMatchObject({ machine: { state: 'stopped', incarnation: 1, cause: 'power loss', sinceMicros: 15 } });
    expect(node).toMatchObject({ session: null, lease: null, serving: [], invocations: [], assigned: [{ instance: 'echo/0' }] });
  });

  it('keeps what it has while it is paused', () => {
    const node = foldOf([...working, started, said(15, 'machine.paused', { machine: 'a-1' })]).node('a-1');
    expect(node).toMatchObject({ machine: { state: 'paused', sinceMicros: 15 }, invocations: [{ event: 'e-1' }] });
  });

  it('has said a bounded number of things last, and is null when it is unknown', () => {
    const fold = foldOf(Array.from({ length: 30 }, (_, i) => said(i, 'invocation.idle', { ...NODE, guests: 0 })));
    expect(fold.node('a-1')?.last.map(({ micros }) => micros)).toEqual(Array.from({ length: LAST_RECORDS_MAX }, (_, i) => 22 + i));
    expect(fold.node('a-2')).toBeNull();
  });
});

it('a run has the faults that are under way and the queues as they were last told', () => {
  const fault = { fault: 'fault-1', kind: 'crash', target: 'a-1' };
  const fold = foldOf([
    said(1, 'run.phase', { phase: 'work' }),
    said(2, 'fault.begun', { ...fault, detail: 'for ever' }),
    said(2, 'fault.begun', { ...fault, fault: 'fault-2', detail: 'for ever' }),
    said(3, 'queue.depth', { queue: 'broker', depth: 5, bound: 10 }),
    said(4, 'queue.depth', { queue: 'broker', depth: 4, bound: 10 }),
    said(5, 'fault.ended', fault),
  ]);
  expect(fold.run()).toMatchObject({ phase: 'work', faults: [{ fault: 'fault-2', sinceMicros: 2 }], queues: [{ depth: 4 }] });
});
