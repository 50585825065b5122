import { describe, expect, test } from 'vitest';
import { toBuild, whyRefused } from '../../../sim/campaign/remote/build.ts';

const PARTS = { version: '0.1.0', node: '24', sources: 's', engine: 'e', guests: 'g' };
const MINE = toBuild(PARTS, 'aaaa');

describe('a build', () => {
  test('is the same with another commit when nothing that decides a run differs', () => {
    expect(whyRefused(MINE, toBuild(PARTS, 'bbbb+'))).toBeNull();
  });

  test.each([
    ['version', { version: '0.2.0' }],
    ['sources', { sources: 'x' }],
    ['engine', { engine: 'x' }],
    ['example modules', { guests: 'x' }],
    ['Node.js (24 here, 26 there)', { node: '26' }],
  ])('that differs in %s is refused by that name', (name, change) => {
    const theirs = toBuild({ ...PARTS, ...change }, 'bbbb');
    expect(whyRefused(MINE, theirs)).toBe(
      `it is another build, and might come to other digests: here wasmmatrix 0.1.0, commit aaaa, there wasmmatrix ${theirs.version}, commit bbbb; they differ in ${name}`,
    );
  });

  test('is not the one whose name it only claims', () => {
    expect(whyRefused(MINE, { ...toBuild({ ...PARTS, sources: 'x' }, 'bbbb'), id: MINE.id })).toContain('they differ in sources');
  });
});
