// The verb `replay`: a recorded run at one instant, any machine of it, and why an event went as it did. A composition root.
import process from 'node:process';
import { InvalidArgumentError, type Command } from 'commander';
import type { RunRecord } from '../scenarios/record.ts';
import { nearest } from '../scenarios/mistakes.ts';
import { parseDuration, writeDuration } from '../scenarios/units.ts';
import { paint, print, refuse, say } from '../sim/campaign/teller.main.ts';
import { describeError, rejected, type WmError } from '../system/domain/outcome.ts';
import { chainTo } from './causes.ts';
import { describeRecord, describeTime } from './describe.ts';
import { Fold, type NodeMoment, type RunMoment } from './moment.ts';
import { describeRun, findRuns, RecordError, recordsOf, type StoredRun } from './stored.main.ts';

/** Bound: records before an event that its chain is looked for in. */
const LOOKED_BACK_MAX = 500_000;
/** Bound: records told of one event; with --json all of them. */
const STORY_TOLD_MAX = 40;

type ReplayOptions = { readonly at?: number; readonly node?: string; readonly event?: string; readonly json?: true };
type Story = { readonly records: readonly RunRecord[]; readonly chain: readonly RunRecord[] };
type Found = { readonly atMicros: number; readonly endMicros: number; readonly fold: Fold; readonly story: Story | null };

export function addReplay(program: Command): void {
  program
    .command('replay')
    .summary('show a recorded run at one instant')
    .description(
      'Shows a recorded run as it was at one instant: every machine in a line, one machine in full, or the story of an event with what led to its last step. It folds the record and plays nothing: it works for runs of every world, and knows what was recorded.',
    )
    .argument('<run>', 'a run.jsonl, or the report folder that it is in; #2 behind it names its second run')
    .option('--at <time>', 'since the start of the run, such as 12.4s or 500ms (default: its end)', instant)
    .option('--node <name>', 'this machine in full: a node, or `controller`')
    .option('--event <id>', 'all that became of this event, or what led to the record on this line of the file')
    .option('--json', 'print what was found, and nothing else, as JSON on stdout')
    .action(async (run: string, options: ReplayOptions) => {
      process.exitCode = await replay(run, options);
    });
}

async function replay(wanted: string, options: ReplayOptions): Promise<number> {
  const found = await findRuns(wanted);
  if (!found.ok) return refuse([describeError(found.error)]);
  const [run] = found.value;
  if (run === undefined || found.value.length > 1) return refuse([describeError(whichRun(wanted, found.value))]);
  try {
    const moment = await fold(run, options);
    const wrong = mistakeIn(moment, options);
    if (wrong !== null) return refuse([describeError(wrong)]);
    if (options.json === true) print(JSON.stringify(asJson(run, moment, options), null, 2));
    else tell(run, moment, options);
    return 0;
  } catch (error) {
    if (error instanceof RecordError) return refuse([describeError(error.error)]);
    throw error;
  }
}

async function fold(run: StoredRun, { at, event }: ReplayOptions): Promise<Found> {
  const fold = new Fold();
  const atMicros = at ?? Infinity;
  const line = event !== undefined && /^\d+$/.test(event) ? Number(event) : null;
  const records: RunRecord[] = [];
  const story: RunRecord[] = [];
  let last = -1;
  let endMicros = 0;
  for await (const stored of recordsOf(run)) {
    const { record } = stored;
    endMicros = Math.max(endMicros, record.micros);
    // Sources of a real world may be written a little out of order: what comes later in the file may still be earlier.
    if (record.micros > atMicros) continue;
    fold.add(record);
    if (event === undefined) continue;
    records.push(record);
    if (line === null ? isAbout(record, event) : stored.line === line) {
      story.push(record);
      last = records.length - 1;
    }
    if (records.length > LOOKED_BACK_MAX * 2) last -= records.splice(0, LOOKED_BACK_MAX).length;
  }
  const chain = chainTo(records, last).map((i) => records[i] as RunRecord);
  return { atMicros: Math.min(atMicros, endMicros), endMicros, fold, story: event === undefined ? null : { records: story, chain } };
}

/** An event, and the results that were made from it, which are called after it. */
function isAbout(record: RunRecord, event: string): boolean {
  const fields: Readonly<Record<string, unknown>> = record.fields;
  const named = fields['event'] ?? fields['id'];
  return record.correlation === event || named === event || (typeof named === 'string' && named.startsWith(`${event}/`));
}

function mistakeIn({ fold, endMicros, story }: Found, { at, node, event }: ReplayOptions): WmError | null {
  if (at !== undefined && at > endMicros)
    return rejected('WM_ARGUMENT', {
      message: `The record ends at ${describeTime(endMicros)}, before ${writeDuration(at)}.`,
      next: 'Give an earlier time with --at.',
    }).error;
  if (node !== undefined && fold.node(node) === null) {
    const close = nearest(node, fold.names());
    return rejected('WM_ARGUMENT', {
      message: `Nothing was recorded of a machine '${node}' until then${close === null ? '.' : `; did you mean '${close}'?`}`,
      next: `Until then there are ${machinesOf(fold).join(', ') || 'none'}.`,
    }).error;
  }
  if (story !== null && story.records.length === 0)
    return rejected('WM_ARGUMENT', {
      message: `Nothing was recorded of '${event ?? ''}' until then.`,
      next: 'Give the id of an event or of a command as the record has it, or the number of a line of the file.',
    }).error;
  return null;
}

function whichRun(wanted: string, runs: readonly StoredRun[]): WmError {
  return rejected('WM_ARGUMENT', {
    message: `${wanted} has ${runs.length} runs:\n${runs.map((run) => `  ${describeRun(run)}`).join('\n')}\n`,
    next: `Name one of them, such as ${wanted}#1.`,
  }).error;
}

