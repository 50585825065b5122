// Simulated time over wall time of the whole catalogue, one worker, one seed each: `node test/bench/catalogue.bench.ts [--json]`.
// Whole processes, as a user starts them. The engine and the examples are built before the clock starts.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { groupByScenario } from '../../reports/summarise.ts';
import type { SuiteSummary } from '../../scenarios/record.ts';

const REPETITIONS = 3;
const ROOT = join(import.meta.dirname, '..', '..');

function play(): SuiteSummary {
  const out = mkdtempSync(join(tmpdir(), 'wasmmatrix-bench-'));
  try {
    execFileSync(process.execPath, ['cli.ts', 'run', '--seeds', '1', '--jobs', '1', '--quiet', '--out', join(out, 'run')], {
      cwd: ROOT,
      stdio: 'ignore',
    });
    return JSON.parse(readFileSync(join(out, 'run', 'summary.json'), 'utf8')) as SuiteSummary;
  } finally {
    rmSync(out, { recursive: true, force: true });
  }
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1] ?? Number.NaN;
}

execFileSync(process.execPath, ['test/support/test.main.ts', '--prepare-only'], { cwd: ROOT, stdio: ['ignore', 'ignore', 'inherit'] });
const suites = Array.from({ length: REPETITIONS }, play);
const groups = suites.map((suite) => groupByScenario(suite.runs));
const rows = (groups[0] ?? []).map(({ scenario, simulatedMicros }, i) => ({
  scenario,
  simulatedSeconds: simulatedMicros / 1_000_000,
  ratio: Math.round(median(groups.map((repetition) => repetition[i]?.ratio ?? Number.NaN)) * 10) / 10,
}));
const whole = median(
  groups.map(
    (repetition) =>
      repetition.reduce((total, group) => total + group.simulatedMicros, 0) /
      1_000 /
      repetition.reduce((total, group) => total + group.wallMs, 0),
  ),
);
if (process.argv.includes('--json'))
  process.stdout.write(`${JSON.stringify({ bench: 'catalogue', ratio: Math.round(whole * 10) / 10, rows })}\n`);
else {
  for (const { scenario, simulatedSeconds, ratio } of rows) {
    process.stdout.write(`${scenario.padEnd(24)} ${simulatedSeconds.toFixed(1).padStart(7)} s simulated  ×${ratio}\n`);
  }
  process.stdout.write(`${'whole catalogue'.padEnd(24)} ${''.padStart(7)}              ×${whole.toFixed(1)}\n`);
}
