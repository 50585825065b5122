// Runs every bench one after the other: `npm run bench [-- --record]`. With --record the figures of this machine are written
// to reports/baseline. A machine that does something else at the same time gives figures that say little.
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';

const BASELINE = join(import.meta.dirname, '..', '..', 'reports', 'baseline');
const record = process.argv.includes('--record');
const benches = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.bench.ts'))
  .sort();
const loadBefore = loadavg()[0] ?? 0;
const results: unknown[] = [];
let failed = 0;
for (const bench of benches) {
  process.stdout.write(`\n== ${bench}\n`);
  const path = join(import.meta.dirname, bench);
  // A bench prints a table for people, or one line of JSON.
  const { status, stdout } = record
    ? spawnSync(process.execPath, [path, '--json'], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
    : spawnSync(process.execPath, [path], { encoding: 'utf8', stdio: ['ignore', 'inherit', 'inherit'] });
  if (record && status === 0) {
    process.stdout.write(stdout);
    results.push(JSON.parse(stdout));
  }
  if (status !== 0) failed += 1;
}
if (record) {
  mkdirSync(BASELINE, { recursive: true });
  const machine = { processor: cpus()[0]?.model ?? 'unknown', cores: cpus().length, node: process.versions.node, loadBefore };
  writeFileSync(join(BASELINE, 'benches.json'), `${JSON.stringify({ machine, results }, null, 2)}\n`);
  process.stdout.write(`\nWritten to reports/baseline/benches.json.\n`);
}
process.exitCode = failed === 0 ? 0 : 1;
