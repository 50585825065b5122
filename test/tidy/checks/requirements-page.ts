// docs/requirements.md names each identifier once, with an honest status and, where something is claimed, the code and the
// test that hold it. A row: | R1.2 | held | `system/nodes/liveness.ts` | `test/unit/nodes/liveness.test.ts` | what is missing |
// (columns may be named and ordered otherwise; identifier first, status second).
import type { SourceFile, Violation } from './source.ts';
import { plain, rowsOf } from './tables.ts';

export const REQUIREMENTS_PAGE = 'docs/requirements.md';
export const STATUSES = ['held', 'partly', 'not yet'] as const;

/** How many lines each group has. */
const GROUPS: Readonly<Record<string, number>> = {
  ...{ R1: 5, R2: 5, R3: 5, R4: 6, R5: 6, R6: 6, R7: 5, R8: 6, R9: 5, R10: 5, R11: 5, R12: 5, R13: 7 },
  ...{ H1: 9, H2: 5, H3: 5, H4: 3, H5: 5, H6: 3, H7: 5, H8: 4 },
};
const PROPERTIES = 18;

const count = (length: number): readonly number[] => Array.from({ length }, (_, i) => i + 1);

export const IDENTIFIERS: readonly string[] = [
  ...Object.entries(GROUPS).flatMap(([group, length]) => count(length).map((n) => `${group}.${n}`)),
  ...count(PROPERTIES).map((n) => `P${n}`),
];

const PATH = /(?<![\w/.@-])(?:(?:system|agents|sim|hardware|scenarios|reports|test|docs|\.ci)\/[\w./*-]*[\w*]|cli\.ts)/g;
const TESTS = /^test\/|^scenarios\/catalogue\//;

export function checkRequirementsPage(page: SourceFile, paths: readonly string[]): readonly Violation[] {
  const known = new Set(paths.flatMap((path) => path.split('/').map((_, i, parts) => parts.slice(0, i + 1).join('/'))));
  const found: Violation[] = [];
  const refuse = (line: number, message: string): void => void found.push({ path: page.path, line, message });
  const named = new Set<string>();
  for (const { line, cells } of rowsOf(page.text)) {
    const identifier = plain(cells[0] ?? '');
    if (!/^[RHP]\d+(\.\d+)?$/.test(identifier)) continue;
    if (!IDENTIFIERS.includes(identifier)) refuse(line, `names ${identifier}, which is no requirement.`);
    if (named.has(identifier)) refuse(line, `names ${identifier} twice.`);
    named.add(identifier);
    const status = plain(cells[1] ?? '')
      .replaceAll('*', '')
      .toLowerCase();
    if (!STATUSES.some((known) => known === status)) {
      refuse(line, `gives ${identifier} the status '${status}', which is none of ${STATUSES.join(', ')}.`);
      continue;
    }
    const quoted = [...cells.slice(2).join(' | ').matchAll(PATH)].map(([path]) => path);
    for (const path of quoted) if (!known.has(path)) refuse(line, `names ${path} for ${identifier}, which is not there.`);
    if (status === 'not yet') continue;
    if (!quoted.some((path) => !TESTS.test(path) && !path.startsWith('docs/')))
      refuse(line, `calls ${identifier} ${status} and names no code that holds it.`);
    if (!quoted.some((path) => TESTS.test(path))) refuse(line, `calls ${identifier} ${status} and names no test that holds it.`);
  }
  for (const identifier of IDENTIFIERS) if (!named.has(identifier)) refuse(0, `does not name ${identifier}.`);
  return found;
}
