// A budget: a percentile of a named duration is within a limit, or not below a floor. Judged exactly, in memory that does not grow with the run.
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
  const within = countOf(parameters, 'within', Infinity);
  const floor = countOf(parameters, 'above', 0);
  const percent = countOf(parameters, 'percentile', 100);
  const least = countOf(parameters, 'atLeast', 1);
  const where = whereOf(parameters, 'where');
  const chosen = Object.entries(where).map(([field, value]) => `${field} ${String(value)}`);
  const definition = DURATIONS[name];
  const measured = `${definition?.meaning ?? name}${chosen.length === 0 ? '' : `, with ${chosen.join(' and ')},`}`;
  const limits = `${percent === 100 ? `Every time ${measured} is` : `${percent} % of the times ${measured} are`} within ${describeBudget(within, slackMicros)}.`;
  const floors = `${percent === 100 ? 'The longest' : `Percentile ${percent}`} of the times ${measured} is ${describeMicros(floor)} or more.`;
  const claims = [...(within === Infinity ? [] : [limits]), ...(floor === 0 ? [] : [floors])];
  const ledger = new Ledger('budget', claims.length === 0 ? `At least ${least} times ${measured} are measured.` : claims.join(' '));
  const watch = definition?.create() ?? (() => {});
  const times = new Histogram();
  let inTime = 0;
  let belowFloor = 0;
  const took = (micros: number): void => {
    times.add(micros);
    if (micros <= within + slackMicros) inTime += 1;
    if (micros < floor) belowFloor += 1;
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
      const rank = Math.ceil((percent * count) / 100);
      const now = { source: 'testbed', micros: end.micros };
      const told = (): string =>
        `p50 ${describeMicros(times.percentile(50))}, p95 ${describeMicros(times.percentile(95))}, p99 ${describeMicros(times.percentile(99))}, longest ${describeMicros(max)}.`;
      ledger.expect(
        inTime >= rank,
        now,
        () =>
          `${inTime} of ${count} times of ${name} were within ${describeBudget(within, slackMicros)}; ${percent} % had to be. ${told()}`,
      );
      if (floor > 0)
        // A floor says that a fault cost something: where it did not, the run tested nothing, and the platform did nothing wrong.
        ledger.expectByEnd(
          belowFloor < rank,
          end,
          () =>
            `Nothing made ${name} slow: ${belowFloor} of ${count} times were below ${describeMicros(floor)}, and fewer than ${rank} may be. ${told()}`,
        );
    },
  );
}

export const BUDGET: GoalDefinition = {
  meaning: 'A percentile of a named time is within a limit, or not below a floor.',
  required: { of: 'text' },
  optional: { within: 'duration', above: 'duration', percentile: 'percent', where: 'fields', atLeast: 'count' },
  create: budget,
};
