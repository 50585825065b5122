// What every check reads and gives back: files in, violations out. A check is pure, so that its fixtures are files that must fail.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));
const FIXTURES = join(ROOT, 'test', 'tidy', 'fixtures');

/** `path` is relative to the root of its tree, with slashes. */
export type SourceFile = { readonly path: string; readonly text: string };

/** One sentence for people: what is wrong, and what to do instead. `line` counts from 1; 0 means the file as a whole. */
export type Violation = { readonly path: string; readonly line: number; readonly message: string };

export type Check = (files: readonly SourceFile[]) => readonly Violation[];

const TEXT = /\.(ts|tsx|js|mjs|cjs|json|jsonc|md|yaml|yml|rs|toml|proto|html|css|sh|patch|txt)$/;
const TEXT_WITHOUT_SUFFIX = /(^|\/)(run|LICENSE|\.gitignore|\.gitattributes|\.npmrc)$/;

function isText(path: string): boolean {
  return TEXT.test(path) || TEXT_WITHOUT_SUFFIX.test(path);
}

/** What git tracks or would track. */
export function projectPaths(): readonly string[] {
  const listed = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '-z'], { cwd: ROOT, encoding: 'utf8' });
  return [...new Set(listed.split('\0'))].filter((path) => path !== '' && existsSync(join(ROOT, path))).sort();
}

/** The texts among them. Fixtures are left out: they are wrong on purpose. */
export function projectFiles(): readonly SourceFile[] {
  return projectPaths()
    .filter((path) => !path.startsWith('test/tidy/fixtures/') && isText(path))
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** A small tree of its own under `fixtures/<name>`; paths are relative to it. */
export function fixtureFiles(name: string): readonly SourceFile[] {
  const base = join(FIXTURES, name);
  return readdirSync(base, { recursive: true, encoding: 'utf8' })
    .map((path) => join(base, path))
    .filter((path) => statSync(path).isFile())
    .sort()
    .map((path) => ({ path: relative(base, path).replaceAll('\\', '/'), text: readFileSync(path, 'utf8') }));
}

const EXPECTED = /refused: (.+?)(?: -->| \*\/)?$/gm;

/** What is not as a fixture says in its own lines `refused: <words of the message>`; a file without such a line must pass. */
export function disagreements(files: readonly SourceFile[], violations: readonly Violation[]): readonly string[] {
  return files.flatMap(({ path, text }) => {
    const wanted = [...text.matchAll(EXPECTED)].map((match) => match[1] ?? '');
    const got = violations.filter((violation) => violation.path === path).map((violation) => violation.message);
    const missed = wanted.filter((words) => !got.some((message) => message.includes(words)));
    const surprising = got.filter((message) => !wanted.some((words) => message.includes(words)));
    return [
      ...missed.map((words) => `${path}: not refused: ${words}`),
      ...surprising.map((message) => `${path}: refused without need: ${message}`),
    ];
  });
}

/** Violations as lines that an editor can follow. */
export function describeAll(violations: readonly Violation[]): readonly string[] {
  return violations.map(({ path, line, message }) => (line === 0 ? `${path}: ${message}` : `${path}:${line}: ${message}`));
}

/** `*` stands for one part of a path, `**` for any number. */
export function matches(path: string, pattern: string): boolean {
  const source = pattern
    .split('/')
    .map((part) => (part === '**' ? '(?:.*)' : part.replaceAll(/[.+^${}()|[\]\\]/g, '\\$&').replaceAll('*', '[^/]*')))
    .join('/')
    .replaceAll('/(?:.*)', '(?:/.*)?')
    .replaceAll('(?:.*)/', '(?:.*/)?');
  return new RegExp(`^${source}$`).test(path);
}
