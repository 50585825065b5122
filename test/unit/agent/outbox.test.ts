// What waits to be said to the controller, and what gives way at a bound.
import { expect, test } from 'vitest';
import { AGENT_BOUNDS, type AgentBounds } from '../../../agents/bounds.ts';
import { Outbox } from '../../../agents/session/outbox.ts';
import type { Refusal } from '../../../agents/session/outbox.ts';
import type { InstanceId } from '../../../system/domain/identifiers.ts';
import type { GuestLine } from '../../../system/domain/logs.ts';
import type { InstanceReport } from '../../../system/domain/session.ts';
import { epoch } from '../../support/agent/assignments.ts';

function report(instance: string, state: InstanceReport['state']): InstanceReport {
  return { instance: instance as InstanceId, epoch: epoch(1), state, version: 1, cause: '', code: null };
}

const outboxOf = (bounds: Partial<AgentBounds>): Outbox => new Outbox({ ...AGENT_BOUNDS, ...bounds });
const refusal = (n: number): Refusal => ({ kind: 'refusal', code: 'WM_CAPABILITY_REFUSED', subject: `${n}`, message: '' });

test('only the newest report of an instance is said', () => {
  const outbox = outboxOf({ refusalsQueuedMax: 4 });
  outbox.report(report('a/0', 'running'));
  outbox.report(report('b/0', 'running'));
  outbox.report(report('a/0', 'stopped'));
  expect(outbox.take()).toMatchObject({ report: { instance: 'b/0' } });
  expect(outbox.take()).toMatchObject({ report: { instance: 'a/0', state: 'stopped' } });
  expect(outbox.take()).toBeNull();
});

test('refusals come after reports, survive a session, and the oldest give way', () => {
  const outbox = outboxOf({ refusalsQueuedMax: 2 });
  for (let n = 0; n < 3; n++) outbox.refuse(refusal(n));
  outbox.report(report('a/0', 'running'));
  outbox.forgetReports();
  expect(outbox.isEmpty()).toBe(false);
  expect(outbox.take()).toEqual(refusal(1));
  expect(outbox.take()).toEqual(refusal(2));
  expect(outbox.isEmpty()).toBe(true);
});

const line = (instance: string, text: string): GuestLine => ({
  timeMs: 1,
  instance: instance as InstanceId,
  version: 1,
  level: 'info',
  event: 'e' as GuestLine['event'],
  correlation: 'c' as GuestLine['correlation'],
  text,
});

test('lines of guests leave in batches; the oldest give way, and are counted for their instance', () => {
  const outbox = outboxOf({ logLinesQueuedMax: 3, logLinesPerMessageMax: 2 });
  expect(outbox.takeLogs()).toBeNull();
  for (const [at, instance] of ['a/0', 'b/0', 'a/0', 'b/0', 'a/0'].entries()) outbox.log(line(instance, `${at}`));
  outbox.dropLine('a/0' as InstanceId);
  expect(outbox.isEmpty()).toBe(false);
  expect(outbox.takeLogs()).toMatchObject({
    lines: [{ text: '2' }, { text: '3' }],
    dropped: [
      { instance: 'a/0', lines: 2 },
      { instance: 'b/0', lines: 1 },
    ],
  });
  expect(outbox.takeLogs()).toMatchObject({ lines: [{ text: '4' }], dropped: [] });
  expect(outbox.takeLogs()).toBeNull();
  expect(outbox.isEmpty()).toBe(true);
});
