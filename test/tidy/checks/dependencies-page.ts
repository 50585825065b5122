// docs/dependencies.md says why for each dependency of package.json, and for nothing else. The lock file names packages, no hosts.
import type { SourceFile, Violation } from './source.ts';
import { plain, rowsOf } from './tables.ts';

export const DEPENDENCIES_PAGE = 'docs/dependencies.md';

export type Manifest = Readonly<
  Partial<Record<'dependencies' | 'devDependencies' | 'optionalDependencies', Readonly<Record<string, string>>>>
>;

const REASON_LENGTH_MIN = 20;

export function checkDependenciesPage(page: SourceFile, manifest: Manifest): readonly Violation[] {
  const names = Object.keys({ ...manifest.dependencies, ...manifest.devDependencies, ...manifest.optionalDependencies });
  const rows = rowsOf(page.text).filter(({ cells }) => (cells[0] ?? '').startsWith('`'));
  const found: Violation[] = [];
  const refuse = (line: number, message: string): void => void found.push({ path: page.path, line, message });
  const explained = rows.flatMap(({ line, cells }) =>
    (cells[0] ?? '').split(',').map((name) => ({ line, name: plain(name), why: cells[1] ?? '' })),
  );
  for (const [i, { line, name, why }] of explained.entries()) {
    if (!names.includes(name)) refuse(line, `explains ${name}, which is no dependency.`);
    if (explained.findIndex((other) => other.name === name) !== i) refuse(line, `explains ${name} twice.`);
    if (why.length < REASON_LENGTH_MIN) refuse(line, `gives no reason for ${name}.`);
  }
  for (const name of names) if (!explained.some((entry) => entry.name === name)) refuse(0, `does not say why ${name} is a dependency.`);
  return found;
}

export function checkLockFile(lock: SourceFile): readonly Violation[] {
  return lock.text
    .split('\n')
    .flatMap((line, i) =>
      /"resolved":/.test(line)
        ? [{ path: lock.path, line: i + 1, message: 'names the host of a registry; .npmrc says omit-lockfile-registry-resolved.' }]
        : [],
    );
}
