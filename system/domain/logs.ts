// What guests log, and what their agents say of invocations that failed: the way from the node to an operator. Kept in memory only.
import type { CorrelationId, DeploymentName, EventId, InstanceId, NodeId } from './identifiers.ts';
import type { LogLevel } from './telemetry.ts';
import type { EndedMessage } from './watch.ts';

export const LOG_LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error'];

/** Bound: recent lines that a stream may begin with. */
export const LOG_LINES_MAX = 1_000;

export type GuestLine = {
  /** Civil milliseconds at the node. */
  readonly timeMs: number;
  readonly instance: InstanceId;
  readonly version: number;
  readonly level: LogLevel;
  /** What was being worked on. */
  readonly event: EventId;
  readonly correlation: CorrelationId;
  readonly text: string;
};

export type GuestLogLine = GuestLine & { readonly node: NodeId };

export type LogsRequest = {
  readonly deployment: DeploymentName;
  /** False: the stream ends after the recent lines. */
  readonly follow: boolean;
  /** Recent lines to begin with, 0 to LOG_LINES_MAX. */
  readonly lines: number;
};

export type LogsMessage =
  | {
      readonly kind: 'lines';
      readonly lines: readonly GuestLogLine[];
      /** Lines that were lost before these, where a bound was met. */
      readonly dropped: number;
    }
  | EndedMessage;
