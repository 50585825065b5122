// The verb `diff`: where two recorded runs part, and what led there in each. A composition root: it reads files and prints.
import process from 'node:process';
import type { Command } from 'commander';
import type { RunRecord } from '../scenarios/record.ts';
import { paint, print, refuse, say } from '../sim/campaign/teller.main.ts';
import { describeError, rejected } from '../system/domain/outcome.ts';
import { chainTo } from './causes.ts';
import { describeRecord, describeTime } from './describe.ts';
import { differencesOf, type Differing } from './difference.ts';
import { describeRun, findRuns, RecordError, recordsOf, type StoredRecord, type StoredRun } from './stored.main.ts';

/** Bound: records before a difference that its chains are looked for in. */
const LOOKED_BACK_MAX = 500_000;

type DiffOptions = { readonly json?: true; readonly ignoreTimes?: true };
type Side = {
  readonly run: StoredRun;
  /** The record that differs; null where this run had ended. */
  readonly at: StoredRecord | null;
  readonly chain: readonly RunRecord[];
};
type Parted = {
  /** Records that are the same before it. */
  readonly same: number;
  readonly differs: readonly Differing[];
  readonly sides: readonly [first: Side, second: Side];
};
type Pair = { readonly first: StoredRun; readonly second: StoredRun; readonly records: number; readonly parted: Parted | null };

export function addDiff(program: Command): void {
  program
    .command('diff')
    .summary('say where two recorded runs part')
    .description(
      'Compares two recorded runs, record by record, and says where they part, in what, and what led there in each. With several runs in both files, each is compared with the one in its place. Ends with 0 when they are the same, with 1 when they differ, with 2 when there is nothing to compare.',
    )
    .argument('<first>', 'a run.jsonl, or the report folder that it is in; #2 behind it names its second run')
    .argument('<second>', 'the same')
    .option('--ignore-times', 'pass over when things happened and how long they took')
    .option('--json', 'print what was found, and nothing else, as JSON on stdout')
    .action(async (first: string, second: string, options: DiffOptions) => {
      process.exitCode = await diff(first, second, options);
    });
}

async function diff(first: string, second: string, options: DiffOptions): Promise<number> {
  const [mine, theirs] = [await findRuns(first), await findRuns(second)];
  if (!mine.ok || !theirs.ok) return refuse([mine, theirs].flatMap((found) => (found.ok ? [] : [describeError(found.error)])));
  if (mine.value.length !== theirs.value.length) {
    const { error } = rejected('WM_ARGUMENT', {
      message: `${first} has ${mine.value.length} and ${second} ${theirs.value.length} runs, and each is compared with the one in its place.`,
      next: `Name one run of each, such as ${first}#1.`,
    });
    return refuse([describeError(error)]);
  }
  try {
    const pairs: Pair[] = [];
    for (const [i, run] of mine.value.entries()) pairs.push(await compareRuns(run, theirs.value[i] as StoredRun, options));
    const same = pairs.every(({ parted }) => parted === null);
    if (options.json === true) print(JSON.stringify({ same, runs: pairs.map(pairAsJson) }, null, 2));
    else for (const [i, pair] of pairs.entries()) tell(pair, i > 0);
    return same ? 0 : 1;
  } catch (error) {
    if (error instanceof RecordError) return refuse([describeError(error.error)]);
    throw error;
  }
}

async function compareRuns(first: StoredRun, second: StoredRun, options: DiffOptions): Promise<Pair> {
  const [mine, theirs] = [recordsOf(first), recordsOf(second)];
  try {
    for (let same = 0; ; same++) {
      const [a, b] = [await nextOf(mine), await nextOf(theirs)];
      if (a === null && b === null) return { first, second, records: same, parted: null };
      if (a !== null && a.text === b?.text) continue;
      const differs = a === null || b === null ? [] : differencesOf(a.record, b.record, { ignoreTimes: options.ignoreTimes === true });
      if (a !== null && b !== null && differs.length === 0) continue;
      const sides = [await sideOf(first, same, a), await sideOf(second, same, b)] as const;
      return { first, second, records: same, parted: { same, differs, sides } };
    }
  } finally {
    await mine.return(undefined);
    await theirs.return(undefined);
  }
}

async function nextOf(records: AsyncGenerator<StoredRecord>): Promise<StoredRecord | null> {
  const next = await records.next();
  return next.done === true ? null : next.value;
}

/** Reads the run once more, up to the difference: only now is it known how far back to look. */
async function sideOf(run: StoredRun, same: number, at: StoredRecord | null): Promise<Side> {
  if (at === null) return { run, at, chain: [] };
  const records: RunRecord[] = [];
  let seen = 0;
  for await (const { record } of recordsOf(run)) {
    if (seen >= same + 1 - LOOKED_BACK_MAX) records.push(record);
    if (++seen > same) break;
  }
  return { run, at, chain: chainTo(records, records.length - 1).map((i) => records[i] as RunRecord) };
}

function pairAsJson({ first, second, records, parted }: Pair): object {
  const runOf = ({ file, number, header, records: all }: StoredRun): object => {
    const { fleet: _, ...named } = header;
    return { file, number, ...named, records: all };
  };
  const sideAsJson = ({ at, chain }: Side): object => ({ line: at?.line ?? null, record: at?.record ?? null, chain });
  return {
    first: runOf(first),
    second: runOf(second),
    same: parted === null,
    recordsSame: records,
    difference:
      parted === null ? null : { differs: parted.differs, first: sideAsJson(parted.sides[0]), second: sideAsJson(parted.sides[1]) },
  };
}

function tell({ first, second, records, parted }: Pair, follows: boolean): void {
  const draw = paint();
  if (follows) say('');
  say(`${parted === null ? draw('green', '✔') : draw('red', '✘')} first   ${describeRun(first)}`);
  say(`  second  ${describeRun(second)}`);
  if (parted === null) return say(`  the same, all ${records} records`);
  for (const note of notesOn(first, second)) say(`  ${note}`);
  say(draw('bold', `  ${parted.same} records are the same; the next differs${parted.differs.length === 0 ? ': one run has ended' : ''}`));
  for (const { name, first: mine, second: theirs } of parted.differs)
    say(`    ${name}: ${JSON.stringify(mine)} in the first, ${JSON.stringify(theirs)} in the second`);
  for (const [i, { run, at, chain }] of parted.sides.entries()) {
    say(`  ${['first', 'second'][i] ?? ''} run${at === null ? ': it had ended' : `, ${run.file}:${at.line}, with what led there`}`);
    for (const record of chain) say(`    ${recordLine(record)}`);
  }
}

function recordLine(record: RunRecord): string {
  return `${describeTime(record.micros).padStart(13)}  ${record.source}  ${describeRecord(record)}`;
}

/** Why a difference is to be expected. */
function notesOn(first: StoredRun, second: StoredRun): readonly string[] {
  const [mine, theirs] = [first.header, second.header];
  if (mine.scenario !== theirs.scenario) return ['These are runs of different scenarios.'];
  if (mine.world !== theirs.world || mine.world !== 'sim') return ['Only the simulator plays a run again as it was.'];
  if (mine.seed !== theirs.seed) return ['These are different seeds, which draw different things.'];
  if (JSON.stringify(mine.fleet) !== JSON.stringify(theirs.fleet)) return ['Their fleets differ.'];
  return ['Scenario, seed and fleet are the same: the code, the file, or something that is not decided by the seed differs.'];
}
