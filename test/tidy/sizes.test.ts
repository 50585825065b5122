import { describe, expect, test } from 'vitest';
import { checkSizes, LINES_MAX, lineCount, LONG_FILES } from './checks/sizes.ts';
import { describeAll, projectFiles } from './checks/source.ts';

const lines = (count: number): string => 'x\n'.repeat(count);

describe('the length of files', () => {
  test('stays within its bound', () => {
    expect(describeAll(checkSizes(projectFiles()))).toEqual([]);
  });

  test('one line too many is refused', () => {
    const files = [
      { path: 'system/nodes/long.ts', text: lines(LINES_MAX + 1) },
      { path: 'system/nodes/short.ts', text: lines(LINES_MAX) },
      { path: 'docs/long.md', text: lines(LINES_MAX + 1) },
    ];
    expect(checkSizes(files).map(({ path }) => path)).toEqual(['system/nodes/long.ts']);
  });

  test('no exception is older than its reason', () => {
    const texts = new Map(projectFiles().map(({ path, text }) => [path, text]));
    expect(LONG_FILES.filter(({ path }) => lineCount(texts.get(path) ?? '') <= LINES_MAX)).toEqual([]);
  });
});
