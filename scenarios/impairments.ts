// What a step or a link says of a way between two zones that is narrow, bursty or untidy, as values; and the same in words.
import type { Path, Source } from './mistakes.ts';
import type { Impairment, Ratio } from './scenario.ts';
import { isRecord } from './shape.ts';
import { parseDuration, parseRatio, parseSize, writeDuration, writeRatio, writeSize } from './units.ts';

type Fields = Readonly<Record<string, unknown>>;

/** Kinds of impairment by the field of a link that says it. */
const LINK_FIELDS = {
  bandwidth: 'bandwidth',
  burstLoss: 'burst-loss',
  duplication: 'duplication',
  reordering: 'reordering',
  corruption: 'corruption',
} as const satisfies Readonly<Record<string, Impairment['kind']>>;

/** What a link does not say. A queue of a quarter of a MiB is what routers at home have; a burst of radio loses every second message. */
const LINK_DEFAULTS: Fields = { queue: '256KiB', ratio: '50%', delay: '20ms' };

/** What is wrong with a link for as long as the run lasts. */
export function impairmentsOf(source: Source, link: Fields, path: Path): readonly Impairment[] {
  return Object.entries(LINK_FIELDS).flatMap(([field, kind]) => {
    const said = link[field];
    if (said === undefined) return [];
    const fields: Fields = isRecord(said) ? { ...LINK_DEFAULTS, ...said } : { ratio: said };
    const found = impairmentOf(source, kind, fields, [...path, field]);
    return found === null ? [] : [found];
  });
}

/** Null when a step of this kind is no impairment. */
export function impairmentOf(source: Source, kind: string, step: Fields, path: Path): Impairment | null {
  const ratio = (): Ratio => {
    const parsed = parseRatio(String(step['ratio']));
    if (parsed === null || parsed[0] === 0)
      source.mistake(
        source.has([...path, 'ratio']) ? [...path, 'ratio'] : path,
        `found ${JSON.stringify(step['ratio'])}, expected a chance above 0 and of at most 1`,
      );
    return parsed ?? [1, 1];
  };
  const positive = (field: string, value: number | null): number => {
    if (value === 0) source.mistake([...path, field], 'found nothing, expected more than 0');
    return value || 1;
  };
  switch (kind) {
    case 'bandwidth':
      return {
        kind,
        bytesPerS: positive('rate', parseSize(String(step['rate']))),
        queueBytes: positive('queue', parseSize(String(step['queue']))),
      };
    case 'burst-loss':
      return {
        kind,
        ratio: ratio(),
        burstMicros: positive('burst', parseDuration(String(step['burst']))),
        apartMicros: positive('apart', parseDuration(String(step['apart']))),
      };
    case 'reordering':
      return { kind, ratio: ratio(), microsMax: positive('delay', parseDuration(String(step['delay']))) };
    case 'duplication':
    case 'corruption':
      return { kind, ratio: ratio() };
    default:
      return null;
  }
}

export function impairmentText(impairment: Impairment): string {
  switch (impairment.kind) {
    case 'bandwidth':
      return `${writeSize(impairment.bytesPerS)} a second, queue of ${writeSize(impairment.queueBytes)}`;
    case 'burst-loss':
      return `${writeRatio(impairment.ratio)} of messages for ${writeDuration(impairment.burstMicros)}, every ${writeDuration(impairment.apartMicros)}`;
    case 'reordering':
      return `${writeRatio(impairment.ratio)} of messages by up to ${writeDuration(impairment.microsMax)}`;
    case 'duplication':
    case 'corruption':
      return `${writeRatio(impairment.ratio)} of messages`;
  }
}
