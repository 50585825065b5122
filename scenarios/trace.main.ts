// Writes a workload made of recorded traffic: `node scenarios/trace.main.ts --name calls --subject questions.plain --from cloud/eu/a
// --time timestamp --unit s requests.csv`.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { workloadOfTrace } from './trace.ts';
import { parseDuration } from './units.ts';

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 };

function readerOf(unit: string): ((cell: string) => number | null) | null {
  const factor = UNITS[unit];
  if (factor !== undefined) return (cell) => (/^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) * factor : null);
  if (unit !== 'iso') return null;
  return (cell) => {
    const ms = /^\d{4}-\d\d-\d\d/.test(cell) ? Date.parse(cell) : NaN;
    return Number.isNaN(ms) ? null : ms * 1_000;
  };
}

const { values, positionals } = parseArgs({
  options: {
    name: { type: 'string' },
    subject: { type: 'string' },
    from: { type: 'string' },
    time: { type: 'string' },
    unit: { type: 'string', default: 's' },
    data: { type: 'string' },
    speed: { type: 'string', default: '1' },
    every: { type: 'string', default: '1' },
    skip: { type: 'string', default: '0s' },
    length: { type: 'string' },
  },
  allowPositionals: true,
});
const { name, subject, from, time } = values;
const micros = readerOf(values.unit);
const [speed, every] = [Number(values.speed), Number(values.every)];
const skipMicros = parseDuration(values.skip);
const lengthMicros = values.length === undefined ? null : (parseDuration(values.length) ?? 0);
const [file] = positionals;
const isUsable =
  speed > 0 && Number.isFinite(speed) && Number.isSafeInteger(every) && every > 0 && skipMicros !== null && lengthMicros !== 0;
if (!name || !subject || !from || !time || micros === null || !isUsable || file === undefined || positionals.length !== 1) {
  process.stderr.write(
    'Usage: node scenarios/trace.main.ts --name <name> --subject <subject> --from <zone> --time <column> [--unit us|ms|s|iso] ' +
      '[--data <column>] [--speed <n>] [--every <n>] [--skip <time>] [--length <time>] <file>\n',
  );
  process.exitCode = 2;
} else {
  const options = { name, subject, from, time, micros, data: values.data ?? null, speed, every, skipMicros, lengthMicros };
  const workload = workloadOfTrace(readFileSync(file, 'utf8'), options);
  if (workload.ok) process.stdout.write(workload.value);
  else process.stderr.write(`${workload.error.message} ${workload.error.next}\n`);
  if (!workload.ok) process.exitCode = 2;
}
