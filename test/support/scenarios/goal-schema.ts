// The part of scenarios/schema.json about goals, made of the goals that there are: what editors complete and underline.
import { CLAIMS, CONDITIONS, DURATIONS, STATE_NAMES } from '../../../scenarios/goals/goals.ts';

type Json = Readonly<Record<string, unknown>>;

const VALUE = { type: ['string', 'number', 'boolean'] };

/** Parameters that are names of something; everything else follows from the kind. */
const NAMED: Readonly<Record<string, Json>> = {
  record: { $ref: '#/$defs/recordKind' },
  after: { $ref: '#/$defs/recordKind' },
  state: { $ref: '#/$defs/state' },
  holds: { enum: Object.keys(CONDITIONS) },
  of: { enum: Object.keys(DURATIONS) },
};

const KINDS: Readonly<Record<string, Json>> = {
  duration: { $ref: '#/$defs/duration' },
  count: { type: 'integer', minimum: 0 },
  percent: { type: 'integer', minimum: 1, maximum: 100 },
  name: VALUE,
  text: VALUE,
  fields: { type: 'object', additionalProperties: VALUE, minProperties: 1 },
};

/** Definitions by name, as they stand in `$defs`. */
export function goalDefinitions(): Readonly<Record<string, Json>> {
  const definitions: Record<string, Json> = {
    recordKind: { description: 'A kind of record, such as node.status.', type: 'string' },
    state: { description: 'A named state of a run.', enum: STATE_NAMES },
  };
  for (const [name, { meaning, required, optional }] of Object.entries(CLAIMS)) {
    const parameters = Object.entries({ ...required, ...optional });
    definitions[`goal-${name}`] = {
      description: meaning,
      type: Object.keys(required).length === 0 ? ['object', 'null'] : 'object',
      properties: Object.fromEntries(parameters.map(([parameter, kind]) => [parameter, NAMED[parameter] ?? KINDS[kind]])),
      ...(Object.keys(required).length === 0 ? {} : { required: Object.keys(required) }),
      additionalProperties: false,
    };
  }
  return definitions;
}

/** `properties` of the items of `goals`. */
export function goalProperties(): Readonly<Record<string, Json>> {
  return Object.fromEntries(Object.keys(CLAIMS).map((name) => [name, { $ref: `#/$defs/goal-${name}` }]));
}
