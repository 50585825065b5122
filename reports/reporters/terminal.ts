// What a person reads in the terminal: one line for each scenario, and for a failure the goal in words, what happened, the
// last events of the machine concerned, and the one command that reproduces it. Returns lines; never writes.
import type { RunSummary, SometimesSummary, SuiteSummary, Verdict } from '../../scenarios/record.ts';
import { compareWorlds, type Comparison } from '../compare.ts';
import { describeFigure, describeRatio, describeRecord, describeSpan, describeTime } from '../describe.ts';
import { describeReach } from '../sometimes.ts';
import { decidingGoal, groupByScenario, SIMULATED, sum, worstVerdict, type ScenarioGroup } from '../summarise.ts';

export type Style = 'bold' | 'dim' | 'red' | 'green' | 'yellow';
/** Wraps text for a terminal with colours; the identity elsewhere. */
export type Paint = (style: Style, text: string) => string;

const MARKS: Readonly<Record<Verdict, readonly [mark: string, style: Style]>> = {
  held: ['✔', 'green'],
  violated: ['✖', 'red'],
  unconverged: ['✖', 'red'],
  nondeterministic: ['✖', 'red'],
  bug: ['✖', 'red'],
  rejected: ['!', 'yellow'],
  cancelled: ['–', 'yellow'],
};

/** Seeds of a failed scenario that are told in full; the others are counted. */
const FAILURES_TOLD_MAX = 2;
/** What happened in some run is told of so many; what never did, of all. */
const REACHED_TOLD_MAX = 12;

export function scenarioLines(group: ScenarioGroup, nameWidth: number, paint: Paint): readonly string[] {
  const [mark, style] = MARKS[group.verdict];
  const seeds = `${group.runs.length} seed${group.runs.length === 1 ? '' : 's'}`;
  const took = `in ${describeSpan(group.wallMs * 1_000)}`;
  const figures =
    group.world === SIMULATED
      ? `${describeSpan(group.simulatedMicros)} simulated ${took} ${describeRatio(group.ratio)}`
      : `${describeSpan(group.simulatedMicros)} on ${group.world} ${took}`;
  const notes = [...new Set(group.runs.flatMap((run) => run.notes ?? []))];
  return [
    `${paint(style, mark)} ${paint('bold', group.scenario.padEnd(nameWidth))}  ${paint(style, group.verdict.padEnd(8))}  ${seeds.padEnd(8)}  ${paint('dim', figures)}`,
    `  ${' '.repeat(nameWidth)}  ${group.question}`,
    ...notes.map((note) => paint('dim', `  ${' '.repeat(nameWidth)}  ${note}`)),
  ];
}

/** One scenario in several worlds: a column each. */
export function comparisonLines({ scenario, worlds, verdicts, goals }: Comparison, paint: Paint): readonly string[] {
  const cells: (readonly [what: string, ...values: string[]])[] = [
    ['', ...worlds],
    ['verdict', ...verdicts],
  ];
  for (const goal of goals) {
    cells.push([goal.claim]);
    for (const { name, values } of goal.figures) {
      const said = values.map((value) => describeFigure(name, value));
      cells.push([`  ${said[0]?.[0] ?? ''}`, ...said.map(([, value]) => value)]);
    }
  }
  const table = cells.filter((row) => row.length > 1);
  const widths = ['', ...worlds].map((_, i) => Math.max(...table.map((row) => (row[i] ?? '').length)));
  return [
    paint('bold', `${scenario} in ${worlds.length} worlds`),
    ...cells.map((row) =>
      row.length === 1
        ? paint('dim', `  ${row[0]}`)
        : `  ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]! + 2))).join('')}`,
    ),
  ];
}

