// What a hello says of instances, and what it forgets.
import { expect, test } from 'vitest';
import { Reports } from '../../../agents/lifecycle/reports.ts';
import type { InstanceId } from '../../../system/domain/identifiers.ts';
import type { InstanceReport } from '../../../system/domain/session.ts';
import { epoch } from '../../support/agent/assignments.ts';

function report(instance: string, state: InstanceReport['state']): InstanceReport {
  return { instance: instance as InstanceId, epoch: epoch(1), state, version: 1, cause: '', code: null };
}

test('says the newest of each instance, once', () => {
  const reports = new Reports(8);
  expect(reports.add(report('a/0', 'running'))).toBe(true);
  expect(reports.add(report('a/0', 'running'))).toBe(false);
  expect(reports.add(report('a/0', 'failed'))).toBe(true);
  expect(reports.all()).toMatchObject([{ instance: 'a/0', state: 'failed' }]);
});

test('forgets what is gone when it was told, and what runs never', () => {
  const reports = new Reports(8);
  for (const instance of ['a/0', 'b/0']) reports.add(report(instance, 'running'));
  reports.add(report('a/0', 'stopped'));
  const told = reports.all();
  reports.add(report('b/0', 'stopped'));
  reports.told(told);
  expect(reports.all()).toMatchObject([{ instance: 'b/0', state: 'stopped' }]);
});

test('keeps only so many that are gone, the newest', () => {
  const reports = new Reports(2);
  reports.add(report('run/0', 'running'));
  for (let n = 0; n < 5; n++) reports.add(report(`gone/${n}`, 'stopped'));
  expect(reports.all().map((one) => one.instance)).toEqual(['run/0', 'gone/3', 'gone/4']);
});
