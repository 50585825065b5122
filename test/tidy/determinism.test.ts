import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { BANNED_GLOBALS, BANNED_MATHEMATICS, BANNED_METHODS } from './checks/ambient-names.ts';
import { checkDeterminism, NEVER_WRITTEN } from './checks/determinism.ts';
import { describeAll, disagreements, fixtureFiles, projectFiles, ROOT } from './checks/source.ts';

type Lint = { readonly overrides: readonly { readonly rules: Readonly<Record<string, unknown>> }[] };

describe('simulated code', () => {
  test('asks ports for everything, and keeps nothing in its modules', () => {
    expect(describeAll(checkDeterminism(projectFiles()))).toEqual([]);
  });

  test('is refused what the fixtures do, and nothing else', () => {
    const files = fixtureFiles('determinism');
    expect(disagreements(files, checkDeterminism(files))).toEqual([]);
  });

  test('every exception names something that is there', () => {
    const texts = new Map(projectFiles().map(({ path, text }) => [path, text]));
    expect(NEVER_WRITTEN.filter(({ path, name }) => texts.get(path)?.includes(name) !== true)).toEqual([]);
  });

  test('lint knows every ban too', () => {
    const lint = JSON.parse(readFileSync(join(ROOT, '.oxlintrc.json'), 'utf8')) as Lint;
    const options = lint.overrides
      .flatMap(({ rules }) => Object.values(rules))
      .flatMap((rule) => (Array.isArray(rule) ? (rule as unknown[]) : []));
    const known = new Set(options.flatMap((option) => (typeof option === 'object' && option !== null ? Object.values(option) : [])));
    const unknown = [...BANNED_GLOBALS, ...BANNED_MATHEMATICS, ...BANNED_METHODS]
      .map(({ name }) => name)
      .filter((name) => name !== 'eval' && !known.has(name));
    expect(unknown).toEqual([]);
  });
});