export function failureLines(run: RunSummary, paint: Paint): readonly string[] {
  const where = run.world === SIMULATED ? '' : ` on ${run.world}`;
  const lines = [paint('red', `${run.scenario} with seed ${run.seed}${where}: ${run.verdict}`)];
  const goal = decidingGoal(run);
  if (run.trouble !== null) lines.push(...run.trouble.split('\n').map((line) => `  ${line}`));
  if (goal !== null) {
    lines.push(`  ${paint('bold', goal.name)}  ${goal.claim}`);
    lines.push(`  ${paint('red', goal.because)}`);
    if (goal.micros !== null) lines.push(paint('dim', `  noticed at ${describeTime(goal.micros)}`));
    const others = run.goals.filter((other) => !other.held && other !== goal);
    if (others.length > 0) lines.push(`  also not held: ${others.map((other) => other.name).join(', ')}`);
  }
  if (run.lastRecords.length > 0) {
    lines.push(`  last events${goal?.machine === null || goal === null ? '' : ` of ${goal.machine}`}:`);
    for (const record of run.lastRecords)
      lines.push(paint('dim', `    ${describeTime(record.micros).padStart(13)}  ${record.source}  ${describeRecord(record)}`));
  }
  lines.push(`  reproduce: ${paint('bold', run.reproduce)}`);
  return lines;
}

/** What never happened first, since that is what to look at; then how often the rest did. */
export function sometimesLines(sometimes: readonly SometimesSummary[], paint: Paint): readonly string[] {
  if (sometimes.length === 0) return [];
  const line = (one: SometimesSummary): string => {
    const where = `${one.scenario}${one.world === SIMULATED ? '' : ` on ${one.world}`}`;
    return `${one.reached === 0 ? paint('yellow', '!') : paint('green', '✔')} ${where}  ${describeReach(one)}: ${one.claim}`;
  };
  const lacking = sometimes.filter(({ reached }) => reached === 0);
  const reached = sometimes.filter((one) => one.reached > 0);
  const left = reached.length - REACHED_TOLD_MAX;
  return [
    '',
    lacking.length === 0
      ? `Everything that has to happen in some run did: ${sometimes.length} of ${sometimes.length}.`
      : paint(
          'yellow',
          `${lacking.length} of ${sometimes.length} things that have to happen in some run never did. Play more seeds, or change what leads there.`,
        ),
    ...[...lacking, ...reached.slice(0, REACHED_TOLD_MAX)].map((one) => `  ${line(one)}`),
    ...(left > 0 ? [paint('dim', `  and ${left} more that did; summary.json has all.`)] : []),
  ];
}

export function suiteLines(suite: SuiteSummary, outFolder: string, paint: Paint): readonly string[] {
  const groups = groupByScenario(suite.runs);
  const lines: string[] = [];
  for (const group of groups) {
    const failures = group.runs.filter((run) => run.verdict !== 'held' && run.verdict !== 'cancelled');
    for (const run of failures.slice(0, FAILURES_TOLD_MAX)) lines.push('', ...failureLines(run, paint));
    if (failures.length > FAILURES_TOLD_MAX)
      lines.push(
        `  and ${failures.length - FAILURES_TOLD_MAX} more seeds of ${group.scenario}: ${failures
          .slice(FAILURES_TOLD_MAX)
          .map((run) => run.seed)
          .join(' ')}`,
      );
  }
  for (const comparison of compareWorlds(suite.runs)) lines.push('', ...comparisonLines(comparison, paint));
  lines.push(...sometimesLines(suite.sometimes, paint));
  const held = suite.runs.filter((run) => run.verdict === 'held').length;
  const scenarios = [...new Set(groups.map((group) => group.scenario))];
  const scenariosHeld = scenarios.filter((name) => groups.every((group) => group.scenario !== name || group.verdict === 'held')).length;
  const verdict = worstVerdict(suite.runs.map((run) => run.verdict));
  const [mark, style] = MARKS[verdict];
  const simulatedMicros = sum(suite.runs.map((run) => run.simulatedMicros));
  const took = `in ${describeSpan(suite.wallMs * 1_000)}`;
  const time = suite.runs.every((run) => run.world === SIMULATED)
    ? `${describeSpan(simulatedMicros)} simulated ${took} (${describeRatio(suite.wallMs > 0 ? simulatedMicros / 1_000 / suite.wallMs : null)})`
    : `${describeSpan(simulatedMicros)} played ${took}`;
  lines.push(
    '',
    paint(style, `${mark} ${held} of ${suite.runs.length} runs held`) +
      `, ${scenariosHeld} of ${scenarios.length} scenarios; ${time}${suite.verify ? '; every seed was played twice' : ''}.`,
    `  report: ${outFolder}/report.html`,
  );
  return lines;
}