function machinesOf(fold: Fold): readonly string[] {
  return fold.names().filter((name) => fold.node(name)?.machine !== null);
}

function asJson(run: StoredRun, { atMicros, endMicros, fold, story }: Found, { node }: ReplayOptions): object {
  const { fleet: _, ...named } = run.header;
  const names = node === undefined ? machinesOf(fold) : [node];
  return {
    run: { file: run.file, number: run.number, ...named },
    atMicros,
    endMicros,
    ...fold.run(),
    machines: Object.fromEntries(names.map((name) => [name, fold.node(name)])),
    event: story,
  };
}

function tell(run: StoredRun, { atMicros, fold, story }: Found, { node, event }: ReplayOptions): void {
  const draw = paint();
  say(draw('bold', `${describeRun(run)}, at ${describeTime(atMicros)}`));
  const whole = fold.run();
  const faults = whole.faults.map(({ kind, target, sinceMicros }) => `${kind} ${target} since ${describeTime(sinceMicros)}`);
  say(`  phase ${whole.phase ?? 'none'}; faults: ${faults.join(', ') || 'none'}`);
  for (const { queue, depth, bound } of whole.queues) say(`  queue ${queue}: ${depth} of ${bound}`);
  if (node !== undefined) tellNode(node, fold.node(node) as NodeMoment);
  if (story !== null) tellStory(story, event ?? '');
  if (node !== undefined || story !== null) return;
  for (const name of machinesOf(fold)) say(`  ${machineLine(name, fold.node(name) as NodeMoment)}`);
  const homeless = whole.instances.filter((instance) => instance.node === null);
  for (const instance of homeless) say(`  ${instanceLine(instance)}`);
}

function machineLine(name: string, { machine, status, assigned, serving, invocations }: NodeMoment): string {
  const parts = [
    machine === null ? 'never started' : `${machine.state}, incarnation ${machine.incarnation}`,
    status === null ? '' : `held for ${status.status}`,
    assigned.length === 0 ? '' : `assigned ${assigned.map((one) => `${one.instance} (${one.state})`).join(' ')}`,
    serving.length === 0 ? '' : `serving ${serving.map((one) => one.instance).join(' ')}`,
    invocations.length === 0 ? '' : `${invocations.length} ${invocations.length === 1 ? 'invocation' : 'invocations'} under way`,
  ];
  return `${name}: ${parts.filter((part) => part !== '').join('; ')}`;
}

function tellNode(name: string, moment: NodeMoment): void {
  const draw = paint();
  const { machine, status, session, lease, desired, metrics } = moment;
  const since = (micros: number): string => `since ${describeTime(micros)}`;
  const because = (cause: string | null): string => (cause === null || cause === '' ? '' : ` (${cause})`);
  say(draw('bold', `  ${name}`));
  if (machine !== null)
    say(`    machine     ${machine.state}, incarnation ${machine.incarnation}, ${since(machine.sinceMicros)}${because(machine.cause)}`);
  if (status !== null) say(`    controller  holds it for ${status.status} ${since(status.sinceMicros)}${because(status.cause)}`);
  if (session !== null) say(`    session     ${session.state} ${since(session.sinceMicros)}${because(session.cause)}`);
  if (lease !== null) say(`    lease       ${lease.state} ${since(lease.sinceMicros)}`);
  if (desired !== null)
    say(
      `    desired     term ${desired.term}, revision ${desired.revision}, ${desired.assignments} assignments ${since(desired.sinceMicros)}`,
    );
  if (metrics !== null)
    say(`    said        ${metrics.memoryBytesFree} bytes free, cpu ${metrics.cpuPermille} ‰, at ${describeTime(metrics.sinceMicros)}`);
  if (moment.modules.length > 0) say(`    loaded      ${moment.modules.join(', ')}`);
  for (const instance of moment.assigned) say(`    assigned    ${instanceLine(instance)}`);
  for (const { instance, epoch, version, sinceMicros } of moment.serving)
    say(`    serving     ${instance}, epoch ${epoch}, version ${version}, ${since(sinceMicros)}`);
  for (const { event, instance, attempt, sinceMicros } of moment.invocations)
    say(`    invocation  ${event} in ${instance}, attempt ${attempt}, ${since(sinceMicros)}`);
  say(`    finished    ${moment.invocationsFinished} invocations since the start of the run`);
  if (moment.last.length > 0) say('    said last:');
  for (const record of moment.last) say(draw('dim', `      ${recordLine(record)}`));
}

function instanceLine({ instance, state, epoch, version, sinceMicros, cause }: RunMoment['instances'][number]): string {
  return `${instance} ${state}, epoch ${epoch}, version ${version}, since ${describeTime(sinceMicros)} (${cause})`;
}

function tellStory({ records, chain }: Story, event: string): void {
  const told = records.slice(-STORY_TOLD_MAX);
  if (!/^\d+$/.test(event)) {
    say(paint()('bold', `  ${event}`));
    if (told.length < records.length) say(`    ${records.length - told.length} records before these`);
    for (const record of told) say(`    ${recordLine(record)}`);
  }
  say(paint()('bold', '  what led to the last of it'));
  for (const record of chain) say(`    ${recordLine(record)}`);
}

function recordLine(record: RunRecord): string {
  return `${describeTime(record.micros).padStart(13)}  ${record.source}  ${describeRecord(record)}`;
}

function instant(text: string): number {
  const micros = parseDuration(text);
  if (micros === null) throw new InvalidArgumentError('Give a time with its unit, such as 12.4s, 500ms or 2m.');
  return micros;
}
