// Facts that a controller tells again after a crash are judged once; facts that it could not tell before are judged then.
import { expect, it } from 'vitest';
import { Repetitions } from '../../../scenarios/goals/goals.ts';
import type { RunRecord } from '../../../scenarios/record.ts';
import { S, said } from '../../support/scenarios/records.ts';

const fact = (node: string, correlation?: string, source?: string): RunRecord =>
  said(
    1 * S,
    'node.status',
    { node, incarnation: 1, from: 'healthy', to: 'suspect', cause: '' },
    { ...(correlation === undefined ? {} : { correlation }), ...(source === undefined ? {} : { source }) },
  );

it('a fact that was told is a repetition when the controller says so', () => {
  const repetitions = new Repetitions();
  expect(repetitions.has(fact('a-1', 'command-1'))).toBe(false);
  expect(repetitions.has(fact('a-1', 'repeated/9'))).toBe(true);
});

it('a fact that nobody heard before the crash is none', () => {
  expect(new Repetitions().has(fact('a-1', 'repeated/9'))).toBe(false);
});

it('the same fact in its own right is none', () => {
  const repetitions = new Repetitions();
  expect(repetitions.has(fact('a-1'))).toBe(false);
  expect(repetitions.has(fact('a-1', 'command-2'))).toBe(false);
});

it('is not confused by what others say, nor by how much the broker says in between', () => {
  const repetitions = new Repetitions();
  repetitions.has(fact('a-1'));
  for (let i = 0; i < 10_000; i++)
    repetitions.has(said(1 * S, 'event.accepted', { event: `e${i}`, subject: 's', sequence: i, bytes: 1, instance: null, epoch: null }));
  expect(repetitions.has(fact('a-1', 'repeated/9', 'a-1'))).toBe(false);
  expect(repetitions.has(fact('a-1', 'repeated/9'))).toBe(true);
});

it('remembers a bounded number of facts, the newest', () => {
  const repetitions = new Repetitions();
  for (let i = 0; i < 5_000; i++) repetitions.has(fact(`n-${i}`));
  expect(repetitions.has(fact('n-4999', 'repeated/9'))).toBe(true);
  expect(repetitions.has(fact('n-0', 'repeated/9'))).toBe(false);
});

it('what happened again since it was told is none, although it looks the same', () => {
  const changes = (micros: number, from: string, to: string, correlation: string | null): RunRecord =>
    said(micros, 'node.status', { node: 'a-1', incarnation: 1, from, to, cause: '' }, { correlation });
  const repetitions = new Repetitions();
  repetitions.has(changes(1 * S, 'healthy', 'suspect', null));
  repetitions.has(changes(2 * S, 'suspect', 'healthy', null));
  expect(repetitions.has(changes(3 * S, 'healthy', 'suspect', 'repeated/9'))).toBe(false);
  expect(repetitions.has(changes(4 * S, 'healthy', 'suspect', 'repeated/9'))).toBe(true);
});
