// What the product says about itself. Fire and forget: it never fails, never blocks, never decides anything.
// Order: records of one source keep their order.
import type { CorrelationId } from '../domain/identifiers.ts';
import type { LogLevel, RecordKind, RecordKinds } from '../domain/telemetry.ts';

export interface Telemetry {
  record<K extends RecordKind>(kind: K, fields: Readonly<RecordKinds[K]>, correlation?: CorrelationId | null): void;
  log(level: LogLevel, message: string, correlation?: CorrelationId | null): void;
}
