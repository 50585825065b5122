// How long a connection may be silent, from what a user sets.
import { expect, it } from 'vitest';
import { KEEPALIVE, keepaliveOf } from '../../../hardware/network/network.ts';

it('asks after as long as was set, waits half of it for the answer, and never asks more often than once a second', () => {
  expect(keepaliveOf(30_000)).toEqual({ idleMs: 30_000, answerMs: 15_000 });
  expect(keepaliveOf(0)).toEqual({ idleMs: 1_000, answerMs: 500 });
  expect(KEEPALIVE).toEqual({ idleMs: 10_000, answerMs: 5_000 });
});
