// Holds a parsed file against schema.json and says each mistake in words. Steps and goals are told apart by the field that
// names them, so that a mistake in a step speaks of that step and not of all the steps that it is not.
import { Ajv2020, type ErrorObject, type ValidateFunction } from 'ajv/dist/2020.js';
import schema from './schema.json' with { type: 'json' };
import { CLAIMS, type ParameterKind } from './goals/goals.ts';
import { nearest, suggest, type Path, type Source } from './mistakes.ts';
import { parseDuration } from './units.ts';

const STEP_PREFIX = 'step-';
export const STEP_KINDS: readonly string[] = Object.keys(schema.$defs)
  .filter((name) => name.startsWith(STEP_PREFIX))
  .map((name) => name.slice(STEP_PREFIX.length));

type Checks = { readonly check: (definition: string) => ValidateFunction };

let compiledChecks: Checks | null = null;

/** Compiling the schema takes longer than holding a file against it: once is enough. */
function checksOf(): Checks {
  return (compiledChecks ??= createChecks());
}

function createChecks(): Checks {
  const ajv = new Ajv2020({ allErrors: true, strict: false, verbose: true });
  ajv.addSchema(schema);
  const compiled = new Map<string, ValidateFunction>();
  return {
    check(definition) {
      const reference = `wasmmatrix:scenario${definition}`;
      const known = compiled.get(reference) ?? ajv.compile({ $ref: reference });
      compiled.set(reference, known);
      return known;
    },
  };
}

/** Notes every mistake of shape; true when there was none. */
export function checkScenarioShape(source: Source, value: unknown): boolean {
  const checks = checksOf();
  run(source, checks.check(''), value, [], ['steps', 'goals', 'fleet']);
  if (!isRecord(value)) return false;
  if (Array.isArray(value['steps'])) value['steps'].forEach((step: unknown, i) => checkStep(source, checks, step, ['steps', i]));
  if (Array.isArray(value['goals'])) value['goals'].forEach((goal: unknown, i) => checkGoal(source, goal, ['goals', i]));
  const fleet = value['fleet'];
  if (typeof fleet === 'string') run(source, checks.check('#/$defs/name'), fleet, ['fleet'], []);
  else if (isRecord(fleet)) run(source, checks.check('#/$defs/fleet'), fleet, ['fleet'], []);
  else if (fleet !== undefined) source.mistake(['fleet'], 'expected the name of a fleet, or a fleet with zones and nodes');
  return !source.faulty;
}

export function checkFleetShape(source: Source, value: unknown): boolean {
  run(source, checksOf().check('#/$defs/fleet'), value, [], []);
  return !source.faulty;
}

/** An entry of a manifest is a step without a time: the fields, kinds and words are those of scenarios. */
export function checkManifestEntry(source: Source, entry: unknown, path: Path, kinds: readonly string[]): boolean {
  if (!isRecord(entry)) {
    source.mistake(path, `expected an entry that begins with ${kinds.map((kind) => `'${kind}'`).join(' or ')}`);
    return false;
  }
  const timed = ['at', 'between'].find((name) => name in entry);
  if (timed !== undefined) {
    source.mistake([...path, timed], `a manifest is applied at once and knows no '${timed}'; remove it`, 'key');
    return false;
  }
  const kind = kinds.find((name) => name in entry);
  if (kind === undefined) {
    const odd = Object.keys(entry)[0] ?? '';
    source.mistake([...path, odd], `'${odd}' begins no entry; ${suggest(odd, kinds)}`, 'key');
    return false;
  }
  run(source, checksOf().check(`#/$defs/${STEP_PREFIX}${kind}`), { at: '0s', ...entry }, path, []);
  return true;
}

function checkStep(source: Source, checks: Checks, step: unknown, path: Path): void {
  if (!isRecord(step)) return source.mistake(path, `expected a step: one of ${STEP_KINDS.join(', ')}, with at: or between:`);
  const kinds = STEP_KINDS.filter((kind) => kind in step);
  // `drain`, `latency` and `loss` name steps only where no other step takes them as a field.
  const kind = kinds[0];
  if (kind === undefined) {
    const odd = Object.keys(step).find((key) => !['at', 'between', 'for'].includes(key)) ?? '';
    return source.mistake([...path, odd], `'${odd}' is no step; ${suggest(odd, STEP_KINDS)}`, 'key');
  }
  run(source, checks.check(`#/$defs/${STEP_PREFIX}${kind}`), step, path, []);
}

