// Writes a fleet of radio cells made of a list of sites: `node scenarios/sites.main.ts --reach 400m --every 10 <file>`.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { fleetOfSites } from './sites.ts';
import { parseDistance, parseDuration } from './units.ts';

const { values, positionals } = parseArgs({
  options: { reach: { type: 'string' }, every: { type: 'string', default: '1' }, latency: { type: 'string', default: '8ms' } },
  allowPositionals: true,
});
const [file] = positionals;
const reachMetres = parseDistance(values.reach ?? '') ?? 0;
const every = Number(values.every);
const isUsable = reachMetres > 0 && Number.isSafeInteger(every) && every > 0 && parseDuration(values.latency) !== null;
if (file === undefined || positionals.length !== 1 || !isUsable) {
  process.stderr.write('Usage: node scenarios/sites.main.ts --reach <distance> [--every <n>] [--latency <time>] <file>\n');
  process.exitCode = 2;
} else {
  const fleet = fleetOfSites(readFileSync(file, 'utf8'), { every, reachMetres, latency: values.latency });
  if (fleet.ok) process.stdout.write(fleet.value);
  else process.stderr.write(`${fleet.error.message} ${fleet.error.next}\n`);
  if (!fleet.ok) process.exitCode = 2;
}
