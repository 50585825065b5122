// The telemetry of a real process: one record goes to its log, its metrics and, when asked for, a file of records. Owns the
// numbering of records and the promise of the port: it never fails, never waits, and keeps what it was told. Refuses to let a
// secret pass (redaction.ts): nothing beyond this door holds one. Surprising: a destination that throws costs its own record only.
import { ok } from '../../system/domain/outcome.ts';
import type { Outcome } from '../../system/domain/outcome.ts';
import type { Census, RecordKind, RecordKinds } from '../../system/domain/telemetry.ts';
import type { Telemetry } from '../../system/ports/telemetry.ts';
import type { Role } from './families.ts';
import { MetricsSink } from './feed.ts';
import { RecordFile } from './file.ts';
import { Log } from './log.ts';
import type { LogOptions } from './log.ts';
import { Metrics } from './metrics.ts';
import { machineMicros } from './record.ts';
import type { Sink, TelemetryRecord } from './record.ts';
import { redactFields, redactText } from './redaction.ts';

export { serveAdmin } from './admin.ts';
export type { Admin, AdminOptions, Part } from './admin.ts';
export type { TelemetryRecord } from './record.ts';

export type TelemetryOptions = {
  /** The machine: `controller`, or the name of the node. */
  readonly source: string;
  /** Which start of the source this process is, from 1. */
  readonly incarnation: number;
  readonly role: Role;
  /** Null: no log. */
  readonly log: Omit<LogOptions, 'onDropped'> | null;
  /** Null: no file of records. */
  readonly records: { readonly path: string; readonly bytesMax?: number } | null;
  /** What a leading controller has, asked at each scrape; null while it does not lead. */
  readonly census?: () => Census | null;
  /** Further destinations, such as a test. */
  readonly onRecord?: (record: TelemetryRecord) => void;
};

export type ProcessTelemetry = Telemetry & {
  /** The metrics as Prometheus reads them. */
  metrics(): Promise<string>;
  /** The last lines leave; what is said afterwards is not written. */
  close(): Promise<void>;
};

export function openTelemetry(options: TelemetryOptions): Outcome<ProcessTelemetry> {
  const { source, incarnation } = options;
  const metrics = new Metrics(options.role);
  const counting = new MetricsSink(metrics);
  const sinks: Sink[] = [counting];
  let sequence = 0;
  let closed = false;

  const attempt = (destination: string, act: () => void): void => {
    try {
      act();
    } catch {
      metrics.change('wasmmatrix_telemetry_faults_total', { destination });
    }
  };
  const record: Telemetry['record'] = (kind, fields, correlation = null) => {
    if (closed) return;
    attempt('all', () => {
      const told = {
        source,
        incarnation,
        sequence: ++sequence,
        micros: machineMicros(),
        kind,
        correlation: correlation === null ? null : redactText(correlation),
        fields: redactFields<Readonly<RecordKinds[RecordKind]>>(fields),
      } as TelemetryRecord;
      for (const sink of sinks) attempt(sink.name, () => sink.take(told));
      attempt('listener', () => options.onRecord?.(told));
    });
  };

  const log =
    options.log === null ? null : Log.open({ ...options.log, onDropped: () => metrics.change('wasmmatrix_log_lines_dropped_total', {}) });
  if (log !== null && !log.ok) return log;
  if (log !== null) sinks.push(log.value);
  const file =
    options.records === null
      ? null
      : RecordFile.open({
          ...options.records,
          onLost: () => metrics.change('wasmmatrix_records_lost_total', {}),
          onTrouble: (message) => record('log', { level: 'warn', message }),
        });
  if (file !== null && !file.ok) return file;
  if (file !== null) sinks.push(file.value);
  metrics.observeProcess();

  return ok({
    record,
    log: (level, message, correlation) => record('log', { level, message }, correlation),
    metrics: () => {
      if (options.census !== undefined) counting.count(options.census());
      return metrics.text();
    },
    close: async () => {
      if (closed) return;
      closed = true;
      file?.value.close();
      await log?.value.close();
    },
  });
}
