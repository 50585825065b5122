// `wasmmatrix scenario import`: real data becomes a part of a scenario, on stdout: measured round trips and lists of sites a fleet,
// recorded traffic a workload. A composition root.
import { readFileSync } from 'node:fs';
import process from 'node:process';
import { InvalidArgumentError, type Command } from 'commander';
import { describePath } from '../sim/campaign/library.main.ts';
import { print, refuse } from '../sim/campaign/teller.main.ts';
import { describeError, rejected, type Outcome } from '../system/domain/outcome.ts';
import { fleetOfMatrices } from './matrix.ts';
import { fleetOfSites } from './sites.ts';
import { workloadOfTrace } from './trace.ts';
import { parseDistance, parseDuration } from './units.ts';

const MICROS: Readonly<Record<string, number>> = { us: 1, ms: 1_000, s: 1_000_000 };

type TraceVerbOptions = {
  readonly name: string;
  readonly subject: string;
  readonly from: string;
  readonly time: string;
  readonly unit?: (cell: string) => number | null;
  readonly data?: string;
  readonly speed?: number;
  readonly every?: number;
  readonly skip?: number;
  readonly length?: number;
};

export function addImport(scenario: Command): void {
  const verb = scenario
    .command('import')
    .summary('make a part of a scenario of real data')
    .description('Makes a part of a scenario of real data, and prints it as YAML: redirect it into a file, or paste it into one.');
  verb
    .command('latency')
    .summary('a fleet of measured round trips')
    .description(
      'Reads square matrices of round trips, tab separated, one file for each time of measuring. Prints a fleet with a zone and a node for each site, and between each two an empirical law of half of their round trips.',
    )
    .argument('<matrix...>', 'files of one size')
    .requiredOption('--unit <unit>', 'us, ms or s: what the numbers are', factor)
    .requiredOption('--sites <rows>', 'rows that are taken, from 0, with commas between them', rows)
    .action((files: readonly string[], { unit, sites }: { readonly unit: number; readonly sites: readonly number[] }) => {
      process.exitCode = printOf(files, (texts) => fleetOfMatrices(texts, { unitMicros: unit, sites }));
    });
  verb
    .command('sites')
    .summary('a fleet of radio cells, of a list of sites')
    .description(
      'Reads a comma separated file with columns SITE_ID, LATITUDE and LONGITUDE. Prints a fleet with a zone, a radio cell and a node for each site that is taken.',
    )
    .argument('<file>', 'the list')
    .requiredOption(
      '--reach <distance>',
      'how far each cell reaches, such as 400m',
      unitOf('distance, such as 400m or 1.5km', parseDistance),
    )
    .option('--every <n>', 'take one site of so many (default: 1)', whole)
    .option('--latency <time>', 'one-way delay beside a mast (default: 8ms)', (text: string) => (duration(text), text))
    .action((file: string, options: { readonly reach: number; readonly every?: number; readonly latency?: string }) => {
      const { reach, every = 1, latency = '8ms' } = options;
      process.exitCode = printOf([file], ([text = '']) => fleetOfSites(text, { every, reachMetres: reach, latency }));
    });
  verb
    .command('trace')
    .summary('a workload of recorded traffic')
    .description(
      'Reads a comma separated file whose first line names its columns, an event in each further line. Prints an entry for `workload`.',
    )
    .argument('<file>', 'the recording')
    .requiredOption('--name <name>', 'what the workload is called')
    .requiredOption('--subject <subject>', 'where its events are published')
    .requiredOption('--from <zone>', 'zone of the publisher')
    .requiredOption('--time <column>', 'column of the times')
    .option('--unit <unit>', 'us, ms, s, or iso for dates as in ISO 8601: what the times are (default: s)', timeReader)
    .option('--data <column>', 'column of the data (default: that of the workload)')
    .option('--speed <n>', 'recorded seconds in one of the workload (default: 1)', above0)
    .option('--every <n>', 'take one event of so many (default: 1)', whole)
    .option('--skip <time>', 'leave out so much in the beginning, in times of the workload (default: 0s)', duration)
    .option('--length <time>', 'take so much then, in times of the workload (default: all)', duration)
    .action((file: string, options: TraceVerbOptions) => {
      const { name, subject, from, time, unit = readerOf(1_000_000), data = null, speed = 1, every = 1, skip = 0, length = null } = options;
      const wanted = { name, subject, from, time, micros: unit, data, speed, every, skipMicros: skip, lengthMicros: length };
      process.exitCode = printOf([file], ([text = '']) => workloadOfTrace(text, wanted));
    });
}

function printOf(files: readonly string[], make: (texts: readonly string[]) => Outcome<string>): number {
  const texts: string[] = [];
  for (const file of files) {
    try {
      texts.push(readFileSync(file, 'utf8'));
    } catch (error) {
      if (!(error instanceof Error && 'code' in error)) throw error;
      const unread = rejected('WM_ARGUMENT', {
        message: `The file ${describePath(file)} cannot be read (${String(error.code)}).`,
        next: 'Name a file that you may read.',
      });
      return refuse([describeError(unread.error)]);
    }
  }
  const made = make(texts);
  if (!made.ok) return refuse([describeError(made.error)]);
  print(made.value.trimEnd());
  return 0;
}

function unitOf(expected: string, parse: (text: string) => number | null): (text: string) => number {
  return (text) => {
    const value = parse(text);
    if (value === null || value <= 0) throw new InvalidArgumentError(`Expected a ${expected}.`);
    return value;
  };
}

function duration(text: string): number {
  const micros = parseDuration(text);
  if (micros === null) throw new InvalidArgumentError('Expected a time with its unit, such as 12.4s or 500ms.');
  return micros;
}

function whole(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('Expected a whole number, 1 or more.');
  return Number(text);
}

function above0(text: string): number {
  const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : 0;
  if (value <= 0) throw new InvalidArgumentError('Expected a number above 0.');
  return value;
}

function factor(text: string): number {
  const micros = MICROS[text];
  if (micros === undefined) throw new InvalidArgumentError('Expected us, ms or s.');
  return micros;
}

function rows(text: string): readonly number[] {
  const sites = text.split(',').map((row) => (/^\d{1,6}$/.test(row) ? Number(row) : -1));
  if (sites.includes(-1) || new Set(sites).size !== sites.length)
    throw new InvalidArgumentError('Expected numbers of rows, each once, such as 3,17,40.');
  return sites;
}

function timeReader(text: string): (cell: string) => number | null {
  if (text === 'iso') {
    return (cell) => {
      const ms = /^\d{4}-\d\d-\d\d/.test(cell) ? Date.parse(cell) : Number.NaN;
      return Number.isNaN(ms) ? null : ms * 1_000;
    };
  }
  const micros = MICROS[text];
  if (micros === undefined) throw new InvalidArgumentError('Expected us, ms, s or iso.');
  return readerOf(micros);
}

function readerOf(micros: number): (cell: string) => number | null {
  return (cell) => (/^-?\d+(\.\d+)?$/.test(cell) ? Number(cell) * micros : null);
}
