import { describe, expect, test } from 'vitest';
import { checkImports } from './checks/imports.ts';
import { describeAll, disagreements, fixtureFiles, projectFiles } from './checks/source.ts';

describe('the import rule', () => {
  test('holds in the project', () => {
    expect(describeAll(checkImports(projectFiles()))).toEqual([]);
  });

  test('refuses what its fixtures break, and nothing else', () => {
    const files = fixtureFiles('imports');
    expect(disagreements(files, checkImports(files))).toEqual([]);
  });
});
