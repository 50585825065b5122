import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { checkNames } from './checks/names.ts';
import { describeAll, disagreements, fixtureFiles, projectFiles, ROOT } from './checks/source.ts';

describe('the listing', () => {
  test('has fixed folders, doors, and names that say what a file is', () => {
    expect(describeAll(checkNames(projectFiles()))).toEqual([]);
  });

  test('is refused what the fixtures do, and nothing else', () => {
    const files = fixtureFiles('names');
    expect(disagreements(files, checkNames(files))).toEqual([]);
  });

  test('programs that are started by name can be started', () => {
    const modes = execFileSync('git', ['ls-files', '--stage', 'cli.ts', '.ci/run'], { cwd: ROOT, encoding: 'utf8' });
    expect(
      modes
        .trim()
        .split('\n')
        .map((line) => line.replace(/ .*\t/, ' ')),
    ).toEqual(['100755 .ci/run', '100755 cli.ts']);
  });

  test('every contract suite is run by a test', () => {
    const files = projectFiles();
    const suites = files.filter(({ path }) => path.endsWith('.contract.ts'));
    const tests = files.filter(({ path }) => path.endsWith('.test.ts'));
    const idle = suites.filter(({ path }) => !tests.some(({ text }) => text.includes(path.slice(path.lastIndexOf('/') + 1))));
    expect(idle.map(({ path }) => path)).toEqual([]);
  });
});
