// Goals about when: something happens in some run (`sometimes`), in none (`never`), or in time (`eventually`). What must stand
// throughout every run are the invariants.
import type { RunRecord } from '../record.ts';
import type { Scenario } from '../scenario.ts';
import { CONDITIONS, type Condition } from './conditions.ts';
import {
  countOf,
  describeBudget,
  describeMicros,
  goalOf,
  Ledger,
  machineOf,
  textOf,
  type Goal,
  type GoalDefinition,
  type GoalParameters,
} from './goal.ts';
import { recordSelector, selectorOf, whereOf } from './selector.ts';

/** Bound: occasions that wait for what must follow them; the oldest is given up, and then not judged. */
const OCCASIONS_MAX = 50_000;

/** Holds in every run, and says how often it happened: whether it did in any is for the campaign to say. */
function sometimes(parameters: GoalParameters): Goal {
  const { what, matches } = selectorOf(parameters);
  const least = countOf(parameters, 'atLeast', 1);
  const ledger = new Ledger('sometimes', `In some run ${what}${least === 1 ? '' : `, at least ${least} times`}.`);
  let times = 0;
  return goalOf(
    ledger,
    (record) => {
      if (!matches(record)) return;
      times += 1;
      if (times === least) ledger.figures['firstMicros'] = record.micros;
    },
    () => {
      ledger.reached = times >= least ? times : 0;
      ledger.checks = ledger.reached;
      ledger.figures['times'] = times;
    },
  );
}

function never(parameters: GoalParameters): Goal {
  const { what, matches } = selectorOf(parameters);
  const ledger = new Ledger('never', `It never happens that ${what}.`);
  return goalOf(
    ledger,
    (record) => {
      if (matches(record)) ledger.expect(false, record, () => `It happened that ${what}.`, machineOf(record));
    },
    // That nothing was found is what was to be checked.
    () => (ledger.checks += 1),
  );
}

function eventually(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  if (parameters['holds'] !== undefined) return eventuallyHolds(parameters, scenario, slackMicros);
  return parameters['after'] === undefined ? onceHealed(parameters, slackMicros) : afterEach(parameters, slackMicros);
}

/** A condition holds in time after the healing, and from then on. */
function eventuallyHolds(parameters: GoalParameters, scenario: Scenario, slackMicros: number): Goal {
  const name = textOf(parameters, 'holds');
  const within = countOf(parameters, 'within');
  const definition = CONDITIONS[name];
  const condition: Condition = definition?.create(scenario) ?? { observe: () => {}, missing: () => null };
  const ledger = new Ledger(
    'eventually',
    `Within ${describeBudget(within, slackMicros)} of the healing, and from then on, ${definition?.meaning ?? name}.`,
  );
  let healed: number | null = null;
  let holdsSince: number | null = null;
  const look = (record: { readonly source: string; readonly micros: number }): void => {
    if (healed === null) return;
    const missing = condition.missing();
    if (missing === null) holdsSince ??= record.micros;
    else {
      holdsSince = null;
      const late = record.micros - healed;
      if (late > within + slackMicros)
        ledger.expect(
          false,
          record,
          () =>
            `${missing.because} That was ${describeMicros(late)} after the healing; the limit is ${describeBudget(within, slackMicros)}.`,
          missing.machine,
        );
    }
  };
  return goalOf(
    ledger,
    (record) => {
      // What stood before this record stood until now.
      look(record);
      condition.observe(record);
      if (record.kind === 'run.phase' && record.fields.phase === 'quiet') healed = record.micros;
      look(record);
    },
    (end) => {
      ledger.expectByEnd(healed !== null, end, () => 'The run ended before its faults were healed.');
      const missing = condition.missing();
      ledger.expectByEnd(missing === null, end, () => missing?.because ?? '', missing?.machine ?? null);
      if (healed !== null && holdsSince !== null) ledger.figures['tookMicros'] = holdsSince - healed;
    },
  );
}

