// Kills a real controller under load: `npx node test/support/kill/kill.main.ts --kills 300 --write`. `--write` keeps the figures in
// reports/baseline/kill.json.
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import process from 'node:process';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { killControllers } from './controller-kills.ts';

const BASELINE = fileURLToPath(new URL('../../../reports/baseline/kill.json', import.meta.url));

const { values } = parseArgs({ options: { kills: { type: 'string', default: '20' }, write: { type: 'boolean', default: false } } });
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
const since = performance.now();
const { figures, faults } = await killControllers({
  kills: Number(values.kills),
  onProgress: (line) => process.stderr.write(`${Math.round((performance.now() - since) / 1_000)} s: ${line}\n`),
});
const report = {
  what: 'kill -9 of `wasmmatrix up` under load; every command that another process had logged as acknowledged is held to (R13.6)',
  machine: { cores: availableParallelism(), architecture: process.arch, node: process.versions.node },
  seconds: Math.round((performance.now() - since) / 1_000),
  ...figures,
  faults,
};
process.stdout.write(`${JSON.stringify(report, null, 2)}\n`);
if (values.write && faults.length === 0) writeFileSync(BASELINE, `${JSON.stringify(report, null, 2)}\n`);
process.exitCode = faults.length === 0 ? 0 : 1;
