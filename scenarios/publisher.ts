// The publishers of a run: each workload's events at their times, repeated under the same identifier while the broker is full
// or out of reach. Bound: `attemptsMax` publications of one event, none after the phase of work has ended.
import type { BusEvent } from '../system/domain/event.ts';
import type { CorrelationId, EventId } from '../system/domain/identifiers.ts';
import type { Course } from './course.ts';
import { afterMicros } from './curve.ts';
import type { TracedEvent, WorkloadSpec } from './scenario.ts';
import type { TestbedRandom } from './testbed.ts';

const PUBLISH_DEADLINE_MICROS = 2_000_000;
/** Pause before a refused or failed publication is repeated under the same event id. */
const PUBLISH_AGAIN_MICROS = 200_000;
/** Bound: the longest distance of a poisson workload, in hundredths of the mean; e^-15 of them would be longer. */
const POISSON_HUNDREDTHS_MAX = 1_500;

/** `{n}`, `{id}` and `{random:a:b}`; other braces are text. */
export const TEMPLATE = /\{(n|id|random:(-?\d+):(-?\d+))\}/g;

export async function publishWorkload(course: Course, workload: WorkloadSpec): Promise<void> {
  const stream = course.testbed.random.stream(`workload ${workload.name}`);
  // Those that have ended are forgotten: a run may be of any length.
  const underWay = new Set<Promise<void>>();
  let n = 0;
  for (const { micros, data } of workload.trace === null ? paced(workload, stream) : traced(workload, workload.trace)) {
    await course.sleepUntil(micros);
    if (course.isOver()) break;
    n += 1;
    const publication = publish(course, workload, n, fillTemplate(data, workload, n, stream)).finally(() => underWay.delete(publication));
    underWay.add(publication);
  }
  await Promise.all(underWay);
}

/** When there is an event, and with what data. */
type Due = { readonly micros: number; readonly data: string };

function* traced({ startMicros, endMicros, data }: WorkloadSpec, trace: readonly TracedEvent[]): Generator<Due> {
  for (const event of trace) {
    const micros = startMicros + event.micros;
    if (micros >= endMicros) return;
    yield { micros, data: event.data ?? data };
  }
}

function* paced(workload: WorkloadSpec, stream: ReturnType<TestbedRandom['stream']>): Generator<Due> {
  const { startMicros, endMicros, shape, burstEvents, curve, data } = workload;
  const next = (micros: number): number => {
    const distance = distanceMicros(workload, stream);
    return curve === null ? micros + distance : startMicros + afterMicros(curve, micros - startMicros, distance, endMicros - startMicros);
  };
  // A rate that follows a curve may be 0 in the beginning.
  for (let micros = curve === null ? startMicros : next(startMicros); micros < endMicros; micros = next(micros)) {
    for (let i = 0; i < (shape === 'burst' ? burstEvents : 1); i++) yield { micros, data };
  }
}

function distanceMicros({ shape, everyMicros }: WorkloadSpec, stream: ReturnType<TestbedRandom['stream']>): number {
  if (shape !== 'poisson') return everyMicros;
  // Exponential distances without a logarithm: a geometric count of hundredths has the same mean and no memory.
  let hundredths = 1;
  while (!stream.chance(1, 100) && hundredths < POISSON_HUNDREDTHS_MAX) hundredths += 1;
  return Math.max(1, Math.floor((everyMicros * hundredths) / 100));
}

async function publish(course: Course, workload: WorkloadSpec, n: number, data: string): Promise<void> {
  const { testbed } = course;
  const { clock } = testbed;
  const id = `${workload.name}-${n}`;
  const event: BusEvent = {
    id: id as EventId,
    subject: workload.subject,
    timeMs: clock.civilMs(),
    correlation: id as CorrelationId,
    headers: {},
    data: new TextEncoder().encode(data),
  };
  const since = clock.monotonicMicros();
  for (let attempt = 1; ; attempt++) {
    const ack = await testbed.publish(workload.from, event, { deadlineMicros: PUBLISH_DEADLINE_MICROS });
    if (ack.ok || attempt >= workload.attemptsMax || course.isOver() || course.hasWorked()) {
      testbed.record('workload.published', {
        event: id,
        subject: workload.subject,
        outcome: ack.ok ? 'accepted' : ack.error.kind === 'unknown' ? 'unknown' : 'refused',
        code: ack.ok ? null : ack.error.code,
        micros: clock.monotonicMicros() - since,
      });
      return;
    }
    await clock.sleep(PUBLISH_AGAIN_MICROS);
  }
}

function fillTemplate(data: string, workload: WorkloadSpec, n: number, stream: ReturnType<TestbedRandom['stream']>): string {
  return data.replaceAll(TEMPLATE, (whole, what: string, least?: string, most?: string) => {
    if (what === 'n') return String(n);
    if (what === 'id') return `${workload.name}-${n}`;
    if (least === undefined || most === undefined) return whole;
    return String(Number(least) + stream.below(Number(most) - Number(least) + 1));
  });
}
