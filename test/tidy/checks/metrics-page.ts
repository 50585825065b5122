// docs/reference/metrics.md says what hardware/telemetry/families.ts says.
import type { Family } from '../../../hardware/telemetry/families.ts';
import type { SourceFile, Violation } from './source.ts';
import { plain, rowsOf } from './tables.ts';

export const METRICS_PAGE = 'docs/reference/metrics.md';

/** The row of a family, cell by cell. */
function cellsOf(name: string, { type, labels, of, help, from }: Family): readonly string[] {
  return [name, type, labels.join(', '), of.join(', '), help, from];
}

export function checkMetricsPage(page: SourceFile, families: Readonly<Record<string, Family>>): readonly Violation[] {
  const found: Violation[] = [];
  const refuse = (line: number, message: string): void => void found.push({ path: page.path, line, message });
  const documented = new Set<string>();
  for (const { line, cells } of rowsOf(page.text)) {
    const name = plain(cells[0] ?? '');
    if (!name.startsWith('wasmmatrix_')) continue;
    const family = families[name];
    if (documented.has(name)) refuse(line, `names ${name} twice.`);
    documented.add(name);
    if (family === undefined) refuse(line, `names ${name}, which is not in hardware/telemetry/families.ts.`);
    else if (cells.map(plain).join(' | ') !== cellsOf(name, family).join(' | ')) {
      refuse(line, `says other things of ${name} than its row in hardware/telemetry/families.ts: ${rowOf(name, family)}`);
    }
  }
  for (const [name, family] of Object.entries(families)) if (!documented.has(name)) refuse(0, `lacks the row ${rowOf(name, family)}`);
  return found;
}

function rowOf(name: string, family: Family): string {
  const [, type, labels, ...rest] = cellsOf(name, family);
  return `| \`${name}\` | ${[type, labels === '' ? '' : labels!.replace(/[a-z]+/g, '`$&`'), ...rest].join(' | ')} |`;
}
