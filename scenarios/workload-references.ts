// What is wrong with a workload that the schema lets through: events that cannot come, too many, or ones that nobody listens to.
import { matchesSubject } from '../system/domain/subject.ts';
import { passedMicros } from './curve.ts';
import { known, type Path, type Source } from './mistakes.ts';
import { TEMPLATE } from './publisher.ts';
import type { Scenario, WorkloadSpec } from './scenario.ts';

/** Events that a workload may publish. */
const EVENTS_MAX = 1_000_000;
/** What says how events are spread, which the times of a recording say already. */
const SPREAD = ['every', 'shape', 'burst', 'curve'] as const;

export function checkWorkload(source: Source, scenario: Scenario, zones: readonly string[]): void {
  const names = new Set<string>();
  const triggers = scenario.steps.flatMap((step) => (step.do === 'trigger' ? [step.spec] : []));
  scenario.workload.forEach((workload, i) => {
    const path: Path = ['workload', i];
    if (names.has(workload.name))
      source.mistake([...path, 'name'], `there are two workloads called '${workload.name}'; their events would have the same names`);
    names.add(workload.name);
    known(source, [...path, 'from'], 'zone', workload.from, zones);
    if (workload.startMicros >= workload.endMicros || workload.endMicros > scenario.durationMicros) {
      source.mistake([...path, 'end'], `expected start < end <= duration (${scenario.durationMicros / 1_000} ms)`);
    } else if (workload.trace !== null) {
      checkTrace(source, path, workload, workload.trace);
    } else {
      checkRate(source, path, workload);
    }
    for (const data of [workload.data, ...(workload.trace ?? []).map((event) => event.data ?? '')]) {
      for (const [written, , least, most] of data.matchAll(TEMPLATE)) {
        if (Number(least ?? 0) > Number(most ?? 0)) source.mistake([...path, 'data'], `the least of ${written} is larger than the most`);
      }
    }
    if (!triggers.some((trigger) => matchesSubject(trigger.subject, workload.subject))) {
      source.mistake(
        [...path, 'subject'],
        `no trigger listens to '${workload.subject}', so it would test nothing; expected one of: ${triggers.map((trigger) => trigger.subject).join(', ')}`,
      );
    }
  });
}

function checkTrace(source: Source, path: Path, { startMicros, endMicros }: WorkloadSpec, trace: NonNullable<WorkloadSpec['trace']>): void {
  for (const field of SPREAD) {
    if (source.has([...path, field]))
      source.mistake([...path, field], `a workload with a trace has its times from there; expected no '${field}'`);
  }
  const late = trace.findIndex(({ micros }, i) => micros < (trace[i - 1]?.micros ?? 0));
  if (late !== -1) source.mistake([...path, 'trace', late, 'at'], 'this is before the event above it; expected events in order of time');
  const lost = trace.findIndex(({ micros }) => startMicros + micros >= endMicros);
  if (lost === 0 || (lost > 0 && !source.has([...path, 'end']))) {
    source.mistake(
      [...path, 'trace', lost, 'at'],
      `this is ${(startMicros + (trace[lost]?.micros ?? 0)) / 1_000} ms from the start of the run, and the workload ends at ${endMicros / 1_000} ms; ` +
        (lost === 0 ? 'expected an event before that' : "say 'end' to leave out what comes later"),
    );
  }
}

function checkRate(source: Source, path: Path, workload: WorkloadSpec): void {
  const { startMicros, endMicros, everyMicros, shape, burstEvents, curve } = workload;
  if (!source.has([...path, 'every'])) return source.mistake(path, "expected 'every', the distance of two events, or a 'trace'");
  if (everyMicros === 0) return source.mistake([...path, 'every'], 'found no time between two events, expected more than 0');
  if (curve !== null && !checkCurve(source, path, curve)) return;
  const lengthMicros = endMicros - startMicros;
  const events =
    ((curve === null ? lengthMicros : passedMicros(curve, 0, lengthMicros)) / everyMicros) * (shape === 'burst' ? burstEvents : 1);
  if (events > EVENTS_MAX)
    source.mistake([...path, 'every'], `this publishes about ${Math.round(events)} events; at most ${EVENTS_MAX} are allowed`);
  // What has no curve has one at its start.
  else if (curve !== null && events < 1)
    source.mistake([...path, 'curve'], 'less than one event comes of this curve before the workload ends; expected a higher rate');
}

function checkCurve(source: Source, path: Path, { periodMicros, points }: NonNullable<WorkloadSpec['curve']>): boolean {
  const place = [...path, 'curve', 'points'];
  const wrong = points.findIndex(({ micros }, i) => (i === 0 ? micros !== 0 : micros <= (points[i - 1]?.micros ?? 0)));
  if (wrong !== -1)
    source.mistake(
      [...place, wrong, 'at'],
      wrong === 0 ? 'expected the first point at 0s' : 'expected a later time than that of the point above',
    );
  const outside = points.findIndex(({ micros }) => micros >= periodMicros);
  if (outside !== -1)
    source.mistake(
      [...place, outside, 'at'],
      `expected a time before the end of the period (${periodMicros / 1_000} ms), where the first point stands again`,
    );
  if (points.every(({ rate }) => rate === 0)) source.mistake(place, 'all rates are 0, so that no event would come; expected one above 0');
  return !source.faulty;
}
