// What waits to be said to the controller, and what gives way at a bound.
import { expect, test } from 'vitest';
import { Outbox } from '../../../agents/session/outbox.ts';
import type { Refusal } from '../../../agents/session/outbox.ts';
import type { InstanceId } from '../../../system/domain/identifiers.ts';
import type { InstanceReport } from '../../../system/domain/session.ts';
import { epoch } from '../../support/agent/assignments.ts';

function report(instance: string, state: InstanceReport['state']): InstanceReport {
  return { instance: instance as InstanceId, epoch: epoch(1), state, version: 1, cause: '', code: null };
}

const refusal = (n: number): Refusal => ({ kind: 'refusal', code: 'WM_CAPABILITY_REFUSED', subject: `${n}`, message: '' });

test('only the newest report of an instance is said', () => {
  const outbox = new Outbox(4);
  outbox.report(report('a/0', 'running'));
  outbox.report(report('b/0', 'running'));
  outbox.report(report('a/0', 'stopped'));
  expect(outbox.take()).toMatchObject({ report: { instance: 'b/0' } });
  expect(outbox.take()).toMatchObject({ report: { instance: 'a/0', state: 'stopped' } });
  expect(outbox.take()).toBeNull();
});

test('refusals come after reports, survive a session, and the oldest give way', () => {
  const outbox = new Outbox(2);
  for (let n = 0; n < 3; n++) outbox.refuse(refusal(n));
  outbox.report(report('a/0', 'running'));
  outbox.forgetReports();
  expect(outbox.isEmpty()).toBe(false);
  expect(outbox.take()).toEqual(refusal(1));
  expect(outbox.take()).toEqual(refusal(2));
  expect(outbox.isEmpty()).toBe(true);
});