function checkGoal(source: Source, goal: unknown, path: Path): void {
  if (!isRecord(goal)) return source.mistake(path, `expected a goal with its parameters; ${suggest('', Object.keys(CLAIMS))}`);
  const names = Object.keys(goal);
  if (names.length !== 1)
    source.mistake(path, `expected one goal with its parameters, found ${names.length === 0 ? 'none' : names.join(' and ')}`);
  for (const [name, given] of Object.entries(goal)) {
    const definition = CLAIMS[name];
    if (definition === undefined) {
      source.mistake([...path, name], `'${name}' is no goal; ${suggest(name, Object.keys(CLAIMS))}`, 'key');
      continue;
    }
    const parameters = isRecord(given) ? given : {};
    const kinds = { ...definition.required, ...definition.optional };
    for (const required of Object.keys(definition.required)) {
      if (!(required in parameters)) source.mistake([...path, name], `the goal '${name}' needs '${required}'`, 'key');
    }
    for (const [parameter, value] of Object.entries(parameters)) {
      const kind = kinds[parameter];
      if (kind === undefined)
        source.mistake(
          [...path, name, parameter],
          `the goal '${name}' has no '${parameter}'; ${suggest(parameter, Object.keys(kinds))}`,
          'key',
        );
      else if (!fits(kind, value)) source.mistake([...path, name, parameter], `found ${show(value)}, expected ${EXPECTED[kind]}`);
    }
  }
}

const EXPECTED: Readonly<Record<ParameterKind, string>> = {
  duration: 'a duration such as 250ms, 2s or 1m',
  count: 'a whole number, 0 or more',
  percent: 'a whole number from 1 to 100',
  name: 'a name',
  text: 'a text',
  fields: 'fields with their values, such as { to: unavailable }',
};

function fits(kind: ParameterKind, value: unknown): boolean {
  switch (kind) {
    case 'duration':
      return typeof value === 'string' && parseDuration(value) !== null;
    case 'count':
      return Number.isSafeInteger(value) && Number(value) >= 0;
    case 'percent':
      return Number.isSafeInteger(value) && Number(value) >= 1 && Number(value) <= 100;
    case 'name':
    case 'text':
      return isScalar(value);
    case 'fields':
      return isRecord(value) && Object.keys(value).length > 0 && Object.values(value).every(isScalar);
  }
}

function isScalar(value: unknown): boolean {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean';
}

function run(source: Source, check: ValidateFunction, value: unknown, base: Path, except: readonly string[]): void {
  if (check(value)) return;
  const errors = check.errors ?? [];
  for (const error of errors) {
    const path = [...base, ...pointerOf(error.instancePath)];
    if (
      base.length === 0 &&
      except.includes(String(path[0])) &&
      path.length > (error.keyword === 'type' || error.keyword === 'minItems' ? 1 : 0)
    ) {
      if (path.length > 1 || !['type', 'minItems'].includes(error.keyword)) continue;
    }
    // The branches of a choice that did not fit say nothing that the choice itself does not.
    if (
      errors.some(
        (other) =>
          (other.keyword === 'oneOf' || other.keyword === 'anyOf') &&
          other !== error &&
          (error.schemaPath.startsWith(`${other.schemaPath}/`) || isBranchOf(error, other)),
      )
    )
      continue;
    describe(source, error, path);
  }
}

