// Recorded traffic becomes a workload: a line of a table for each event, with its time in one column and what it carries in another.
// Pure: reading files is for the caller.
import { stringify } from 'yaml';
import { failed, ok, type Outcome } from '../system/domain/outcome.ts';
import { writeDuration } from './units.ts';

/** Bound: events of a workload's trace, as the schema has it. */
const EVENTS_MAX = 20_000;

export type TraceOptions = {
  readonly name: string;
  readonly subject: string;
  /** Zone of the publisher. */
  readonly from: string;
  /** Column of the times. */
  readonly time: string;
  /** Microseconds of what a cell says; null when it says no time. */
  readonly micros: (cell: string) => number | null;
  /** Column of the data; null to leave it to the workload. */
  readonly data: string | null;
  /** Recorded seconds in one of the workload. */
  readonly speed: number;
  /** Of this many events one is taken. */
  readonly every: number;
  /** What is left out in the beginning and how much is taken then, in times of the workload; null for all. */
  readonly skipMicros: number;
  readonly lengthMicros: number | null;
};

/** Comma separated, with names of columns in the first line. Events need not be in order. WM_ARGUMENT: what is wrong, and where. */
export function workloadOfTrace(text: string, options: TraceOptions): Outcome<string> {
  const [head = '', ...lines] = text
    .replace(/^\uFEFF/, '')
    .trimEnd()
    .split(/\r?\n/);
  const names = head.split(',').map((name) => name.trim());
  const wanted = [options.time, ...(options.data === null ? [] : [options.data])];
  const missing = wanted.find((name) => !names.includes(name));
  if (missing !== undefined) return refused(`The file has the columns ${names.join(', ')}, and none is ${missing}.`);
  const timeAt = names.indexOf(options.time);
  const dataAt = options.data === null ? null : names.indexOf(options.data);

  const read: { readonly micros: number; readonly data: string | null }[] = [];
  for (const [i, line] of lines.entries()) {
    if (line.trim() === '') continue;
    const cells = line.split(',');
    if (line.includes('"') || cells.length !== names.length)
      return refused(`Line ${i + 2} has ${cells.length} cells, or quotes; expected ${names.length} without: '${line.slice(0, 80)}'.`);
    const micros = options.micros((cells[timeAt] ?? '').trim());
    if (micros === null) return refused(`Line ${i + 2} has no time in ${options.time}: '${(cells[timeAt] ?? '').slice(0, 40)}'.`);
    read.push({ micros, data: dataAt === null ? null : (cells[dataAt] ?? '').trim() });
  }
  const sorted = read.toSorted((a, b) => a.micros - b.micros);
  const startMicros = sorted[0]?.micros ?? 0;
  const endMicros = options.lengthMicros === null ? Infinity : options.skipMicros + options.lengthMicros;
  const events = sorted
    .filter((_, i) => i % options.every === 0)
    .map(({ micros, data }) => ({ micros: Math.round((micros - startMicros) / options.speed), data }))
    .filter(({ micros }) => micros >= options.skipMicros && micros < endMicros);
  if (events.length === 0) return refused('The file has no events in the part that is taken.');
  if (events.length > EVENTS_MAX)
    return refused(`This is a workload of ${events.length} events; at most ${EVENTS_MAX} are allowed. Take a part, or one of several.`);
  const trace = events.map(({ micros, data }) => ({ at: writeDuration(micros - options.skipMicros), ...(data === null ? {} : { data }) }));
  const { name, subject, from } = options;
  return ok(`# Made of a recording.\n${stringify([{ name, subject, from, trace }], { lineWidth: 0 })}`);
}

function refused(message: string): Outcome<string> {
  return failed('WM_ARGUMENT', { message, next: 'Give a comma separated file with a line of names, a column of times and no quotes.' });
}
