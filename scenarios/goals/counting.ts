// Goals that count records: what must be refused so often, and what must happen so often and no more.
import type { RunRecord } from '../record.ts';
import { countOf, goalOf, Ledger, machineOf, textOf, type Goal, type GoalParameters } from './goal.ts';

/** At least so many pushes were refused with this code. */
export function refused(parameters: GoalParameters): Goal {
  const code = textOf(parameters, 'code');
  const least = countOf(parameters, 'atLeast', 1);
  return counting(
    'refused',
    `At least ${least} module${least === 1 ? ' is' : 's are'} refused with ${code}, and the refusal is on record.`,
    least,
    (record) => record.kind === 'module.refused' && record.fields.code === code,
    (n) => `${n} refusals with ${code} are on record, and ${least} were due.`,
  );
}

/** Agents refused at least so many artefacts with this code. */
export function artefactRefused(parameters: GoalParameters): Goal {
  const code = textOf(parameters, 'code');
  const least = countOf(parameters, 'atLeast', 1);
  return counting(
    'artefact-refused',
    `At least ${least} artefact${least === 1 ? ' is' : 's are'} refused by an agent with ${code} before anything is loaded.`,
    least,
    (record) => record.kind === 'artefact.refused' && record.fields.code === code,
    (n) => `${n} artefacts were refused by agents with ${code}, and ${least} were due: an agent did not check.`,
  );
}

/** Guests were refused at least so many operations. */
export function capabilityRefused(parameters: GoalParameters): Goal {
  const operation = textOf(parameters, 'operation');
  const least = countOf(parameters, 'atLeast', 1);
  return counting(
    'capability-refused',
    `${operation} is refused at least ${times(least)} to guests that have no capability for it.`,
    least,
    (record) => record.kind === 'capability.refused' && record.fields.operation === operation,
    (n) => `${operation} was refused ${times(n)}, and ${least} were due.`,
  );
}

/** A record of this kind, whose field has this value, is written at least and at most so often. */
export function happens(parameters: GoalParameters): Goal {
  const kind = textOf(parameters, 'record');
  const field = parameters['field'] === undefined ? null : textOf(parameters, 'field');
  const value = parameters['value'];
  const least = countOf(parameters, 'atLeast', 0);
  const most = countOf(parameters, 'atMost', Number.MAX_SAFE_INTEGER);
  const what = field === null ? kind : `${kind} with ${field} ${String(value)}`;
  const bounds =
    most === Number.MAX_SAFE_INTEGER ? `at least ${times(least)}` : least === 0 ? `at most ${times(most)}` : `${least} to ${times(most)}`;
  const ledger = new Ledger('happens', `${what} happens ${bounds}.`);
  let n = 0;
  return goalOf(
    ledger,
    (record) => {
      if (record.kind !== kind) return;
      if (field !== null && String((record.fields as Readonly<Record<string, unknown>>)[field]) !== String(value)) return;
      n += 1;
      ledger.expect(n <= most, record, () => `${what} happened ${times(n)}; at most ${most} are allowed.`, machineOf(record));
    },
    (end) => {
      ledger.expectByEnd(n >= least, end, () => `${what} happened ${times(n)}; at least ${least} were due.`);
      ledger.figures['times'] = n;
    },
  );
}

function counting(
  name: string,
  claim: string,
  least: number,
  matches: (record: RunRecord) => boolean,
  because: (n: number) => string,
): Goal {
  const ledger = new Ledger(name, claim);
  let n = 0;
  return goalOf(
    ledger,
    (record) => {
      if (matches(record)) n += 1;
    },
    (end) => {
      ledger.expectByEnd(n >= least, end, () => because(n));
      ledger.figures['times'] = n;
    },
  );
}

function times(n: number): string {
  return `${n} time${n === 1 ? '' : 's'}`;
}
