// What `wasmmatrix scenario new` writes holds as it stands, played as a user plays it, with the seeds that are played by default.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';
import type { SuiteSummary } from '../../scenarios/record.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'scenarios/templates');

const out = mkdtempSync(join(tmpdir(), 'wasmmatrix-templates-'));
afterAll(() => rmSync(out, { recursive: true }));

it.each(readdirSync(FOLDER))('%s holds, and each of its goals looks at something', (name) => {
  const args = ['cli.ts', 'run', join(FOLDER, name), '--jobs', '1', '--quiet', '--out', join(out, name)];
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
  const { runs, sometimes } = JSON.parse(readFileSync(join(out, name, 'summary.json'), 'utf8')) as SuiteSummary;
  expect(runs).toHaveLength(3);
  for (const { goals } of runs)
    expect(goals.filter(({ name: goal, checks, reached }) => /^[a-z]/.test(goal) && checks === 0 && reached === undefined)).toEqual([]);
  expect(sometimes.filter(({ reached }) => reached === 0)).toEqual([]);
});
