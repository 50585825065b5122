import { expect, test } from 'vitest';
import { linesOf } from '../../support/unhandled.ts';

test('what failed outside every test is named in one line, with the test that ran and the first places', () => {
  const stack = 'TypeError: left behind\n    at a (a.ts:1:1)\n    at b (b.ts:2:2)\n    at c (c.ts:3:3)';
  expect(linesOf({ name: 'TypeError', message: 'left behind\nand more', stack, VITEST_TEST_NAME: 'leaves something' })).toEqual([
    'failed: outside every test: TypeError: left behind',
    '    while it ran: leaves something',
    '    at a (a.ts:1:1)',
    '    at b (b.ts:2:2)',
  ]);
});

test('of something thrown without a name, a stack or a test, the message is what there is', () => {
  expect(linesOf({ message: 'odd' })).toEqual(['failed: outside every test: Error: odd']);
});
