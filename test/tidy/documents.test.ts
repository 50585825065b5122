import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FAMILIES } from '../../hardware/telemetry/families.ts';
import { WM_ERRORS } from '../../system/domain/errors.ts';
import { checkDependenciesPage, checkLockFile, DEPENDENCIES_PAGE, type Manifest } from './checks/dependencies-page.ts';
import { checkErrorCodes, checkErrorsPage, ERRORS_PAGE } from './checks/errors-page.ts';
import { checkLinks } from './checks/links.ts';
import { checkMetricsPage, METRICS_PAGE } from './checks/metrics-page.ts';
import { checkRequirementsPage, IDENTIFIERS, REQUIREMENTS_PAGE } from './checks/requirements-page.ts';
import { describeAll, disagreements, fixtureFiles, projectFiles, projectPaths, ROOT, type SourceFile } from './checks/source.ts';

function page(path: string): SourceFile {
  if (!existsSync(join(ROOT, path))) throw new Error(`${path} is missing.`);
  return { path, text: readFileSync(join(ROOT, path), 'utf8') };
}

const messages = (violations: readonly { readonly message: string }[]): readonly string[] => violations.map(({ message }) => message);

describe('docs/errors.md', () => {
  test('says what the registry says', () => {
    expect(describeAll(checkErrorsPage(page(ERRORS_PAGE), WM_ERRORS))).toEqual([]);
  });

  test('no code is used that is not registered', () => {
    expect(describeAll(checkErrorCodes(projectFiles(), WM_ERRORS))).toEqual([]);
  });

  test('a missing, a foreign, a doubled and a differing row are refused, and a foreign code in the product', () => {
    const registry = {
      WM_A: { kind: 'failed', meaning: 'It | broke.', next: 'Repeat it.' },
      WM_B: { kind: 'rejected', meaning: 'No.', next: 'Ask again.' },
    };
    const text = [
      '| code | kind | meaning | what to do |',
      '|---|---|---|---|',
      '| `WM_A` | unknown | It \\| broke. | Repeat it. |',
      '| `WM_A` | failed | It \\| broke. | Repeat it. |',
      '| `WM_C` | bug | x | y |',
    ].join('\n');
    expect(messages(checkErrorsPage({ path: ERRORS_PAGE, text }, registry))).toEqual([
      "gives WM_A the kind 'unknown'; the registry says 'failed'.",
      'names WM_A twice.',
      'names WM_C, which is not in system/domain/errors.ts.',
      'does not name WM_B of system/domain/errors.ts.',
    ]);
    expect(checkErrorCodes([{ path: 'agents/agent.ts', text: "rejected('WM_A'); rejected('WM_NEW');" }], registry)).toHaveLength(1);
  });
});

describe('docs/reference/metrics.md', () => {
  test('says what the table says', () => {
    expect(describeAll(checkMetricsPage(page(METRICS_PAGE), FAMILIES))).toEqual([]);
  });

  test('a missing, a foreign, a doubled and a differing row are refused', () => {
    const family = { type: 'gauge', help: 'It is.', labels: ['node'], of: ['agent'], from: 'log' } as const;
    const text = [
      '| metric | type | labels | of | what it says | from |',
      '|---|---|---|---|---|---|',
      '| `wasmmatrix_a` | gauge | `node` | agent | It is. | log |',
      '| `wasmmatrix_a` | gauge | `node` | agent | It is not. | log |',
      '| `wasmmatrix_c` | gauge | | agent | x | y |',
    ].join('\n');
    expect(messages(checkMetricsPage({ path: METRICS_PAGE, text }, { wasmmatrix_a: family, wasmmatrix_b: family }))).toEqual([
      'names wasmmatrix_a twice.',
      'says other things of wasmmatrix_a than its row in hardware/telemetry/families.ts: | `wasmmatrix_a` | gauge | `node` | agent | It is. | log |',
      'names wasmmatrix_c, which is not in hardware/telemetry/families.ts.',
      'lacks the row | `wasmmatrix_b` | gauge | `node` | agent | It is. | log |',
    ]);
  });
});

describe('docs/requirements.md', () => {
  test('names every requirement with an honest status, and paths that are there', () => {
    expect(describeAll(checkRequirementsPage(page(REQUIREMENTS_PAGE), projectPaths()))).toEqual([]);
  });

  test('a missing, doubled, unknown or unproved line is refused', () => {
    const rest = IDENTIFIERS.filter((id) => !['R1.1', 'R1.2', 'R1.3', 'R1.4', 'P1', 'P2'].includes(id)).map(
      (id) => `| ${id} | not yet | |`,
    );
    const text = [
      '| id | status | where |',
      '|---|---|---|',
      ...rest,
      '| R1.1 | held | `system/a.ts`, `test/a.test.ts` |',
      '| R1.1 | not yet | |',
      '| R1.2 | held | `system/a.ts` |',
      '| R1.3 | partly | `test/a.test.ts` and `system/gone.ts` |',
      '| R1.4 | done | `system/a.ts` |',
      '| R1.9 | not yet | |',
      '| P1 | partly | `test/a.test.ts` |',
    ].join('\n');
    expect(messages(checkRequirementsPage({ path: REQUIREMENTS_PAGE, text }, ['system/a.ts', 'test/a.test.ts']))).toEqual([
      'names R1.1 twice.',
      'calls R1.2 held and names no test that holds it.',
      'names system/gone.ts for R1.3, which is not there.',
      "gives R1.4 the status 'done', which is none of held, partly, not yet.",
      'names R1.9, which is no requirement.',
      'calls P1 partly and names no code that holds it.',
      'does not name P2.',
    ]);
  });
});

describe('docs/dependencies.md', () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

  test('says why for each dependency', () => {
    expect(describeAll(checkDependenciesPage(page(DEPENDENCIES_PAGE), manifest))).toEqual([]);
  });

  test('the lock file names no host', () => {
    expect(describeAll(checkLockFile(page('package-lock.json')))).toEqual([]);
  });

  test('a missing reason, a missing and a foreign package, and a host are refused', () => {
    const text = '| package | why |\n|---|---|\n| `a` | short |\n| `c` | because it does what we need done |';
    expect(
      messages(checkDependenciesPage({ path: DEPENDENCIES_PAGE, text }, { dependencies: { a: '1' }, devDependencies: { b: '1' } })),
    ).toEqual(['gives no reason for a.', 'explains c, which is no dependency.', 'does not say why b is a dependency.']);
    expect(checkLockFile({ path: 'package-lock.json', text: '{\n  "resolved": "x"\n}' })).toHaveLength(1);
  });
});

describe('links', () => {
  test('lead somewhere', () => {
    expect(describeAll(checkLinks(projectPaths())(projectFiles()))).toEqual([]);
  });

  test('are refused where the fixtures break them, and nowhere else', () => {
    const files = fixtureFiles('links');
    expect(disagreements(files, checkLinks(files.map(({ path }) => path))(files))).toEqual([]);
  });
});
