// Writes a fleet made of matrices of round trips: `node scenarios/matrix.main.ts --unit ms --sites 3,17,40 <file>...`.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { fleetOfMatrices } from './matrix.ts';

const UNITS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 };

const { values, positionals } = parseArgs({ options: { unit: { type: 'string' }, sites: { type: 'string' } }, allowPositionals: true });
const unitMicros = UNITS[values.unit ?? ''];
const sites = (values.sites ?? '').split(',').map(Number);
const isUsable = sites.every((site) => Number.isSafeInteger(site) && site >= 0) && new Set(sites).size === sites.length && values.sites;
if (unitMicros === undefined || !isUsable || positionals.length === 0) {
  process.stderr.write('Usage: node scenarios/matrix.main.ts --unit us|ms|s --sites <row>,<row>,… <matrix>...\n');
  process.exitCode = 2;
} else {
  const fleet = fleetOfMatrices(
    positionals.map((file) => readFileSync(file, 'utf8')),
    { unitMicros, sites },
  );
  if (fleet.ok) process.stdout.write(fleet.value);
  else process.stderr.write(`${fleet.error.message} ${fleet.error.next}\n`);
  if (!fleet.ok) process.exitCode = 2;
}
