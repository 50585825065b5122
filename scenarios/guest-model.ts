// The cost model of a module as a scenario declares it: read from the file, and told again in words.
import type { Path, Source } from './mistakes.ts';
import type { FuelLaw, GuestCallSpec, GuestModelSpec, Scenario } from './scenario.ts';
import { isRecord } from './shape.ts';
import { parseDuration, parseSize, writeDuration, writeSize } from './units.ts';

const MEMORY_BYTES = 64 * 1_024;
const CALL_BYTES = 16;

type Fields = Readonly<Record<string, unknown>>;

export function modelOf(source: Source, fields: Fields, path: Path): GuestModelSpec {
  const fuel = fuelOf(fields['fuel']);
  if (fuel === null) source.mistake([...path, 'fuel'], 'the bounds of the law contradict each other: expected min <= mean and max');
  const { result } = fields;
  return {
    fuel: fuel ?? { law: 'constant', fuel: 0 },
    fuelPerByte: numberOr(fields['fuelPerByte'], 0),
    memoryBytes: parseSize(String(fields['memory'])) ?? MEMORY_BYTES,
    result: result === undefined || result === 'echo' ? 'echo' : { bytes: parseSize(String(result)) ?? 0 },
    calls: Array.isArray(fields['calls']) ? fields['calls'].filter(isRecord).map(callOf) : [],
  };
}

function fuelOf(value: unknown): FuelLaw | null {
  if (!isRecord(value)) return { law: 'constant', fuel: numberOr(value, 0) };
  const { uniform, exponential } = value;
  if (isRecord(uniform)) {
    const [fuelMin, fuelMax] = [numberOr(uniform['min'], 0), numberOr(uniform['max'], 0)];
    return fuelMin <= fuelMax ? { law: 'uniform', fuelMin, fuelMax } : null;
  }
  const given = isRecord(exponential) ? exponential : {};
  const [fuelMean, fuelMin] = [numberOr(given['mean'], 0), numberOr(given['min'], 0)];
  return fuelMin <= fuelMean ? { law: 'exponential', fuelMean, fuelMin } : null;
}

function callOf(fields: Fields): GuestCallSpec {
  const bytes = parseSize(String(fields['bytes'])) ?? CALL_BYTES;
  if (typeof fields['read'] === 'string') return { call: 'read', key: fields['read'] };
  if (typeof fields['write'] === 'string') return { call: 'write', key: fields['write'], bytes };
  if (typeof fields['publish'] === 'string') return { call: 'publish', subject: fields['publish'], bytes };
  return { call: 'sleep', micros: parseDuration(String(fields['sleep'])) ?? 0 };
}

function numberOr(value: unknown, fallback: number): number {
  return typeof value === 'number' ? value : fallback;
}

/** `fuel 40000, memory 64KiB, answers with the event, write counter/a (16B)`. */
export function modelText({ fuel, fuelPerByte, memoryBytes, result, calls }: GuestModelSpec): string {
  return [
    `fuel ${lawText(fuel)}`,
    ...(fuelPerByte === 0 ? [] : [`and ${fuelPerByte} for each byte of the event`]),
    `memory ${writeSize(memoryBytes)}`,
    result === 'echo' ? 'answers with the event' : result.bytes === 0 ? 'answers nothing' : `answers ${writeSize(result.bytes)}`,
    ...calls.map(callText),
  ].join(', ');
}

function lawText(law: FuelLaw): string {
  switch (law.law) {
    case 'constant':
      return String(law.fuel);
    case 'uniform':
      return `${law.fuelMin} to ${law.fuelMax}, uniform`;
    case 'exponential':
      return `${law.fuelMean} on average, exponential, at least ${law.fuelMin}`;
  }
}

function callText(call: GuestCallSpec): string {
  switch (call.call) {
    case 'read':
      return `read ${call.key}`;
    case 'write':
      return `write ${call.key} (${writeSize(call.bytes)})`;
    case 'publish':
      return `publish ${call.subject} (${writeSize(call.bytes)})`;
    case 'sleep':
      return `sleep ${writeDuration(call.micros)}`;
  }
}

/** One sentence for each module whose guests a model stands for; `played`: this world plays them by their models. */
export function modelNotes({ steps }: Scenario, played: boolean): readonly string[] {
  const modules = new Set(steps.flatMap((step) => (step.do === 'push' && step.model !== null ? [step.module] : [])));
  return [...modules].map((module) =>
    played
      ? `Guests of ${module} were modelled, not run: their costs and answers are those that the file declares.`
      : `Guests of ${module} were really run: the cost model of the file is for the simulator alone.`,
  );
}
