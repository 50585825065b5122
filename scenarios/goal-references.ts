// What goals refer to must exist: a record that nobody writes, a field that it does not have, or a state that nobody knows would
// be looked for in every run and found in none.
import { isRecordKind, RECORD_FIELDS } from '../system/domain/record-fields.ts';
import { isSubjectFilter, matchesSubject } from '../system/domain/subject.ts';
import { CONDITIONS, DURATIONS, STATE_NAMES } from './goals/goals.ts';
import { known, suggest, type Path, type Source } from './mistakes.ts';
import type { GoalSpec, Scenario } from './scenario.ts';
import { isRecord } from './shape.ts';

type Parameters = GoalSpec['parameters'];

/** `path` ends with the goal's name. */
export function checkGoalReferences(source: Source, scenario: Scenario, { goal, parameters }: GoalSpec, path: Path): void {
  switch (goal) {
    case 'answered':
      return checkAnswered(source, scenario, parameters, path);
    case 'happens':
      return checkHappens(source, parameters, path);
    case 'sometimes':
      if (parameters['atLeast'] === 0) source.mistake([...path, 'atLeast'], 'found 0, expected 1 or more');
      exactlyOne(source, parameters, ['state', 'record'], goal, path);
      return checkSelection(source, parameters, path);
    case 'never':
      exactlyOne(source, parameters, ['state', 'record'], goal, path);
      return checkSelection(source, parameters, path);
    case 'eventually':
      exactlyOne(source, parameters, ['holds', 'state', 'record'], goal, path);
      return checkEventually(source, parameters, path);
    case 'budget':
      return checkBudget(source, parameters, path);
    default:
  }
}

/** The goal counts what workloads publish: what guests publish has no time that it is counted from. */
function checkAnswered(source: Source, { workload }: Scenario, parameters: Parameters, path: Path): void {
  const subject = String(parameters['subject']);
  if (!isSubjectFilter(subject))
    return source.mistake([...path, 'subject'], `found '${subject}', expected a subject filter such as sensors.>`);
  if (workload.some((one) => matchesSubject(subject, one.subject))) return;
  const subjects = [...new Set(workload.map((one) => one.subject as string))];
  source.mistake(
    [...path, 'subject'],
    `no workload publishes on '${subject}', so nothing would be answered; ${suggest(subject, subjects)}`,
  );
}

function checkHappens(source: Source, parameters: Parameters, path: Path): void {
  const { field } = parameters;
  checkRecord(source, parameters, 'record', path);
  checkField(source, parameters, 'record', 'field', path);
  if ((field === undefined) !== (parameters['value'] === undefined))
    source.mistake(path, `the goal 'happens' has ${field === undefined ? 'a value of no field' : 'a field without its value'}`);
}

function checkSelection(source: Source, parameters: Parameters, path: Path): void {
  const { state } = parameters;
  if (state !== undefined) known(source, [...path, 'state'], 'state', String(state), STATE_NAMES);
  checkRecord(source, parameters, 'record', path);
  checkWhere(source, parameters, 'record', 'where', path);
}

function checkEventually(source: Source, parameters: Parameters, path: Path): void {
  const { holds } = parameters;
  if (holds !== undefined) {
    known(source, [...path, 'holds'], 'condition', String(holds), Object.keys(CONDITIONS));
    if (parameters['after'] !== undefined)
      source.mistake([...path, 'after'], `a condition holds from the healing on; 'after' is for what happens`, 'key');
  }
  checkSelection(source, parameters, path);
  checkRecord(source, parameters, 'after', path);
  checkWhere(source, parameters, 'after', 'afterWhere', path);
  const { same } = parameters;
  if (same === undefined) return;
  if (parameters['after'] === undefined || parameters['record'] === undefined)
    return source.mistake([...path, 'same'], `'same' compares a field of 'after' with one of 'record', and needs both`, 'key');
  checkField(source, parameters, 'record', 'same', path);
  checkField(source, parameters, 'after', 'same', path);
}

function checkBudget(source: Source, parameters: Parameters, path: Path): void {
  const name = String(parameters['of']);
  const definition = DURATIONS[name];
  if (definition === undefined) return known(source, [...path, 'of'], 'duration', name, Object.keys(DURATIONS));
  const { within, above } = parameters;
  if (within === undefined && above === undefined)
    source.mistake(path, `the goal 'budget' needs 'within' or 'above', and has none of them`, 'key');
  else if (above === 0) source.mistake([...path, 'above'], 'found 0, expected a time that something may take');
  else if (typeof within === 'number' && typeof above === 'number' && above > within)
    source.mistake([...path, 'above'], `no time is both within 'within' and above 'above'`);
  else if (above !== undefined && parameters['atLeast'] === 0)
    source.mistake([...path, 'atLeast'], 'found 0, expected 1 or more: where nothing is measured, nothing is below a floor either');
  checkFields(source, parameters, Object.keys(RECORD_FIELDS[definition.ends]), 'where', path);
}

function exactlyOne(source: Source, parameters: Parameters, names: readonly string[], goal: string, path: Path): void {
  const given = names.filter((name) => parameters[name] !== undefined);
  if (given.length === 1) return;
  const listed = names.map((name) => `'${name}'`).join(' or ');
  source.mistake(
    path,
    `the goal '${goal}' needs either ${listed}, and has ${given.length === 0 ? 'none of them' : given.join(' and ')}`,
    'key',
  );
}

function checkRecord(source: Source, parameters: Parameters, kind: string, path: Path): void {
  const record = parameters[kind];
  if (record !== undefined && !isRecordKind(String(record)))
    known(source, [...path, kind], 'record', String(record), Object.keys(RECORD_FIELDS));
}

/** The parameter `name` names a field of the record that `kind` names. */
function checkField(source: Source, parameters: Parameters, kind: string, name: string, path: Path): void {
  const fields = fieldsOf(parameters, kind);
  if (fields !== null && parameters[name] !== undefined) known(source, [...path, name], 'field', String(parameters[name]), fields);
}

function checkWhere(source: Source, parameters: Parameters, kind: string, name: string, path: Path): void {
  if (parameters[name] !== undefined && parameters[kind] === undefined)
    return source.mistake([...path, name], `'${name}' chooses among the records that '${kind}' names, and there is no '${kind}'`, 'key');
  const fields = fieldsOf(parameters, kind);
  if (fields !== null) checkFields(source, parameters, fields, name, path);
}

function checkFields(source: Source, parameters: Parameters, fields: readonly string[], name: string, path: Path): void {
  const where = parameters[name];
  if (!isRecord(where)) return;
  for (const field of Object.keys(where)) known(source, [...path, name, field], 'field', field, fields, 'key');
}

/** Null when no record is named, or one that does not exist. */
function fieldsOf(parameters: Parameters, kind: string): readonly string[] | null {
  const record = parameters[kind];
  return record !== undefined && isRecordKind(String(record))
    ? Object.keys(RECORD_FIELDS[String(record) as keyof typeof RECORD_FIELDS])
    : null;
}
