// A budget: a percentile of a named duration is within a limit. Judged exactly, in memory that does not grow with the run.
import type { Scenario } from '../scenario.ts';
import { DURATIONS } from './durations.ts';
import {
  countOf,
  describeBudget,
  describeMicros,
  goalOf,
  Ledger,
  textOf,
  type Goal,
  type GoalDefinition,
  type GoalParameters,
} from './goal.ts';
import { Histogram } from './histogram.ts';
import { hasValues, whereOf } from './selector.ts';

function budget(parameters: GoalParameters, _scenario: Scenario, slackMicros: number): Goal {
  const name = textOf(parameters, 'of');
  const within = countOf(parameters, 'within');
  const percent = countOf(parameters, 'percentile', 100);
  const least = countOf(parameters, 'atLeast', 1);
  const where = whereOf(parameters, 'where');
  const chosen = Object.entries(where).map(([field, value]) => `${field} ${String(value)}`);
  const definition = DURATIONS[name];
  const share = percent === 100 ? 'Every time' : `${percent} % of the times`;
  const ledger = new Ledger(
    'budget',
    `${share} ${definition?.meaning ?? name}${chosen.length === 0 ? '' : `, with ${chosen.join(' and ')},`} ${percent === 100 ? 'is' : 'are'} within ${describeBudget(within, slackMicros)}.`,
  );
  const watch = definition?.create() ?? (() => {});
  const times = new Histogram();
  let inTime = 0;
  const took = (micros: number): void => {
    times.add(micros);
    if (micros <= within + slackMicros) inTime += 1;
  };
  return goalOf(
    ledger,
    (record) => watch(record, (end) => hasValues(end, where), took),
    (end) => {
      const { count, max } = times;
      ledger.expectByEnd(count >= least, end, () => `${count} times of ${name} were measured, and ${least} were due.`);
      ledger.checks += count;
      ledger.figures['measured'] = count;
      if (count === 0) return;
      for (const p of [50, 95, 99]) ledger.figures[`p${p}Micros`] = times.percentile(p);
      ledger.figures['maxMicros'] = max;
      ledger.expect(
        inTime >= Math.ceil((percent * count) / 100),
        { source: 'testbed', micros: end.micros },
        () =>
          `${inTime} of ${count} times of ${name} were within ${describeBudget(within, slackMicros)}; ${percent} % had to be. p50 ${describeMicros(times.percentile(50))}, p95 ${describeMicros(times.percentile(95))}, p99 ${describeMicros(times.percentile(99))}, longest ${describeMicros(max)}.`,
        null,
      );
    },
  );
}

export const BUDGET: GoalDefinition = {
  meaning: 'A percentile of a named time is within a limit.',
  required: { of: 'text', within: 'duration' },
  optional: { percentile: 'percent', where: 'fields', atLeast: 'count' },
  create: budget,
};
