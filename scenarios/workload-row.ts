// A workload as `explain` tells it: how many events come of it, and what the file does not say.
import { passedMicros } from './curve.ts';
import type { Fields, Row, Said } from './explain.ts';
import type { RateCurve, WorkloadSpec } from './scenario.ts';
import { writeDuration } from './units.ts';

function curveText({ periodMicros, points }: RateCurve): string {
  return `every ${writeDuration(periodMicros)}: ${points.map(({ micros, rate }) => `×${rate} at ${writeDuration(micros)}`).join(', ')}`;
}

export function workloadRow(workload: WorkloadSpec, file: Fields): Row {
  const { name, subject, from, startMicros, endMicros, everyMicros, shape, burstEvents, curve, trace } = workload;
  const passed = curve === null ? endMicros - startMicros : passedMicros(curve, 0, endMicros - startMicros);
  const events =
    trace?.filter(({ micros }) => startMicros + micros < endMicros).length ??
    Math.round(passed / everyMicros) * (shape === 'burst' ? burstEvents : 1);
  const fields: readonly Said[] = [
    ['start', writeDuration(startMicros), 'start' in file],
    ['end', writeDuration(endMicros), 'end' in file],
    ...(trace === null
      ? [['every', writeDuration(everyMicros), true] as const, ['shape', shape, 'shape' in file] as const]
      : [['trace', `over ${writeDuration(trace.at(-1)?.micros ?? 0)}`, true] as const]),
    ...(shape === 'burst' ? [['burst', `${burstEvents} events`, 'burst' in file] as const] : []),
    ...(curve === null ? [] : [['curve', curveText(curve), true] as const]),
    ['data', workload.data, 'data' in file],
    ['attempts', String(workload.attemptsMax), 'attempts' in file],
  ];
  const given = fields.filter(([, , stands]) => stands).map(([field, value]) => `${field} ${value}`);
  return {
    cells: [name, `${trace === null ? 'about ' : ''}${events} events on ${subject} from ${from}, ${given.join(', ')}`],
    filled: fields.filter(([, , stands]) => !stands).map(([field, value]) => `${field} ${value}`),
    isFault: false,
  };
}
