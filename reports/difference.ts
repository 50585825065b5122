// In what two records differ: the names of what differs, with both values.
import type { RunRecord } from '../scenarios/record.ts';

/** `name` is `micros`, `kind` …, or a field as `fields.node`; absent values are null. */
export type Differing = { readonly name: string; readonly first: unknown; readonly second: unknown };

export type DifferenceOptions = {
  /** Leaves out when things happened and how long they took: worlds that run on a clock of their own never agree in that. */
  readonly ignoreTimes: boolean;
};

const TIMES = /(^m|M)(icros|s)$/;
const ENVELOPE = ['source', 'incarnation', 'sequence', 'micros', 'kind', 'correlation'] as const;

export function differencesOf(first: RunRecord, second: RunRecord, options: DifferenceOptions): readonly Differing[] {
  const isTold = (name: string): boolean => !options.ignoreTimes || !TIMES.test(name);
  const envelope = ENVELOPE.filter((name) => isTold(name) && first[name] !== second[name]);
  const mine: Readonly<Record<string, unknown>> = first.fields;
  const theirs: Readonly<Record<string, unknown>> = second.fields;
  const names = [...new Set([...Object.keys(mine), ...Object.keys(theirs)])];
  return [
    ...envelope.map((name) => ({ name, first: first[name], second: second[name] })),
    ...names
      .filter((name) => isTold(name) && JSON.stringify(mine[name]) !== JSON.stringify(theirs[name]))
      .map((name) => ({ name: `fields.${name}`, first: mine[name] ?? null, second: theirs[name] ?? null })),
  ];
}
