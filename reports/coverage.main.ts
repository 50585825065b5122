// The verb `coverage`: what a set of recorded runs exercised, and what they never did. A composition root.
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import type { Command } from 'commander';
import type { GoalResult, SuiteSummary } from '../scenarios/record.ts';
import { STATE_NAMES, StateWatch } from '../scenarios/goals/goals.ts';
import { FAULT_KINDS } from '../scenarios/scenario.ts';
import { print, refuse } from '../sim/campaign/teller.main.ts';
import { describeError } from '../system/domain/outcome.ts';
import { Coverage, COVERAGE_FILE, coverageLines, type CoverageSummary } from './coverage.ts';
import { findRuns, RecordError, recordsOf, type StoredRun } from './stored.main.ts';

/** The simulated world: it alone knows when a fault changes something, and records it. */
const FEELING_WORLD = 'sim';

export function addCoverage(program: Command): void {
  program
    .command('coverage')
    .summary('say what recorded runs exercised, and what they never did')
    .description(
      'Reads recorded runs and says which transitions of the protocol they went through and which named states they reached while which kinds of fault were active, and which invariants and goals had something to check in runs with which kinds; then what was never met.',
    )
    .argument('<record...>', 'report folders of `run` or `fuzz`, or run.jsonl files')
    .option('--json', 'print it, and nothing else, as JSON on stdout')
    .action(async (records: readonly string[], options: { readonly json?: true }) => {
      process.exitCode = await coverage(records, options.json === true);
    });
}

async function coverage(records: readonly string[], json: boolean): Promise<number> {
  const whole = new Coverage(FAULT_KINDS, { names: STATE_NAMES, watch: () => new StateWatch() });
  try {
    for (const wanted of records) {
      const counted = join(wanted, COVERAGE_FILE);
      if (existsSync(counted)) {
        whole.include(JSON.parse(readFileSync(counted, 'utf8')) as CoverageSummary);
        continue;
      }
      const found = await findRuns(wanted);
      if (!found.ok) return refuse([describeError(found.error)]);
      const goals = goalsBeside(wanted);
      for (const stored of found.value) {
        const run = whole.run(stored.header.world === FEELING_WORLD);
        for await (const { record } of recordsOf(stored)) run.next(record);
        run.end(goals.get(keyOf(stored.header)) ?? []);
      }
    }
  } catch (error) {
    if (error instanceof RecordError) return refuse([describeError(error.error)]);
    throw error;
  }
  const summary = whole.summary();
  if (json) print(JSON.stringify(summary, null, 2));
  else for (const line of coverageLines(summary)) print(line);
  return 0;
}

/** What the goals of each run checked is in the summary of the same folder. */
function goalsBeside(wanted: string): ReadonlyMap<string, readonly GoalResult[]> {
  const file = existsSync(wanted) && statSync(wanted).isDirectory() ? join(wanted, 'summary.json') : '';
  if (!existsSync(file)) return new Map();
  const { runs } = JSON.parse(readFileSync(file, 'utf8')) as SuiteSummary;
  return new Map(runs.map((run) => [keyOf(run), run.goals]));
}

function keyOf({ scenario, seed, world }: Pick<StoredRun['header'], 'scenario' | 'seed' | 'world'>): string {
  return `${scenario} ${seed} ${world}`;
}
