// What went wrong once stays right: every file of scenarios/regressions, played as a user plays it, with three seeds and with
// those under which it went wrong, which its comment names.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const FOLDER = join(ROOT, 'scenarios/regressions');
const SEEDS = ['0x1', '0x2', '0x3'];

const out = mkdtempSync(join(tmpdir(), 'wasmmatrix-regressions-'));
afterAll(() => rmSync(out, { recursive: true }));

/** `Seed 0x18.` in a comment. */
function seedsOf(file: string): readonly string[] {
  const named = [...readFileSync(file, 'utf8').matchAll(/^#.*\bSeed (0x[0-9a-f]+)/gm)].map(([, seed = '']) => seed);
  return [...new Set([...SEEDS, ...named])];
}

it.each(readdirSync(FOLDER))('%s holds', (name) => {
  const file = join(FOLDER, name);
  const seeds = seedsOf(file).flatMap((seed) => ['--seed', seed]);
  const args = ['cli.ts', 'run', file, ...seeds, '--jobs', '1', '--quiet', '--out', join(out, name)];
  const { status, stderr, stdout } = spawnSync(process.execPath, args, { cwd: ROOT, encoding: 'utf8' });
  expect(status, `${stdout}${stderr}`).toBe(0);
});
