// What led to a record: causes that records name, never the order alone.
import { expect, it } from 'vitest';
import { CHAIN_RECORDS_MAX, causeOf, chainTo } from '../../../reports/causes.ts';
import type { RunRecord } from '../../../scenarios/record.ts';

const record = (kind: RunRecord['kind'], fields: object, micros = 0, correlation: string | null = null): RunRecord =>
  ({ source: 'controller', incarnation: 1, sequence: 1, micros, kind, correlation, fields }) as unknown as RunRecord;

it('follows what a record names back to its beginning', () => {
  const records = [
    record('machine.stopped', { machine: 'b-1' }),
    record('fault.begun', { fault: 'fault-1', target: 'a-1' }),
    record('machine.stopped', { machine: 'a-1' }),
    record('node.status', { node: 'b-1', to: 'suspect' }),
    record('node.status', { node: 'a-1', to: 'suspect' }),
    record('queue.depth', { queue: 'events' }),
  ];
  expect(chainTo(records, 4)).toEqual([1, 2, 4]);
  expect(chainTo(records, 3)).toEqual([0, 3]);
});

it('passes over what was undone', () => {
  const records = [
    record('machine.stopped', { machine: 'a-1' }),
    record('machine.started', { machine: 'a-1' }),
    record('node.status', { node: 'a-1', to: 'suspect' }),
  ];
  expect(causeOf(records, 2)).toBeNull();
  expect(causeOf([records[1] as RunRecord, records[0] as RunRecord, records[2] as RunRecord], 2)).toBe(1);
});

it('takes the attempt that failed, and not one that completed', () => {
  const finished = (attempt: number, outcome: string): RunRecord => record('invocation.finished', { event: 'e-1', attempt, outcome });
  const records = [finished(1, 'WM_GUEST_TRAP'), finished(2, 'completed'), record('event.deadlettered', { event: 'e-1', consumer: 'c' })];
  expect(causeOf(records, 2)).toBe(0);
});

it('falls back on what was said in the same matter, and otherwise says nothing', () => {
  const records = [record('log', {}, 0, 'command-1'), record('trust.added', {}, 0, 'command-1'), record('trust.added', {}, 0, null)];
  expect(causeOf(records, 1)).toBe(0);
  expect(causeOf(records, 2)).toBeNull();
  expect(causeOf(records, 9)).toBeNull();
});

it('never takes values that are null for the same, and ends at its bound', () => {
  expect(causeOf([record('fence.raised', { instance: null }), record('effect.fenced', { instance: null })], 1)).toBeNull();
  const long = Array.from({ length: 40 }, () => record('agent.session', { node: 'a-1', state: 'lost', attempt: 3 }));
  expect(chainTo(long, 39)).toEqual(Array.from({ length: CHAIN_RECORDS_MAX }, (_, i) => 40 - CHAIN_RECORDS_MAX + i));
});

it('reaches the fault between a node and the controller, however it writes whom it parts', () => {
  const started = ['n-1', 'n-2', 'controller'].map((machine) =>
    record('machine.started', { machine, role: 'node', zone: machine === 'controller' ? 'cloud/eu/a' : 'edge/berlin' }),
  );
  const fault = (target: string, id = 'fault-1', micros = 1): RunRecord => record('fault.begun', { fault: id, kind: 'x', target }, micros);
  const ends = (micros = 2): RunRecord => record('fault.ended', { fault: 'fault-1', kind: 'x', target: '' }, micros);
  const lost = record('agent.session', { node: 'n-1', state: 'lost', attempt: 1 }, 3);
  const suspect = record('node.status', { node: 'n-1', from: 'healthy', to: 'suspect' }, 3);
  const cause = (effect: RunRecord, ...before: readonly RunRecord[]): number | null => {
    const found = causeOf([...started, ...before, effect], started.length + before.length);
    return found === null ? null : found - started.length;
  };
  for (const effect of [lost, suspect]) {
    for (const target of [
      'n-1 | controller',
      'controller -> n-2 n-1',
      'n-1 -> cloud/eu/a',
      'edge/berlin | cloud/eu/a',
      'edge | controller',
      'n-2 n-1',
      'controller',
      'n-1',
    ])
      expect([target, cause(effect, fault(target))]).toEqual([target, 0]);
    for (const target of ['n-2 | controller', 'n-1 | n-2', 'edge/berlin | edge/berlin', 'cloud/us', 'n-11 | controller'])
      expect([target, cause(effect, fault(target))]).toEqual([target, null]);
    // One that is over explains nothing, unless it was over at once; another that lasts does.
    expect(cause(effect, fault('n-1 | controller'), ends())).toBeNull();
    expect(cause(effect, fault('n-1'), ends(1))).toBe(0);
    expect(cause(effect, fault('n-1 | controller', 'fault-2'), fault('n-1 | controller'), ends())).toBe(0);
  }
});

it('knows that a session ends with the controller', () => {
  const stopped = record('machine.stopped', { machine: 'controller' });
  const lost = record('agent.session', { node: 'n-1', state: 'lost', attempt: 1 });
  expect(causeOf([stopped, lost], 1)).toBe(0);
  expect(causeOf([stopped, record('machine.started', { machine: 'controller' }), lost], 2)).toBeNull();
  expect(causeOf([record('machine.stopped', { machine: 'n-2' }), lost], 1)).toBeNull();
});
