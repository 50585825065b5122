import { expect, test } from 'vitest';
import { differencesOf } from '../../support/contract-table.ts';

const row = (port: string, world: string, ...cases: readonly string[]) => ({ port, world, cases: new Set(cases) });

test('worlds of one port that play the same cases differ in nothing, and ports are not compared', () => {
  expect(differencesOf([row('clock', 'simulated', 'a', 'b'), row('clock', 'real', 'b', 'a'), row('keys', 'real', 'c')])).toEqual([]);
});

test('a case that one world of a port plays and another does not is named', () => {
  expect(differencesOf([row('clock', 'simulated', 'a', 'b'), row('clock', 'real', 'a')])).toEqual([
    "The contract of clock was played by 'simulated' with 'b', and by 'real' without it.",
  ]);
});

test('a world that is left out as a whole is no difference: the table shows it', () => {
  expect(differencesOf([row('bus', 'simulated', 'a'), row('bus', 'NATS')])).toEqual([]);
});