function describe(source: Source, error: ErrorObject, path: Path): void {
  const { params } = error;
  switch (error.keyword) {
    case 'additionalProperties': {
      const field = String(params['additionalProperty']);
      const names = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
      return source.mistake([...path, field], `unknown field '${field}'; ${suggest(field, names)}`, 'key');
    }
    case 'required':
      return source.mistake(path, `'${String(params['missingProperty'])}' is missing`);
    case 'enum':
      return source.mistake(
        path,
        `found ${show(error.data)}; ${suggest(String(error.data), (params['allowedValues'] as readonly unknown[]).map(String))}`,
      );
    case 'pattern':
    case 'type':
    case 'oneOf':
    case 'const':
      if (error.keyword === 'oneOf' && isRecord(error.data) && path.length <= 2 && path[0] === 'steps') {
        return source.mistake(path, `a step needs either 'at' or 'between'${'at' in error.data ? ', and has both' : ''}`);
      }
      return source.mistake(path, `found ${show(error.data)}${wanted(error)}`);
    case 'minimum':
      return source.mistake(path, `found ${show(error.data)}, expected ${params['limit']} or more`);
    case 'maximum':
      return source.mistake(path, `found ${show(error.data)}, expected at most ${params['limit']}`);
    case 'minItems':
      return source.mistake(path, `found ${show(error.data)}, expected at least ${params['limit']} in the list`);
    case 'maxItems':
      return source.mistake(path, `found ${show(error.data)}, expected at most ${params['limit']} in the list`);
    case 'uniqueItems':
      return source.mistake(path, `found ${show(error.data)}, expected no value twice`);
    default:
      return source.mistake(path, `found ${show(error.data)}: ${error.message ?? error.keyword}`);
  }
}

type Described = {
  readonly description?: string;
  readonly type?: string | readonly string[];
  readonly $ref?: string;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
};

const DEFINITIONS = schema.$defs as Readonly<Record<string, Described>>;
const TYPES: Readonly<Record<string, string>> = { integer: 'a whole number', number: 'a number', boolean: 'true or false' };

/** `, expected …`, or `; did you mean …?` where the value is nearly a word that the field knows. */
function wanted(error: ErrorObject): string {
  const choices = scalarChoices(error);
  const words = (choices ?? []).flatMap((choice) => choice.enum ?? (choice.const === undefined ? [] : [choice.const])).map(String);
  const meant = typeof error.data === 'string' ? nearest(error.data, words) : null;
  if (meant !== null) return `; did you mean '${meant}'?`;
  const all = choices?.map((choice) => {
    if (choice.$ref !== undefined) return inSentence(definitionOf(choice.$ref)?.description ?? 'something else');
    if (typeof choice.type === 'string') return TYPES[choice.type] ?? choice.type;
    return (choice.enum ?? [choice.const]).map((word) => `'${String(word)}'`).join(', ');
  });
  return `, expected ${all === undefined ? expectation(error) : all.join(', or ')}`;
}

/** What a field wants, in the words of the schema's own descriptions. */
function expectation(error: ErrorObject): string {
  const parent = error.parentSchema as Described | undefined;
  const type = typeof parent?.type === 'string' ? parent.type : null;
  const named = error.keyword === 'type' && type !== null ? TYPES[type] : undefined;
  if (named !== undefined) return typeof error.data === 'string' && readsAs(error.data, type) ? `${named}, without quotes` : named;
  return inSentence(parent?.description ?? (type === null ? 'something else' : `a value of type ${type}`));
}

/** Whether a quoted text would be of the type without its quotes. */
function readsAs(text: string, type: string | null): boolean {
  if (type === 'boolean') return text === 'true' || text === 'false';
  return (type === 'integer' ? /^-?\d+$/ : /^-?\d+(\.\d+)?$/).test(text);
}

function inSentence(text: string): string {
  return text.charAt(0).toLowerCase() + text.slice(1).replace(/\.$/, '');
}

/** The branches of a choice between words, numbers and texts; null for any other. */
function scalarChoices({ keyword, schema: choices }: ErrorObject): readonly Described[] | null {
  if (keyword !== 'oneOf' || !Array.isArray(choices)) return null;
  const branches = choices as readonly Described[];
  const isScalarBranch = (branch: Described): boolean =>
    branch.const !== undefined ||
    branch.enum !== undefined ||
    ['string', 'integer'].includes(String((definitionOf(branch.$ref) ?? branch).type));
  return branches.every(isScalarBranch) ? branches : null;
}

function definitionOf(reference: string | undefined): Described | undefined {
  return reference === undefined ? undefined : DEFINITIONS[reference.slice(reference.lastIndexOf('/') + 1)];
}

/** Whether the error is of a definition that a choice between words, numbers and texts refers to. */
function isBranchOf(error: ErrorObject, choice: ErrorObject): boolean {
  return (
    error.instancePath === choice.instancePath &&
    (scalarChoices(choice) ?? []).some(({ $ref }) => $ref !== undefined && error.schemaPath.includes(`${$ref}/`))
  );
}

function show(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

function pointerOf(pointer: string): Path {
  if (pointer === '') return [];
  return pointer
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
