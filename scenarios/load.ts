// A scenario file to the one typed value: shape by the schema, then every default, unit and name. Either the whole file is
// right or all its mistakes come back with their places (H2.1). Pure: reading files is for the caller.
import { ok, type Outcome } from '../system/domain/outcome.ts';
import type { Subject, SubjectFilter, ZonePath } from '../system/domain/identifiers.ts';
import { resolveFleet, type FleetLibrary } from './fleet.ts';
import { CLAIMS } from './goals/goals.ts';
import { kindOf, SCENARIO, Source, type SourceKind } from './mistakes.ts';
import { checkReferences } from './references.ts';
import type { GoalSpec, PlatformSpec, RateCurve, Scenario, StepSpec, TracedEvent, WorkloadSpec } from './scenario.ts';
import { checkScenarioShape, isRecord } from './shape.ts';
import { resolveStep } from './steps.ts';
import { parseDuration } from './units.ts';

export type { FleetLibrary } from './fleet.ts';

export const SCENARIO_SUFFIX = '.scenario.yaml';
const QUIET_MICROS = 12_000_000;
const ATTEMPTS_MAX = 100;
const BURST_EVENTS = 10;
/** Said where names, times and amounts have no meaning yet. */
const LEFT = 'further checks, as of names and times, were not made until these are mended';

type Fields = Readonly<Record<string, unknown>>;

export type LoadOptions = Pick<SourceKind, 'toldMax' | 'onMistakes'> & {
  /** Names of the example guests that there are; without it any name is taken, and refused when it is played. */
  readonly examples?: readonly string[];
};

export function loadScenario(
  written: { readonly file: string; readonly text: string },
  library: FleetLibrary,
  { examples, ...telling }: LoadOptions = {},
): Outcome<Scenario> {
  const kind: SourceKind = { ...SCENARIO, ...telling };
  const source = new Source(written.file, written.text, kind);
  if (source.faulty) return source.error();
  const value = source.value();
  if (!isRecord(value)) {
    const fields = 'question, requirements, duration, fleet, steps and goals';
    const empty = value === null || value === undefined;
    source.mistake(
      [],
      empty ? `the file is empty; expected a scenario with ${fields}` : `found ${kindOf(value)}, expected a map with ${fields}`,
    );
    return source.error();
  }
  if (!checkScenarioShape(source, value)) return source.error(LEFT);
  const files: Source[] = [];
  const fleet = resolveFleet(source, value['fleet'], library, (file, text) => {
    const used = new Source(file, text, kind);
    files.push(used);
    return used;
  });
  for (const file of files) if (file.faulty) return file.error(LEFT);
  if (fleet === null) return source.error(LEFT);
  const durationMicros = parseDuration(String(value['duration'])) ?? 0;
  const steps = list(value['steps']).map((step, i) => resolveStep(source, step, ['steps', i]));
  const scenario: Scenario = {
    name: nameOf(written.file),
    file: written.file,
    question: String(value['question']),
    description: String(value['description'] ?? '').trim(),
    requirements: words(value['requirements']),
    tags: words(value['tags']),
    fleet,
    platform: platformOf(source, isRecord(value['platform']) ? value['platform'] : {}),
    steps: steps.filter((step): step is StepSpec => step !== null),
    workload: list(value['workload']).map((workload) => workloadOf(workload, durationMicros)),
    observe: words(value['observe']) as readonly SubjectFilter[],
    observeState: words(value['observeState']),
    goals: list(value['goals']).flatMap(goalsOf),
    durationMicros,
    quietMicros: typeof value['quiet'] === 'string' ? (parseDuration(value['quiet']) ?? 0) : QUIET_MICROS,
  };
  checkReferences(source, scenario, examples ?? null);
  return source.faulty ? source.error() : ok(scenario);
}

/** File name without folder and ending: the name a scenario is run by. */
export function nameOf(file: string): string {
  const base = file.slice(file.lastIndexOf('/') + 1);
  return base.endsWith(SCENARIO_SUFFIX) ? base.slice(0, -SCENARIO_SUFFIX.length) : base.replace(/\.ya?ml$/, '');
}

