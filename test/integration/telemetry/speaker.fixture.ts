// A process that talks. `speaker records <file>`: writes records without end and says the number of each on its standard output
// after it was told. `speaker log <lines>`: logs so many lines to a standard error that nobody may read, and says when it is done; with
// `--last` it says one more thing there when its log is closed.
import { writeSync } from 'node:fs';
import { openTelemetry } from '../../../hardware/telemetry/telemetry.ts';

const [, , what, argument = ''] = process.argv;
const opened = openTelemetry({
  source: 'speaker',
  incarnation: 1,
  role: 'agent',
  log: what === 'log' ? { level: 'info', format: 'json', path: null } : null,
  records: what === 'records' ? { path: argument } : null,
});
if (!opened.ok) throw new Error(opened.error.message);
const telemetry = opened.value;

if (what === 'records') {
  for (let i = 1; ; i++) {
    telemetry.log('info', `record ${i}`);
    writeSync(1, `${i}\n`);
  }
}

for (let i = 0; i < Number(argument); i++) {
  telemetry.log('info', `line ${i} ${'.'.repeat(100)}`);
  if (i % 1_000 === 0) await new Promise(setImmediate);
}
const text = await telemetry.metrics();
writeSync(1, `said ${argument} dropped ${/^wasmmatrix_log_lines_dropped_total (\d+)$/m.exec(text)?.[1]}\n`);
await telemetry.close();
writeSync(1, 'closed\n');
// What a process says at its very end has to arrive where somebody reads.
if (process.argv.includes('--last')) process.stderr.write('the end\n');
