// Runs that were recorded: `run.jsonl`, or the report folder that it is in. Streams: memory does not grow with the file.
// Refuses what is no record, with the line, and a record that was cut off.
import { closeSync, createReadStream, existsSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { ok, rejected, type Outcome, type WmError } from '../system/domain/outcome.ts';
import type { RunHeader, RunRecord } from '../scenarios/record.ts';

const RECORD_FILE = 'run.jsonl';
const BEGINNING = '{"run":';

export type StoredRun = {
  readonly file: string;
  /** Counts the runs of the file from 1. */
  readonly number: number;
  readonly header: RunHeader['run'];
  readonly records: number;
};

/** A record with the line that it stands on, from 1. */
export type StoredRecord = { readonly line: number; readonly text: string; readonly record: RunRecord };

/** Thrown while a file is read; every other error is a bug. */
export class RecordError extends Error {
  readonly error: WmError;

  constructor(error: WmError) {
    super(error.message);
    this.error = error;
  }
}

/** `path`, or `path#2` for one run of several. All runs of the file without a number. */
export async function findRuns(wanted: string): Promise<Outcome<readonly StoredRun[]>> {
  const [, stem = wanted, number = null] = existsSync(wanted) ? [] : (/^(.+)#(\d+)$/.exec(wanted) ?? []);
  try {
    const file = existsSync(stem) && statSync(stem).isDirectory() ? join(stem, RECORD_FILE) : stem;
    if (!begins(file)) throw invalid(`${file} is no record of runs: it does not begin with ${BEGINNING}`);
    const runs = await listRuns(file);
    if (number === null) return ok(runs);
    const run = runs[Number(number) - 1];
    if (run !== undefined) return ok([run]);
    throw invalid(`${file} has ${runs.length === 1 ? 'one run' : `${runs.length} runs`}, and no run ${number}`);
  } catch (error) {
    if (error instanceof RecordError) return { ok: false, error: error.error };
    if (!(error instanceof Error && 'code' in error)) throw error;
    const why = error.code === 'ENOENT' ? 'there is none' : error.message;
    return rejected('WM_RECORD_INVALID', {
      message: `The record ${stem} cannot be read: ${why}.`,
      next: `Name a ${RECORD_FILE}, or the report folder that it is in.`,
    });
  }
}

/** The records of one run, in the order of the file. Throws `RecordError`. */
export async function* recordsOf({ file, number }: StoredRun): AsyncGenerator<StoredRecord> {
  let run = 0;
  for await (const { line, text } of linesOf(file)) {
    if (text.startsWith(BEGINNING)) run++;
    else if (run === number) yield { line, text, record: recordOf(parse(file, line, text), file, line) };
    if (run > number) return;
  }
}

export function describeRun({ file, number, header }: StoredRun): string {
  return `${file}#${number}: ${header.scenario}, seed ${header.seed}, world ${header.world}`;
}

async function listRuns(file: string): Promise<readonly StoredRun[]> {
  const runs: { header: RunHeader['run']; records: number }[] = [];
  for await (const { line, text } of linesOf(file)) {
    const last = runs.at(-1);
    if (!text.startsWith(BEGINNING)) {
      if (last !== undefined) last.records++;
      continue;
    }
    const { run } = parse(file, line, text) as RunHeader;
    if (typeof run?.scenario !== 'string' || typeof run.seed !== 'string' || typeof run.world !== 'string' || !Array.isArray(run.fleet))
      throw invalid(`${file}:${line} begins a run and does not say scenario, seed, world and fleet`);
    runs.push({ header: run, records: 0 });
  }
  return runs.map(({ header, records }, i) => ({ file, number: i + 1, header, records }));
}

/** What has other first bytes could be anything, of any size, without one line end. */
function begins(file: string): boolean {
  const handle = openSync(file, 'r');
  try {
    const bytes = Buffer.alloc(BEGINNING.length);
    return readSync(handle, bytes, 0, bytes.length, 0) === bytes.length && bytes.toString('latin1') === BEGINNING;
  } finally {
    closeSync(handle);
  }
}

async function* linesOf(file: string): AsyncGenerator<{ readonly line: number; readonly text: string }> {
  let line = 0;
  for await (const text of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY })) {
    line++;
    if (text !== '') yield { line, text };
  }
}

function parse(file: string, line: number, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw invalid(`${file}:${line} is no JSON; the record may have been cut off there`);
  }
}

function recordOf(value: unknown, file: string, line: number): RunRecord {
  const { source, incarnation, sequence, micros, kind, correlation, fields } = (value ?? {}) as Readonly<Record<string, unknown>>;
  const numbers = [incarnation, sequence, micros].every(Number.isSafeInteger);
  const named = typeof source === 'string' && typeof kind === 'string' && (correlation === null || typeof correlation === 'string');
  if (numbers && named && typeof fields === 'object' && fields !== null) return value as RunRecord;
  throw invalid(`${file}:${line} is no record: source, incarnation, sequence, micros, kind, correlation or fields is missing or odd`);
}

function invalid(message: string): RecordError {
  const next = `Name a ${RECORD_FILE} that \`wasmmatrix run\` wrote, or the report folder that it is in.`;
  return new RecordError(rejected('WM_RECORD_INVALID', { message: `${message}.`, next }).error);
}
