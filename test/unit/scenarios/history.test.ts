// The last records of a run, as they explain a failure.
import { expect, it } from 'vitest';
import { History } from '../../../scenarios/history.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { said } from '../../support/scenarios/records.ts';

const status = (micros: number, node: string): RunRecord =>
  said(micros, 'node.status', { node, incarnation: 1, from: 'healthy', to: 'suspect', cause: '' });

it('keeps the last of each machine, by whoever tells of it, and the last of all', () => {
  const history = new History();
  const records = Array.from({ length: 100 }, (_, i) => status(i, `n-${i % 2}`));
  for (const record of records) history.add(record);
  expect(history.of('n-0')).toEqual(records.filter((_, i) => i % 2 === 0).slice(-12));
  expect(history.of('controller')).toEqual(records.slice(-12));
  expect(history.of(null)).toEqual(records.slice(-40));
  expect(history.of('nobody')).toEqual(records.slice(-40));
});

it('stands still once it was copied', () => {
  const history = new History();
  history.add(status(1, 'n-0'));
  const copy = history.snapshot();
  history.add(status(2, 'n-0'));
  for (const machine of ['n-0', 'controller', null]) expect(copy.of(machine)).toEqual([status(1, 'n-0')]);
});
