// What a goal looks for in a record: a kind of record with values in its fields, or a named state of the run.
import type { RunRecord } from '../record.ts';
import type { GoalValue } from '../scenario.ts';
import { textOf, type GoalParameters } from './goal.ts';
import { isState, STATES, StateWatch } from './states.ts';

/** Fields and the values that they must have. Numbers and truth are compared as they are written. */
export type Where = Readonly<Record<string, GoalValue>>;

export type Selector = {
  /** In words: `node.status with to unavailable is written`, `a lease lapses while …`. */
  readonly what: string;
  /** Of every record of the run, in order, exactly once. */
  readonly matches: (record: RunRecord) => boolean;
};

/** By `state`, or by `record` and `where`. */
export function selectorOf(parameters: GoalParameters): Selector {
  return parameters['state'] === undefined
    ? recordSelector(textOf(parameters, 'record'), whereOf(parameters, 'where'))
    : stateSelector(textOf(parameters, 'state'));
}

export function recordSelector(kind: string, where: Where): Selector {
  const fields = Object.entries(where);
  const values = fields.map(([field, value]) => `${field} ${String(value)}`).join(' and ');
  return {
    what: `${kind}${values === '' ? '' : ` with ${values}`} is written`,
    matches: (record) => record.kind === kind && hasValues(record, where),
  };
}

export function whereOf(parameters: GoalParameters, name: string): Where {
  const value = parameters[name];
  return typeof value === 'object' ? value : {};
}

export function hasValues(record: RunRecord, where: Where): boolean {
  const fields = record.fields as Readonly<Record<string, unknown>>;
  return Object.entries(where).every(([field, value]) => String(fields[field]) === String(value));
}

function stateSelector(name: string): Selector {
  const watch = new StateWatch();
  return {
    what: isState(name) ? STATES[name] : name,
    matches: (record) => watch.next(record).some((state) => state === name),
  };
}
