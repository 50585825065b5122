import { describe, expect, test } from 'vitest';
import { describeAll, disagreements, fixtureFiles, projectFiles, type SourceFile } from './checks/source.ts';
import { checkTracked } from './checks/tracked.ts';

/** Put together here, so that no tool takes this file for a leak. */
const SECRETS: Readonly<Record<string, string>> = {
  key: ['-----BE', 'GIN EC PRIVATE KEY-----\n', 'MHcCAQEEIBfV1dSU0nKkY2x'].join(''),
  token: ['gh', 'p_', 'a1B2c3D4e5'.repeat(4)].join(''),
  aws: ['AK', 'IA', 'ABCDEFGH23456789'].join(''),
  home: ['/ho', 'me/anna/project'].join(''),
  work: ["const root = '/wo", "rk/main';"].join(''),
  registry: ['https://regis', 'try.npmjs.org/left-pad'].join(''),
};

describe('tracked files', () => {
  test('hold no secrets, no paths of one machine, no hosts of registries, no tests that sleep without a reason', () => {
    expect(describeAll(checkTracked(projectFiles()))).toEqual([]);
  });

  test.each(Object.entries(SECRETS))('a file with a %s is refused', (name, text) => {
    expect(checkTracked([{ path: `docs/${name}.md`, text }])).toHaveLength(1);
  });

  test('paths inside the project and in a temporary directory are no findings', () => {
    const files: readonly SourceFile[] = [
      { path: 'docs/a.md', text: '-----BEGIN PRIVATE KEY----- test/work/x.ts ./home/x ~/.cache ${root}/work/a https://example.org/home/a' },
    ];
    expect(describeAll(checkTracked(files))).toEqual([]);
  });

  test('is refused what the fixtures do, and nothing else', () => {
    const files = fixtureFiles('tracked');
    expect(disagreements(files, checkTracked(files))).toEqual([]);
  });
});
