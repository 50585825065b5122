import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fixtureFiles, ROOT } from './checks/source.ts';

// The configuration is copied beside the fixtures, where its patterns see them as the folders they pretend to be.
let folder = '';

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidy-lint-'));
  cpSync(join(ROOT, 'test', 'tidy', 'fixtures', 'lint'), folder, { recursive: true });
  const shared = execFileSync(
    'git',
    ['ls-files', 'tsconfig*.json', '*/tsconfig.json', '.oxlintrc.json', '.gitignore', 'package.json', 'system/ports/ambient.d.ts'],
    { cwd: ROOT, encoding: 'utf8' },
  );
  for (const path of shared.trim().split('\n')) cpSync(join(ROOT, path), join(folder, path));
  symlinkSync(join(ROOT, 'node_modules'), join(folder, 'node_modules'));
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function run(tool: string, args: readonly string[]): string {
  const { stdout, stderr } = spawnSync(process.execPath, [join(ROOT, 'node_modules', tool), ...args], { cwd: folder, encoding: 'utf8' });
  return stdout + stderr;
}

describe('lint and compiler', () => {
  test.each(fixtureFiles('lint'))('refuse what $path says they do', ({ path, text }) => {
    const top = path.split('/')[0] ?? '';
    const said = run('oxlint/bin/oxlint', ['-f', 'unix', path]) + run('typescript/bin/tsc', ['-p', top, '--pretty', 'false']);
    const lines = said.split('\n').filter((line) => line.startsWith(path));
    const wanted = [...text.matchAll(/refused: (.+)/g)].map(([, words = '']) => words);
    expect(wanted.filter((words) => !lines.some((line) => line.includes(words)))).toEqual([]);
    expect(lines.filter((line) => !wanted.some((words) => line.includes(words)))).toEqual([]);
  });
});