/** Of a platform of which nothing is said. */
export const HEARTBEAT_MS = 500;

function platformOf(source: Source, fields: Fields): PlatformSpec {
  const millis = (name: string, fallback: number): number =>
    typeof fields[name] === 'string' ? Math.round((parseDuration(fields[name]) ?? 0) / 1_000) : fallback;
  const platform: PlatformSpec = {
    heartbeatIntervalMs: millis('heartbeat', HEARTBEAT_MS),
    suspectAfterMs: millis('suspect', 1_500),
    unavailableAfterMs: millis('unavailable', 3_000),
    leaseMs: millis('lease', 2_500),
    queueEventsMax: typeof fields['queue'] === 'number' ? fields['queue'] : 1_000,
  };
  const none = ['heartbeat', 'suspect', 'unavailable', 'lease'].filter((name) => millis(name, 1) === 0);
  for (const name of none) source.mistake(['platform', name], `found ${JSON.stringify(fields[name])}, expected 1ms or more`);
  if (none.length > 0) return platform;
  if (platform.leaseMs >= platform.unavailableAfterMs) {
    source.mistake(
      ['platform', 'lease'],
      `a lease of ${platform.leaseMs} ms must lapse before a node is unavailable (${platform.unavailableAfterMs} ms)`,
    );
  }
  if (platform.suspectAfterMs >= platform.unavailableAfterMs || platform.heartbeatIntervalMs >= platform.suspectAfterMs) {
    source.mistake(['platform'], 'expected heartbeat < suspect < unavailable');
  }
  return platform;
}

function workloadOf(fields: Fields, durationMicros: number): WorkloadSpec {
  return {
    name: String(fields['name']),
    subject: String(fields['subject']) as Subject,
    from: String(fields['from']) as ZonePath,
    startMicros: typeof fields['start'] === 'string' ? (parseDuration(fields['start']) ?? 0) : 0,
    endMicros: typeof fields['end'] === 'string' ? (parseDuration(fields['end']) ?? 0) : durationMicros,
    everyMicros: parseDuration(String(fields['every'])) ?? 0,
    curve: isRecord(fields['curve']) ? curveOf(fields['curve']) : null,
    trace: Array.isArray(fields['trace']) ? list(fields['trace']).map(tracedEventOf) : null,
    shape: (fields['shape'] as WorkloadSpec['shape'] | undefined) ?? 'steady',
    burstEvents: typeof fields['burst'] === 'number' ? fields['burst'] : BURST_EVENTS,
    data: typeof fields['data'] === 'string' ? fields['data'] : '{n}',
    attemptsMax: typeof fields['attempts'] === 'number' ? fields['attempts'] : ATTEMPTS_MAX,
  };
}

function curveOf(fields: Fields): RateCurve {
  const points = list(fields['points']).map((point) => ({ micros: parseDuration(String(point['at'])) ?? 0, rate: Number(point['rate']) }));
  return { periodMicros: parseDuration(String(fields['period'])) ?? 0, points };
}

function tracedEventOf(fields: Fields): TracedEvent {
  return { micros: parseDuration(String(fields['at'])) ?? 0, data: typeof fields['data'] === 'string' ? fields['data'] : null };
}

function goalsOf(fields: Fields): readonly GoalSpec[] {
  return Object.entries(fields).map(([goal, given]) => {
    const kinds = { ...CLAIMS[goal]?.required, ...CLAIMS[goal]?.optional };
    const parameters: Record<string, GoalSpec['parameters'][string]> = {};
    for (const [name, value] of Object.entries(isRecord(given) ? given : {})) {
      parameters[name] = kinds[name] === 'duration' ? (parseDuration(String(value)) ?? 0) : (value as GoalSpec['parameters'][string]);
    }
    return { goal, parameters };
  });
}

function list(value: unknown): readonly Fields[] {
  return Array.isArray(value) ? value.filter(isRecord) : [];
}

function words(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
