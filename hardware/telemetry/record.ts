// A record on its way to its destinations: a line of `run.jsonl` as the goals and reports of a run read it, so that what
// real processes said can be judged like what simulated ones said.
import type { RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';

/**
 * `source` is the machine (`controller`, `truck-7`); `sequence` counts from 1 within (source, incarnation); `micros` is the
 * monotonic clock of the machine, which all its processes share.
 */
export type TelemetryRecord = {
  [K in RecordKind]: {
    readonly source: string;
    readonly incarnation: number;
    readonly sequence: number;
    readonly micros: number;
    readonly kind: K;
    readonly correlation: string | null;
    readonly fields: Readonly<RecordKinds[K]>;
  };
}[RecordKind];

/** A destination of records. May throw: whoever hands it a record keeps the others safe from it. */
export type Sink = {
  readonly name: 'log' | 'metrics' | 'records';
  take(record: TelemetryRecord): void;
};

/** Microseconds of CLOCK_MONOTONIC, which is one clock for all processes of a machine. */
export function machineMicros(): number {
  return Number(process.hrtime.bigint() / 1_000n);
}
