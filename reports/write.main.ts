// Writes the reports of a suite into a folder. Each report is made by a reporter of its own; one that throws is told and
// takes no other with it. Records are streamed: memory does not grow with the length of the runs.
import { createReadStream, createWriteStream, existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { createInterface } from 'node:readline';
import { pipeline } from 'node:stream/promises';
import type { RunHeader, RunRecord, SuiteSummary } from '../scenarios/record.ts';
import { htmlReport, joinModules, logLinesEach, RUNS_EMBEDDED_MAX } from './reporters/html.ts';
import { junitXml } from './reporters/junit.ts';
import { runsToEmbed, Timeline, type RunView } from './timeline.ts';

export type WriteOptions = {
  readonly suite: SuiteSummary;
  /** Record lines of each run, in the order of the suite's runs; null or absent files are passed over. They are removed. */
  readonly recordFiles: readonly (string | null)[];
  readonly folder: string;
};

type Reporter = { readonly file: string; readonly write: (options: WriteOptions, path: string) => Promise<void> };

const REPORTERS: readonly Reporter[] = [
  { file: 'summary.json', write: async ({ suite }, path) => writeFileSync(path, `${JSON.stringify(suite, null, 2)}\n`) },
  { file: 'junit.xml', write: async ({ suite }, path) => writeFileSync(path, junitXml(suite)) },
  { file: 'report.html', write: writePage },
  { file: 'run.jsonl', write: joinRecords },
];

/** Each after what it imports. */
const PAGE_SCRIPTS = ['parts.js', 'lanes.js', 'timeline.js', 'fleet.js', 'log.js', 'report.js'];
const PAGE_STYLES = ['report.css', 'drawing.css'];

/** Resolves with the files that were written. */
export async function writeReports(options: WriteOptions): Promise<readonly string[]> {
  const written: string[] = [];
  for (const { file, write } of REPORTERS) {
    try {
      await write(options, join(options.folder, file));
      written.push(file);
    } catch (error) {
      process.stderr.write(`The report ${file} could not be written: ${error instanceof Error ? error.message : String(error)}\n`);
    }
  }
  for (const file of options.recordFiles) if (file !== null) rmSync(file, { force: true });
  return written;
}

async function joinRecords({ recordFiles }: WriteOptions, path: string): Promise<void> {
  writeFileSync(path, '');
  for (const file of recordFiles) {
    if (file !== null && existsSync(file)) await pipeline(createReadStream(file), createWriteStream(path, { flags: 'a' }));
  }
}

async function writePage({ suite, recordFiles }: WriteOptions, path: string): Promise<void> {
  const wanted = runsToEmbed(suite.runs, RUNS_EMBEDDED_MAX);
  const views: RunView[] = [];
  for (const [i, file] of recordFiles.entries()) {
    const view = wanted.has(i) && file !== null && existsSync(file) ? await viewOf(file, logLinesEach(wanted.size)) : null;
    if (view !== null) views.push(view);
  }
  const asset = (name: string): string => readFileSync(new URL(`./ui/${name}`, import.meta.url), 'utf8');
  writeFileSync(path, htmlReport(suite, views, { script: joinModules(PAGE_SCRIPTS.map(asset)), style: PAGE_STYLES.map(asset).join('') }));
}

/** Null when the file holds no run: it was cancelled before it began. */
async function viewOf(file: string, linesMax: number): Promise<RunView | null> {
  let timeline: Timeline | null = null;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line === '') continue;
    const value = JSON.parse(line) as RunHeader | RunRecord;
    if ('run' in value) timeline = new Timeline(value.run, linesMax);
    else timeline?.add(value);
  }
  return timeline?.finish() ?? null;
}