/** Something happens in time after the healing. */
function onceHealed(parameters: GoalParameters, slackMicros: number): Goal {
  const within = countOf(parameters, 'within');
  const { what, matches } = selectorOf(parameters);
  const ledger = new Ledger('eventually', `Within ${describeBudget(within, slackMicros)} of the healing ${what}.`);
  let healed: number | null = null;
  let done = false;
  return goalOf(
    ledger,
    (record) => {
      const isMatch = matches(record);
      if (record.kind === 'run.phase' && record.fields.phase === 'quiet') healed = record.micros;
      if (healed === null || done) return;
      const took = record.micros - healed;
      if (took > within + slackMicros) {
        done = true;
        ledger.expect(false, record, () => `Within ${describeBudget(within, slackMicros)} of the healing it did not happen that ${what}.`);
      } else if (isMatch) {
        done = true;
        ledger.checks += 1;
        ledger.figures['tookMicros'] = took;
      }
    },
    (end) => ledger.expectByEnd(done, end, () => `It did not happen after the healing that ${what}.`),
  );
}

/** After each record of one kind there is one of another in time; `same` names a field that both have with one value. */
function afterEach(parameters: GoalParameters, slackMicros: number): Goal {
  const within = countOf(parameters, 'within');
  const same = parameters['same'] === undefined ? null : textOf(parameters, 'same');
  const occasion = recordSelector(textOf(parameters, 'after'), whereOf(parameters, 'afterWhere'));
  const { what, matches } = selectorOf(parameters);
  const together = same === null ? '' : ` with the same ${same}`;
  const ledger = new Ledger('eventually', `Whenever ${occasion.what}, within ${describeBudget(within, slackMicros)} ${what}${together}.`);
  /** Since when each waits, oldest first. */
  const waiting = new Map<string, number>();
  const keyOf = (record: RunRecord): string => (same === null ? '' : String((record.fields as Readonly<Record<string, unknown>>)[same]));
  let microsMax = 0;
  let occasions = 0;
  const checkTimes = (now: { readonly source: string; readonly micros: number }): void => {
    for (const [key, since] of waiting) {
      if (now.micros - since <= within + slackMicros) return;
      waiting.delete(key);
      ledger.expect(
        false,
        now,
        () =>
          `${occasion.what}${same === null ? '' : ` (${same} ${key})`} at ${describeMicros(since)}, and within ${describeBudget(within, slackMicros)} it did not happen that ${what}${together}.`,
      );
    }
  };
  return goalOf(
    ledger,
    (record) => {
      checkTimes(record);
      if (matches(record)) {
        const since = waiting.get(keyOf(record));
        if (since !== undefined) {
          waiting.delete(keyOf(record));
          ledger.checks += 1;
          microsMax = Math.max(microsMax, record.micros - since);
        }
      }
      if (!occasion.matches(record)) return;
      occasions += 1;
      if (!waiting.has(keyOf(record))) waiting.set(keyOf(record), record.micros);
      if (waiting.size > OCCASIONS_MAX) waiting.delete(waiting.keys().next().value ?? '');
    },
    (end) => {
      // What still has time is not judged.
      checkTimes({ source: 'testbed', micros: end.micros });
      ledger.expectByEnd(occasions > 0, end, () => `It never happened that ${occasion.what}: there was nothing to follow.`);
      ledger.figures['microsMax'] = microsMax;
    },
  );
}

const SELECTION = { state: 'text', record: 'text', where: 'fields' } as const;

export const TEMPORAL: Readonly<Record<string, GoalDefinition>> = {
  sometimes: {
    meaning: 'It happens in some run of a campaign.',
    required: {},
    optional: { ...SELECTION, atLeast: 'count' },
    create: sometimes,
  },
  never: {
    meaning: 'It happens in no run.',
    required: {},
    optional: SELECTION,
    create: never,
  },
  eventually: {
    meaning: 'It holds, or happens, in time.',
    required: { within: 'duration' },
    optional: { holds: 'text', ...SELECTION, after: 'text', afterWhere: 'fields', same: 'text' },
    create: eventually,
  },
};
